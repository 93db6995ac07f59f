//! The outcome of deciding a command.

use crate::meta::model::Fact;

/// When a command is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The wall clock's time in milliseconds since 1970, unless it was never set.
    pub wall_ms: Option<u64>,
    /// The store time, in milliseconds.
    pub noted: u64,
    /// The store time when this run began, in milliseconds.
    pub began: u64,
    /// The order of a tag that is set now.
    pub order: u64,
}

/// The outcome of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What changes; empty when the state is already as the command wants it.
    pub facts: Vec<Fact>,
    /// Whether the command must be repeated, because it is too big for one step.
    pub again: bool,
}

impl From<Vec<Fact>> for Decision {
    fn from(facts: Vec<Fact>) -> Self {
        Self { facts, again: false }
    }
}
