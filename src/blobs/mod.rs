//! Content-addressed files and uploads that can be gone on with.
//!
//! Content is immutable and lies under its digest. It gets there by one way only: its bytes are written to a
//! file in `uploads/`, synced, renamed into place, and the folder is synced; after that, metadata may name
//! it.

mod error;
mod local;

pub use error::BlobError;
pub use local::layout::{BLOBS_FOLDER, UPLOADS_FOLDER};
pub use local::publish::{BlobStore, DurableBlob};
pub use local::quarantine::Quarantined;
pub use local::upload::{DURABLE_STEP_BYTES, Upload};
pub use local::verify::{Found, Occupant};
