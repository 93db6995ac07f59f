//! Looking after a store: the collector and the scrub, beside a server or without one; checking a store that
//! no server uses, and making its metadata anew.

mod check;
mod collector;
mod content;
#[cfg(test)]
mod crash_tests;
mod finding;
mod progress;
mod rebuild;
mod rows;
mod scrub;

pub use check::{LiveRows, check, check_live};
pub use collector::{
    CollectError, CollectOptions, CollectReport, CollectWatch, Collector, CollectorOptions, CollectorStatus,
    Count, NOTES_MAX, Tally, Thing, Verdict,
};
pub use finding::CheckReport;
pub use progress::Progress;
pub use rebuild::{RECOVERED_REPOSITORY, Rebuilt, rebuild};
pub use scrub::{Scrub, ScrubError, ScrubOptions, ScrubReport, ScrubStatus, ScrubWatch};
