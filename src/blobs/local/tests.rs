//! What a store keeps through a power cut after a sync that failed.
//!
//! The disk reports a failed sync once. Its next sync of the folder succeeds, and writes no name that was
//! there before.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::LocalStore;
use crate::base::lock;
use crate::blobs::local::layout::{blob_path, fanout_folder};
use crate::blobs::local::synced_folder::SyncedFolder;
use crate::blobs::{BlobError, ContentStore, StoredFile, Verification};
use crate::disk::Disk;
use crate::disk::simulated::{Fault, FaultKind, Medium, Pick, SimulatedDisk, Step};
use crate::spec::{Algorithm, ContentDigest};

const NEXT: Fault = Fault { kind: FaultKind::Io, at: 0, sticky: false };

fn open(disk: &SimulatedDisk) -> Arc<dyn ContentStore> {
    let store = LocalStore::open_or_create(Arc::new(disk.clone())).unwrap();
    // As the metadata does, which is opened next.
    (disk as &dyn Disk).sync_folder(Path::new("")).unwrap();
    store
}

/// Makes the next sync of a folder fail.
fn fail_next_sync(disk: &SimulatedDisk, folder: &Path) {
    let (folder, inner, failed) = (folder.to_owned(), disk.clone(), AtomicBool::new(false));
    disk.before_sync(Some(Arc::new(move |path: &Path| {
        if path == folder && !failed.swap(true, Ordering::SeqCst) {
            inner.set_fault(Some(NEXT));
        }
    })));
}

/// Tells whether a file is there after a power cut that keeps nothing that is not durable.
fn is_durable(disk: &SimulatedDisk, path: &Path) -> bool {
    let medium = disk.medium();
    let choices = medium.choices();
    medium.after_power_cut(&choices, &vec![0; choices.len()]).has_file(path.to_str().unwrap())
}

/// Returns contents whose digests share a fanout folder.
fn in_one_folder<const N: usize>() -> [(Vec<u8>, ContentDigest); N] {
    let mut found = Vec::new();
    for number in 0_u32.. {
        let content = number.to_be_bytes().to_vec();
        let digest = ContentDigest::sha256_of(&content);
        if digest.encoded().starts_with("ab") {
            found.push((content, digest));
        }
        if found.len() == N {
            break;
        }
    }
    found.try_into().unwrap()
}

#[test]
fn one_sync_makes_sixteen_fanout_folders_durable() {
    let disk = SimulatedDisk::new(Medium::new());
    let store = open(&disk);
    let synced = Arc::new(AtomicU64::new(0));
    disk.before_sync(Some(Arc::new({
        let synced = Arc::clone(&synced);
        move |path: &Path| {
            synced.fetch_add(u64::from(path == Path::new("blobs/sha256")), Ordering::SeqCst);
        }
    })));
    for number in 0..300_u32 {
        let content = number.to_be_bytes();
        let digest = ContentDigest::sha256_of(&content);
        store.put("upload", digest, &content).unwrap();
        assert!(is_durable(&disk, &blob_path(&digest)), "{number}");
    }
    assert_eq!(synced.load(Ordering::SeqCst), 16);
}

#[test]
fn content_is_durable_although_the_sync_of_its_folders_name_failed_before() {
    for restarts in [false, true] {
        let disk = SimulatedDisk::new(Medium::new());
        let mut store = open(&disk);
        fail_next_sync(&disk, Path::new("blobs/sha256"));
        let [(content, digest)] = in_one_folder();
        let failed = store.put("one", digest, &content);
        assert!(matches!(failed, Err(BlobError::Folder(_))), "{failed:?}");
        if restarts {
            store = open(&disk);
        }
        store.put("two", digest, &content).unwrap();
        assert!(is_durable(&disk, &blob_path(&digest)), "restarts: {restarts}");
    }
}

/// The second push writes its name before the sync of the first one fails, and asks for its own sync after.
#[test]
fn no_push_relies_on_a_sync_after_the_failed_one_of_another_push_in_its_folder() {
    let disk = SimulatedDisk::new(Medium::new());
    let store = open(&disk);
    let [made, first, second] = in_one_folder();
    store.put("made", made.1, &made.0).unwrap();
    let folder = fanout_folder(&first.1);
    let first_ended = Arc::new(AtomicBool::new(false));
    let (syncs_begun, pushing) = (AtomicBool::new(false), Arc::new(Mutex::new(None)));
    disk.before_sync(Some(Arc::new({
        let (disk, store, second) = (disk.clone(), Arc::clone(&store), second.clone());
        let (first_ended, pushing) = (Arc::clone(&first_ended), Arc::clone(&pushing));
        move |path: &Path| {
            if path != folder {
                return;
            }
            if syncs_begun.swap(true, Ordering::SeqCst) {
                while !first_ended.load(Ordering::SeqCst) {
                    thread::yield_now();
                }
                return;
            }
            let (store, (content, digest)) = (Arc::clone(&store), second.clone());
            *lock(&pushing) = Some(thread::spawn(move || store.put("second", digest, &content)));
            while !disk.medium().has_file(blob_path(&digest).to_str().unwrap()) {
                thread::yield_now();
            }
            disk.set_fault(Some(NEXT));
        }
    })));
    let failed = store.put("first", first.1, &first.0);
    first_ended.store(true, Ordering::SeqCst);
    assert!(matches!(failed, Err(BlobError::Folder(_))), "{failed:?}");
    let pushed = lock(&pushing).take().unwrap().join().unwrap();
    let kept = is_durable(&disk, &blob_path(&second.1));
    assert!(kept || matches!(pushed, Err(BlobError::NameMayBeLost { .. })), "{pushed:?}");
    for (content, digest) in [first, second] {
        store.put("again", digest, &content).unwrap();
        assert!(is_durable(&disk, &blob_path(&digest)));
    }
}

#[test]
fn no_upload_relies_on_a_sync_after_the_failed_one_of_another_upload() {
    let disk = SimulatedDisk::new(Medium::new());
    let store = open(&disk);
    let begin = |name| {
        let mut upload = store.begin(name, Algorithm::Sha256);
        upload.append(b"content", 0).unwrap();
        upload
    };
    let [mut first, mut second] = ["first", "second"].map(begin);
    fail_next_sync(&disk, Path::new("uploads"));
    assert!(first.make_durable(1).is_err() && first.is_lost());
    assert!(second.make_durable(1).is_err() && second.is_lost());
    assert!(!is_durable(&disk, Path::new("uploads/second")));
    assert!(begin("third").make_durable(1).unwrap());
    assert!(is_durable(&disk, Path::new("uploads/third")));
    // It is published under another name, in another folder.
    let digest = ContentDigest::sha256_of(b"content");
    second.publish(digest).unwrap();
    assert!(is_durable(&disk, &blob_path(&digest)));
}

#[test]
fn a_sync_serves_every_name_that_was_there_when_it_began() {
    let simulated = SimulatedDisk::new(Medium::new());
    let disk: &dyn Disk = &simulated;
    disk.create_folder(Path::new("f")).unwrap();
    let folder = SyncedFolder::new("f".into());
    let create = |path: &str| folder.write(|| disk.create(Path::new(path))).unwrap().1;
    let syncs = || {
        let steps = simulated.steps();
        steps.iter().filter(|step| matches!(step, Step::SyncFolder { .. })).count()
    };
    let [one, two] = ["f/one", "f/two"].map(create);
    one.sync_folder(disk).unwrap();
    let three = create("f/three");
    two.sync_folder(disk).unwrap();
    assert_eq!(syncs(), 1);
    three.sync_folder(disk).unwrap();
    assert_eq!(syncs(), 2);
}

fn lengths(store: &dyn ContentStore) -> Vec<u64> {
    let mut lengths = Vec::new();
    store
        .each_file(|file| {
            let StoredFile::Content(_, length) = file else { panic!("{file:?}") };
            lengths.push(length);
            Ok::<_, BlobError>(())
        })
        .unwrap();
    lengths
}

fn steps_since(disk: &SimulatedDisk, begun: usize) -> Vec<String> {
    let steps = disk.steps().split_off(begun);
    steps.iter().map(|step| format!("{step:?}").split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn content_that_has_no_file_is_named_before_its_sync_and_replaces_one_only_after() {
    let disk = SimulatedDisk::new(Medium::new());
    let store = open(&disk);
    let [made, (content, digest)] = in_one_folder();
    store.put("made", made.1, &made.0).unwrap();
    for (name, steps) in [
        ("first", &["create", "write", "rename", "sync", "sync"][..]),
        ("again", &["create", "write", "sync", "rename", "sync"]),
    ] {
        let begun = disk.steps().len();
        store.put(name, digest, &content).unwrap();
        assert_eq!(steps_since(&disk, begun), steps, "{name}");
        assert!(is_durable(&disk, &blob_path(&digest)));
    }
}

/// A power cut may keep the name without the bytes: the file must be replaced, not believed.
#[test]
fn a_name_that_a_power_cut_left_without_its_bytes_is_replaced_by_the_next_push() {
    let disk = SimulatedDisk::new(Medium::new());
    let store = open(&disk);
    let [made, (content, digest)] = in_one_folder();
    store.put("made", made.1, &made.0).unwrap();
    let begun = disk.steps().len();
    store.put("cut off", digest, &content).unwrap();
    // The power fails between the rename and the sync of the file.
    let mut medium = Medium::new();
    disk.steps()[..begun + 3].iter().for_each(|step| medium.replay(step));
    let choices = medium.choices();
    let mut torn = 0;
    let states: usize = choices.iter().map(|choice| choice.outcomes() as usize).product();
    for state in 0..states {
        let mut rest = state;
        let picks: Vec<Pick> = choices
            .iter()
            .map(|choice| {
                let outcomes = choice.outcomes() as usize;
                let pick = rest % outcomes;
                rest /= outcomes;
                pick as Pick
            })
            .collect();
        let disk = SimulatedDisk::new(medium.after_power_cut(&choices, &picks));
        let store = open(&disk);
        torn += usize::from(lengths(store.as_ref()).contains(&0));
        store.put("again", digest, &content).unwrap();
        let left = disk.medium();
        let choices = left.choices();
        let kept = SimulatedDisk::new(left.after_power_cut(&choices, &vec![0; choices.len()]));
        assert_eq!(open(&kept).read_whole(&digest).unwrap().unwrap(), content, "{picks:?}");
    }
    assert!(torn > 0, "no state has the name alone");
}

#[test]
fn a_file_that_has_a_name_and_could_not_be_made_durable_is_never_adopted_and_holds_no_space() {
    let disk = SimulatedDisk::new(Medium::new());
    let store = open(&disk);
    let [made, (content, digest)] = in_one_folder();
    store.put("made", made.1, &made.0).unwrap();
    // Its file is created, written and renamed.
    disk.set_fault(Some(Fault { at: 3, ..NEXT }));
    let failed = store.put("first", digest, &content);
    assert!(matches!(failed, Err(BlobError::Disk(_))), "{failed:?}");
    disk.set_fault(None);
    assert!(disk.medium().has_file(blob_path(&digest).to_str().unwrap()));
    let mut all = lengths(store.as_ref());
    all.sort_unstable();
    assert_eq!(all, [0, 4]);
    assert_eq!(store.adopt("look", digest).unwrap(), Verification::Damaged);
    assert_eq!(store.uploads().unwrap(), []);
    store.put("again", digest, &content).unwrap();
    assert!(is_durable(&disk, &blob_path(&digest)));
    assert_eq!(store.read_whole(&digest).unwrap().unwrap(), content);
}
