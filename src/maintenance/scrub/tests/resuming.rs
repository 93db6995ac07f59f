//! A scrub resumes where it stopped, and stops when it has to.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::base::now_ms;
use crate::disk::MemoryDisk;
use crate::maintenance::scrub::options::ScrubOptions;
use crate::maintenance::scrub::saved::Saved;
use crate::maintenance::scrub::worker::{Scrub, ScrubWatch};

const CONTENT: usize = 100;

fn filled(disk: &Arc<dyn Disk>) -> Registry {
    let registry = open_on(Arc::clone(disk));
    for number in 0..CONTENT {
        push(&registry, "app", format!("layer {number}").as_bytes());
    }
    registry
}

struct Patient;

impl ScrubWatch for Patient {
    fn goes_on(&mut self, done_bytes: u64, total_bytes: u64) -> bool {
        assert!(done_bytes <= total_bytes);
        true
    }
}

struct Impatient;

impl ScrubWatch for Impatient {
    fn goes_on(&mut self, _: u64, _: u64) -> bool {
        false
    }
}

#[test]
fn a_pass_resumes_after_what_was_read_also_after_a_restart() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let registry = filled(&disk);
    let mut drive = Until { left: 30, reached: Reached::default() };
    let ended = Pass::new(&registry, &mut drive, Reached::default(), Duration::ZERO).run();
    assert!(matches!(ended, Err(ScrubError::Stopped)));
    let mut saved = Saved { pass: Some(drive.reached.clone()), ..Saved::default() };
    saved.save(disk.as_ref());
    block_on(registry.close()).unwrap();
    drop(registry);

    let registry = open_on(Arc::clone(&disk));
    let reached = Saved::load(disk.as_ref()).pass.unwrap();
    assert_eq!(reached, drive.reached);
    let mut rest = Until::the_end();
    let report = Pass::new(&registry, &mut rest, reached, Duration::ZERO).run().unwrap();
    assert_eq!(report.blobs, CONTENT as u64, "each was read once");
    assert_eq!(usize::MAX - rest.left, CONTENT - 30);
}

/// Else a clock that was wrong once, or that begins in 1970 at each start, would put the next pass off for
/// years.
#[test]
fn a_pass_that_ended_in_the_future_is_no_reason_to_wait() {
    const DAY_MS: u64 = 24 * 60 * 60 * 1000;
    let now = now_ms();
    for (ended_ms, waits_days) in
        [(now + 3650 * DAY_MS, 0), (now + DAY_MS, 0), (now + 60_000, 29), (now - DAY_MS, 28)]
    {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let registry = open_on(Arc::clone(&disk));
        let last = ScrubReport { ended_ms, ..ScrubReport::default() };
        Saved { last: Some(last), ..Saved::default() }.save(disk.as_ref());
        let scrub = Scrub::new(&registry, ScrubOptions { enabled: true, ..ScrubOptions::default() });
        let next = scrub.status().unwrap().next_ms.unwrap();
        let waits = next.saturating_sub(now);
        assert!(waits >= waits_days * DAY_MS && waits < (waits_days + 2) * DAY_MS, "{ended_ms}: {waits}");
    }
}

#[test]
fn a_file_of_its_progress_that_is_damaged_only_means_a_new_pass() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    Saved { pass: Some(Reached::default()), ..Saved::default() }.save(disk.as_ref());
    assert!(Saved::load(disk.as_ref()).pass.is_some());
    damage_progress(disk.as_ref());
    assert_eq!(Saved::load(disk.as_ref()), Saved::default());
    Saved { pass: Some(Reached::default()), ..Saved::default() }.save(disk.as_ref());
    assert!(Saved::load(disk.as_ref()).pass.is_some(), "it is written over");
}

fn damage_progress(disk: &dyn Disk) {
    disk.open_writable("scrub.json".as_ref()).unwrap().write_at(b"#", 3).unwrap();
}

#[test]
fn a_full_pass_is_remembered() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let registry = filled(&disk);
    let scrub = Scrub::new(&registry, ScrubOptions::default());
    let report = scrub.run(&mut Patient).unwrap();
    assert_eq!((report.blobs, report.is_sound()), (CONTENT as u64, true));
    assert!(registry.totals().scrub.last_full_pass > 0);
    drop(scrub);
    let again = Scrub::new(&registry, ScrubOptions::default());
    let status = again.status().unwrap();
    assert_eq!(status.last, Some(report.clone()));
    assert_eq!(status.pass, None);
    let next = report.ended_ms + 30 * 24 * 60 * 60 * 1000;
    assert_eq!(status.next_ms, Some(next));
}

#[test]
fn a_caller_that_gives_up_ends_its_pass_and_nothing_is_kept_of_it() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let registry = filled(&disk);
    let scrub = Scrub::new(&registry, ScrubOptions::default());
    assert!(matches!(scrub.run(&mut Impatient), Err(ScrubError::Stopped)));
    assert_eq!(scrub.status().unwrap().last, None);
    assert!(scrub.run(&mut Patient).is_ok(), "no other pass is in the way");
}

#[test]
fn the_background_reads_everything_and_gives_way_to_a_waiting_caller() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let registry = filled(&disk);
    // So slow that it would never come to its end.
    let options = ScrubOptions { rate_bytes: 1, ..ScrubOptions::default() };
    let slow = Scrub::starting_after(&registry, options, Duration::ZERO);
    slow.start().unwrap();
    let report = slow.run(&mut Patient).unwrap();
    assert_eq!(report.blobs, CONTENT as u64);
    slow.stop();
    assert_eq!(slow.status().unwrap().last, Some(report));
}

#[test]
fn a_stop_ends_the_background_within_a_step_and_saves_how_far_it_came() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let registry = filled(&disk);
    let options = ScrubOptions { rate_bytes: 2000, ..ScrubOptions::default() };
    let scrub = Scrub::starting_after(&registry, options, Duration::ZERO);
    scrub.start().unwrap();
    for _ in 0..10_000 {
        if scrub.status().unwrap().pass.is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    scrub.stop();
    let reached = Saved::load(disk.as_ref()).pass.unwrap();
    assert!(reached.behind.is_some() && reached.report.blobs < CONTENT as u64, "{reached:?}");
}

#[test]
fn suspects_that_never_end_do_not_keep_a_full_pass_from_its_end() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let registry = filled(&disk);
    let scrub = Scrub::starting_after(&registry, ScrubOptions::default(), Duration::ZERO);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // More of them than are looked at: there is always one that waits.
        for number in 0..4 {
            let (registry, done) = (&registry, &done);
            scope.spawn(move || {
                let suspect = digest(format!("layer {number}").as_bytes());
                while !done.load(Ordering::SeqCst) {
                    registry.report_damage(&suspect);
                    std::thread::yield_now();
                }
            });
        }
        scrub.start().unwrap();
        for _ in 0..10_000 {
            if scrub.status().unwrap().last.is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        done.store(true, Ordering::SeqCst);
    });
    scrub.stop();
    let last = scrub.status().unwrap().last.expect("a full pass");
    assert_eq!(last.blobs, CONTENT as u64);
}
