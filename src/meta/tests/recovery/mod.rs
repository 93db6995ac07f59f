//! What a start makes of what the last run left.
//!
//! | what | where |
//! |---|---|
//! | an abrupt end | `stops` |
//! | the marker of a clean stop | `clean` |
//! | rotation, checkpoints, recovery from them | `checkpoints` |
//! | the zeroes after the lines of a journal file | `ahead` |
//! | damage of the journal | `damage` |
//! | a limit of file sizes | `file_sizes` |
//! | metadata and content that disagree | `reconcile` |
//! | lines of another version | `unknown` |
//! | what another version notes of rows | `optional` |
//! | an index whose files or rows cannot be read | `unreadable_index` |

mod ahead;
mod checkpoints;
mod clean;
mod damage;
mod file_sizes;
mod optional;
mod reconcile;
mod stops;
mod unknown;
mod unreadable_index;

use super::*;
