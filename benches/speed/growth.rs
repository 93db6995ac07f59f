//! The cost of a request in a large store, compared with a nearly empty one.

use std::cell::Cell;
use std::path::Path;

use crate::common::content::Content;
use crate::common::image::{MANIFEST_TYPE, Way, manifest, push_blob, push_manifest, small_image};
use crate::common::journal::{Journal, manifest_digest};
use crate::common::server::Serving;
use crate::common::{place, table};
use crate::load::{Load, request, request_head};
use crate::rounds::{Round, alternate};

const REPO: &str = "team/large";

/// How many entries a page has.
const PAGE: u64 = 100;
const PULLED: u64 = 100;
const FIRST_PULLED: u64 = 900_000_000;
const FIRST_PUSHED: u64 = 910_000_000;
const ROUNDS: usize = 7;

/// The size of a store, without what is pushed for the measurements.
#[derive(Clone, Copy)]
struct Size {
    /// Manifests of one repository, each with a tag.
    manifests: u64,
    /// How many of them refer to the first.
    referrers: u64,
    /// Repositories with one manifest each.
    others: u64,
}

const NEARLY_EMPTY: Size = Size { manifests: 2 * PAGE, referrers: PAGE, others: 2 * PAGE };
const LARGE: Size = Size { manifests: 100_000, referrers: 10_000, others: 1_000 };

/// A store, its server, and requests to it.
struct Store {
    serving: Serving,
    /// The target of the last page of the subject's referrers.
    last_referrers: String,
    _folder: tempfile::TempDir,
}

/// A kind of request: its name, how many a round has, and how to make one.
type Kind<'a> = (&'a str, u64, fn(&Store, &[Content; 2], u64) -> Request);

/// A request with its method and the status of its answer.
type Request = (&'static str, Vec<u8>, u16);

/// Prints the cost of requests in both stores.
pub fn measure() {
    table::heading(
        "Cost in a large store",
        &format!(
            "One client, one request after the other. *nearly empty*: {} manifests; *large*: {} manifests, \
             each with a tag, in one repository, {} of them referrers of one subject, and {} repositories \
             of one manifest each. Pages have {PAGE} entries: tags from the middle, the catalog from its \
             beginning, referrers from their end. {ROUNDS} rounds of each store in turns, medians. Aim: \
             at most 1.5 × the nearly empty store. The last row is the list of all referrers, for each \
             entry.",
            NEARLY_EMPTY.manifests + NEARLY_EMPTY.others,
            LARGE.manifests,
            LARGE.referrers,
            LARGE.others,
        ),
    );
    let blobs = small_image(FIRST_PULLED);
    let [small, large] = [NEARLY_EMPTY, LARGE].map(|size| Store::new(size, &blobs));
    table::columns(&[
        "request",
        "nearly empty, µs",
        "large, µs",
        "of nearly empty",
        "processor, of nearly empty",
    ]);
    let kinds: [Kind<'_>; 5] = [
        ("page of tags", 2_000, |_, _, _| get(&format!("/v2/{REPO}/tags/list?n={PAGE}&last=v15"))),
        ("page of referrers", 400, |store, _, _| get(&store.last_referrers)),
        ("page of the catalog", 1_000, |_, _, _| get(&format!("/v2/_catalog?n={PAGE}"))),
        ("manifest by its tag", 5_000, |_, _, number| {
            get(&format!("/v2/{REPO}/manifests/v{}", FIRST_PULLED + number % PULLED))
        }),
        ("push of a manifest with a tag", 300, |_, blobs, number| put(blobs, FIRST_PUSHED + number)),
    ];
    for (name, count, make) in kinds {
        let next = Cell::new(0);
        let round = |store: &Store| {
            let first = next.replace(next.get() + count);
            let requests: Vec<Request> =
                (first..first + count).map(|number| make(store, &blobs, number)).collect();
            ask(&store.serving, &requests, count as f64)
        };
        row(name, &small, &large, round, round);
    }
    let all = |store: &Store, entries: u64, times: u64| {
        let requests: Vec<Request> = (0..times).map(|_| get(&referrers(None))).collect();
        ask(&store.serving, &requests, (entries * times) as f64)
    };
    row(
        "all referrers, for each",
        &small,
        &large,
        |store| all(store, NEARLY_EMPTY.referrers, 300),
        |store| all(store, LARGE.referrers, 3),
    );
    small.serving.stop();
    large.serving.stop();
}

fn row(
    name: &str,
    small: &Store,
    large: &Store,
    small_round: impl Fn(&Store) -> Round,
    large_round: impl Fn(&Store) -> Round,
) {
    let [empty, full] = alternate(ROUNDS, [&mut || small_round(small), &mut || large_round(large)]);
    let micros = |rate: f64| 1e6 / rate;
    table::row(&[
        name.to_owned(),
        format!("{:.1}", micros(empty.rate())),
        format!("{:.1}", micros(full.rate())),
        format!("**{:.2}**", empty.rate() / full.rate()),
        format!("{:.2}", full.cost() / empty.cost()),
    ]);
}

impl Store {
    fn new(size: Size, blobs: &[Content; 2]) -> Self {
        let folder = place::folder();
        let data = folder.path().join("data");
        write(&data, size);
        let serving = Serving::start_without_access_log(&data);
        let mut client = serving.client();
        for blob in blobs {
            push_blob(&mut client, REPO, Way::Put, blob);
        }
        for number in 0..PULLED {
            push_manifest(&mut client, REPO, blobs, FIRST_PULLED + number);
        }
        let listed = client.send("GET", &referrers(None)).expect(200);
        let index: serde_json::Value = serde_json::from_slice(&listed.body).unwrap();
        let listed = index.pointer("/manifests").unwrap().as_array().unwrap();
        let before = listed.len().checked_sub(usize::try_from(PAGE).unwrap() + 1);
        let last = before.and_then(|at| listed.get(at)?.pointer("/digest")?.as_str());
        let last_referrers = referrers(last);
        Self { serving, last_referrers, _folder: folder }
    }
}

fn write(data: &Path, size: Size) {
    let mut journal = Journal::create(data);
    for number in 0..size.manifests {
        let subject = (1..=size.referrers).contains(&number).then_some(0);
        journal.push(REPO, number == 0, number, subject);
    }
    for number in 0..size.others {
        journal.push(&format!("team/other{number:06}"), true, size.manifests + number, None);
    }
    journal.finish();
}

fn referrers(last: Option<&str>) -> String {
    let path = format!("/v2/{REPO}/referrers/{}", manifest_digest(0));
    last.map_or(path.clone(), |last| format!("{path}?last={last}"))
}

fn get(target: &str) -> Request {
    ("GET", request("GET", target), 200)
}

fn put(blobs: &[Content; 2], number: u64) -> Request {
    let body = manifest(blobs, number);
    let target = format!("/v2/{REPO}/manifests/v{number}");
    let mut request = request_head("PUT", &target, MANIFEST_TYPE, body.len() as u64);
    request.extend_from_slice(&body);
    ("PUT", request, 201)
}

fn ask(serving: &Serving, requests: &[Request], amount: f64) -> Round {
    let mut load = Load::connect(&serving.address);
    Round::measure(&[serving.pid()], amount, || {
        for (method, request, status) in requests {
            load.send(request);
            load.answer(method, *status);
        }
    })
}
