//! Uploads that are resumed after a stop or a crash.

use std::sync::atomic::Ordering;

use smol::block_on;

use super::bodies::Body;
use super::*;
use crate::blobs::blob_path;
use crate::disk::simulated::{Medium, SimulatedDisk, Step};

/// Where the block of byte 60 001 begins.
const LAST_BLOCK: u64 = 14 * 4096;

fn bytes_read(registry: &Registry) -> u64 {
    registry.inner.counters.snapshot().bytes_read
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 3 % 251) as u8).collect()
}

/// Sends 5000 bytes of an upload to a registry, and stops that cleanly.
async fn stopped_upload() -> (Arc<dyn Disk>, UploadId) {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let registry = open_on(Arc::clone(&disk), |_| {});
    let id = begin(&registry, "app").await;
    registry.append(&repo("app"), id, whole(&[1; 5000])).await.unwrap();
    registry.close().await.unwrap();
    (disk, id)
}

#[test]
fn after_a_clean_stop_an_upload_goes_on_at_its_last_block_and_hashes_nothing_twice() {
    block_on(async {
        for algorithm in Algorithm::ALL {
            let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
            let content = content(100_000);
            let registry = open_on(Arc::clone(&disk), |_| {});
            let id = registry.begin_upload(&repo("app"), Some(algorithm)).await.unwrap();
            registry.append(&repo("app"), id, streamed(&content[..60_001])).await.unwrap();
            registry.close().await.unwrap();
            drop(registry);

            let registry = open_on(disk, |_| {});
            assert_eq!(registry.upload_offset(&repo("app"), id).await.unwrap(), LAST_BLOCK);
            let before = bytes_read(&registry);
            let digest = Digest::from(ContentDigest::of(algorithm, &content));
            let rest = ranged(&content[LAST_BLOCK as usize..], LAST_BLOCK, 99_999);
            registry.finish_upload(&repo("app"), id, &digest, rest).await.unwrap();
            let read = bytes_read(&registry) - before;
            match algorithm {
                // The hash state cannot be saved.
                Algorithm::Blake3 => assert_eq!(read, LAST_BLOCK),
                Algorithm::Sha256 | Algorithm::Sha512 => assert_eq!(read, 0),
            }
            assert_eq!(read_blob(&registry, "app", &digest).await.unwrap(), content);
        }
    });
}

#[test]
fn after_a_crash_an_upload_goes_on_from_where_it_was_durable() {
    block_on(async {
        let step = usize::try_from(DURABLE_STEP_BYTES).unwrap();
        let content = content(step + 700_000);
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let registry = open_on(Arc::clone(&disk), |_| {});
        let id = begin(&registry, "app").await;
        registry.append(&repo("app"), id, streamed(&content[..step + 500_000])).await.unwrap();
        // The writer runs commands in order: after this one the upload's line is written, too.
        push_blob(&registry, "other", b"x").await;

        let registry = open_on(crashed(disk.as_ref()), |_| {});
        let offset = registry.upload_offset(&repo("app"), id).await.unwrap();
        assert!((DURABLE_STEP_BYTES..DURABLE_STEP_BYTES + 500_000).contains(&offset), "{offset}");
        let before = bytes_read(&registry);
        let rest = &content[usize::try_from(offset).unwrap()..];
        let rest = ranged(rest, offset, content.len() as u64 - 1);
        registry.finish_upload(&repo("app"), id, &sha256(&content), rest).await.unwrap();
        assert_eq!(bytes_read(&registry), before);
        assert_eq!(read_blob(&registry, "app", &sha256(&content)).await.unwrap(), content);
    });
}

#[test]
fn the_name_of_an_uploads_file_is_durable_before_the_journal_says_how_far_it_is() {
    block_on(async {
        use crate::disk::faulty::Operation;
        let (registry, faults, _) = on_faulty();
        let id = begin(&registry, "app").await;
        let content = content(usize::try_from(DURABLE_STEP_BYTES).unwrap());
        let begun = faults.done().len();
        registry.append(&repo("app"), id, streamed(&content[..])).await.unwrap();
        push_blob(&registry, "other", b"x").await;
        let done = faults.done().split_off(begun);
        let file = Path::new("uploads").join(id.to_string());
        let place = |operation, path: &Path| {
            done.iter().position(|(other, at)| *other == operation && at == path).unwrap()
        };
        let said =
            done.iter().position(|(other, at)| *other == Operation::Write && at.starts_with("journal"));
        assert!(place(Operation::Sync, &file) < said.unwrap());
        assert!(place(Operation::SyncFolder, Path::new("uploads")) < said.unwrap());
    });
}

#[test]
fn a_small_upload_begins_again_after_a_crash() {
    block_on(async {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let registry = open_on(Arc::clone(&disk), |_| {});
        let id = begin(&registry, "app").await;
        registry.append(&repo("app"), id, whole(b"abcdef")).await.unwrap();
        let registry = open_on(crashed(disk.as_ref()), |_| {});
        assert_eq!(registry.upload_offset(&repo("app"), id).await.unwrap(), 0);
        let refused = registry.append(&repo("app"), id, ranged(&b"g"[..], 6, 6)).await;
        assert!(matches!(refused, Err(RegistryError::OutOfOrder { offset: 0, .. })), "{refused:?}");
        registry.finish_upload(&repo("app"), id, &sha256(b"xyz"), whole(b"xyz")).await.unwrap();
        assert_eq!(read_blob(&registry, "app", &sha256(b"xyz")).await.unwrap(), b"xyz");
        assert_eq!(unfinished(&registry), [""; 0]);
    });
}

#[test]
fn files_that_no_upload_knows_of_are_removed_at_the_start() {
    block_on(async {
        let (disk, id) = stopped_upload().await;
        disk.create(Path::new("uploads/00000000-0000-4000-8000-000000000001")).unwrap();
        let registry = open_on(disk, |_| {});
        assert_eq!(unfinished(&registry), [id.to_string()]);
        assert_eq!(registry.upload_offset(&repo("app"), id).await.unwrap(), 4096);
    });
}

#[test]
fn an_upload_that_lost_its_file_is_given_up() {
    block_on(async {
        let (disk, id) = stopped_upload().await;
        disk.remove(&Path::new("uploads").join(id.to_string())).unwrap();
        let registry = open_on(Arc::clone(&disk), |_| {});
        let unknown = registry.upload_offset(&repo("app"), id).await;
        assert!(matches!(unknown, Err(RegistryError::UploadUnknown)), "{unknown:?}");
        push_blob(&registry, "app", b"x").await;
        assert_eq!(registry.totals().uploads, 0);
    });
}

#[test]
fn an_upload_whose_file_is_too_short_can_only_be_begun_again() {
    block_on(async {
        let (disk, id) = stopped_upload().await;
        disk.open_writable(&Path::new("uploads").join(id.to_string())).unwrap().truncate(3).unwrap();
        let registry = open_on(disk, |_| {});
        let refused = registry.append(&repo("app"), id, whole(b"g")).await;
        assert!(matches!(refused, Err(RegistryError::UploadUnknown)), "{refused:?}");
        push_blob(&registry, "app", b"abcdef").await;
    });
}

#[test]
fn a_request_that_is_given_up_holds_its_turn_until_its_last_write_is_done() {
    use crate::disk::faulty::Operation;
    use std::sync::atomic::AtomicBool;
    block_on(async {
        let (registry, faults, _) = on_faulty();
        let id = begin(&registry, "app").await;
        let step = usize::try_from(DURABLE_STEP_BYTES).unwrap();
        let content = content(step + 10);
        // The write that makes the upload durable hangs in its sync; then its client disconnects.
        faults.hold_syncs("uploads");
        let name = repo("app");
        let mut given_up = Box::pin(registry.append(&name, id, streamed(&content[..step])));
        for _ in 0..10_000 {
            smol::future::or(async { drop((&mut given_up).await) }, async {
                Timer::after(Duration::from_millis(1)).await;
            })
            .await;
            if faults.count(Operation::Sync, "uploads") > 0 {
                break;
            }
        }
        assert_eq!(faults.count(Operation::Sync, "uploads"), 1);
        drop(given_up);
        let session = registry.inner.sessions.find(&name, id).unwrap();
        let (claimed, let_go) = (AtomicBool::new(false), AtomicBool::new(false));
        let claiming = async {
            let _turn = session.claim().await;
            assert!(let_go.load(Ordering::SeqCst), "two requests append to one upload");
            claimed.store(true, Ordering::SeqCst);
        };
        let letting_go = async {
            for _ in 0..10 {
                smol::future::yield_now().await;
            }
            let_go.store(true, Ordering::SeqCst);
            faults.let_go();
        };
        smol::future::zip(claiming, letting_go).await;
        assert!(claimed.load(Ordering::SeqCst));
        let rest = ranged(&content[step..], step as u64, step as u64 + 9);
        registry.finish_upload(&name, id, &sha256(&content), rest).await.unwrap();
    });
}

#[test]
fn an_upload_whose_file_is_content_already_goes_on_and_the_content_stays_as_it_is() {
    block_on(async {
        let small_steps = |options: &mut RegistryOptions| options.upload_durable_step_bytes = 1000;
        let disk = SimulatedDisk::new(Medium::new());
        let registry = open_on(Arc::new(disk.clone()), small_steps);
        let content = vec![7; 6000];
        let digest = push_blob(&registry, "app", &content).await;
        let id = begin(&registry, "other").await;
        registry.append(&repo("other"), id, whole(&content[..5000])).await.unwrap();
        // This makes the upload's line durable.
        push_blob(&registry, "app", b"something else").await;
        // Damaged content is stored again, by the upload's file.
        let damaged = Disk::open_writable(&disk, &blob_path(&digest.content().unwrap())).unwrap();
        damaged.write_at(b"X", 0).unwrap();
        registry.finish_upload(&repo("other"), id, &digest, whole(&content[5000..])).await.unwrap();

        // The power fails when the new name is durable and no line records the end of the upload.
        let (mut medium, mut renamed) = (Medium::new(), false);
        for step in disk.steps() {
            medium.replay(&step);
            renamed |= matches!(&step, Step::Rename(from, _) if from == Path::new(&format!("uploads/{id}")));
            if renamed && matches!(step, Step::SyncFolder { .. }) {
                break;
            }
        }
        let choices = medium.choices();
        let left = medium.after_power_cut(&choices, &vec![0; choices.len()]);
        assert!(left.has_file(&format!("uploads/{id}")));

        let registry = open_on(Arc::new(SimulatedDisk::new(left)), small_steps);
        let more = b"what another client brings";
        registry.append(&repo("other"), id, whole(more)).await.unwrap();
        assert_eq!(read_blob(&registry, "app", &digest).await.unwrap(), content);
        let other = [&content[..4096], more].concat();
        registry.finish_upload(&repo("other"), id, &sha256(&other), whole(b"")).await.unwrap();
        assert_eq!(read_blob(&registry, "other", &sha256(&other)).await.unwrap(), other);
        assert_eq!(read_blob(&registry, "app", &digest).await.unwrap(), content);
        assert_eq!((unfinished(&registry).len(), registry.totals().uploads), (0, 0));
    });
}

/// How a request that finishes an upload is cut off.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// Its client is gone, and its future dropped.
    Dropped,
    /// The same, and then the server stops cleanly.
    Stop,
    /// The machine loses its power while the request runs.
    Crash,
}

/// The client of such a request knows no offset and sends the same body again.
#[test]
fn a_finishing_body_without_a_range_that_is_cut_off_can_be_sent_again() {
    for cut in [Cut::Dropped, Cut::Stop, Cut::Crash] {
        // A prefix of whole blocks that came before, in a request of its own, and none.
        for before in [0, LAST_BLOCK as usize] {
            block_on(finish_after(cut, before));
        }
    }
}

async fn finish_after(cut: Cut, before: usize) {
    let small_steps = |options: &mut RegistryOptions| options.upload_durable_step_bytes = 4096;
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let registry = open_on(Arc::clone(&disk), small_steps);
    let name = repo("app");
    let (id, content) = (begin(&registry, "app").await, content(200_000));
    let digest = sha256(&content);
    if before > 0 {
        registry.append(&name, id, streamed(&content[..before])).await.unwrap();
    }
    let written = |registry: &Registry| registry.inner.sessions.find(&name, id).unwrap().offset();
    let body = streamed(Body::that_hangs_after(&content[before..150_000]));
    let mut hanging = Box::pin(registry.finish_upload(&name, id, &digest, body));
    for _ in 0..10_000 {
        if written(&registry) == 150_000 {
            break;
        }
        smol::future::or(async { drop((&mut hanging).await) }, async {
            Timer::after(Duration::from_millis(1)).await;
        })
        .await;
    }
    assert_eq!(written(&registry), 150_000);
    assert_eq!(registry.upload_offset(&name, id).await.unwrap(), before as u64, "{cut:?}");
    // The writer runs commands in order: after this one the upload's line would be written, too.
    push_blob(&registry, "other", b"x").await;
    let left = crashed(disk.as_ref());
    drop(hanging);
    let registry = match cut {
        Cut::Dropped => registry,
        Cut::Stop => {
            registry.close().await.unwrap();
            drop(registry);
            open_on(disk, small_steps)
        }
        Cut::Crash => open_on(left, small_steps),
    };
    assert_eq!(registry.upload_offset(&name, id).await.unwrap(), before as u64, "{cut:?}");
    registry.finish_upload(&name, id, &digest, whole(&content[before..])).await.unwrap();
    assert_eq!(read_blob(&registry, "app", &digest).await.unwrap(), content);
    assert_eq!(unfinished(&registry), [""; 0]);
}

#[test]
fn a_finishing_body_without_a_range_that_the_disk_refuses_can_be_sent_again() {
    use crate::disk::faulty::Operation;
    block_on(async {
        for before in [0, 5000] {
            let (registry, faults, _) = on_faulty();
            let name = repo("app");
            let (id, content) = (begin(&registry, "app").await, content(3_000_000));
            registry.append(&name, id, streamed(&content[..before])).await.unwrap();
            faults.fail_later(Operation::Write, "uploads", 1, rustix::io::Errno::NOSPC);
            let refused =
                registry.finish_upload(&name, id, &sha256(&content), whole(&content[before..])).await;
            assert!(matches!(refused, Err(RegistryError::NoSpace)), "{refused:?}");
            assert_eq!(registry.upload_offset(&name, id).await.unwrap(), before as u64);
            let file = Path::new("uploads").join(id.to_string());
            assert_eq!(registry.inner.disk.open(&file).unwrap().length().unwrap(), before as u64);
            registry.finish_upload(&name, id, &sha256(&content), whole(&content[before..])).await.unwrap();
        }
    });
}
