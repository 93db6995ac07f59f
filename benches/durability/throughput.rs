//! How fast large layers are pushed and pulled.

use std::time::Instant;

use crate::common::client::Client;
use crate::common::content::Content;
use crate::common::image::{Way, push_blob};
use crate::common::place;
use crate::common::server::Serving;
use crate::common::table;

const MIB_BYTES: u64 = 1024 * 1024;
const LAYER_SIZE_BYTES: u64 = 256 * MIB_BYTES;
const LAYERS: [u64; 2] = [1, 4];

/// Prints the rates of pushing and pulling large layers. The rate of small images is with their syncs.
pub fn measure() {
    table::heading(
        "Throughput of large layers",
        "Layers of 256 MiB, all at once, each over its own connection on loopback; pushed by POST, PUT until \
         the last is acknowledged, then pulled twice (the second time is given; they are in the page \
         cache). Client and server share the machine.",
    );
    table::columns(&["layers at once", "push", "pull"]);
    for layers in LAYERS {
        let folder = place::folder();
        let serving = Serving::start(folder.path());
        let address = &serving.address;
        let blobs: Vec<Content> = (0..layers).map(|number| Content::new(number, LAYER_SIZE_BYTES)).collect();
        let push =
            seconds(&blobs, |blob| push_blob(&mut Client::connect(address), "team/app", Way::Put, blob));
        let mut pull = 0.0;
        for _ in 0..2 {
            pull = seconds(&blobs, |blob| {
                let target = format!("/v2/team/app/blobs/{}", blob.digest);
                assert_eq!(Client::connect(address).download(&target), blob.size);
            });
        }
        let rate =
            |seconds: f64| format!("{:.0} MiB/s", (layers * LAYER_SIZE_BYTES / MIB_BYTES) as f64 / seconds);
        table::row(&[layers.to_string(), rate(push), rate(pull)]);
        serving.stop();
    }
}

fn seconds(blobs: &[Content], work: impl Fn(&Content) + Sync) -> f64 {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for blob in blobs {
            scope.spawn(|| work(blob));
        }
    });
    begun.elapsed().as_secs_f64()
}
