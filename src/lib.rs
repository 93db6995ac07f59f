//! An OCI container registry for one machine that can lose power at any moment.

pub mod blobs;
pub mod disk;
pub mod meta;
pub mod registry;
pub mod spec;
