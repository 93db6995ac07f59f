//! What every room may use: patterns, text, and helpers that know nothing of a registry.

#[cfg(test)]
mod chance;
mod pattern;
mod text;

#[cfg(test)]
pub(crate) use chance::Chance;
pub use pattern::{Pattern, PatternError};
pub(crate) use text::{excerpt, serde_as_text};
