//! What the registry does with its disk.
//!
//! | what | where |
//! |---|---|
//! | a failing disk | `failures` |
//! | a full one | `full` |
//! | the syncs of a small image | `syncs` |

mod failures;
mod full;
mod syncs;

use super::*;
