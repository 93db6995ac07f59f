//! Content without files, as its store shows it, and how it gets them.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use crate::blobs::local::LocalStore;
use crate::blobs::local::layout::{blob_path, fanout_folder};
use crate::blobs::{CARRIED_MAX_BYTES, ContentStore, StoredFile, Verification};
use crate::disk::Disk;
use crate::disk::simulated::{Fault, FaultKind, Medium, SimulatedDisk, Step};
use crate::spec::{Algorithm, ContentDigest};

/// A store on a disk that can be synced as a whole, and on one that cannot.
fn for_every_disk(test: impl Fn(&SimulatedDisk, &Arc<dyn ContentStore>)) {
    for medium in [Medium::new(), Medium::new().without_links()] {
        let disk = SimulatedDisk::new(medium);
        let store = LocalStore::open_or_create(Arc::new(disk.clone())).unwrap();
        (&disk as &dyn Disk).sync_folder(Path::new("")).unwrap();
        store.unfiled().carry_up_to(CARRIED_MAX_BYTES);
        test(&disk, &store);
    }
}

fn digest(content: &[u8]) -> ContentDigest {
    ContentDigest::sha256_of(content)
}

/// Enters content as the writer does, with the line of a transaction.
fn enter(store: &Arc<dyn ContentStore>, content: &[u8], seq: u64) -> ContentDigest {
    store.unfiled().enter(digest(content), &content.into(), seq);
    digest(content)
}

fn listed(store: &Arc<dyn ContentStore>, at_most: usize) -> Vec<StoredFile> {
    let mut found = Vec::new();
    let mut visit = |file| {
        found.push(file);
        if found.len() < at_most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    store.list(&mut visit).unwrap();
    found
}

/// Returns the store after a power cut that keeps nothing that is not durable.
fn after_a_cut(disk: &SimulatedDisk) -> Arc<dyn ContentStore> {
    let medium = disk.medium();
    let choices = medium.choices();
    let left = SimulatedDisk::new(medium.after_power_cut(&choices, &vec![0; choices.len()]));
    LocalStore::open_or_create(Arc::new(left)).unwrap()
}

#[test]
fn content_without_a_file_is_content() {
    for_every_disk(|disk, store| {
        let content = enter(store, b"content", 1);
        assert_eq!(store.length(&content).unwrap(), Some(7));
        assert_eq!(store.read_verified(&content, 7).unwrap(), Verification::Intact(b"content".to_vec()));
        assert!(matches!(store.verify(&content, &mut |_| ()).unwrap(), Verification::Intact(7)));
        assert!(store.stored_at(&content).unwrap().is_some());
        let file = store.open(&content).unwrap().unwrap();
        let mut end = [0; 9];
        assert_eq!((file.read_at(&mut end, 4).unwrap(), &end[..3]), (3, &b"ent"[..]));
        assert_eq!(file.read_at(&mut end, 7).unwrap(), 0);
        assert_eq!(file.read_at(&mut end, u64::MAX).unwrap(), 0);
        let Verification::Intact(adopted) = store.adopt("a", content).unwrap() else {
            panic!("it is intact")
        };
        assert_eq!(adopted.size(), 7);
        store.remove(&content).unwrap();
        assert!(store.open(&content).unwrap().is_none() && store.remove(&content).is_err());
        assert!(!disk.medium().has_file(blob_path(&content).to_str().unwrap()));
    });
}

#[test]
fn files_and_content_without_one_are_listed_together_in_order_and_once() {
    for_every_disk(|_, store| {
        let mut all = Vec::new();
        for number in 0_u8..60 {
            let content = vec![number; usize::from(number)];
            if number % 3 != 0 {
                store.put("put", digest(&content), &content).unwrap();
            }
            if number % 3 != 1 {
                enter(store, &content, 1);
            }
            all.push(StoredFile::Content(digest(&content), content.len() as u64));
        }
        let foreign = ContentDigest::of(Algorithm::Sha512, b"longer digests come after");
        store.unfiled().enter(foreign, &b"longer digests come after"[..].into(), 1);
        let encoded = |file: &StoredFile| match file {
            StoredFile::Content(digest, _) => digest.encoded(),
            StoredFile::Foreign(path) => path.clone(),
        };
        all.sort_by_key(encoded);
        all.push(StoredFile::Content(foreign, 25));
        assert_eq!(listed(store, usize::MAX), all);
        for at_most in 1..all.len() {
            assert_eq!(listed(store, at_most), all[..at_most]);
        }
    });
}

#[test]
fn only_what_a_durable_line_carries_is_filed() {
    for_every_disk(|disk, store| {
        let unfiled = store.unfiled();
        let (one, two) = (enter(store, b"one", 5), enter(store, b"two", 7));
        store.write_files().unwrap();
        assert_eq!(unfiled.filed_up_to(), 4);
        unfiled.durable_up_to(6);
        store.write_files().unwrap();
        assert_eq!((unfiled.filed_up_to(), unfiled.bytes()), (6, 3));
        let left = after_a_cut(disk);
        assert_eq!((left.length(&one).unwrap(), left.length(&two).unwrap()), (Some(3), None));
        unfiled.forget_after(6);
        assert!(store.open(&two).unwrap().is_none());
        assert_eq!((unfiled.filed_up_to(), unfiled.bytes()), (6, 0));
        enter(store, b"three", 9);
        enter(store, b"three", 10);
        assert_eq!(unfiled.filed_up_to(), 8, "the first line that carries it counts");
        unfiled.durable_up_to(10);
        store.write_files().unwrap();
        assert_eq!(unfiled.filed_up_to(), 10);
    });
}

#[test]
fn a_batch_takes_one_sync_of_the_filesystem_or_one_for_each_file_and_folder() {
    for_every_disk(|disk, store| {
        let contents: Vec<Vec<u8>> = (0..40).map(|number| vec![number; 10]).collect();
        // The folders are there.
        for content in &contents {
            store.put("put", digest(content), content).unwrap();
            store.remove(&digest(content)).unwrap();
        }
        for content in &contents {
            enter(store, content, 1);
        }
        store.unfiled().durable_up_to(1);
        let before = disk.steps().len();
        store.write_files().unwrap();
        let (mut files, mut folders, mut whole) = (0, 0, 0);
        for step in &disk.steps()[before..] {
            match step {
                Step::Sync { .. } => files += 1,
                Step::SyncFolder { .. } => folders += 1,
                Step::SyncFilesystem { .. } => whole += 1,
                _ => {}
            }
        }
        let fanout = contents.iter().map(|content| fanout_folder(&digest(content)));
        let fanout = fanout.collect::<std::collections::BTreeSet<_>>().len();
        let is_whole = disk.syncs_filesystem(Path::new("blobs"));
        assert_eq!((files, folders, whole), if is_whole { (0, 0, 1) } else { (40, fanout, 0) });
        let left = after_a_cut(disk);
        assert!(contents.iter().all(|content| left.is_intact(&digest(content), 10)));
    });
}

#[test]
fn whatever_fails_while_files_are_written_the_next_try_makes_them_durable() {
    for_every_disk(|disk, store| {
        for at in 0..60 {
            for kind in [FaultKind::Io, FaultKind::NoSpace, FaultKind::ShortWrite, FaultKind::WriteBack] {
                let contents =
                    [b"one", b"two"].map(|name| [&name[..], format!("{at}{kind:?}").as_bytes()].concat());
                let known = contents.each_ref().map(|content| enter(store, content, 1));
                store.unfiled().durable_up_to(1);
                disk.set_fault(Some(Fault { kind, at, sticky: false }));
                let failed = store.write_files();
                disk.set_fault(None);
                assert_eq!(failed.is_err(), store.unfiled().bytes() > 0, "{failed:?}");
                assert!(known.iter().all(|digest| store.length(digest).unwrap().is_some()));
                if failed.is_err() {
                    store.write_files().or_else(|_| store.write_files()).unwrap();
                }
                let left = after_a_cut(disk);
                let lengths = contents.each_ref().map(|content| content.len() as u64);
                assert!(
                    known.iter().zip(lengths).all(|(digest, length)| left.is_intact(digest, length)),
                    "{at}"
                );
                assert_eq!(left.uploads().unwrap(), []);
            }
        }
    });
}

#[test]
fn content_that_is_removed_and_comes_back_while_its_file_is_written_stays_without_one() {
    let disk = SimulatedDisk::new(Medium::new());
    let store = LocalStore::open_or_create(Arc::new(disk.clone())).unwrap();
    let content = enter(&store, b"content", 1);
    store.unfiled().durable_up_to(1);
    let again = Arc::clone(&store);
    disk.before_sync(Some(Arc::new(move |path: &Path| {
        if path == Path::new("blobs") {
            again.remove(&content).unwrap();
            enter(&again, b"content", 2);
        }
    })));
    // The folder that is made syncs another path.
    store.write_files().unwrap();
    disk.before_sync(None);
    assert_eq!(store.unfiled().bytes(), 7, "what was written may be gone");
    assert_eq!(store.unfiled().filed_up_to(), 1);
    assert_eq!(store.length(&content).unwrap(), Some(7));
}

#[test]
fn a_file_gets_no_name_once_its_content_was_removed() {
    let disk = SimulatedDisk::new(Medium::new().without_links());
    let store = LocalStore::open_or_create(Arc::new(disk.clone())).unwrap();
    let content = enter(&store, b"content", 1);
    store.unfiled().durable_up_to(1);
    // The folders are there, so the first sync is that of the file.
    store.put("put", content, b"content").unwrap();
    store.remove(&content).unwrap();
    enter(&store, b"content", 1);
    let again = Arc::clone(&store);
    disk.before_sync(Some(Arc::new(move |path: &Path| {
        if path.starts_with("uploads") {
            again.remove(&content).unwrap();
        }
    })));
    store.write_files().unwrap();
    disk.before_sync(None);
    assert!(store.open(&content).unwrap().is_none() && store.uploads().unwrap().is_empty());
    assert!(!disk.medium().has_file(blob_path(&content).to_str().unwrap()));
}

#[test]
fn content_is_carried_while_it_is_short_and_there_is_room() {
    for_every_disk(|_, store| {
        let unfiled = store.unfiled();
        let bytes: Arc<[u8]> = vec![7; CARRIED_MAX_BYTES].into();
        let mut carried = Vec::new();
        while let Some(blob) = unfiled.carry(digest(&bytes), &bytes) {
            carried.push(blob);
            assert!(carried.len() < 1000, "there is no limit");
        }
        assert!(carried.len() > 100);
        carried.pop();
        assert!(unfiled.carry(digest(&bytes), &bytes).is_some());
        drop(carried);
        let long: Arc<[u8]> = vec![7; CARRIED_MAX_BYTES + 1].into();
        assert!(unfiled.carry(digest(&long), &long).is_none());
        let mut number = 0_u64;
        while unfiled.carry(digest(&bytes), &bytes).is_some() {
            number += 1;
            enter(store, &[&number.to_be_bytes()[..], &bytes[8..]].concat(), number);
            assert!(number < 1000, "there is no limit");
        }
        unfiled.durable_up_to(number);
        store.write_files().unwrap();
        assert!(unfiled.carry(digest(&bytes), &bytes).is_some());
        unfiled.carry_up_to(0);
        assert!(unfiled.carry(digest(b""), &b""[..].into()).is_none());
    });
}

#[test]
fn a_short_upload_has_a_file_only_when_it_must() {
    for_every_disk(|disk, store| {
        let has_file = |name: &str| disk.medium().has_file(&format!("uploads/{name}"));
        let mut upload = store.begin("short", Algorithm::Sha256);
        upload.append(b"con", 3).unwrap();
        upload.mark();
        upload.append(b"xyz", 0).unwrap();
        upload.rewind();
        upload.append(b"tent", 0).unwrap();
        assert!(!has_file("short") && !upload.is_open());
        assert_eq!(upload.short().as_deref(), Some(&b"content"[..]));
        upload.check_digest(digest(b"content")).unwrap();
        upload.check_digest(ContentDigest::of(Algorithm::Sha512, b"content")).unwrap();
        upload.check_digest(digest(b"other")).unwrap_err();
        assert_eq!(upload.read_back().unwrap(), b"content");
        upload.discard();
        assert!(!has_file("short"));

        for (name, more) in [("durable", 0), ("long", CARRIED_MAX_BYTES), ("said", 0)] {
            let mut upload = store.begin(name, Algorithm::Sha256);
            let coming = if name == "said" { 9000 } else { 0 };
            upload.append(b"content", coming).unwrap();
            assert_eq!(has_file(name), name == "said");
            let all = [&b"content"[..], &vec![7; more]].concat();
            match name {
                "durable" => assert!(upload.make_durable(1).unwrap()),
                "long" => upload.append(&vec![7; more], 0).unwrap(),
                _ => {}
            }
            assert!(has_file(name) && upload.short().is_none());
            upload.publish(digest(&all)).unwrap();
            assert_eq!(store.read_whole(&digest(&all)).unwrap().unwrap(), all);
        }
    });
}

#[test]
fn what_a_crash_leaves_of_files_that_were_written_is_removed_and_is_no_upload() {
    let disk = SimulatedDisk::new(Medium::new());
    let store = LocalStore::open_or_create(Arc::new(disk.clone())).unwrap();
    let path = format!("uploads/sha256-{}.unfiled", digest(b"content").encoded());
    disk.create(Path::new(&path)).unwrap();
    assert_eq!(store.uploads().unwrap(), []);
    LocalStore::open_or_create(Arc::new(disk.clone())).unwrap();
    assert!(!disk.medium().has_file(&path));
}
