//! Content by digest, and resumable uploads.
//!
//! Content is immutable and is stored under its digest. There is one way to get there: an upload's bytes are
//! made durable, then published under their digest, durably; after that, metadata may name them.
//!
//! | file | |
//! |---|---|
//! | `contract.rs` | [`ContentStore`] and [`ContentUpload`]: what a store offers |
//! | `verify.rs` | what reads content of any store: verified, whole, or to publish it again |
//! | `local/` | [`LocalStore`]: content as files of a disk |
//! | `tests.rs` | the tests that every store passes |

mod contract;
mod error;
mod local;
#[cfg(test)]
mod tests;
mod verify;

pub use contract::{
    ContentStore, ContentUpload, DurableBlob, Quarantined, ResumePoint, StoredFile, UnfinishedUpload,
};
pub use error::BlobError;
#[cfg(test)]
pub(crate) use local::blob_path;
pub use local::{BLOBS_FOLDER, DURABLE_STEP_BYTES, LocalStore, UPLOADS_FOLDER, remove_empty_folders};
pub use verify::Verification;
