//! Looking after a store: checking it, making its metadata anew, and reading its content again and again.

mod check;
mod content;
mod finding;
mod progress;
mod rebuild;
mod rows;
mod scrub;

pub use check::check;
pub use finding::CheckReport;
pub use progress::Progress;
pub use rebuild::{RECOVERED_REPOSITORY, Rebuilt, rebuild};
pub use scrub::{Scrub, ScrubError, ScrubOptions, ScrubReport, ScrubStatus, ScrubWatch};
