//! Whether anybody notices that the index gets new files: how long requests take while it is copied.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::common::server::Serving;
use crate::common::table;
use crate::noticed::{COPIED, NO_COLLECTOR, Span, Times, asked, columns, filled, print, serve};

const ROUNDS: usize = 3;

/// What is asked for first was in no cache.
const WARM_UP: Duration = Duration::from_secs(3);

/// How long requests are counted: less than a copy takes.
const COUNTED: Duration = Duration::from_secs(12);

/// How long looking at what there is to copy may take at most.
const LOOKING_MAX: Duration = Duration::from_secs(60);

/// The file of the database that a start from a journal makes.
const FIRST: &str = "db";

/// Prints how long requests take while the index is copied into new files, and while it is not.
pub fn measure() {
    table::heading(
        "Requests while the index is copied",
        &format!(
            "Two servers as above, one without a collector. The other one has one at its default pace that \
             is told to copy the index into new files whatever these take (`--copy-index-from 0`, a flag \
             for tests), which it does at the start. Both are started anew for each round. The same \
             clients; what they find counts for {} s, at the earliest {} s after the start, and all of it \
             while the copy is made. {ROUNDS} rounds of each server in turns; medians of the rounds' 99th \
             percentiles.",
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

/// Measures while a server copies its index. The stop gives that up, so that the next round can do the same.
fn while_copied(folder: &Path, number: &mut u64) -> Times {
    let index = folder.join("data/index");
    let serving = serve(folder, COPIED, &["--copy-index-from", "0"]);
    let begun = Instant::now();
    while !is_copied(&index) {
        assert!(begun.elapsed() < LOOKING_MAX, "nothing is copied");
        std::thread::sleep(Duration::from_millis(10));
    }
    let times = asked_after_warm_up(&serving, number);
    assert!(is_copied(&index), "the copy came to its end too soon");
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

/// Tells whether there are a first database and another one, as long as that is incomplete.
fn is_copied(index: &Path) -> bool {
    index.join(FIRST).exists() && index.join("generation-1").exists()
}
