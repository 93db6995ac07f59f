//! Looking after a store that no server uses: checking it, and making its metadata anew.

mod check;
mod content;
mod finding;
mod progress;
mod rebuild;
mod rows;

pub use check::check;
pub use finding::CheckReport;
pub use progress::Progress;
pub use rebuild::{RECOVERED_REPOSITORY, Rebuilt, rebuild};
