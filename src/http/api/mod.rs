//! The distribution specification: one file for each resource, and what they share.

mod blob_file;
pub(in crate::http) mod blobs;
mod call;
mod conditions;
pub(in crate::http) mod errors;
mod link;
pub(in crate::http) mod lists;
pub(in crate::http) mod manifests;
mod query;
pub(in crate::http) mod referrers;
pub(in crate::http) mod render;
mod route;
pub(in crate::http) mod uploads;

pub(in crate::http) use call::Call;
pub(in crate::http) use errors::Failure;
pub(in crate::http) use query::Query;
pub(in crate::http) use route::{Path, Resource, Route};
