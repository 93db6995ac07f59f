//! Looking after a store that no server uses: checking it, and making its metadata anew.

mod check;
mod content;
mod finding;
mod progress;
mod rebuild;
mod rows;

pub use check::check;
pub use finding::{CheckReport, Finding, Kind};
pub use progress::{Progress, Silent};
pub use rebuild::{RECOVERED_REPOSITORY, Rebuilt, rebuild};
