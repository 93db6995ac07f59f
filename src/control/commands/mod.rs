//! Requests, carried out.

mod collect;
mod ledger;
mod lists;
mod reach;
mod remove;
#[cfg(test)]
mod remove_tests;
mod rows;
mod scrub;
mod status;
mod tag_usage;
mod usage;

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::control::failure::Failure;
use crate::control::message::Request;
use crate::control::sink::Sink;
use crate::control::store::Store;
use crate::maintenance::CollectOptions;

/// Carries a request out. It may block, and takes as long as it takes.
pub(crate) fn perform(store: &Store, request: &Request, sink: &mut dyn Sink) -> Result<Value, Failure> {
    match request {
        Request::Status => value(&status::status(store, sink)?),
        Request::Repos => value(&lists::repositories(&store.registry, sink)?),
        Request::Tags { repo } => value(&lists::tags(&store.registry, repo, sink)?),
        Request::Du { repo: None } => value(&usage::repositories(&store.registry, sink)?),
        Request::Du { repo: Some(repo) } => value(&tag_usage::tags(&store.registry, repo, sink)?),
        Request::Scrub => value(&scrub::scrub(&store.scrub, sink)?),
        Request::Gc { dry_run, untagged_older_than, now } => {
            let options = CollectOptions {
                dry_run: *dry_run,
                untagged_older_than: untagged_older_than.map(Duration::from_secs),
                now: *now,
                alone: store.serving.is_none(),
                unpaced: true,
            };
            value(&collect::collect(&store.collector, &options, sink)?)
        }
        Request::Rows { tree } => value(&rows::rows(&store.registry, *tree, sink)?),
        Request::Rm { repo, what } => value(&remove::remove(&store.registry, repo, what, sink)?),
    }
}

fn value(report: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(report).map_err(Failure::failed)
}
