//! The outcome of deciding a command.

use crate::meta::model::Fact;
use crate::spec::Tag;

/// When a command is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The wall clock's time in milliseconds since 1970, unless it was never set.
    pub wall_ms: Option<u64>,
    /// The store time, in milliseconds.
    pub noted: u64,
    /// The store time when this run began, in milliseconds.
    pub began: u64,
    /// The order of a tag that is set, moved or removed now.
    pub order: u64,
}

/// The outcome of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What changes; empty when the state is already as the command wants it.
    pub facts: Vec<Fact>,
    /// How far the command is, if it is too big for one step and must be repeated.
    pub again: Option<CommandProgress>,
}

/// How far a command is that takes many steps. Others may be decided between two of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CommandProgress {
    /// Nothing was done.
    #[default]
    Begins,
    /// The manifest's tags up to this one may be deleted.
    Checked(Tag),
    /// The command is allowed, and a part of it was carried out.
    GoesOn,
}

impl From<Vec<Fact>> for Decision {
    fn from(facts: Vec<Fact>) -> Self {
        Self { facts, again: None }
    }
}
