//! Upload sessions in memory: their order, their bodies and buffers.
//!
//! | | |
//! |---|---|
//! | `session`, `sessions` | one upload; all of them |
//! | `saved`, `restore` | what the index keeps of an upload, and sessions made of that at a start |
//! | `body`, `pool` | the body of a request in pieces, and the buffers for them |
//! | `memory` | a bound on the manifests in memory |
//! | `names_in_use` | the files of pushes without a session |

pub(in crate::registry) mod body;
pub(in crate::registry) mod memory;
pub(in crate::registry) mod names_in_use;
pub(in crate::registry) mod pool;
pub(in crate::registry) mod restore;
mod saved;
pub(in crate::registry) mod session;
pub(in crate::registry) mod sessions;
