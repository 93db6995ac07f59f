//! Looking after a store: the collector and the scrub, beside a server or without one; checking a store that
//! no server uses, and rebuilding its metadata.
//!
//! | what | where |
//! |---|---|
//! | frees space beside clients | `collector/` |
//! | reads all content again and again | `scrub/` |
//! | checks a store, and what it finds | `check`, `finding` |
//! | which images lead to damaged content | `damage` |
//! | rebuilds the index or the metadata | `rebuild` |
//! | what check and rebuild read: rows and files of content | `rows`, `content` |
//! | progress for a terminal | `progress` |

mod check;
mod collector;
mod content;
mod damage;
mod finding;
mod progress;
mod rebuild;
mod rows;
mod scrub;

#[cfg(test)]
pub(crate) use check::check_on;
pub use check::{LiveRows, VisitRow, check, check_live};
#[cfg(test)]
pub(crate) use collector::{CHANGES_PER_TAG_MAX, tests as collector_tests};
pub use collector::{
    CollectError, CollectOptions, CollectReport, CollectWatch, Collector, CollectorOptions, CollectorStatus,
    Count, NOTES_MAX, Tally, Thing, Verdict,
};
pub(crate) use damage::DamageSurvey;
pub use finding::{CheckReport, Kind};
pub use progress::Progress;
#[cfg(test)]
pub(crate) use rebuild::rebuild_on;
pub use rebuild::{RECOVERED_REPOSITORY, Rebuilt, rebuild};
#[cfg(test)]
pub(crate) use scrub::tests as scrub_tests;
pub use scrub::{Scrub, ScrubError, ScrubOptions, ScrubReport, ScrubStatus, ScrubWatch};
