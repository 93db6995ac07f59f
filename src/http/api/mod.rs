//! The distribution specification without its handlers: paths, queries, errors and what answers render.

pub(in crate::http) mod errors;
pub(in crate::http) mod link;
mod query;
pub(in crate::http) mod render;
pub(in crate::http) mod route;

pub(in crate::http) use errors::Failure;
pub(in crate::http) use query::Query;
pub(in crate::http) use route::{Path, Resource, Route};
