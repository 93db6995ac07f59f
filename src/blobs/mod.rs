//! Content-addressed files and uploads that can be gone on with.
//!
//! Content is immutable and lies under its digest. It gets there by one way only: its bytes are written to a
//! file in `uploads/`, synced, renamed into place, and the folder is synced; after that, metadata may name
//! it.

mod error;
mod found;
mod layout;
mod quarantine;
mod store;
mod upload;

pub use error::BlobError;
pub use found::{Found, Occupant};
pub use layout::{BLOBS_FOLDER, UPLOADS_FOLDER};
pub use quarantine::Quarantined;
pub use store::{BlobStore, DurableBlob};
pub use upload::{DURABLE_STEP_BYTES, Upload};
