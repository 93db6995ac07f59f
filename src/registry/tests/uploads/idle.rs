//! Uploads that are idle.

use rustix::io::Errno;
use smol::block_on;

use super::*;
use crate::disk::faulty::Operation;
use crate::meta::{SetClock, TODAY_MS};
use crate::registry::operations::expiry;

const MINUTE: Duration = Duration::from_secs(60);

fn grow_older(registry: &Registry, id: UploadId, time: Duration) {
    registry.inner.sessions.find(&repo("app"), id).unwrap().grow_older(time);
}

fn give_up_idle(registry: &Registry) {
    assert!(expiry::step(&Arc::downgrade(&registry.inner)));
}

#[test]
fn an_upload_that_never_got_a_byte_is_given_up_sooner_than_one_that_did() {
    block_on(async {
        let (registry, _, _) = on_faulty();
        let (unused, used) = (begin(&registry, "app").await, begin(&registry, "app").await);
        registry.append(&repo("app"), used, whole(b"a")).await.unwrap();
        for id in [unused, used] {
            grow_older(&registry, id, 59 * MINUTE);
        }
        give_up_idle(&registry);
        assert_eq!(registry.inner.sessions.all(|_| true).len(), 2);
        for id in [unused, used] {
            grow_older(&registry, id, 2 * MINUTE);
        }
        give_up_idle(&registry);
        let failed = registry.upload_offset(&repo("app"), unused).await;
        assert!(matches!(failed, Err(RegistryError::UploadUnknown)), "{failed:?}");
        assert_eq!(registry.upload_offset(&repo("app"), used).await.unwrap(), 1);
    });
}

#[test]
fn sessions_that_never_got_a_byte_give_way_when_there_are_too_many() {
    block_on(async {
        let registry = open_on(Arc::new(MemoryDisk::new()), |options| options.upload_sessions_max = 3);
        let used = begin(&registry, "app").await;
        // Its client would have to send them again.
        registry.append(&repo("app"), used, whole(&[0; 8_000_000])).await.unwrap();
        let (first, second) = (begin(&registry, "app").await, begin(&registry, "app").await);
        // A client that has just begun is about to send bytes.
        let refused = registry.begin_upload(&repo("app"), None).await;
        assert!(matches!(refused, Err(RegistryError::TooMany(_))), "{refused:?}");
        for (id, time) in [(used, 30), (first, 2), (second, 3)] {
            grow_older(&registry, id, time * MINUTE);
        }
        begin(&registry, "app").await;
        let gone = registry.upload_offset(&repo("app"), second).await;
        assert!(matches!(gone, Err(RegistryError::UploadUnknown)), "{gone:?}");
        // A status request restarts the idle time.
        assert_eq!(registry.upload_offset(&repo("app"), first).await.unwrap(), 0);
        registry.begin_upload(&repo("app"), None).await.unwrap_err();
        grow_older(&registry, first, MINUTE);
        begin(&registry, "app").await;
        registry.upload_offset(&repo("app"), first).await.unwrap_err();
        registry.begin_upload(&repo("app"), None).await.unwrap_err();
        assert_eq!(registry.upload_offset(&repo("app"), used).await.unwrap(), 8_000_000);
        assert_eq!(registry.totals().uploads, 3);
    });
}

/// Otherwise one client with enough of them could keep all others from pushing for a day.
#[test]
fn sessions_that_were_left_unfinished_give_way_last_when_there_are_too_many() {
    block_on(async {
        let registry = open_on(Arc::new(MemoryDisk::new()), |options| options.upload_sessions_max = 3);
        let mut left = Vec::new();
        for minutes in [61, 62, 0] {
            let id = begin(&registry, "app").await;
            if minutes > 0 {
                registry.append(&repo("app"), id, whole(b"a")).await.unwrap();
            }
            grow_older(&registry, id, minutes * MINUTE);
            left.push(id);
        }
        grow_older(&registry, left[2], 2 * MINUTE);
        for gone in [2, 1, 0] {
            let next = begin(&registry, "app").await;
            registry.append(&repo("app"), next, whole(b"a")).await.unwrap();
            let open: Vec<_> =
                left.iter().map(|id| registry.inner.sessions.find(&repo("app"), *id).is_ok()).collect();
            assert_eq!(open, [gone > 0, gone > 1, false]);
        }
        let refused = registry.begin_upload(&repo("app"), None).await;
        assert!(matches!(refused, Err(RegistryError::TooMany(_))), "{refused:?}");
    });
}

/// Begins uploads of one byte each from an address.
async fn begin_from(registry: &Registry, address: &str, count: usize) -> Vec<UploadId> {
    let client = Some(address.parse().unwrap());
    let mut begun = Vec::new();
    for _ in 0..count {
        let id = registry.begin_upload_for(&repo("app"), None, client).await.unwrap();
        registry.append(&repo("app"), id, whole(b"a")).await.unwrap();
        begun.push(id);
    }
    begun
}

fn is_open(registry: &Registry, id: UploadId) -> bool {
    registry.inner.sessions.has(&id.to_string())
}

/// A thousand sessions of one byte each cost a client two thousand small requests.
#[test]
fn an_address_with_most_sessions_keeps_no_other_from_pushing() {
    block_on(async {
        let registry = open_on(Arc::new(MemoryDisk::new()), |options| options.upload_sessions_max = 1024);
        let honest = begin_from(&registry, "192.0.2.1", 1).await;
        let most = begin_from(&registry, "192.0.2.2", 1023).await;
        for id in honest.iter().chain(&most) {
            grow_older(&registry, *id, MINUTE / 2);
        }
        // A question for the offset restarts the idle time, but keeps no newcomer out.
        for id in &most {
            registry.upload_offset(&repo("app"), *id).await.unwrap();
        }
        let newcomers = begin_from(&registry, "192.0.2.3", 300).await;
        assert!(is_open(&registry, honest[0]), "its address has fewer");
        assert!(newcomers.iter().all(|id| is_open(&registry, *id)));
        let left: Vec<_> = most.iter().map(|id| is_open(&registry, *id)).collect();
        assert!(left.iter().take(300).all(|open| !open), "the longest idle ones go first");
        assert!(left.iter().skip(300).all(|open| *open));
    });
}

#[test]
fn an_address_with_most_sessions_displaces_only_its_own_and_last_those_with_many_bytes() {
    block_on(async {
        let registry = open_on(Arc::new(MemoryDisk::new()), |options| options.upload_sessions_max = 4);
        let client = Some("192.0.2.2".parse().unwrap());
        let honest = begin_from(&registry, "192.0.2.1", 1).await;
        let most = begin_from(&registry, "192.0.2.2", 3).await;
        registry.append(&repo("app"), most[0], whole(&[0; 8_000_000])).await.unwrap();
        for session in registry.inner.sessions.all(|_| true) {
            session.grow_older(MINUTE / 2);
        }
        registry.begin_upload_for(&repo("app"), None, client).await.unwrap_err();
        for session in registry.inner.sessions.all(|one| one.id() != most[2]) {
            session.grow_older(10 * MINUTE);
        }
        // One on which a request works never goes.
        let held = registry.inner.sessions.find(&repo("app"), most[1]).unwrap().claim().await;
        registry.begin_upload_for(&repo("app"), None, client).await.unwrap_err();
        drop(held);
        grow_older(&registry, most[1], 2 * MINUTE);
        registry.begin_upload_for(&repo("app"), None, client).await.unwrap();
        let open = |id: &UploadId| is_open(&registry, *id);
        assert!(open(&honest[0]) && open(&most[0]) && !open(&most[1]) && open(&most[2]));
    });
}

fn open_by(disk: &Arc<dyn Disk>, clock: &SetClock) -> Registry {
    let mut options = RegistryOptions::new(Storage::Memory);
    options.upload_durable_step_bytes = 1;
    let meta = MetaOptions { clock: clock.clock(), ..MetaOptions::new(IndexKind::Map) };
    Registry::open_on(options, Backing { disk: Arc::clone(disk), lock: None, meta }).unwrap()
}

/// Otherwise uploads would never time out where pulk starts every day.
#[test]
fn an_upload_of_an_earlier_run_goes_on_growing_older_and_its_client_gets_time_to_come_back() {
    const HOUR: u64 = 60 * 60 * 1000;
    for (started_after, kept_minutes) in [
        (Some(0), 24 * 60),
        (Some(20 * HOUR), 4 * 60),
        // At any age, and at any time of the clock.
        (Some(24 * HOUR), 15),
        (Some(9000 * 24 * HOUR), 15),
        // A wrong clock gives no age.
        (None, 24 * 60),
    ] {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let registry = open_by(&disk, &SetClock::new(TODAY_MS));
        let id = block_on(async {
            let id = begin(&registry, "app").await;
            registry.append(&repo("app"), id, whole(&[1; 5000])).await.unwrap();
            registry.close().await.unwrap();
            id
        });
        drop(registry);
        let registry = open_by(&disk, &SetClock::new(started_after.map_or(1000, |after| TODAY_MS + after)));
        grow_older(&registry, id, (kept_minutes - 1) * MINUTE);
        give_up_idle(&registry);
        assert_eq!(registry.totals().uploads, 1, "{started_after:?}");
        grow_older(&registry, id, MINUTE);
        give_up_idle(&registry);
        assert_eq!(registry.inner.sessions.all(|_| true).len(), 0, "{started_after:?}");
    }
}

#[test]
fn a_repository_with_many_uploads_keeps_no_other_from_pushing() {
    block_on(async {
        let registry = open_on(Arc::new(MemoryDisk::new()), |options| options.upload_sessions_max = 40);
        for (name, count) in [("app", 16), ("other", 24)] {
            for _ in 0..count {
                let id = begin(&registry, name).await;
                registry.append(&repo(name), id, whole(b"a")).await.unwrap();
            }
        }
        let count = |name: &str| registry.inner.sessions.all(|one| *one.repo() == repo(name)).len();
        let refused = registry.begin_upload(&repo("third"), None).await;
        assert!(matches!(refused, Err(RegistryError::TooMany(_))), "{refused:?}");
        for session in registry.inner.sessions.all(|_| true) {
            session.grow_older(if *session.repo() == repo("app") { 30 * MINUTE } else { 2 * MINUTE });
        }
        for _ in 0..5 {
            begin(&registry, "third").await;
        }
        assert_eq!((count("app"), count("other"), count("third")), (16, 19, 5));
    });
}

#[test]
fn nothing_is_written_while_no_request_comes() {
    block_on(async {
        let (registry, faults, _) = on_faulty();
        push_blob(&registry, "app", b"layer").await;
        begin(&registry, "app").await;
        let done = faults.done().len();
        for _ in 0..3 {
            give_up_idle(&registry);
            registry.health();
            registry.totals();
        }
        assert_eq!(faults.done().len(), done);
    });
}

/// The handle that wrote bytes must make them durable: only it learns that the system lost them.
#[test]
fn idle_uploads_keep_their_files_open_up_to_a_limit_and_the_longest_idle_are_made_durable() {
    block_on(async {
        let (disk, faults) = faulty();
        let registry = open_on(disk, |options| options.upload_files_idle_max = 3);
        let opens = |id: &UploadId| registry.inner.sessions.find(&repo("app"), *id).unwrap().is_open();
        let synced = |id: &UploadId| faults.count(Operation::Sync, &format!("uploads/{id}"));
        let mut ids = Vec::new();
        for _ in 0..4 {
            let id = begin(&registry, "app").await;
            registry.append(&repo("app"), id, whole(b"abc")).await.unwrap();
            grow_older(&registry, id, MINUTE);
            ids.push(id);
        }
        let app = repo("app");
        assert_eq!(ids.iter().map(opens).collect::<Vec<_>>(), [false, true, true, true]);
        assert_eq!(ids.iter().map(synced).collect::<Vec<_>>(), [1, 0, 0, 0]);
        // What is durable need not stay open, and closing it is not a use of it.
        registry.finish_upload(&app, ids[3], &sha256(b"abc"), nothing()).await.unwrap();
        registry.append(&app, ids[0], whole(b"def")).await.unwrap();
        assert_eq!(ids[..3].iter().map(opens).collect::<Vec<_>>(), [true, true, true]);
        assert!(registry.inner.sessions.find(&app, ids[1]).unwrap().is_idle(MINUTE));
        registry.finish_upload(&app, ids[0], &sha256(b"abcdef"), nothing()).await.unwrap();
        assert_eq!(ids[1..3].iter().map(synced).collect::<Vec<_>>(), [0, 0]);
    });
}

#[test]
fn an_idle_upload_that_cannot_be_made_durable_is_given_up() {
    block_on(async {
        let (disk, faults) = faulty();
        let registry = open_on(disk, |options| options.upload_files_idle_max = 0);
        let id = begin(&registry, "app").await;
        registry.append(&repo("app"), id, whole(b"abc")).await.unwrap();
        faults.fail(Operation::Sync, &format!("uploads/{id}"), Errno::IO);
        push_blob(&registry, "app", b"other").await;
        let gone = registry.upload_offset(&repo("app"), id).await;
        assert!(matches!(gone, Err(RegistryError::UploadUnknown)), "{gone:?}");
        assert_eq!((unfinished(&registry).len(), registry.totals().uploads), (0, 0));
    });
}
