//! Content in a folder of the local disk.

pub(in crate::blobs) mod layout;
pub(in crate::blobs) mod publish;
pub(in crate::blobs) mod quarantine;
pub(in crate::blobs) mod upload;
pub(in crate::blobs) mod verify;
