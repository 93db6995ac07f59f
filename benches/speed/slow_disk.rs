//! Whether pulls that wait for a slow disk delay other requests.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::Advice;

use crate::common::device::Device;
use crate::common::image::{Way, push_blob, push_manifest, small_image};
use crate::common::server::Serving;
use crate::common::{place, table};
use crate::large::{Blob, Source};
use crate::load::{Load, request};
use crate::servers::path_of;
use crate::throttle::Throttle;

const MIB_BYTES: u64 = 1024 * 1024;
const DEVICE_SIZE_BYTES: u64 = 2048 * MIB_BYTES;
const BYTES_A_SECOND: u64 = 5_000_000;
const BLOB_SIZE_BYTES: u64 = 64 * MIB_BYTES;
const BLOBS: u64 = 8;
const IMAGES: u64 = 100;
const REPO: &str = "team/slow";

/// How many pulls wait.
const PULLS: [usize; 3] = [0, 8, 64];
const TIME: Duration = Duration::from_secs(8);
const PAUSE: Duration = Duration::from_millis(2);

/// Prints how long small requests take during the pulls.
pub fn measure() {
    table::heading(
        "Pulls from a slow disk",
        &format!(
            "A data directory on a loop device that a control group lets the server read at {} MB/s; pulls \
             of {BLOBS} blobs of 64 MiB, none of which is in the page cache. Meanwhile another client \
             requests {IMAGES} manifests by tag and the heads of blobs in turns, for {} seconds, with \
             pauses; these files are in the page cache, and at first in no cache of the server. Aim: the \
             99th percentile is below 20 ms with 8 pulls.",
            BYTES_A_SECOND / 1_000_000,
            TIME.as_secs(),
        ),
    );
    Device::explain_absence();
    let Some(device) = Device::new(DEVICE_SIZE_BYTES) else { return };
    let Some(throttle) = Throttle::new(&device.numbers(), BYTES_A_SECOND) else { return };
    let data = device.folder.join("data");
    let folder = place::folder();
    let blobs = fill(&data, folder.path());
    table::columns(&["pulls", "requests", "median, ms", "99 %, ms", "longest, ms", "pulled, MB/s"]);
    for pulls in PULLS {
        // A new server has empty caches.
        let serving = Serving::start_without_access_log(&data);
        device.sync();
        for blob in &blobs {
            let file = File::open(data.join(path_of(&blob.digest).trim_start_matches('/'))).unwrap();
            rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        }
        warm(&data.join("blobs"));
        throttle.add(serving.pid());
        let (mut times, pulled) = times(&serving, &blobs, pulls);
        serving.kill();
        times.sort_unstable();
        let at = |part: f64| {
            let time = times.get(((times.len() - 1) as f64 * part) as usize).copied().unwrap();
            format!("{:.2}", time.as_secs_f64() * 1e3)
        };
        let rate = pulled as f64 / 1e6 / TIME.as_secs_f64();
        table::row(&[
            pulls.to_string(),
            times.len().to_string(),
            at(0.5),
            format!("**{}**", at(0.99)),
            at(1.0),
            format!("{rate:.1}"),
        ]);
    }
}

fn fill(data: &Path, folder: &Path) -> Vec<Blob> {
    let serving = Serving::start(data);
    let source = Source::new(folder, BLOB_SIZE_BYTES);
    let blobs: Vec<Blob> = (0..BLOBS).map(|number| source.blob(number)).collect();
    for blob in &blobs {
        source.push(&mut Load::connect(&serving.address), REPO, blob);
    }
    let mut client = serving.client();
    for number in 0..IMAGES {
        let image = small_image(number);
        for blob in &image {
            push_blob(&mut client, REPO, Way::Put, blob);
        }
        push_manifest(&mut client, REPO, &image, number);
    }
    serving.stop();
    blobs
}

/// Reads all small files, so that they are in the page cache.
fn warm(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            warm(&entry.path());
        } else if entry.metadata().unwrap().len() < MIB_BYTES {
            std::fs::read(entry.path()).unwrap();
        }
    }
}

/// Returns the times of small requests while `pulls` pulls wait, and how many bytes the pulls received.
fn times(serving: &Serving, blobs: &[Blob], pulls: usize) -> (Vec<Duration>, u64) {
    let address = serving.address.as_str();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let pulling: Vec<_> = blobs
            .iter()
            .cycle()
            .take(pulls)
            .map(|blob| {
                let ended = &ended;
                scope.spawn(move || {
                    let mut load = Load::connect(address);
                    load.send(&request("GET", &format!("/v2/{REPO}/blobs/{}", blob.digest)));
                    load.take_until(ended)
                })
            })
            .collect();
        // All pulls wait by now.
        std::thread::sleep(Duration::from_secs(1));
        let times = ask(address);
        ended.store(true, Ordering::SeqCst);
        (times, pulling.into_iter().map(|pull| pull.join().unwrap()).sum())
    })
}

fn ask(address: &str) -> Vec<Duration> {
    let mut load = Load::connect(address);
    let requests: Vec<_> = (0..IMAGES)
        .flat_map(|number| {
            let [_, layer] = small_image(number);
            [
                ("GET", request("GET", &format!("/v2/{REPO}/manifests/v{number}"))),
                ("HEAD", request("HEAD", &format!("/v2/{REPO}/blobs/{}", layer.digest))),
            ]
        })
        .collect();
    let begun = Instant::now();
    let mut times = Vec::new();
    for (method, request) in requests.iter().cycle() {
        if begun.elapsed() > TIME {
            break;
        }
        let asked = Instant::now();
        load.send(request);
        load.answer(method, 200);
        times.push(asked.elapsed());
        std::thread::sleep(PAUSE);
    }
    times
}
