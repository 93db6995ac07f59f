//! Patterns of names, as policies have them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::base::excerpt;

/// The longest pattern: no name of a repository is longer.
const PATTERN_LENGTH_MAX_BYTES: usize = 255;

/// A pattern of repositories' names or of tags, in which `*` stands for any characters, also for none, and
/// also for slashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a pattern such as \"team/*\" or \"v*\"")]
pub struct PatternError(String);

impl Pattern {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether a name is one of those that it stands for.
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
        let mut rest = rest;
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        // The earliest place is the best one for each part: it leaves most for those after it.
        for part in parts {
            let Some((_, after)) = rest.split_once(part) else { return false };
            rest = after;
        }
        rest.ends_with(last)
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/*".contains(&byte);
        if text.is_empty() || text.len() > PATTERN_LENGTH_MAX_BYTES || !text.bytes().all(allowed) {
            return Err(PatternError(excerpt(text)));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    #[test]
    fn a_star_stands_for_anything_and_for_nothing() {
        for (text, name) in
            [("*", ""), ("*", "a/b"), ("team/*", "team/a/b"), ("v*", "v"), ("*-rc*", "1-rc2"), ("a*a", "aa")]
        {
            assert!(pattern(text).matches(name), "{text} {name}");
        }
        for (text, name) in
            [("team/*", "team"), ("v*", "1v"), ("a*a", "a"), ("app", "apple"), ("a*b*c", "acb")]
        {
            assert!(!pattern(text).matches(name), "{text} {name}");
        }
    }

    #[test]
    fn what_no_name_can_have_is_no_pattern() {
        for text in ["", "a b", "team/[ab]", "ä*"] {
            assert!(text.parse::<Pattern>().is_err(), "{text:?}");
        }
    }

    /// The plainest way to say what a pattern means.
    fn matches(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|skipped| matches(rest, &name[skipped..])),
            Some((byte, rest)) => name.first() == Some(byte) && matches(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn a_pattern_matches_what_its_definition_says(text in "[ab*]{1,8}", name in "[ab]{0,10}") {
            prop_assert_eq!(pattern(&text).matches(&name), matches(text.as_bytes(), name.as_bytes()));
        }
    }
}
