//! The rules: what a command may do, decided without a writer.
//!
//! | what | where |
//! |---|---|
//! | manifests and tags | `manifests` |
//! | blobs and upload sessions | `uploads` |
//! | deletions | `deletes` |
//! | sweeps | `sweeps` |

mod deletes;
mod manifests;
mod sweeps;
mod uploads;

use super::*;
