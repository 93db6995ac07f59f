//! The histories that are run.

use super::client::Op;
use super::history::Event::{self, AtOnce, Do, Kill, Reopen};
use super::history::History;

/// Returns the histories. Each begins on a disk on which a registry was opened before, unless it says
/// otherwise.
pub(crate) fn histories() -> Vec<History> {
    [images(), uploads(), pushes_at_once(), deletes_and_references(), restarts()]
        .into_iter()
        .flatten()
        .collect()
}

type Tags = &'static [&'static str];

fn history(name: &'static str, events: Vec<Vec<Event>>) -> History {
    History { name, from_nothing: false, events: events.into_iter().flatten().collect() }
}

fn push(repo: &'static str, blob: usize) -> Op {
    Op::Push { repo, blob }
}

fn put(repo: &'static str, manifest: usize, tags: Tags) -> Op {
    Op::Put { repo, manifest, tags, by_digest: false }
}

fn put_by_digest(repo: &'static str, manifest: usize, tags: Tags) -> Op {
    Op::Put { repo, manifest, tags, by_digest: true }
}

/// Returns the push of an image: what it needs, then its manifest.
fn image(repo: &'static str, manifest: usize, tags: Tags) -> Vec<Event> {
    let needed: &[usize] = [&[0, 1][..], &[0, 2], &[3, 1, 4]][manifest];
    let mut events: Vec<Event> = needed.iter().map(|blob| Do(push(repo, *blob))).collect();
    events.push(Do(put(repo, manifest, tags)));
    events
}

fn begin(slot: usize, repo: &'static str, blob: usize) -> Event {
    Do(Op::Begin { slot, repo, blob })
}

fn append(slot: usize, to: usize) -> Event {
    Do(Op::Append { slot, to })
}

fn finish(slot: usize) -> Event {
    Do(Op::Finish { slot })
}

fn cancel(slot: usize) -> Event {
    Do(Op::Cancel { slot })
}

fn mount(repo: &'static str, from: &'static str, blob: usize) -> Event {
    Do(Op::Mount { repo, from, blob })
}

fn delete_tag(repo: &'static str, tag: &'static str) -> Event {
    Do(Op::DeleteTag { repo, tag })
}

fn delete_manifest(repo: &'static str, manifest: usize) -> Event {
    Do(Op::DeleteManifest { repo, manifest })
}

fn delete_blob(repo: &'static str, blob: usize) -> Event {
    Do(Op::DeleteBlob { repo, blob })
}

/// Pushes of images, whose tags move.
fn images() -> Vec<History> {
    vec![
        History { name: "first start", from_nothing: true, events: image("a", 0, &["v1"]) },
        History { name: "first start, with layers", from_nothing: true, events: image("a", 2, &["v1"]) },
        history("monolithic pushes", vec![image("a", 0, &["v1"]), image("a", 1, &["v2"])]),
        history(
            "tag moves",
            vec![
                image("a", 0, &["v1"]),
                image("a", 1, &["v1"]),
                vec![Do(put("a", 0, &["v1"])), Do(put("a", 0, &["v2"])), Do(put("a", 1, &["v2"]))],
            ],
        ),
        history(
            "several tags at once",
            vec![
                image("a", 0, &["v1"]),
                vec![Do(push("a", 2)), Do(put_by_digest("a", 1, &["v1", "v2", "v3"]))],
                vec![Do(put_by_digest("a", 0, &["v2", "v3"]))],
            ],
        ),
    ]
}

/// Uploads: chunked, resumed, cancelled; mounts.
pub(in crate::crash_tests) fn uploads() -> Vec<History> {
    vec![
        history(
            "chunked pushes",
            vec![
                vec![begin(0, "a", 3), append(0, 1000), append(0, 2900), finish(0)],
                vec![begin(1, "a", 6), append(1, 20_000), append(1, 20_001), append(1, 69_000), finish(1)],
            ],
        ),
        history(
            "uploads resumed after a restart",
            vec![
                vec![begin(0, "a", 5), append(0, 3000), append(0, 6000), Do(push("a", 0)), Reopen],
                vec![append(0, 8000), Do(push("a", 1)), append(0, 9000), finish(0)],
            ],
        ),
        history(
            "uploads resumed after the process died",
            vec![
                vec![begin(0, "a", 5), append(0, 5000), append(0, 6000), Do(push("a", 0)), Kill],
                vec![append(0, 8000), Do(push("a", 1)), Kill, finish(0)],
            ],
        ),
        history(
            "uploads of content that is there",
            vec![
                vec![Do(push("a", 5)), begin(0, "b", 5), append(0, 6000), Do(push("a", 0)), Do(push("b", 5))],
                vec![finish(0), Do(push("a", 1))],
            ],
        ),
        history(
            "cancelled uploads",
            vec![
                vec![begin(0, "a", 5), append(0, 6000), begin(1, "a", 4), append(1, 10)],
                vec![cancel(0), Do(push("a", 0)), cancel(1)],
            ],
        ),
        history(
            "mounts",
            vec![
                image("a", 0, &["v1"]),
                vec![mount("b", "a", 0), mount("b", "a", 1), Do(put("b", 0, &["v1"])), mount("b", "a", 0)],
            ],
        ),
    ]
}

/// Clients that push concurrently.
fn pushes_at_once() -> Vec<History> {
    vec![
        history(
            "the same pushed by two at once",
            vec![
                vec![AtOnce(push("a", 0), push("a", 0)), AtOnce(push("a", 1), push("b", 1))],
                vec![AtOnce(put("a", 0, &["v1"]), put("a", 0, &["v1"])), Do(push("a", 5))],
                vec![AtOnce(put("a", 0, &["v2"]), put_by_digest("a", 0, &["v2", "v3"]))],
            ],
        ),
        history(
            "different things pushed at once",
            vec![
                vec![
                    Do(push("a", 0)),
                    AtOnce(push("a", 1), push("a", 2)),
                    AtOnce(push("b", 6), push("a", 6)),
                ],
                vec![AtOnce(put("a", 0, &["v1"]), put("a", 1, &["v1"]))],
                vec![AtOnce(put("a", 1, &["v2"]), Op::DeleteTag { repo: "a", tag: "v1" })],
            ],
        ),
    ]
}

/// Deletes, referrers, indexes.
fn deletes_and_references() -> Vec<History> {
    vec![
        history(
            "deletes",
            vec![
                image("a", 0, &["v1"]),
                image("a", 1, &["v2"]),
                vec![Do(put("a", 0, &["v3"])), delete_tag("a", "v1"), delete_manifest("a", 0)],
                vec![delete_blob("a", 1), delete_blob("a", 2), Do(push("a", 2)), delete_tag("a", "v2")],
            ],
        ),
        history(
            "a repository that goes and comes back",
            vec![
                image("a", 0, &["v1"]),
                vec![delete_manifest("a", 0), delete_blob("a", 0), delete_blob("a", 1)],
                image("a", 0, &["v1"]),
            ],
        ),
        history(
            "referrers",
            vec![
                vec![Do(push("a", 0)), Do(push("a", 1)), Do(put_by_digest("a", 3, &[]))],
                vec![Do(put("a", 0, &["v1"])), Do(put_by_digest("a", 4, &[])), delete_manifest("a", 3)],
                vec![Do(put_by_digest("a", 5, &["v2"])), Do(put_by_digest("a", 3, &["v3"]))],
            ],
        ),
        history(
            "indexes",
            vec![
                image("a", 0, &["v1"]),
                image("a", 1, &["v2"]),
                vec![Do(put("a", 6, &["v3"])), delete_tag("a", "v1"), Do(put_by_digest("a", 6, &["v1"]))],
            ],
        ),
    ]
}

/// Restarts between operations.
fn restarts() -> Vec<History> {
    vec![
        history(
            "clean restarts",
            vec![
                image("a", 0, &["v1"]),
                vec![Reopen, Do(put("a", 0, &["v2"])), Reopen, Reopen, Do(push("a", 3))],
            ],
        ),
        history(
            "processes that die",
            vec![
                vec![Kill],
                image("a", 0, &["v1"]),
                vec![Kill, Do(put("a", 0, &["v2"])), Kill, Kill, delete_tag("a", "v1"), Do(push("a", 3))],
            ],
        ),
    ]
}
