//! What an idle server writes.

use std::time::Duration;

use crate::common::device::Device;
use crate::common::image::{Way, push_image};
use crate::common::place;
use crate::common::process;
use crate::common::server::Serving;
use crate::common::strace::{CHANGING, Trace};
use crate::common::table;
use crate::syncs::fill;

const MANIFESTS: u64 = 1000;
const DEVICE_SIZE_BYTES: u64 = 1024 * 1024 * 1024;

/// The time for the system to write back earlier writes: it delays some of them by 30 seconds.
const SETTLING_TIME: Duration = Duration::from_secs(45);
const IDLE_TIME: Duration = Duration::from_secs(70);

/// Prints what is written during `IDLE_TIME` without requests.
pub fn measure() {
    table::heading(
        "Written while idle",
        &format!(
            "A server with {MANIFESTS} manifests that has served requests, {} seconds without any. \
             *process*: `write_bytes` of /proc/PID/io. *device*: sectors written to a loop device that \
             holds only the data directory. *strace*: calls that change or sync something on a disk \
             ({CHANGING}).",
            IDLE_TIME.as_secs()
        ),
    );
    Device::explain_absence();
    let place = place::folder();
    let device = Device::new(DEVICE_SIZE_BYTES);
    let trace = Trace::new(place.path());
    let data = device.as_ref().map_or(place.path(), |device| &device.folder).join("data");
    fill(&data, MANIFESTS);
    let serving = match &trace {
        Some(trace) => Serving::start_traced(&data, trace, CHANGING),
        None => Serving::start(&data),
    };
    push_image(&mut serving.client(), "team/other", Way::Patch, 7);
    if let Some(device) = &device {
        device.sync();
    }
    std::thread::sleep(SETTLING_TIME);

    let look = || {
        let written = device.as_ref().map(Device::written);
        (process::written(serving.pid()), written, trace.as_ref().map(Trace::count))
    };
    let before = look();
    std::thread::sleep(IDLE_TIME);
    let after = look();
    serving.stop();

    let or_dash = |count: Option<u64>| count.map_or("-".to_owned(), |count| count.to_string());
    let calls = after.2.zip(before.2).map(|(after, before)| after.since(before));
    let calls = calls.map(|calls| (calls.others + calls.writing_out) as u64);
    table::columns(&["process, bytes", "device, bytes", "strace, calls"]);
    table::row(&[
        (after.0 - before.0).to_string(),
        or_dash(after.1.zip(before.1).map(|(after, before)| after - before)),
        or_dash(calls),
    ]);
}
