//! Making metadata and content agree after damage.
//!
//! When lines of the journal are lost to the medium, or content is, what is left may contradict itself: a tag
//! that names no manifest, a link without content, a manifest whose blobs nothing links any more. What can be
//! restored from the surviving manifests is restored, and the rest is dropped. All of it ends up in absolute
//! facts, like any other change.
//!
//! What was lost may have been a deletion; then this brings back what somebody had deleted. It can't be told
//! from a lost push, and of the two errors it is the one that loses nothing.

mod content;
mod manifests;
mod reconciler;
mod report;
mod rows;

pub use reconciler::Unattributed;
pub(in crate::meta) use reconciler::{FactSink, Reconciler};
pub use report::Report;
