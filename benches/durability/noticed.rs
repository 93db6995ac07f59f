//! How long requests take while the collector works, and while it does not.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::common::client::Client;
use crate::common::content::Content;
use crate::common::image::{Way, push_blob, push_manifest, small_image};
use crate::common::journal::{Bytes, Scale, write_store};
use crate::common::place;
use crate::common::server::Serving;
use crate::common::table;

/// Four blobs for each manifest, itself included.
const SCALE: Scale = Scale { repositories: 100, manifests: 25_000 };
const BLOBS_A_MANIFEST: u64 = 4;

/// How many repositories stay if a policy removes half of them: the last ones.
const KEPT_REPOSITORIES: u64 = 50;
const IN_REPOSITORY: u64 = SCALE.manifests / SCALE.repositories;

/// How many manifests are requested, whatever the length of a round: more would not fit the caches.
const ASKED_FOR: u64 = 1000;

const PULLED: &str = "team/pulled";
const PULLED_IMAGES: u64 = 100;
const PUSHED: &str = "team/pushed";

const ROUNDS: u64 = 4;

/// The length of a round with a collector without pauses, and of the rounds it is compared with. The
/// filesystem writes back what was pushed seconds ago, so rounds of different lengths cannot be compared.
const SHORT_ROUND: Duration = Duration::from_secs(3);

/// The length of a round with a collector at its default pace: all of them together must allow a whole pass.
const LONG_ROUND: Duration = Duration::from_secs(25);

/// The pause of a client between two requests, so that the machine is busy but not overloaded.
const PAUSE: Duration = Duration::from_millis(2);

/// Removes all but the last image of what the clients push. A lease is longer than a push.
const CONFIG: &str = r#"
[collector]
interval = "0s"
lease = "1s"
grace = "0s"

[[policy]]
repositories = ["team/pushed"]
keep = [{ last = 1 }]
untagged = "remove after 0s"
"#;

/// Has the index copied at the start, and removes nothing.
pub(super) const COPIED: &str = "[collector]\n";

pub(super) const NO_COLLECTOR: &str = "[collector]\nenabled = false\n";

/// Removes a tenth of the store.
const REMOVE_TENTH: &str = r#"
[[policy]]
repositories = ["team/app000*"]
keep = [{ tags = ["none"] }]
untagged = "remove after 0s"
"#;

/// Removes half of the store.
const REMOVE_HALF: &str = r#"
[[policy]]
repositories = ["team/app000*", "team/app001*", "team/app002*", "team/app003*", "team/app004*"]
keep = [{ tags = ["none"] }]
untagged = "remove after 0s"
"#;

/// The kinds of requests measured.
pub(super) const KINDS: [&str; 3] = ["GET of a manifest", "pull of a blob of 64 KiB", "push of an image"];

/// The times of each kind in a round, sorted.
pub(super) type Times = [Vec<Duration>; KINDS.len()];

/// How long clients send requests.
pub(super) struct Span<'a> {
    /// Tells whether a request at this time is counted.
    pub(super) counts: &'a (dyn Fn(Duration) -> bool + Sync),
    /// Tells whether to continue at this time.
    pub(super) goes_on: &'a (dyn Fn(Duration) -> bool + Sync),
}

/// A server with its own store, stopped except while it is measured.
struct Store {
    serving: Serving,
    _folder: TempDir,
}

/// Prints how long requests take with the collector at its default pace, and without it.
pub fn measure() {
    heading("Requests while the collector works", LONG_ROUND);
    let without = Store::new(NO_COLLECTOR);
    let removing = Store::new(&(paced(10) + REMOVE_TENTH));
    compare("pace 10, a tenth goes", (&removing, LONG_ROUND), &without, &mut 0);
}

/// Prints how long requests take with a collector without pauses.
pub fn measure_hurried() {
    heading("Requests while the collector works without pauses", SHORT_ROUND);
    let without = Store::new(NO_COLLECTOR);
    let mut number = 0;
    for (name, config) in [
        // Two equal servers show how precise such a ratio is.
        ("none here either", NO_COLLECTOR.to_owned()),
        ("pace 100", paced(100)),
        ("pace 100, half goes", paced(100) + REMOVE_HALF),
    ] {
        compare(name, (&Store::new(&config), SHORT_ROUND), &without, &mut number);
    }
}

fn paced(percent: u8) -> String {
    CONFIG.replace("[collector]\n", &format!("[collector]\npace = {percent}\n"))
}

fn heading(title: &str, round: Duration) {
    table::heading(
        title,
        &format!(
            "Two servers, each with a store of {} blobs: {} manifests, each with a tag, in {} \
             repositories. One has a collector that makes pass after pass without rest (a lease of 1 s, \
             no grace), the other has none. The one that is not measured is stopped (SIGSTOP). Each pass \
             marks everything and sweeps what the clients pushed, except the last tag. *a tenth goes*, \
             *half goes*: a policy also removes that part of the repositories during the measurement. \
             Three clients at once, one for each kind of request, each with a pause of {} ms after every \
             answer; an image has a config (1 KiB), a layer (64 KiB), and a manifest with a new tag. \
             {ROUNDS} rounds of {} s of each server in turns, after one to warm up; medians of the \
             rounds' 99th percentiles. Aim: at most 1.3 ×.",
            SCALE.manifests * BLOBS_A_MANIFEST,
            SCALE.manifests,
            SCALE.repositories,
            PAUSE.as_millis(),
            round.as_secs(),
        ),
    );
    columns("collector");
}

fn compare(name: &str, (with, round): (&Store, Duration), without: &Store, number: &mut u64) {
    let [mut with_times, mut without_times]: [Vec<Times>; 2] = Default::default();
    let before = with.removed();
    for at in 0..=ROUNDS {
        for (store, length, times) in [(with, round, &mut with_times), (without, round, &mut without_times)] {
            let measured = store.round(length, number);
            if at > 0 {
                times.push(measured);
            }
        }
    }
    let (passes, removed) = with.removed();
    let did = format!("{} passes, {} MB removed", passes - before.0, (removed - before.1) / 1_000_000);
    print(&format!("{name}: {did}"), &with_times, &without_times);
}

/// Prints the header of a table whose rows [`print`] prints.
pub(super) fn columns(what: &str) {
    table::columns(&[
        what,
        "request",
        "median, ms",
        "without",
        "99 %, ms",
        "without",
        "ratio",
        "longest, ms",
        "without",
    ]);
}

/// Prints a row for each kind of request.
pub(super) fn print(name: &str, with_times: &[Times], without_times: &[Times]) {
    for (kind, request) in KINDS.iter().enumerate() {
        let at = |times: &[Times], part: f64| {
            let rounds = times.iter().filter_map(|round| percentile(round.get(kind)?, part));
            let mut rounds: Vec<Duration> = rounds.collect();
            rounds.sort_unstable();
            let middle = if part < 1.0 { percentile(&rounds, 0.5) } else { rounds.last().copied() };
            middle.unwrap_or_default().as_secs_f64() * 1e3
        };
        let cells = |part: f64| [with_times, without_times].map(|times| at(times, part));
        let [[median, median_without], [most, most_without], [longest, longest_without]] =
            [0.5, 0.99, 1.0].map(cells);
        table::row(&[
            if kind == 0 { name.to_owned() } else { String::new() },
            (*request).to_owned(),
            format!("{median:.2}"),
            format!("{median_without:.2}"),
            format!("{most:.2}"),
            format!("{most_without:.2}"),
            format!("**{:.2}**", most / most_without),
            format!("{longest:.1}"),
            format!("{longest_without:.1}"),
        ]);
    }
}

/// Returns the time that this part of the sorted times does not exceed.
fn percentile(sorted: &[Duration], part: f64) -> Option<Duration> {
    sorted.get((sorted.len().saturating_sub(1) as f64 * part) as usize).copied()
}

impl Store {
    /// Starts a server with a full store, and stops it (SIGSTOP) until it is measured.
    fn new(config: &str) -> Self {
        let folder = filled();
        let serving = serve(folder.path(), config, &[]);
        if config != NO_COLLECTOR {
            serving.wait_for("untagged and kept");
        }
        serving.signal(Signal::STOP);
        Self { serving, _folder: folder }
    }

    /// Returns the number of passes and of removed bytes.
    fn removed(&self) -> (u64, u64) {
        self.serving.signal(Signal::CONT);
        let metrics = ["pulk_collector_passes_total", "pulk_collector_removed_bytes_total"];
        let [passes, bytes] = metrics.map(|name| self.serving.metric(name));
        self.serving.signal(Signal::STOP);
        (passes, bytes)
    }

    /// Runs a client of each kind for some time.
    fn round(&self, length: Duration, number: &mut u64) -> Times {
        self.serving.signal(Signal::CONT);
        let span = Span { counts: &|_| true, goes_on: &|elapsed| elapsed < length };
        let times = asked(&self.serving.address, &span, number);
        self.serving.signal(Signal::STOP);
        times
    }
}

/// Fills a data directory in a folder, and stops its server cleanly.
pub(super) fn filled() -> TempDir {
    let folder = place::folder();
    write_store(&folder.path().join("data"), SCALE, Bytes::OfManifests);
    // The images to pull are pushed before there is a collector, and so is a manifest without a tag: the log
    // line about it shows that the first pass, which removes nothing, has ended.
    let filling = serve(folder.path(), NO_COLLECTOR, &[]);
    let mut client = filling.client();
    for number in 0..=PULLED_IMAGES {
        let blobs = small_image(number);
        blobs.iter().for_each(|blob| push_blob(&mut client, PULLED, Way::Put, blob));
        push_manifest(&mut client, PULLED, &blobs, number);
    }
    client.send("DELETE", &format!("/v2/{PULLED}/manifests/v{PULLED_IMAGES}")).expect(202);
    filling.stop();
    folder
}

/// Starts a server in a filled folder.
pub(super) fn serve(folder: &Path, config: &str, flags: &[&str]) -> Serving {
    let file = folder.join("pulk.toml");
    fs::write(&file, format!("{config}\n[scrub]\nenabled = false\n")).unwrap();
    Serving::start_told(&folder.join("data"), &file, flags)
}

/// Runs a client of each kind, all at once.
pub(super) fn asked(address: &str, span: &Span<'_>, number: &mut u64) -> Times {
    let layers: Vec<Content> = (0..PULLED_IMAGES).map(|number| small_image(number)[1].clone()).collect();
    std::thread::scope(|scope| {
        let manifests = scope.spawn(|| {
            ask(address, span, |client, turn| {
                // From a repository that stays; a tag has its manifest's number.
                let turn = turn % ASKED_FOR;
                let kept = KEPT_REPOSITORIES + turn / IN_REPOSITORY % KEPT_REPOSITORIES;
                let number = turn % IN_REPOSITORY * SCALE.repositories + kept;
                let repository = number % SCALE.repositories;
                let target = format!("/v2/team/app{repository:04}/manifests/v{number}");
                timed(|| drop(client.send("GET", &target).expect(200)))
            })
        });
        let blobs = scope.spawn(|| {
            ask(address, span, |client, turn| {
                let at = usize::try_from(turn % PULLED_IMAGES).unwrap();
                let layer = layers.get(at).unwrap();
                let target = format!("/v2/{PULLED}/blobs/{}", layer.digest);
                timed(|| assert_eq!(client.download(&target), layer.size))
            })
        });
        let pushes = scope.spawn(|| {
            ask(address, span, |client, _| {
                *number += 1;
                let number = PULLED_IMAGES + 1 + *number;
                let blobs = small_image(number);
                timed(|| {
                    blobs.iter().for_each(|blob| push_blob(client, PUSHED, Way::Put, blob));
                    push_manifest(client, PUSHED, &blobs, number);
                })
            })
        });
        [manifests, blobs, pushes].map(|client| client.join().unwrap())
    })
}

/// Repeats a request over one connection; returns the sorted times.
fn ask(address: &str, span: &Span<'_>, mut once: impl FnMut(&mut Client, u64) -> Duration) -> Vec<Duration> {
    let mut client = Client::connect(address);
    let begun = Instant::now();
    let (mut times, mut turn) = (Vec::new(), 0);
    while (span.goes_on)(begun.elapsed()) {
        let counts = (span.counts)(begun.elapsed());
        let time = once(&mut client, turn);
        if counts {
            times.push(time);
        }
        turn += 1;
        std::thread::sleep(PAUSE);
    }
    times.sort_unstable();
    times
}

fn timed(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}
