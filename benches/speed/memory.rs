//! The memory of the server.

use std::time::Duration;

use crate::common::server::Serving;
use crate::common::table::{self, mib};
use crate::common::{place, process};
use crate::large::Source;
use crate::load::Load;
use crate::servers::Servers;

const MIB_BYTES: u64 = 1024 * 1024;
const UPLOADS: u64 = 64;
const UPLOAD_SIZE_BYTES: u64 = 64 * MIB_BYTES;
const FIRST_NUMBER: u64 = 3_000;
const IDLE_TIME: Duration = Duration::from_secs(2);

/// Prints the peaks.
pub fn measure(servers: &Servers) {
    table::heading(
        "Memory",
        &format!(
            "VmHWM; for the idle server, which has a new and empty store, VmRSS. *before*: after all figures \
             above, on the server that was measured, whose store has fewer than 5000 manifests. Then \
             {UPLOADS} uploads of 64 MiB at once. Aims: 12 MiB idle, 48 MiB for the rest."
        ),
    );
    table::columns(&["when", "MiB"]);
    let place = place::folder();
    let idle = Serving::start_without_access_log(&place.path().join("data"));
    std::thread::sleep(IDLE_TIME);
    table::row(&["idle".to_owned(), mib(process::memory(idle.pid()).resident)]);
    idle.stop();

    let pid = servers.pulk.pid();
    table::row(&["before".to_owned(), mib(process::memory(pid).peak)]);
    process::forget_peak(pid);
    let source = Source::new(place.path(), UPLOAD_SIZE_BYTES);
    let blobs: Vec<_> = (0..UPLOADS).map(|number| source.blob(FIRST_NUMBER + number)).collect();
    let address = servers.pulk.address.as_str();
    std::thread::scope(|scope| {
        for blob in &blobs {
            scope.spawn(|| source.push(&mut Load::connect(address), "team/many", blob));
        }
    });
    table::row(&[format!("{UPLOADS} uploads at once"), mib(process::memory(pid).peak)]);
    std::thread::sleep(IDLE_TIME);
    table::row(&["resident after all that".to_owned(), mib(process::memory(pid).resident)]);
}
