//! The collector: frees space in the background, beside pushes and pulls.
//!
//! ```text
//! let collector = Collector::new(&registry, CollectorOptions::default());
//! collector.start()?;                     // passes in the background, on a thread of its own
//! let report = collector.run(&CollectOptions::default(), &mut |verdict| show(verdict))?;
//! let status = collector.status();
//! collector.stop();                       // before the registry is closed; ends within a step
//! ```
//!
//! A handle can be cloned freely. [`Server`](crate::server::Server) has one and gives it out. A command line
//! that finds no server opens the registry itself and passes `alone: true`, without `start`.
//!
//! `docs/collector.md` argues why nothing needed can be removed.
//!
//! | what | where |
//! |---|---|
//! | the handle, and whose turn it is | `worker`, `turn` |
//! | a pass: its repositories, content and files | `pass`, `repository`, `content`, `orphans` |
//! | what references what in a repository | `graph` |
//! | tags and untagged manifests, by policy | `tags`, `policy` |
//! | what is kept of what was removed | `removed/` |
//! | pauses between steps | `pace` |
//! | what the journal says of a removal | `origin` |
//! | the index, compacted afterwards | `index` |
//! | what goes in and comes out | `options`, `report`, `error` |

mod content;
mod error;
mod graph;
mod index;
mod options;
mod origin;
mod orphans;
mod pace;
mod pass;
mod policy;
mod removed;
mod report;
mod repository;
mod tags;
#[cfg(test)]
pub(crate) mod tests;
mod turn;
mod worker;

pub use error::CollectError;
pub use options::{CollectOptions, CollectWatch, CollectorOptions};
#[cfg(test)]
pub(crate) use removed::CHANGES_PER_TAG_MAX;
pub use report::{CollectReport, CollectorStatus, Count, NOTES_MAX, Tally, Thing, Verdict};
pub use worker::Collector;
