//! The system calls of a request.

use std::collections::BTreeMap;

use crate::common::image::{Way, push_blob, push_manifest, small_image};
use crate::common::place;
use crate::common::server::Serving;
use crate::common::strace::Trace;
use crate::common::table;
use crate::large::Source;
use crate::load::{Load, request};

const MIB_BYTES: u64 = 1024 * 1024;
const BLOB_SIZE_BYTES: u64 = 256 * MIB_BYTES;
const REQUESTS: u64 = 2_000;
const REPO: &str = "team/calls";

/// Less frequent calls are left out.
const SHOWN_MIN: f64 = 0.005;

/// Prints the system calls of small and large requests.
pub fn measure() {
    table::heading(
        "System calls",
        &format!(
            "Counted with strace in all threads of the server. That slows the server down, so calls that \
             wait and wake (futex, epoll_pwait2) are more frequent than otherwise. *small*: for each of \
             {REQUESTS} requests, one after the other over one connection, no access log. *large*: for \
             each MiB of one blob of 256 MiB."
        ),
    );
    let folder = place::folder();
    let Some(trace) = Trace::new(folder.path()) else { return };
    let data = folder.path().join("data");
    let serving = Serving::start_traced_without_access_log(&data, &trace, "all");
    let mut client = serving.client();
    let blobs = small_image(0);
    for blob in &blobs {
        push_blob(&mut client, REPO, Way::Put, blob);
    }
    push_manifest(&mut client, REPO, &blobs, 0);
    let [_, layer] = &blobs;
    let mut load = Load::connect(&serving.address);
    table::columns(&["work", "calls"]);

    for (name, method, target) in [
        ("small: GET of a manifest by its tag", "GET", format!("/v2/{REPO}/manifests/v0")),
        ("small: HEAD of a blob", "HEAD", format!("/v2/{REPO}/blobs/{}", layer.digest)),
        ("small: GET of a blob of 64 KiB", "GET", format!("/v2/{REPO}/blobs/{}", layer.digest)),
    ] {
        let request = request(method, &target);
        let mut ask = || {
            load.send(&request);
            load.answer(method, 200);
        };
        ask();
        count(&trace, name, REQUESTS, || (0..REQUESTS).for_each(|_| ask()));
    }
    let source = Source::new(folder.path(), BLOB_SIZE_BYTES);
    let blob = source.blob(0);
    let mebibytes = BLOB_SIZE_BYTES / MIB_BYTES;
    count(&trace, "large: push of a blob by POST, PUT", mebibytes, || {
        source.push(&mut load, REPO, &blob);
    });
    count(&trace, "large: pull of a blob", mebibytes, || {
        load.send(&request("GET", &format!("/v2/{REPO}/blobs/{}", blob.digest)));
        load.answer("GET", 200);
    });
    serving.stop();
}

fn count(trace: &Trace, name: &str, units: u64, work: impl FnOnce()) {
    let before = trace.count_by_name();
    work();
    let mut calls: Vec<(f64, String)> = since(trace.count_by_name(), &before)
        .into_iter()
        .map(|(name, count)| (count as f64 / units as f64, name))
        .filter(|(count, _)| *count >= SHOWN_MIN)
        .collect();
    calls.sort_by(|one, other| other.0.total_cmp(&one.0));
    let calls: Vec<_> = calls.iter().map(|(count, name)| format!("{name} {count:.2}")).collect();
    table::row(&[name.to_owned(), calls.join(", ")]);
}

fn since(after: BTreeMap<String, usize>, before: &BTreeMap<String, usize>) -> BTreeMap<String, usize> {
    let count_before = |name: &str| before.get(name).copied().unwrap_or_default();
    after.into_iter().map(|(name, count)| (name.clone(), count - count_before(&name))).collect()
}
