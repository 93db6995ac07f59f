//! What every room may use: patterns, text, and helpers that know nothing of a registry.
//!
//! | what | where |
//! |---|---|
//! | locks whose holder may have panicked; panics that become errors | `locks`, `contained` |
//! | the time; patterns; text that came from outside | `time`, `pattern`, `text` |
//! | the address that a client counts under; which client gives way | `client_address`, `displacement` |
//! | how many log lines were dropped | `log_drops` |

#[cfg(test)]
mod chance;
mod client_address;
mod contained;
mod displacement;
mod locks;
mod log_drops;
#[cfg(test)]
mod odd_order;
mod pattern;
mod text;
mod time;

#[cfg(test)]
pub(crate) use chance::Chance;
pub use client_address::ClientAddress;
pub(crate) use contained::{contained, is_contained};
pub(crate) use displacement::displaced;
pub(crate) use locks::{lock, read, wait, wait_while, write};
pub(crate) use log_drops::{count_dropped_log_line, dropped_log_lines};
#[cfg(test)]
pub(crate) use odd_order::{OddTask, run_in_odd_order};
pub use pattern::{Pattern, PatternError};
pub(crate) use text::{bounded_text, excerpt, serde_as_text};
pub(crate) use time::{in_units, millis, now_ms, unix_ms};
