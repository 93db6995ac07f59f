//! What every store of content does. Each test runs on each of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{BlobError, ContentStore, LocalStore, Quarantined, ResumePoint, StoredFile, Verification};
use crate::blobs::blob_path;
use crate::disk::simulated::{Medium, SimulatedDisk};
use crate::disk::{Disk, MemoryDisk, RealDisk};
use crate::spec::{Algorithm, ContentDigest};

/// A store under test, and what reaches around it.
struct Fixture {
    store: Arc<dyn ContentStore>,
    disk: Arc<dyn Disk>,
}

impl Fixture {
    fn local(disk: Arc<dyn Disk>) -> Self {
        Self { store: LocalStore::open_or_create(Arc::clone(&disk)).unwrap(), disk }
    }

    /// The store after a restart.
    fn reopened(&self) -> Arc<dyn ContentStore> {
        LocalStore::open_or_create(Arc::clone(&self.disk)).unwrap()
    }

    /// Changes a byte of content.
    fn damage(&self, digest: &ContentDigest) {
        self.disk.open_writable(&blob_path(digest)).unwrap().write_at(b"X", 0).unwrap();
    }

    /// Cuts an unfinished upload to its first byte.
    fn cut_upload(&self, name: &str) {
        self.disk.open_writable(&PathBuf::from("uploads").join(name)).unwrap().truncate(1).unwrap();
    }

    fn put(&self, content: &[u8]) -> ContentDigest {
        let digest = digest(content);
        self.store.put("put", digest, content).unwrap();
        digest
    }

    fn read(&self, digest: &ContentDigest) -> Option<Vec<u8>> {
        self.store.read_whole(digest).unwrap()
    }

    /// The names of the unfinished uploads.
    fn uploads(&self) -> Vec<String> {
        self.store.uploads().unwrap().into_iter().map(|upload| upload.name).collect()
    }

    fn list(&self) -> Vec<StoredFile> {
        let mut found = Vec::new();
        let visited: Result<(), BlobError> = self.store.each_file(|file| {
            found.push(file);
            Ok(())
        });
        visited.unwrap();
        found
    }
}

/// Runs a test on each store.
fn for_every_store(test: impl Fn(&Fixture)) {
    test(&Fixture::local(Arc::new(MemoryDisk::new())));
    test(&Fixture::local(Arc::new(SimulatedDisk::new(Medium::new()))));
    test(&Fixture::local(Arc::new(SimulatedDisk::new(Medium::new().without_links()))));
    let folder = tempfile::tempdir().unwrap();
    test(&Fixture::local(Arc::new(RealDisk::open(folder.path()).unwrap())));
}

fn digest(content: &[u8]) -> ContentDigest {
    ContentDigest::sha256_of(content)
}

/// More than a store reads or writes at once.
fn long() -> Vec<u8> {
    (0..700_000_u32).map(|number| (number % 251) as u8).collect()
}

fn durable_at(offset: u64) -> ResumePoint<'static> {
    ResumePoint { algorithm: Algorithm::Sha256, offset, hash_state: None }
}

#[test]
fn an_empty_store_is_small_and_content_makes_its_folders() {
    let disk = Arc::new(MemoryDisk::new());
    let folders = |path: &str| disk.list(Path::new(path)).unwrap().len();
    let fixture = Fixture::local(Arc::clone(&disk) as Arc<dyn Disk>);
    assert_eq!((folders("blobs"), folders("blobs/sha256")), (3, 0));
    let mut seen = BTreeSet::new();
    for number in 0..5 {
        let digest = fixture.put(format!("content {number}").as_bytes());
        seen.insert(digest.encoded()[..1].to_owned());
    }
    assert_eq!(folders("blobs/sha256"), 16 * seen.len());
    // A later run finds them.
    let again = Fixture::local(Arc::clone(&disk) as Arc<dyn Disk>);
    again.put(b"content 0");
    assert_eq!((folders("blobs/sha256"), again.list().len()), (16 * seen.len(), 5));
}

#[test]
fn an_upload_becomes_content_with_the_bytes_that_were_appended() {
    for_every_store(|fixture| {
        let content = long();
        let mut upload = fixture.store.begin("one", Algorithm::Sha256);
        let mut left = content.len() as u64;
        for piece in content.chunks(300_000) {
            upload.append(piece, left).unwrap();
            left -= piece.len() as u64;
        }
        assert_eq!(upload.offset(), content.len() as u64);
        assert_eq!(upload.read_back().unwrap(), content);
        assert_eq!(fixture.uploads(), ["one"]);
        let blob = upload.publish(digest(&content)).unwrap();
        assert_eq!((blob.digest(), blob.size()), (digest(&content), content.len() as u64));
        assert_eq!(fixture.read(&blob.digest()).unwrap(), content);
        assert_eq!(fixture.uploads(), [""; 0]);
    });
}

#[test]
fn an_upload_without_a_byte_becomes_empty_content() {
    for_every_store(|fixture| {
        let mut upload = fixture.store.begin("one", Algorithm::Sha256);
        assert_eq!(fixture.uploads(), [""; 0], "nothing is written before the first byte");
        assert_eq!(upload.publish(digest(b"")).unwrap().size(), 0);
        assert_eq!(fixture.read(&digest(b"")).unwrap(), b"");
    });
}

#[test]
fn an_upload_of_another_digest_is_not_published() {
    for_every_store(|fixture| {
        let mut upload = fixture.store.begin("one", Algorithm::Sha256);
        upload.append(b"content", 0).unwrap();
        let error = upload.publish(digest(b"other")).unwrap_err();
        assert!(matches!(error, BlobError::Mismatch { .. }), "{error}");
        assert!(fixture.read(&digest(b"other")).is_none() && fixture.read(&digest(b"content")).is_none());
    });
}

#[test]
fn an_upload_is_published_under_another_algorithm_than_was_announced() {
    for_every_store(|fixture| {
        let mut upload = fixture.store.begin("one", Algorithm::Sha256);
        upload.append(b"content", 0).unwrap();
        let digest = ContentDigest::of(Algorithm::Sha512, b"content");
        upload.publish(digest).unwrap();
        assert_eq!(fixture.read(&digest).unwrap(), b"content");
    });
}

#[test]
fn an_upload_is_resumed_at_its_last_durable_block() {
    for_every_store(|fixture| {
        for saves_state in [true, false] {
            for lengths in [[5000, 0], [4096, 0], [4000, 96], [1, 4094], [4095, 5000]] {
                let content: Vec<u8> = (0..20_000_u32).map(|number| (number % 251) as u8).collect();
                let mut upload = fixture.store.begin("one", Algorithm::Sha256);
                let durable = lengths.iter().sum::<usize>();
                upload.append(&content[..lengths[0]], 0).unwrap();
                upload.append(&content[lengths[0]..durable], 0).unwrap();
                assert!(upload.make_durable(1).unwrap() && !upload.make_durable(1).unwrap());
                let (offset, state) = upload.resume_point();
                assert_eq!(offset, durable as u64 / 4096 * 4096, "a later write harms no block before it");
                upload.append(b"lost", 0).unwrap();
                drop(upload);
                let (store, state) = (fixture.reopened(), state.filter(|_| saves_state));
                let point = ResumePoint { hash_state: state.as_deref(), ..durable_at(offset) };
                let mut upload = store.resume("one", point).unwrap();
                let left = &content[..usize::try_from(offset).unwrap()];
                assert_eq!((upload.offset(), &*upload.read_back().unwrap()), (offset, left));
                upload.append(&content[left.len()..], 0).unwrap();
                upload.publish(digest(&content)).unwrap();
                assert_eq!(fixture.read(&digest(&content)).unwrap(), content);
            }
        }
    });
}

/// The disk after a power cut that loses what was not durable: names that were removed are back.
fn after_power_cut(disk: &SimulatedDisk) -> SimulatedDisk {
    let medium = disk.medium();
    let choices = medium.choices();
    SimulatedDisk::new(medium.after_power_cut(&choices, &vec![0; choices.len()]))
}

#[test]
fn an_upload_that_became_content_before_a_power_cut_is_resumed_and_the_content_stays_as_it_is() {
    for medium in [Medium::new(), Medium::new().without_links()] {
        let disk = SimulatedDisk::new(medium);
        let fixture = Fixture::local(Arc::new(disk.clone()));
        fixture.disk.sync_folder(Path::new("")).unwrap();
        let content = [7; 5000];
        let mut upload = fixture.store.begin("one", Algorithm::Sha256);
        upload.append(&content, 0).unwrap();
        upload.make_durable(1).unwrap();
        upload.publish(digest(&content)).unwrap();
        drop(upload);
        let fixture = Fixture::local(Arc::new(after_power_cut(&disk)));
        assert_eq!(fixture.uploads(), ["one"], "both names are there");
        let mut upload = fixture.store.resume("one", durable_at(4096)).unwrap();
        upload.append(b"other", 0).unwrap();
        assert_eq!(fixture.uploads(), ["one"]);
        assert_eq!(fixture.read(&digest(&content)).unwrap(), content);
        let other = [&content[..4096], b"other"].concat();
        assert_eq!(upload.read_back().unwrap(), other);
        upload.publish(digest(&other)).unwrap();
        assert_eq!(fixture.read(&digest(&other)).unwrap(), other);
        assert_eq!(fixture.read(&digest(&content)).unwrap(), content);
    }
}

#[test]
fn an_upload_that_lost_durable_bytes_is_not_resumed() {
    for_every_store(|fixture| {
        let mut upload = fixture.store.begin("one", Algorithm::Sha256);
        upload.append(b"content", 0).unwrap();
        upload.make_durable(1).unwrap();
        drop(upload);
        fixture.cut_upload("one");
        let error = fixture.store.resume("one", durable_at(7)).unwrap_err();
        assert!(matches!(error, BlobError::UploadDamaged { length: 1, offset: 7 }), "{error}");
    });
}

#[test]
fn an_upload_of_which_nothing_is_durable_is_resumed_empty() {
    for_every_store(|fixture| {
        let mut upload = fixture.store.begin("one", Algorithm::Sha256);
        upload.append(b"content", 0).unwrap();
        drop(upload);
        assert_eq!(fixture.store.resume("one", durable_at(0)).unwrap().offset(), 0);
        assert_eq!(fixture.uploads(), [""; 0]);
    });
}

#[test]
fn an_upload_that_is_paused_or_rewound_takes_bytes_again() {
    for_every_store(|fixture| {
        let mut upload = fixture.store.begin("one", Algorithm::Sha256);
        upload.mark();
        upload.append(b"wrong", 0).unwrap();
        upload.rewind();
        upload.release_reserved().unwrap();
        assert_eq!((upload.offset(), fixture.store.uploads().unwrap()[0].length), (0, 0));
        upload.append(b"con", 0).unwrap();
        upload.pause();
        upload.append(b"tent", 0).unwrap();
        upload.pause();
        upload.publish(digest(b"content")).unwrap();
        assert_eq!(fixture.read(&digest(b"content")).unwrap(), b"content");
    });
}

#[test]
fn an_upload_goes_back_to_its_mark_and_is_resumed_no_later_than_there() {
    for_every_store(|fixture| {
        let content: Vec<u8> = (0..20_000_u32).map(|at| (at / 7) as u8).collect();
        for marked in [0, 1, 4096, 5000] {
            let name = marked.to_string();
            let mut upload = fixture.store.begin(&name, Algorithm::Sha256);
            upload.append(&content[..marked], 0).unwrap();
            let before = upload.resume_point();
            upload.mark();
            upload.append(&[0; 9000], 0).unwrap();
            // A mark stays where it is.
            upload.mark();
            assert!(upload.make_durable(1).unwrap());
            assert_eq!(upload.resume_point(), before);
            upload.append(&[1; 9000], 0).unwrap();
            upload.rewind();
            assert_eq!((upload.offset(), upload.resume_point()), (marked as u64, before));
            upload.append(&content[marked..10_000], 0).unwrap();
            assert!(upload.make_durable(1).unwrap());
            assert!(upload.resume_point().0 > marked as u64);
            upload.rewind();
            assert_eq!(upload.offset(), 10_000, "there is no mark any more");
            upload.append(&content[10_000..], 0).unwrap();
            let blob = upload.publish(digest(&content)).unwrap();
            assert_eq!(blob.size(), content.len() as u64);
            assert_eq!(fixture.read(&digest(&content)).unwrap(), content);
        }
    });
}

#[test]
fn reserved_space_that_was_not_used_is_returned() {
    for_every_store(|fixture| {
        let mut upload = fixture.store.begin("one", Algorithm::Sha256);
        let coming = 600_000;
        assert_eq!(upload.space_for(5, coming), coming);
        upload.append(b"bytes", coming).unwrap();
        assert_eq!(upload.space_for(5, coming - 5), 0, "it is reserved already");
        upload.release_reserved().unwrap();
        assert_eq!(upload.space_for(5, 0), 5);
        assert_eq!(fixture.store.uploads().unwrap()[0].length, 5);
        assert_eq!(upload.publish(digest(b"bytes")).unwrap().size(), 5);
    });
}

#[test]
fn a_removed_upload_is_gone_and_removing_it_again_does_nothing() {
    for_every_store(|fixture| {
        for name in ["b", "a"] {
            fixture.store.begin(name, Algorithm::Sha256).append(b"content", 0).unwrap();
        }
        assert_eq!(fixture.uploads(), ["a", "b"]);
        fixture.store.remove_upload("a");
        fixture.store.remove_upload("a");
        assert_eq!(fixture.uploads(), ["b"]);
    });
}

#[test]
fn content_is_put_from_memory_any_number_of_times() {
    for_every_store(|fixture| {
        let digest = fixture.put(b"content");
        assert_eq!(fixture.put(b"content"), digest);
        assert_eq!(fixture.store.length(&digest).unwrap(), Some(7));
        assert_eq!(fixture.read(&digest).unwrap(), b"content");
        assert_eq!(fixture.uploads(), [""; 0]);
    });
}

#[test]
fn an_open_file_stays_readable_after_its_content_was_removed() {
    for_every_store(|fixture| {
        let digest = fixture.put(b"content");
        let file = fixture.store.open(&digest).unwrap().unwrap();
        fixture.store.remove(&digest).unwrap();
        assert!(fixture.store.open(&digest).unwrap().is_none());
        let mut bytes = [0; 7];
        assert_eq!((file.read_at(&mut bytes, 0).unwrap(), &bytes), (7, b"content"));
        let again = fixture.store.remove(&digest).unwrap_err();
        assert!(matches!(again, BlobError::Disk(error) if error.is_not_found()));
    });
}

#[test]
fn content_that_is_damaged_twice_is_set_aside_twice() {
    for_every_store(|fixture| {
        let digest = digest(b"content");
        for _ in 0..2 {
            fixture.put(b"content");
            fixture.store.quarantine(&digest).unwrap();
            assert!(fixture.store.open(&digest).unwrap().is_none());
        }
        let name = format!("sha256-{}", digest.encoded());
        let kept = Quarantined { name: name.clone(), digest, length: 7 };
        let again = Quarantined { name: format!("{name}.1"), ..kept.clone() };
        assert_eq!(fixture.store.quarantined().unwrap(), [kept, again.clone()]);
        fixture.store.remove_quarantined(&name).unwrap();
        assert_eq!(fixture.store.quarantined().unwrap(), [again]);
        assert!(fixture.store.quarantine(&digest).is_err(), "there is nothing to set aside");
    });
}

#[test]
fn verifying_reads_every_byte() {
    for_every_store(|fixture| {
        let content = long();
        let digest = fixture.put(&content);
        let mut count = 0;
        let length = content.len() as u64;
        let verified = fixture.store.verify(&digest, &mut |read| count += read).unwrap();
        assert_eq!((verified, count), (Verification::Intact(length), length));
        assert_eq!(fixture.store.read_verified(&digest, length).unwrap(), Verification::Intact(content));
        fixture.damage(&digest);
        assert_eq!(fixture.store.verify(&digest, &mut |_| ()).unwrap(), Verification::Damaged);
        assert_eq!(fixture.store.read_verified(&digest, length).unwrap(), Verification::Damaged);
        fixture.store.remove(&digest).unwrap();
        assert_eq!(fixture.store.verify(&digest, &mut |_| ()).unwrap(), Verification::Missing);
        assert_eq!(fixture.store.read_verified(&digest, length).unwrap(), Verification::Missing);
    });
}

#[test]
fn content_is_verified_when_it_is_opened_unless_it_is_known() {
    for_every_store(|fixture| {
        let digest = fixture.put(b"content");
        let open = |known| fixture.store.open_verified(&digest, 7, |_| known).unwrap();
        assert!(matches!(open(false), Verification::Intact(_)));
        fixture.damage(&digest);
        assert!(matches!(open(false), Verification::Damaged));
        assert!(matches!(open(true), Verification::Intact(_)));
    });
}

#[test]
fn intact_content_is_adopted_and_damaged_content_is_not() {
    for_every_store(|fixture| {
        let content = long();
        let (good, bad, empty) = (fixture.put(&content), fixture.put(b"bad"), fixture.put(b""));
        fixture.damage(&bad);
        for (digest, size) in [(good, content.len() as u64), (empty, 0)] {
            let Verification::Intact(adopted) = fixture.store.adopt("a", digest).unwrap() else {
                panic!("it is intact")
            };
            assert_eq!((adopted.digest(), adopted.size()), (digest, size));
        }
        assert_eq!(fixture.read(&good).unwrap(), content);
        assert_eq!(fixture.store.adopt("b", bad).unwrap(), Verification::Damaged);
        assert_eq!(fixture.store.adopt("c", digest(b"none")).unwrap(), Verification::Missing);
        assert_eq!(fixture.uploads(), [""; 0]);
    });
}

#[test]
fn everything_in_the_place_for_content_is_listed_until_the_visitor_fails() {
    for_every_store(|fixture| {
        let mut digests: Vec<_> = [&b"one"[..], b"two", b"three"].map(|content| fixture.put(content)).into();
        digests.sort_by_key(ContentDigest::encoded);
        let sizes: Vec<_> = fixture.list();
        assert_eq!(sizes.len(), 3);
        for (file, digest) in sizes.iter().zip(&digests) {
            assert!(matches!(file, StoredFile::Content(found, length)
                if found == digest && Some(*length) == fixture.store.length(digest).unwrap()));
        }
        let mut seen = 0;
        let failed = fixture.store.each_file(|_| {
            seen += 1;
            Err(BlobError::UploadDamaged { length: 0, offset: 0 })
        });
        assert!(failed.is_err() && seen == 1);
    });
}

#[test]
fn a_file_that_lies_elsewhere_than_its_digest_says_is_foreign() {
    for_every_store(|fixture| {
        let digest = fixture.put(b"good");
        let wrong = format!("blobs/sha256/00/{}", "f".repeat(64));
        for folder in ["blobs/sha256/00", "blobs/sha512/ab"] {
            fixture.disk.create_folder(Path::new(folder)).unwrap();
        }
        for path in ["blobs/sha256/notes.txt", "blobs/sha512/ab/x", &wrong] {
            fixture.disk.create(&PathBuf::from(path)).unwrap();
        }
        let found = fixture.list();
        assert_eq!(found.len(), 4);
        assert!(found.contains(&StoredFile::Content(digest, 4)));
        assert!(found.contains(&StoredFile::Foreign(wrong)));
    });
}
