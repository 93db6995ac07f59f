//! Looking after a store: the collector and the scrub, beside a server or without one; checking a store that
//! no server uses, and rebuilding its metadata.

mod check;
mod collector;
mod content;
mod finding;
mod progress;
mod rebuild;
mod rows;
mod scrub;

pub use check::{LiveRows, check, check_live};
#[cfg(test)]
pub(crate) use collector::tests as collector_tests;
pub use collector::{
    CollectError, CollectOptions, CollectReport, CollectWatch, Collector, CollectorOptions, CollectorStatus,
    Count, NOTES_MAX, Tally, Thing, Verdict,
};
pub use finding::CheckReport;
pub use progress::Progress;
#[cfg(test)]
pub(crate) use rebuild::rebuild_on;
pub use rebuild::{RECOVERED_REPOSITORY, Rebuilt, rebuild};
#[cfg(test)]
pub(crate) use scrub::tests as scrub_tests;
pub use scrub::{Scrub, ScrubError, ScrubOptions, ScrubReport, ScrubStatus, ScrubWatch};
