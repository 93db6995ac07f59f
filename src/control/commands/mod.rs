//! Requests, carried out.

mod collect;
mod ledger;
mod lists;
mod reach;
mod remove;
mod rows;
mod scrub;
mod status;
mod tag_usage;
mod usage;

use serde::Serialize;
use serde_json::Value;

use crate::control::failure::Failure;
use crate::control::message::Request;
use crate::control::sink::Sink;
use crate::control::store::Store;

/// Carries a request out. It may block, and takes as long as it takes.
pub(crate) fn perform(store: &Store, request: &Request, sink: &mut dyn Sink) -> Result<Value, Failure> {
    match request {
        Request::Status => value(&status::status(store, sink)?),
        Request::Repos => value(&lists::repositories(&store.registry, sink)?),
        Request::Tags { repo } => value(&lists::tags(&store.registry, repo, sink)?),
        Request::Du { repo: None } => value(&usage::repositories(&store.registry, sink)?),
        Request::Du { repo: Some(repo) } => value(&tag_usage::tags(&store.registry, repo, sink)?),
        Request::Scrub => value(&scrub::scrub(&store.scrub, sink)?),
        Request::Gc { dry_run, untagged_older_than } => {
            value(&collect::collect(store, *dry_run, *untagged_older_than, sink)?)
        }
        Request::Rows { tree } => value(&rows::rows(&store.registry, *tree, sink)?),
        Request::Rm { repo, what } => value(&remove::remove(&store.registry, repo, what, sink)?),
    }
}

fn value(report: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(report).map_err(Failure::failed)
}
