//! The offsets that clients get while requests follow each other.

use std::sync::atomic::{AtomicBool, Ordering};

use smol::block_on;
use smol::future::{or, poll_once};

use super::bodies::Body;
use super::*;

#[test]
fn no_reader_takes_bytes_that_a_put_drops_for_bytes_that_stay() {
    let registry = in_memory();
    let id = block_on(begin(&registry, "app"));
    block_on(registry.append(&repo("app"), id, whole(b"abc"))).unwrap();
    let session = registry.inner.sessions.find(&repo("app"), id).unwrap();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !ended.load(Ordering::SeqCst) {
                assert_eq!(session.kept_offset(), 3);
            }
        });
        for _ in 0..20_000 {
            let claim = block_on(session.claim()).for_finish();
            let blobs = registry.inner.blobs.as_ref();
            session.with_upload(blobs, |upload| Ok(upload.append(b"xyz", 0)?)).unwrap();
            drop(claim);
        }
        ended.store(true, Ordering::SeqCst);
        reader.join().unwrap();
    });
}

/// The second request has the upload before the first one's answer goes out.
#[test]
fn a_request_that_appends_answers_with_its_own_offset() {
    let (disk, faults) = faulty();
    let registry = open_on(disk, |options| options.upload_durable_step_bytes = 1);
    let id = block_on(begin(&registry, "app"));
    let name = repo("app");
    faults.hold_syncs(&format!("uploads/{id}"));
    let mut first = Box::pin(registry.append(&name, id, whole(b"abc")));
    block_on(or(
        async { drop((&mut first).await) },
        smol::unblock({
            let faults = Arc::clone(&faults);
            move || faults.wait_until_held()
        }),
    ));
    faults.let_go();
    let mut second = Box::pin(registry.append(&name, id, streamed(Body::that_hangs_after(b"de"))));
    for _ in 0..10_000 {
        assert!(block_on(poll_once(&mut second)).is_none());
        if block_on(registry.upload_offset(&name, id)).unwrap() == 5 {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(block_on(registry.upload_offset(&name, id)).unwrap(), 5);
    assert_eq!(block_on(first).unwrap(), 3);
}
