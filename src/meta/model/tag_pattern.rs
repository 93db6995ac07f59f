//! Patterns of tags: with `*`, or regular expressions.

use std::fmt;
use std::str::FromStr;

use regex_lite::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use crate::base::{Pattern, PatternError, excerpt};
use crate::spec::Tag;

/// What the text of a regular expression begins with.
const REGEX_PREFIX: &str = "regex:";

/// The longest regular expression.
const REGEX_LENGTH_MAX_BYTES: usize = 255;

/// The most memory that a compiled regular expression takes, so that no repetition of repetitions gets large.
const REGEX_SIZE_MAX_BYTES: usize = 256 << 10;

/// A pattern of tags: as for repositories, or `regex:` and an expression that the whole tag must match.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TagPattern {
    text: String,
    form: PatternForm,
}

#[derive(Debug, Clone)]
enum PatternForm {
    Stars(Pattern),
    Expression(Regex),
}

/// Why a text is no pattern of tags.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TagPatternError {
    /// It is not a pattern with stars.
    #[error("{0}; for more, write \"{REGEX_PREFIX}v[0-9]+\"")]
    Stars(#[from] PatternError),
    /// The expression is too long.
    #[error("the expression after \"{REGEX_PREFIX}\" is longer than {REGEX_LENGTH_MAX_BYTES} bytes")]
    TooLong,
    /// The expression cannot be compiled.
    #[error("{text:?} is not a regular expression such as \"{REGEX_PREFIX}v[0-9]+\" ({why})")]
    Expression {
        /// The text.
        text: String,
        /// What is wrong with it.
        why: String,
    },
}

impl TagPattern {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Tells whether a tag is one of those that it stands for.
    pub fn matches(&self, tag: &Tag) -> bool {
        match &self.form {
            PatternForm::Stars(pattern) => pattern.matches(tag.as_str()),
            PatternForm::Expression(regex) => regex.is_match(tag.as_str()),
        }
    }
}

impl FromStr for TagPattern {
    type Err = TagPatternError;

    fn from_str(text: &str) -> Result<Self, TagPatternError> {
        let form = match text.strip_prefix(REGEX_PREFIX) {
            None => PatternForm::Stars(text.parse()?),
            Some(expression) if expression.len() > REGEX_LENGTH_MAX_BYTES => {
                return Err(TagPatternError::TooLong);
            }
            Some(expression) => PatternForm::Expression(compile(expression).map_err(|error| {
                TagPatternError::Expression { text: excerpt(text), why: error.to_string() }
            })?),
        };
        Ok(Self { text: text.to_owned(), form })
    }
}

impl TryFrom<String> for TagPattern {
    type Error = TagPatternError;

    fn try_from(text: String) -> Result<Self, TagPatternError> {
        text.parse()
    }
}

impl From<TagPattern> for String {
    fn from(pattern: TagPattern) -> Self {
        pattern.text
    }
}

fn compile(expression: &str) -> Result<Regex, regex_lite::Error> {
    // By itself first: one with unbalanced parentheses must not become another one by those around it.
    Regex::new(expression)?;
    RegexBuilder::new(&format!("^(?:{expression})$")).size_limit(REGEX_SIZE_MAX_BYTES).build()
}

impl PartialEq for TagPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for TagPattern {}

impl fmt::Display for TagPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, tag: &str) -> bool {
        pattern.parse::<TagPattern>().unwrap().matches(&tag.parse().unwrap())
    }

    #[test]
    fn an_expression_must_match_the_whole_tag() {
        assert!(matches("regex:v[0-9]+", "v12"));
        for tag in ["av12", "v12a", "v"] {
            assert!(!matches("regex:v[0-9]+", tag), "{tag}");
        }
        assert!(matches("regex:a|bc", "bc") && !matches("regex:a|bc", "abc") && !matches("regex:a|bc", "ac"));
        assert!(matches("v*", "v12") && !matches("v*", "12"));
    }

    #[test]
    fn what_is_no_expression_is_refused_with_a_right_one() {
        let long = format!("regex:{}", "a".repeat(256));
        for text in ["regex:(", "regex:a)(b", "regex:[", "regex:(a{1000}){1000}", "a b", "", &long] {
            let error = text.parse::<TagPattern>().unwrap_err().to_string();
            assert!(error.contains("regex:"), "{text:?}: {error}");
        }
    }
}
