//! Making metadata and content agree after damage.
//!
//! When the medium loses journal lines or content, the remaining metadata may contradict itself: a tag that
//! names no manifest, a link without content, a manifest whose blobs nothing links any more. Reconciling
//! restores what it can from the surviving manifests and drops the rest, all of it as absolute facts, like
//! any other change.
//!
//! The lost line may have been a deletion; then reconciling brings deleted content back. It cannot tell a
//! lost deletion from a lost push, and of the two errors this one loses nothing.

mod content;
mod manifests;
mod reconciler;
mod report;
mod rows;

pub use reconciler::Unattributed;
pub(in crate::meta) use reconciler::{FactSink, Reconciler};
pub use report::Report;
