//! How many syncs an image takes.

use std::path::Path;
use std::time::Instant;

use crate::common::client::Client;
use crate::common::image::{Way, push_blob, push_image, push_manifest, small_image};
use crate::common::place;
use crate::common::server::Serving;
use crate::common::strace::{Calls, SYNCING, Trace};
use crate::common::table;

const IMAGES_A_CLIENT: u64 = 50;
const CLIENTS: [u64; 4] = [1, 2, 4, 8];

/// Images are identified by numbers; each client has a range of this size.
const NUMBERS_A_CLIENT: u64 = 1_000_000;

/// Prints the syncs of small images by number of clients.
pub fn measure() {
    table::heading(
        "Syncs for one small image",
        &format!(
            "Config (1 KiB), one layer of 64 KiB, manifest, new tag; every client pushes \
             {IMAGES_A_CLIENT} images one after the other to its own repository, all of them new. Averages \
             over all images. *disk*: `pulk_disk_syncs_total` of `/metrics`. *strace*: fsync, fdatasync, \
             syncfs, sync and msync of the whole process, in a separate run. *sync_file_range*: likewise; \
             these are sled's, two for each transaction, in background threads; they make nothing durable."
        ),
    );
    let traces = place::folder();
    let trace = Trace::new(traces.path());
    table::columns(&[
        "blobs by",
        "clients",
        "disk: syncs an image",
        "strace: syncs an image",
        "strace: sync_file_range an image",
        "images a second",
    ]);
    for way in Way::ALL {
        for clients in CLIENTS {
            let images = (clients * IMAGES_A_CLIENT) as f64;
            let (syncs, seconds) = untraced(way, clients);
            let calls = trace.as_ref().map(|trace| traced(trace, way, clients));
            let average = |count: Option<usize>| {
                count.map_or("-".to_owned(), |count| format!("{:.2}", count as f64 / images))
            };
            table::row(&[
                way.name().to_owned(),
                clients.to_string(),
                format!("{:.2}", syncs as f64 / images),
                average(calls.map(|calls| calls.others)),
                average(calls.map(|calls| calls.writing_out)),
                format!("{:.0}", images / seconds),
            ]);
        }
    }
}

/// Returns the syncs by the disk's counter, and the seconds the pushes took.
fn untraced(way: Way, clients: u64) -> (u64, f64) {
    let folder = place::folder();
    let serving = Serving::start(folder.path());
    let before = serving.syncs();
    let begun = Instant::now();
    push(&serving, way, clients);
    let seconds = begun.elapsed().as_secs_f64();
    let syncs = serving.syncs() - before;
    serving.stop();
    (syncs, seconds)
}

/// Returns the syncs by strace.
fn traced(trace: &Trace, way: Way, clients: u64) -> Calls {
    let folder = place::folder();
    let serving = Serving::start_traced(folder.path(), trace, SYNCING);
    let before = trace.count();
    push(&serving, way, clients);
    // strace records each call before the server continues, so all syncs before an acknowledgement are
    // counted.
    let calls = trace.count().since(before);
    serving.stop();
    calls
}

fn push(serving: &Serving, way: Way, clients: u64) {
    let address = &serving.address;
    std::thread::scope(|scope| {
        for client in 0..clients {
            scope.spawn(move || {
                let mut connection = Client::connect(address);
                let repo = format!("team/app{client}");
                for number in 0..IMAGES_A_CLIENT {
                    push_image(&mut connection, &repo, way, client * NUMBERS_A_CLIENT + number);
                }
            });
        }
    });
}

/// Fills a new store with images: their blobs are the same, each has a manifest and a tag.
pub fn fill(data: &Path, manifests: u64) {
    let serving = Serving::start(data);
    let mut client = serving.client();
    let blobs = small_image(0);
    for blob in &blobs {
        push_blob(&mut client, "team/app", Way::Put, blob);
    }
    for number in 0..manifests {
        push_manifest(&mut client, "team/app", &blobs, number);
    }
    serving.stop();
}
