//! How many bytes are written for each byte pushed.

use std::path::Path;

use crate::common::content::Content;
use crate::common::device::Device;
use crate::common::image::{Way, push_blob, push_manifest, small_image};
use crate::common::place;
use crate::common::process;
use crate::common::server::Serving;
use crate::common::table::{self, kib};
use crate::syncs::fill;

const MIB_BYTES: u64 = 1024 * 1024;
const LAYERS: u64 = 4;
const LAYER_SIZE_BYTES: u64 = 256 * MIB_BYTES;

const STORE_MANIFESTS: u64 = 1000;
const MANIFESTS: u64 = 200;

const DEVICE_SIZE_BYTES: u64 = 4 * 1024 * MIB_BYTES;

/// The bytes written for some pushes.
struct Written {
    /// By the process's own counter.
    process: u64,
    /// To the device, after all was acknowledged and the filesystem synced.
    acknowledged: Option<u64>,
    /// To the device after a clean stop and unmounting.
    unmounted: Option<u64>,
}

/// Prints the bytes written for large layers and for small manifests.
pub fn measure() {
    table::heading(
        "Bytes written",
        "*process*: `write_bytes` of /proc/PID/io, which counts pages of files when they become dirty, \
         and neither the filesystem's metadata nor its journal. *device*: sectors written to a loop device \
         with its own ext4 (4 KiB blocks, default options), ext4's journal included: once after all is \
         acknowledged and the filesystem synced, and once after a clean stop of the server and \
         unmounting, which adds the index's files and what ext4 had only in its journal.",
    );
    Device::explain_absence();
    let large = (LAYERS * LAYER_SIZE_BYTES) as f64;
    table::columns(&["pushed, average", "process", "device", "device, after the stop"]);
    for way in Way::ALL {
        let blobs: Vec<Content> = (0..LAYERS).map(|number| Content::new(number, LAYER_SIZE_BYTES)).collect();
        let written = written_by(
            |_| {},
            |serving| {
                let mut client = serving.client();
                for blob in &blobs {
                    push_blob(&mut client, "team/large", way, blob);
                }
            },
        );
        let ratio = |bytes: u64| format!("{:.4}", bytes as f64 / large);
        print(&format!("for each byte of 4 layers of 256 MiB by {}", way.name()), &written, ratio);
    }
    let mut size = 0;
    let written = written_by(
        |data| fill(data, STORE_MANIFESTS),
        |serving| {
            let mut client = serving.client();
            for number in STORE_MANIFESTS..STORE_MANIFESTS + MANIFESTS {
                size = push_manifest(&mut client, "team/app", &small_image(0), number);
            }
        },
    );
    let each = |bytes: u64| kib(bytes as f64 / MANIFESTS as f64);
    let what = format!(
        "for each of {MANIFESTS} manifests of {size} bytes, one after the other, with a new tag each, in \
         a store of \
         {STORE_MANIFESTS}"
    );
    print(&what, &written, each);
}

fn print(what: &str, written: &Written, render: impl Fn(u64) -> String) {
    let or_dash = |bytes: Option<u64>| bytes.map_or("-".to_owned(), &render);
    table::row(&[
        what.to_owned(),
        render(written.process),
        or_dash(written.acknowledged),
        or_dash(written.unmounted),
    ]);
}

/// Prepares a store, starts a server on it, pushes, and stops the server.
fn written_by(prepare: impl FnOnce(&Path), push: impl FnOnce(&Serving)) -> Written {
    let place = place::folder();
    let device = Device::new(DEVICE_SIZE_BYTES);
    let parent = device.as_ref().map_or(place.path(), |device| &device.folder);
    let data = parent.join("data");
    prepare(&data);
    let serving = Serving::start(&data);
    let on_device = || {
        device.as_ref().map(|device| {
            device.sync();
            device.written()
        })
    };
    let (device_before, process_before) = (on_device(), process::written(serving.pid()));
    push(&serving);
    let process = process::written(serving.pid()) - process_before;
    let since = |now: u64| device_before.map(|before| now - before);
    let acknowledged = on_device().and_then(since);
    serving.stop();
    let unmounted = device.and_then(|mut device| {
        device.unmount();
        since(device.written())
    });
    Written { process, acknowledged, unmounted }
}
