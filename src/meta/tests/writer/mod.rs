//! The writer: what it answers when.
//!
//! | what | where |
//! |---|---|
//! | one sync for all waiting commands | `group_commit` |
//! | the order and the times of tags | `order` |
//! | a failing disk | `failures` |

mod failures;
mod group_commit;
mod order;

use super::*;
