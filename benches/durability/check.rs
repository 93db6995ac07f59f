//! The time and memory that `pulk check` takes on a large store.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::journal::{Bytes, Scale, write_store};
use crate::common::place;
use crate::common::process;
use crate::common::server::{BINARY, Serving};
use crate::common::table::{self, mib};

const SCALE: Scale = Scale { repositories: 1000, manifests: 100_000 };

/// How often the memory of the command is read.
const PAUSE: Duration = Duration::from_millis(20);

/// Prints time and memory of checks of a stopped store and beside a server.
pub fn measure() {
    let folder = place::folder();
    let data = folder.path().join("data");
    write_store(&data, SCALE, Bytes::OfEverything);
    Serving::start(&data).stop();
    table::heading(
        "Checking",
        &format!(
            "`pulk check` on a store of {} manifests, each with a tag, in {} repositories, {} links, all \
             blobs distinct; blobs are files without bytes on the disk. *peak*: VmHWM of the command.",
            SCALE.manifests,
            SCALE.repositories,
            SCALE.links(),
        ),
    );
    table::columns(&["store", "time", "peak"]);
    check("stopped", &data);
    let serving = Serving::start(&data);
    check("in use by a server", &data);
    serving.stop();
}

fn check(what: &str, data: &Path) {
    let mut command = Command::new(BINARY);
    command.arg("check").arg("--data").arg(data);
    let begun = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = process::peak_if_running(child.id()).unwrap_or(peak);
        std::thread::sleep(PAUSE);
    }
    let time = format!("{:.2} s", begun.elapsed().as_secs_f64());
    assert!(child.wait().unwrap().success());
    table::row(&[what.to_owned(), time, mib(peak)]);
}
