//! Content by digest, and resumable uploads.
//!
//! Content is immutable and is stored under its digest. An upload's bytes are made durable, then published
//! under their digest, durably; after that, metadata may name them. Small content rides in the journal's
//! line that names it, and gets its file later.
//!
//! | file | |
//! |---|---|
//! | `contract.rs` | [`ContentStore`] and [`ContentUpload`]: what a store offers |
//! | `verify.rs` | what reads content of any store: verified, whole, or to publish it again |
//! | `unfiled.rs`, `filer.rs` | small content that only the journal has, and what writes its files |
//! | `local/` | [`LocalStore`]: content as files of a disk |
//! | `tests.rs` | the tests that every store passes |

mod contract;
mod error;
mod filer;
mod local;
#[cfg(test)]
mod tests;
mod unfiled;
mod verify;

pub use contract::{
    BlobSource, ContentStore, ContentUpload, DurableBlob, Quarantined, ResumePoint, StoredFile,
    UnfinishedUpload,
};
pub use error::BlobError;
pub use filer::Filer;
#[cfg(test)]
pub(crate) use local::blob_path;
pub use local::{BLOBS_FOLDER, DURABLE_STEP_BYTES, LocalStore, UPLOADS_FOLDER, remove_empty_folders};
pub use unfiled::{CARRIED_MAX_BYTES, UnfiledContent};
pub use verify::Verification;
