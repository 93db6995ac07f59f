//! Requests, carried out.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::admin::failure::Failure;
use crate::admin::request::Request;
use crate::admin::sink::Sink;
use crate::admin::store::Store;
use crate::admin::{du, gc, repos, rm, rows, scrub, status, tags};
use crate::maintenance::CollectOptions;

/// Carries a request out. It may block, and takes as long as it takes.
pub(crate) fn perform(store: &Store, request: &Request, sink: &mut dyn Sink) -> Result<Value, Failure> {
    match request {
        Request::Status => value(&status::status(store, sink)?),
        Request::Repos => value(&repos::repositories(&store.registry, sink)?),
        Request::Tags { repo } => value(&tags::tags(&store.registry, repo, sink)?),
        Request::Du { repo: None } => value(&du::repositories(&store.registry, sink)?),
        Request::Du { repo: Some(repo) } => value(&du::tags(&store.registry, repo, sink)?),
        Request::Scrub => value(&scrub::scrub(&store.scrub, sink)?),
        Request::Gc { dry_run, untagged_older_than, now } => {
            let options = CollectOptions {
                dry_run: *dry_run,
                untagged_older_than: untagged_older_than.map(Duration::from_secs),
                now: *now,
                alone: store.serving.is_none(),
                unpaced: true,
            };
            value(&gc::collect(&store.collector, &options, sink)?)
        }
        Request::Rows { tree } => value(&rows::rows(&store.registry, *tree, sink)?),
        Request::Rm { repo, what } => value(&rm::remove(&store.registry, repo, what, sink)?),
    }
}

fn value(report: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(report).map_err(Failure::failed)
}
