//! Names of repositories: distribution-spec, section "Pulling manifests".

use std::sync::Arc;

use thiserror::Error;

use crate::base::bounded_text;

/// The longest name that pulk takes; all its characters are ASCII (G2).
pub const NAME_LENGTH_MAX_CHARS: usize = 255;

/// The name of a repository, such as `library/alpine` (G1), of at most `NAME_LENGTH_MAX_CHARS`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoName(Arc<str>);

/// Why a text is not a repository's name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// The text does not follow the grammar.
    #[error("malformed repository name {0:?}")]
    Malformed(String),
    /// The text is longer than `NAME_LENGTH_MAX_CHARS`.
    #[error("a repository name of {0} characters is longer than {NAME_LENGTH_MAX_CHARS}")]
    TooLong(usize),
}

bounded_text!(RepoName, NameError, has_only_components, NAME_LENGTH_MAX_CHARS);

fn has_only_components(text: &str) -> bool {
    text.split('/').all(is_component)
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`: what lies between two letters or digits is nothing or one separator.
fn is_component(text: &str) -> bool {
    text.starts_with(is_letter_or_digit)
        && text.ends_with(is_letter_or_digit)
        && text.split(is_letter_or_digit).all(|gap| gap.is_empty() || is_separator(gap))
}

fn is_letter_or_digit(character: char) -> bool {
    matches!(character, 'a'..='z' | '0'..='9')
}

fn is_separator(text: &str) -> bool {
    matches!(text, "." | "_" | "__") || text.bytes().all(|byte| byte == b'-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_name(text: &str) -> bool {
        text.parse::<RepoName>().is_ok()
    }

    /// The grammar stated once more, as a machine that reads one character after another.
    fn grammar_accepts(text: &str) -> bool {
        #[derive(Clone, Copy, PartialEq)]
        enum State {
            Start,
            Word,
            Dot,
            Underscore,
            TwoUnderscores,
            Dashes,
        }
        let mut state = State::Start;
        for character in text.chars() {
            state = match (state, character) {
                (_, 'a'..='z' | '0'..='9') => State::Word,
                (State::Word, '/') => State::Start,
                (State::Word, '.') => State::Dot,
                (State::Word, '_') => State::Underscore,
                (State::Underscore, '_') => State::TwoUnderscores,
                (State::Word | State::Dashes, '-') => State::Dashes,
                _ => return false,
            };
        }
        state == State::Word
    }

    /// The specification's own expression, with bounds that keep the names short enough.
    fn specified_name() -> impl Strategy<Value = String> {
        let component = r"[a-z0-9]{1,5}((\.|_|__|-{1,4})[a-z0-9]{1,5}){0,3}";
        prop::string::string_regex(&format!(r"{component}(\/{component}){{0,5}}")).unwrap()
    }

    /// G1
    #[test]
    fn the_grammar_decides_what_a_name_is() {
        for text in
            ["a", "0", "library/alpine", "a.b_c__d-e---f", "a/b/c/d", "a/manifests/b", "x/blobs/uploads"]
        {
            assert_eq!(text.parse::<RepoName>().expect(text).to_string(), text);
        }
        let refused = [
            "", "/", "a/", "/a", "a//b", "A", "a..b", "a___b", "a._b", "a_-b", ".a", "a.", "-a", "a-", "_a",
            "a_", "a b", "a\n", "ä", "a/../b", "a:b", "a@b", "a\0",
        ];
        for text in refused {
            assert_eq!(text.parse::<RepoName>(), Err(NameError::Malformed(text.to_owned())));
        }
    }

    /// G1: every text of up to six of the characters that matter.
    #[test]
    fn all_short_texts_are_judged_as_the_grammar_says() {
        let mut texts = vec![String::new()];
        for _ in 0..6 {
            let longer =
                texts.iter().flat_map(|text| ['a', '.', '_', '-', '/', 'A'].map(|c| format!("{text}{c}")));
            texts = longer.collect();
            for text in &texts {
                assert_eq!(is_name(text), grammar_accepts(text), "{text:?}");
            }
        }
    }

    /// G2
    #[test]
    fn a_name_has_at_most_255_characters() {
        let longest = "a".repeat(NAME_LENGTH_MAX_CHARS);
        assert!(is_name(&longest));
        assert_eq!(format!("{longest}a").parse::<RepoName>(), Err(NameError::TooLong(256)));
    }

    #[test]
    fn json_has_the_text_and_refuses_what_the_grammar_does() {
        let name: RepoName = serde_json::from_str("\"a/b\"").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"a/b\"");
        assert!(serde_json::from_str::<RepoName>("\"a//b\"").is_err());
    }

    proptest! {
        /// G1
        #[test]
        fn what_the_specification_generates_is_accepted(text in specified_name()) {
            prop_assert_eq!(text.parse::<RepoName>().unwrap().to_string(), text);
        }

        #[test]
        fn long_texts_are_judged_as_the_grammar_says(
            text in r"[a-c0-2._\-/]{0,40}",
            any_text in any::<String>(),
        ) {
            prop_assert_eq!(is_name(&text), grammar_accepts(&text));
            prop_assert_eq!(is_name(&any_text), grammar_accepts(&any_text));
        }
    }
}
