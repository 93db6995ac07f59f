//! The real server with a collector that never rests, while clients push images that share layers, delete
//! them and push them again. No push fails, no blob is missing, and one lease after the last push exactly the
//! needed content is on the disk.
//!
//! `PULK_COLLECT_SECONDS` sets how long the clients run.

mod client;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::panic::catch_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use self::client::{Client, Image, digest};
use crate::serving::{Serving, serve};

const CLIENTS: usize = 8;
const LAYERS: usize = 24;
const TAGS: usize = 3;

/// Long enough for a push on a busy machine.
const LEASE: Duration = Duration::from_secs(5);

/// How many pushes of a client may take longer than a lease and fail for it.
const SLOW_MAX: usize = 20;

/// Twice the time until the first sweeps.
const SECONDS_DEFAULT: u64 = 14;

/// How often the metrics are read until a pass has removed something, and the disk after the last push: every
/// tenth of a second.
const LOOKS_MAX: usize = 900;

const LOOK_PAUSE: Duration = Duration::from_millis(100);

const CONFIGURATION: &str = r#"
[collector]
interval = "0s"
lease = "5s"
grace = "0s"
pace = 100

[[policy]]
repositories = ["*"]
untagged = "remove after 0s"
"#;

/// Starts a server, and passes on its log.
fn start(folder: &Path) -> Serving {
    let file = folder.join("pulk.toml");
    fs::write(&file, CONFIGURATION).unwrap();
    let mut command = serve(&folder.join("data"), "127.0.0.1:0");
    command.arg("--config").arg(&file).env("PULK_LOG", "warn,pulk::cli=info");
    let mut serving = Serving::spawn(command);
    serving.wait_until_listening();
    let log = std::mem::replace(&mut serving.log, BufReader::new(Box::new(std::io::empty())));
    thread::spawn(move || log.lines().for_each(|line| eprintln!("{}", line.unwrap_or_default())));
    serving
}

/// Reproducible random numbers.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

fn layer(number: usize) -> Vec<u8> {
    format!("layer {number} ").repeat(200 * (number + 1)).into_bytes()
}

/// The results of one client.
#[derive(Default)]
struct Done {
    pushes: usize,
    /// The images that its tags name at the end.
    tags: BTreeMap<String, Image>,
}

/// Runs a client, which pushes at least once. Clients share repositories in pairs, and layers with all
/// others; tags are their own.
fn work(address: &str, number: usize, enough: &AtomicBool) -> Result<Done, String> {
    let client = Client { address: address.to_owned(), repository: format!("team{}/app", number / 2) };
    let mut chance = Chance(number as u64 + 1);
    let (mut done, mut slow) = (Done::default(), 0);
    while done.pushes == 0 || !enough.load(Ordering::SeqCst) {
        let tag = format!("c{number}-{}", chance.below(TAGS));
        let image = if chance.below(3) == 0 {
            // An image that may exist already, or is being removed.
            let known = done.pushes % 4;
            Image::new(
                format!("{{\"client\":{number},\"known\":{known}}}"),
                vec![layer(known), layer(known + 4)],
            )
        } else {
            let layers = (0..3).map(|_| layer(chance.below(LAYERS))).collect();
            Image::new(format!("{{\"client\":{number},\"push\":{}}}", done.pushes), layers)
        };
        let began = Instant::now();
        if let Err(error) = client.push(&image, &tag) {
            // On a machine this busy the lease of a layer may end before its manifest comes.
            slow += 1;
            if began.elapsed() < LEASE || slow > SLOW_MAX {
                return Err(format!("push {}: {error}", done.pushes));
            }
            continue;
        }
        done.pushes += 1;
        done.tags.insert(tag.clone(), image);
        for (tag, image) in &done.tags {
            client.pull(image, tag).map_err(|error| format!("pull of {tag}: {error}"))?;
        }
        match chance.below(4) {
            0 => {
                client.delete(&tag)?;
                done.tags.remove(&tag);
            }
            1 => {
                let deleted = digest(&done.tags[&tag].manifest);
                client.delete(&deleted)?;
                done.tags.retain(|_, image| digest(&image.manifest) != deleted);
            }
            _ => {}
        }
    }
    Ok(done)
}

/// Returns a metric of the server.
fn metric(address: &str, name: &str) -> u64 {
    let client = Client { address: address.to_owned(), repository: String::new() };
    let metrics = String::from_utf8(client.send("GET", "/metrics", "", b"").body).unwrap();
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().parse().unwrap()
}

/// Waits until several passes have run and removed something, beside the clients.
fn wait_for_passes(address: &str) {
    let has_removed = (0..LOOKS_MAX).any(|_| {
        thread::sleep(LOOK_PAUSE);
        metric(address, "pulk_collector_passes_total") > 1
            && metric(address, "pulk_collector_removed_bytes_total") > 0
    });
    assert!(has_removed, "the collector removes nothing while clients push");
}

/// Returns the digests of all content, from the names of its files.
fn content(data: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for fanout in fs::read_dir(data.join("blobs/sha256")).unwrap() {
        for file in fs::read_dir(fanout.unwrap().path()).unwrap() {
            found.insert(format!("sha256:{}", file.unwrap().file_name().into_string().unwrap()));
        }
    }
    found
}

#[test]
fn no_push_fails_and_only_needed_content_stays_while_the_collector_never_rests() {
    let seconds = std::env::var("PULK_COLLECT_SECONDS").map_or(SECONDS_DEFAULT, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let serving = start(folder.path());
    let enough = &AtomicBool::new(false);
    let all: Vec<Done> = thread::scope(|scope| {
        let address = serving.address();
        let clients: Vec<_> =
            (0..CLIENTS).map(|number| scope.spawn(move || work(address, number, enough))).collect();
        thread::sleep(Duration::from_secs(seconds));
        let waited = catch_unwind(|| wait_for_passes(address));
        enough.store(true, Ordering::SeqCst);
        let all = clients.into_iter().map(|client| client.join().unwrap().unwrap()).collect();
        waited.unwrap();
        all
    });
    let pushes: usize = all.iter().map(|done| done.pushes).sum();

    let needed: BTreeSet<String> = all
        .iter()
        .flat_map(|done| done.tags.values())
        .flat_map(|image| image.digests().collect::<Vec<_>>())
        .collect();
    let data = folder.path().join("data");
    thread::sleep(LEASE);
    let mut looks = 0;
    loop {
        // Read before the files: then everything has one.
        let is_filed = metric(serving.address(), "pulk_unfiled_bytes") == 0;
        let there = content(&data);
        let missing: Vec<_> = needed.difference(&there).collect();
        assert!(!is_filed || missing.is_empty(), "{missing:?} are missing");
        if is_filed && there == needed {
            break;
        }
        assert!(
            looks < LOOKS_MAX,
            "{} of {} files still exist",
            there.difference(&needed).count(),
            there.len()
        );
        thread::sleep(LOOK_PAUSE);
        looks += 1;
    }
    // And the content is whole.
    for (number, done) in all.iter().enumerate() {
        let client =
            Client { address: serving.address().to_owned(), repository: format!("team{}/app", number / 2) };
        for (tag, image) in &done.tags {
            client.pull(image, tag).unwrap();
        }
    }
    let passes = metric(serving.address(), "pulk_collector_passes_total");
    eprintln!("{pushes} pushes, {passes} passes, {} files stay", needed.len());

    assert_eq!(serving.stop(), 0);
}
