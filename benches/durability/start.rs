//! The time and memory that a start of a large store takes.

use crate::common::image::{Way, push_image};
use crate::common::journal::{Bytes, Scale, write_store};
use crate::common::place;
use crate::common::process;
use crate::common::server::Serving;
use crate::common::table::{self, mib};

const SCALE: Scale = Scale { repositories: 1000, manifests: 100_000 };

/// Prints time and memory of starts after clean and unclean stops.
pub fn measure() {
    let folder = place::folder();
    let data = folder.path().join("data");
    let length = write_store(&data, SCALE, Bytes::None);
    table::heading(
        "Starting again",
        &format!(
            "A store of {} manifests, each with a tag, in {} repositories, {} links, all blobs distinct: \
             {} rows of blobs. *time*: from starting the program until it listens; *processor*: time of \
             all its threads until then. *resident*: VmRSS then; *peak*: VmHWM until then.",
            SCALE.manifests,
            SCALE.repositories,
            SCALE.links(),
            SCALE.links() + SCALE.manifests,
        ),
    );
    table::columns(&["start", "time", "processor", "resident", "peak"]);
    let start = |what: &str| {
        let serving = Serving::start(&data);
        let memory = process::memory(serving.pid());
        let time = format!("{:.2} s", serving.start_time.as_secs_f64());
        let processor = format!("{:.2} s", process::processor_seconds(serving.pid()));
        table::row(&[what.to_owned(), time, processor, mib(memory.resident), mib(memory.peak)]);
        serving
    };
    start(&format!("unclean, from a journal of {} and no checkpoint", mib(length))).stop();
    let serving = start("clean");
    // The journal is long by now: the next write rotates it, and a checkpoint is taken.
    push_image(&mut serving.client(), "team/other", Way::Put, 0);
    serving.wait_for("took a checkpoint");
    push_image(&mut serving.client(), "team/other", Way::Put, 1);
    serving.kill();
    start("unclean, from a checkpoint and a short journal").stop();
    start("clean, then").stop();
}
