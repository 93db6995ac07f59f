//! The scrub: reads all content again and again, to find damage while a client still has a copy.
//!
//! ```text
//! let scrub = Scrub::new(&registry, ScrubOptions::default());
//! scrub.start()?;                      // passes in the background, on a thread of its own, at a gentle rate
//! let report = scrub.run(&mut watch)?; // a full pass now, at full speed; blocks its thread
//! let status = scrub.status()?;        // at any time, without waiting
//! scrub.stop();                        // before the registry is closed; ends within a step
//! ```
//!
//! Damaged content is moved to `quarantine/`, and its row is removed from the index. The next push of it by
//! any client heals all repositories that have it.
//!
//! | what | where |
//! |---|---|
//! | the handle and its thread | `worker` |
//! | a pass, and how it reads one piece of content | `pass`, `read` |
//! | when a pass is due, and how fast it reads | `due`, `pace` |
//! | progress, kept across restarts | `saved` |
//! | what goes in and comes out | `options`, `report`, `error` |

mod due;
mod error;
mod options;
mod pace;
mod pass;
mod read;
mod report;
mod saved;
#[cfg(test)]
pub(crate) mod tests;
mod worker;

pub use error::ScrubError;
pub use options::ScrubOptions;
pub use report::{ScrubReport, ScrubStatus};
pub use worker::{Scrub, ScrubWatch};
