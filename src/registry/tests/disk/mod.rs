//! What the registry does with its disk.
//!
//! | what | where |
//! |---|---|
//! | a failing disk | `failures` |
//! | content that it fails to publish | `publishing` |
//! | a full one | `full` |
//! | one that takes no writes | `read_only` |
//! | small content in the journal | `carried` |
//! | the syncs of a small image | `syncs` |

mod carried;
mod failures;
mod full;
mod publishing;
mod read_only;
mod syncs;

use super::*;
