//! How long requests take while the index is copied into new files.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::common::server::Serving;
use crate::common::table;
use crate::noticed::{COPIED, NO_COLLECTOR, Span, Times, asked, columns, filled, print, serve};

const ROUNDS: usize = 3;

/// Requests of this time are not counted: they fill the caches.
const WARM_UP: Duration = Duration::from_secs(3);

/// How long requests are counted: shorter than a copy takes.
const COUNTED: Duration = Duration::from_secs(12);

/// The longest time until the copy begins.
const LOOKING_MAX: Duration = Duration::from_secs(60);

/// The file of the database that a start from a journal creates.
const FIRST: &str = "db";

/// Prints how long requests take while the index is copied into new files, and while it is not.
pub fn measure() {
    table::heading(
        "Requests while the index is copied",
        &format!(
            "Two servers as above. One has no collector. The other has one at its default pace, which copies \
             the index into new files at the start, whatever its size (`--copy-index-from 0`, a flag for \
             tests). Both are restarted for each round. The same clients; requests are counted for {} s, \
             from {} s after the start at the earliest, all of it during the copy. {ROUNDS} rounds of each \
             server in turns; medians of the rounds' 99th percentiles.",
            COUNTED.as_secs(),
            WARM_UP.as_secs(),
        ),
    );
    columns("index");
    let (copied, without) = (filled(), filled());
    let (mut with_times, mut without_times) = (Vec::new(), Vec::new());
    let mut number = 0;
    for _ in 0..ROUNDS {
        with_times.push(while_copied(copied.path(), &mut number));
        without_times.push(otherwise(without.path(), &mut number));
    }
    let bytes = fs::metadata(copied.path().join("data/index").join(FIRST)).unwrap().len();
    print(&format!("a file of {} MiB is copied", bytes >> 20), &with_times, &without_times);
}

/// Measures while a server copies its index. The stop abandons the copy, so that the next round starts it
/// again.
fn while_copied(folder: &Path, number: &mut u64) -> Times {
    let index = folder.join("data/index");
    let serving = serve(folder, COPIED, &["--copy-index-from", "0"]);
    let begun = Instant::now();
    while !is_copied(&index) {
        assert!(begun.elapsed() < LOOKING_MAX, "no copy began");
        std::thread::sleep(Duration::from_millis(10));
    }
    let times = asked_after_warm_up(&serving, number);
    assert!(is_copied(&index), "the copy ended too soon");
    serving.stop();
    times
}

fn otherwise(folder: &Path, number: &mut u64) -> Times {
    let serving = serve(folder, NO_COLLECTOR, &[]);
    let times = asked_after_warm_up(&serving, number);
    serving.stop();
    times
}

fn asked_after_warm_up(serving: &Serving, number: &mut u64) -> Times {
    let span =
        Span { counts: &|elapsed| elapsed >= WARM_UP, goes_on: &|elapsed| elapsed < WARM_UP + COUNTED };
    asked(&serving.address, &span, number)
}

/// Tells whether a copy is in progress: the first database and an incomplete one exist.
fn is_copied(index: &Path) -> bool {
    index.join(FIRST).exists() && index.join("generation-1").exists()
}
