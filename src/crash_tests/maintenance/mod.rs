//! Power cuts during maintenance.
//!
//! | what | where |
//! |---|---|
//! | scrub, rebuild, collector and a start with other policies as jobs | `jobs` |
//! | damaged content that is set aside | `quarantines` |
//! | starts that raise the format | `raises` |
//! | rebuilds | `rebuilds` |
//! | sweeps | `sweeps` |
//! | starts that repair a damaged store | `damage` |
//! | starts, checks and rebuilds that cannot read something | `unreadable` |

pub(super) mod damage;
pub(super) mod jobs;
pub(super) mod quarantines;
mod raises;
pub(super) mod rebuilds;
pub(super) mod sweeps;
mod unreadable;

pub(crate) use damage::{damaged_stores, look, whole_store};
