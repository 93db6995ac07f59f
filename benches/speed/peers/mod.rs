//! pulk and all registries that are installed, in one table.

pub mod peer;

use std::cell::Cell;
use std::time::Duration;

use crate::common::client::Client;
use crate::common::image::{MANIFEST_TYPE, Way, manifest, push_blob, small_image};
use crate::common::server::Serving;
use crate::common::{place, process, table};
use crate::images;
use crate::large::{Blob, Source};
use crate::load::{Load, request_head};
use crate::nginx::Nginx;
use crate::pull;
use crate::requests::{self, CONNECTIONS};
use crate::rounds::{Round, Rounds, rotate};
use crate::servers::path_of;
use peer::{KINDS, Peer};

const MIB_BYTES: u64 = 1024 * 1024;
const BLOB_SIZE_BYTES: u64 = 128 * MIB_BYTES;
const CLIENTS: u64 = 4;
const SMALL_CLIENTS: u64 = 8;
const ROUNDS: usize = 3;
const IMAGES_A_CLIENT: u64 = 25;
const MANIFESTS_A_CLIENT: u64 = 40;
const REQUESTS_A_CONNECTION: usize = 1_000;
const FIRST_BLOB: u64 = 10_000;
const NUMBER: u64 = 800_000_000;
const REPO: &str = "team/compared";
const IDLE_TIME: Duration = Duration::from_secs(2);

/// A server of the table.
struct Compared {
    name: &'static str,
    address: String,
    processes: Vec<u32>,
    idle: u64,
    /// nginx only serves pulk's files.
    is_registry: bool,
}

impl Compared {
    fn new(name: &'static str, address: &str, processes: Vec<u32>, is_registry: bool) -> Self {
        Self { name, address: address.to_owned(), processes, idle: 0, is_registry }
    }

    fn memory(&self, kind: fn(process::Memory) -> u64) -> u64 {
        self.processes.iter().map(|pid| kind(process::memory(*pid))).sum()
    }
}

/// Prints one table of all servers.
pub fn measure() {
    table::heading(
        "All registries",
        &format!(
            "Each server has its own store; nginx serves pulk's files. {ROUNDS} rounds of each in turns, \
             after one to warm up; medians. *push*, *pull*: {CLIENTS} clients with a blob of {} MiB each. \
             *images*, *PUT*: {SMALL_CLIENTS} clients; an image has a config (1 KiB), a layer (64 KiB) and a \
             manifest with a new tag. *GET* of a manifest by its tag, *HEAD* of a blob: {CONNECTIONS} \
             connections. In brackets: of pulk's. *µs*: processor time of the server for each request. \
             *idle*: VmRSS after the start; *peak*: VmHWM after all. None logs requests.",
            BLOB_SIZE_BYTES / MIB_BYTES
        ),
    );
    let folder = place::folder();
    let data = folder.path().join("data");
    let pulk = Serving::start_without_access_log(&data);
    let nginx = Nginx::start(&data);
    let peers: Vec<_> = KINDS.iter().filter_map(|kind| Some((kind.name, Peer::start(kind)?))).collect();
    let mut all = vec![Compared::new("pulk", &pulk.address, vec![pulk.pid()], true)];
    all.extend(nginx.iter().map(|nginx| Compared::new("nginx", &nginx.address, nginx.processes(), false)));
    let others = peers.iter().map(|(name, peer)| Compared::new(name, &peer.address, vec![peer.pid()], true));
    all.extend(others);
    std::thread::sleep(IDLE_TIME);
    for one in &mut all {
        one.idle = one.memory(|memory| memory.resident);
    }
    print(&all, &figures(&all, &Source::new(folder.path(), BLOB_SIZE_BYTES)));
}

/// The figures, each with the rounds of all servers; `None` for a server that cannot.
fn figures(all: &[Compared], source: &Source) -> Vec<Vec<Option<Rounds>>> {
    let number = Cell::new(FIRST_BLOB);
    let next = Cell::new(0);
    let registries = |one: &Compared| one.is_registry;
    let pushed = in_turns(all, registries, |one| push_large(one, source, &number));
    let blobs: Vec<Blob> = (0..CLIENTS).map(|number| source.blob(number)).collect();
    for one in all.iter().filter(|one| one.is_registry) {
        for blob in &blobs {
            source.push(&mut Load::connect(&one.address), REPO, blob);
        }
    }
    let pulled = in_turns(
        all,
        |_| true,
        |one| {
            let targets: Vec<_> = blobs.iter().map(|blob| target(one, &blob.digest, "blobs")).collect();
            pull::round(&one.address, &one.processes, &targets, BLOB_SIZE_BYTES)
        },
    );
    let images =
        in_turns(all, registries, |one| images::round(&one.address, &one.processes, IMAGES_A_CLIENT, &next));
    let [config, layer] = small_image(NUMBER);
    let digest = content_digest(&manifest(&[config, layer], NUMBER));
    for one in all.iter().filter(|one| one.is_registry) {
        push_small(one);
    }
    let put = in_turns(all, registries, |one| put_manifests(one, &next));
    let small = |method: &'static str, kind: &str, name: &str, digest: &str| {
        in_turns(
            all,
            |_| true,
            |one| {
                let named = if one.is_registry { name } else { digest };
                requests::round(
                    &one.address,
                    &one.processes,
                    (method, &target(one, named, kind)),
                    REQUESTS_A_CONNECTION,
                )
            },
        )
    };
    let [_, layer] = small_image(NUMBER);
    let got = small("GET", "manifests", &format!("v{NUMBER}"), &digest);
    let headed = small("HEAD", "blobs", &layer.digest, &layer.digest);
    vec![pushed, pulled, images, put, got, headed]
}

/// Measures the servers that `can`, in turns.
fn in_turns(
    all: &[Compared],
    can: impl Fn(&Compared) -> bool,
    round: impl Fn(&Compared) -> Round,
) -> Vec<Option<Rounds>> {
    let able: Vec<&Compared> = all.iter().filter(|one| can(one)).collect();
    let mut rounds: Vec<_> = able.iter().map(|one| || round(one)).collect();
    let turns = rounds.iter_mut().map(|round| round as &mut dyn FnMut() -> Round).collect();
    let mut measured = rotate(ROUNDS, turns).into_iter();
    all.iter().map(|one| if can(one) { measured.next() } else { None }).collect()
}

/// Returns where a server has content.
fn target(one: &Compared, name: &str, kind: &str) -> String {
    if one.is_registry { format!("/v2/{REPO}/{kind}/{name}") } else { path_of(name) }
}

fn push_large(one: &Compared, source: &Source, number: &Cell<u64>) -> Round {
    let first = number.get();
    number.set(first + CLIENTS);
    let blobs: Vec<Blob> = (first..first + CLIENTS).map(|number| source.blob(number)).collect();
    Round::measure(&one.processes, (CLIENTS * BLOB_SIZE_BYTES / MIB_BYTES) as f64, || {
        std::thread::scope(|scope| {
            for blob in &blobs {
                scope.spawn(|| source.push(&mut Load::connect(&one.address), REPO, blob));
            }
        });
    })
}

fn push_small(one: &Compared) {
    let blobs = small_image(NUMBER);
    let mut client = Client::connect(&one.address);
    for repo in (0..SMALL_CLIENTS).map(repo_of).chain([REPO.to_owned()]) {
        for blob in &blobs {
            push_blob(&mut client, &repo, Way::Put, blob);
        }
    }
    put(&mut Load::connect(&one.address), REPO, NUMBER, &manifest(&blobs, NUMBER));
}

/// Every client pushes manifests with new tags, whose blobs are there.
fn put_manifests(one: &Compared, next: &Cell<u64>) -> Round {
    let first = next.get();
    next.set(first + SMALL_CLIENTS * MANIFESTS_A_CLIENT);
    let blobs = small_image(NUMBER);
    Round::measure(&one.processes, (SMALL_CLIENTS * MANIFESTS_A_CLIENT) as f64, || {
        std::thread::scope(|scope| {
            for client in 0..SMALL_CLIENTS {
                let blobs = &blobs;
                scope.spawn(move || {
                    let mut load = Load::connect(&one.address);
                    let first = first + client * MANIFESTS_A_CLIENT;
                    for number in first..first + MANIFESTS_A_CLIENT {
                        put(&mut load, &repo_of(client), number, &manifest(blobs, number));
                    }
                });
            }
        });
    })
}

fn repo_of(client: u64) -> String {
    format!("team/put{client}")
}

fn put(load: &mut Load, repo: &str, number: u64, manifest: &[u8]) {
    let target = format!("/v2/{repo}/manifests/v{number}");
    let mut bytes = request_head("PUT", &target, MANIFEST_TYPE, manifest.len() as u64);
    bytes.extend_from_slice(manifest);
    load.send(&bytes);
    load.answer("PUT", 201);
}

fn content_digest(bytes: &[u8]) -> String {
    let digest = <sha2::Sha256 as sha2::Digest>::digest(bytes);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn print(all: &[Compared], figures: &[Vec<Option<Rounds>>]) {
    table::columns(&[
        "server",
        "push, MiB/s",
        "pull, GiB/s",
        "images/s",
        "PUT/s",
        "GET/s",
        "µs",
        "HEAD/s",
        "µs",
        "idle, MiB",
        "peak, MiB",
    ]);
    let mib = |bytes: u64| format!("{:.0}", bytes as f64 / MIB_BYTES as f64);
    for (index, one) in all.iter().enumerate() {
        let mut cells = vec![one.name.to_owned()];
        for (number, figure) in figures.iter().enumerate() {
            let rounds = figure.get(index).and_then(Option::as_ref);
            let pulk = figure.first().and_then(Option::as_ref).map_or(f64::NAN, Rounds::rate);
            cells.push(rounds.map_or("-".to_owned(), |rounds| {
                let rate = rounds.rate();
                let shown = if rate < 10.0 { format!("{rate:.2}") } else { format!("{rate:.0}") };
                if index == 0 { shown } else { format!("{shown} ({:.2})", rate / pulk) }
            }));
            if number >= figures.len() - 2 {
                cells.push(rounds.map_or("-".to_owned(), |rounds| format!("{:.1}", rounds.cost() * 1e6)));
            }
        }
        cells.extend([mib(one.idle), mib(one.memory(|memory| memory.peak))]);
        table::row(&cells);
    }
}
