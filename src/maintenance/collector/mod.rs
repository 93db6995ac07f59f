//! The collector: space comes back by itself, while people push and pull.
//!
//! ```text
//! let collector = Collector::new(&registry, CollectorOptions::default());
//! collector.start()?;                     // passes in the background, on a thread of its own
//! let report = collector.run(&CollectOptions::default(), &mut |verdict| show(verdict))?;
//! let status = collector.status();
//! collector.stop();                       // before the registry is closed; ends within a step
//!
//! fn run(&self, options: &CollectOptions, visit: &mut dyn FnMut(&Verdict))
//!     -> Result<CollectReport, CollectError>;        // blocks its thread; waits for a pass that runs
//! fn status(&self) -> CollectorStatus;               // at any time, without waiting
//! ```
//!
//! A handle can be cloned freely. [`Server`](crate::server::Server) has one and gives it out. A command line
//! that finds no server opens the registry itself and passes `alone: true`, without `start`.

mod error;
mod options;
mod report;

pub use error::CollectError;
pub use options::{CollectOptions, CollectorOptions};
pub use report::{CollectReport, CollectorStatus, Count, NOTES_MAX, Tally, Thing, Verdict};
