//! The index in sled.

mod bulk_load;
mod folders;
mod index;
mod merged_scan;
mod temporary;
mod trees;
mod write_buffer;

pub(in crate::meta) use folders::has_database;
pub(in crate::meta) use index::SledIndex;
pub(in crate::meta) use temporary::TemporaryCopy;
pub use temporary::TemporaryFolder;
