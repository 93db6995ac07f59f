//! Pushes on a failing disk: only durable content is acknowledged.

use std::path::PathBuf;

use rustix::io::Errno;
use smol::block_on;

use super::*;
use crate::blobs::blob_path;
use crate::disk::faulty::Operation;
use crate::disk::simulated::{Fault, FaultKind, Medium, SimulatedDisk};
use crate::meta::{Policies, Policy};
use crate::spec::Reference;

fn uploads_file(id: UploadId) -> String {
    format!("uploads/{id}")
}

/// Shows that the repository does not have the blob, now and after a crash.
async fn check_absent(registry: &Registry, disk: &dyn Disk, digest: &Digest) {
    registry.blob_size(&repo("app"), digest).await.unwrap_err();
    let reopened = open_on(crashed(disk), |_| {});
    reopened.blob_size(&repo("app"), digest).await.unwrap_err();
}

#[test]
fn a_blob_is_written_synced_renamed_and_its_folder_synced_before_the_journal_names_it() {
    block_on(async {
        let (registry, faults, _) = on_faulty();
        let id = begin(&registry, "app").await;
        let begun = faults.done().len();
        let digest = sha256(b"layer");
        registry.finish_upload(&repo("app"), id, &digest, streamed(&b"layer"[..])).await.unwrap();
        let path = blob_path(&digest.content().unwrap());
        let folder = path.parent().unwrap().display().to_string();
        let done: Vec<_> = faults.done().split_off(begun);
        // The journal's file is known by the name it was created with.
        let named = |path: &Path| match path.starts_with("journal") {
            true => "journal".to_owned(),
            false => path.to_str().unwrap().to_owned(),
        };
        let done: Vec<_> = done.iter().map(|(operation, path)| (*operation, named(path))).collect();
        let place = format!("{folder}/{}", digest.encoded());
        let expected = [
            (Operation::Create, uploads_file(id)),
            (Operation::Write, uploads_file(id)),
            // It is not empty, so its name is durable.
            (Operation::RemoveFolder, folder.clone()),
            (Operation::Sync, uploads_file(id)),
            (Operation::Rename, place),
            (Operation::SyncFolder, folder),
            (Operation::Write, "journal".to_owned()),
            (Operation::Sync, "journal".to_owned()),
        ];
        assert_eq!(done, expected);
    });
}

#[test]
fn a_folder_of_content_is_durable_before_anything_is_named_in_it() {
    block_on(async {
        let (disk, faults) = faulty();
        let registry = open_on(disk, |_| {});
        let id = begin(&registry, "app").await;
        let digest = sha256(b"layer");
        let folder = blob_path(&digest.content().unwrap()).parent().unwrap().to_owned();
        faults.fail(Operation::SyncFolder, "blobs/sha256", Errno::IO);
        let put = registry.finish_upload(&repo("app"), id, &digest, whole(b"layer")).await;
        assert!(matches!(put, Err(RegistryError::Unavailable(_))), "{put:?}");
        let done = faults.done();
        assert!(done.contains(&(Operation::CreateFolder, folder)));
        let renamed = |(operation, path): &(Operation, PathBuf)| {
            *operation == Operation::Rename && path.starts_with("blobs")
        };
        assert!(!done.iter().any(renamed), "something is renamed into it");
    });
}

#[test]
fn an_upload_whose_sync_failed_is_never_acknowledged() {
    block_on(async {
        let (registry, faults, disk) = on_faulty();
        let id = begin(&registry, "app").await;
        let digest = sha256(b"layer");
        faults.fail(Operation::Sync, "uploads", Errno::IO);
        registry.finish_upload(&repo("app"), id, &digest, whole(b"layer")).await.unwrap_err();
        check_absent(&registry, disk.as_ref(), &digest).await;
        // The next sync of the same file would succeed, whatever the medium holds.
        registry.finish_upload(&repo("app"), id, &digest, nothing()).await.unwrap_err();
        check_absent(&registry, disk.as_ref(), &digest).await;
        // Bytes that are written again can be trusted.
        push_blob(&registry, "app", b"layer").await;
        assert_eq!(read_blob(&registry, "app", &digest).await.unwrap(), b"layer");
    });
}

#[test]
fn an_upload_that_could_not_be_made_durable_midway_is_never_acknowledged() {
    block_on(async {
        let (registry, faults, disk) = on_faulty();
        let id = begin(&registry, "app").await;
        let content = vec![5; usize::try_from(DURABLE_STEP_BYTES).unwrap() + 7];
        faults.fail(Operation::Sync, "uploads", Errno::IO);
        registry.append(&repo("app"), id, streamed(&content[..])).await.unwrap_err();
        let offset = registry.upload_offset(&repo("app"), id).await.unwrap_or(0);
        let rest = &content[usize::try_from(offset).unwrap()..];
        registry.finish_upload(&repo("app"), id, &sha256(&content), streamed(rest)).await.unwrap_err();
        check_absent(&registry, disk.as_ref(), &sha256(&content)).await;
    });
}

#[test]
fn a_blob_that_could_not_be_renamed_is_not_named() {
    block_on(async {
        let (registry, faults, disk) = on_faulty();
        let id = begin(&registry, "app").await;
        let digest = sha256(b"layer");
        faults.fail(Operation::Rename, "blobs", Errno::IO);
        registry.finish_upload(&repo("app"), id, &digest, whole(b"layer")).await.unwrap_err();
        check_absent(&registry, disk.as_ref(), &digest).await;
        push_blob(&registry, "app", b"layer").await;
    });
}

/// The next sync of the same folder would succeed, whichever names the medium holds.
#[test]
fn after_a_failed_sync_of_a_folder_nothing_more_is_written_until_the_next_start() {
    block_on(async {
        for errno in [Errno::IO, Errno::NOSPC] {
            let (registry, faults, disk) = on_faulty();
            let other = push_blob(&registry, "app", b"other").await;
            let id = begin(&registry, "app").await;
            let digest = sha256(b"layer");
            faults.fail(Operation::SyncFolder, "blobs", errno);
            let failed = registry.finish_upload(&repo("app"), id, &digest, whole(b"layer")).await;
            assert!(matches!(failed, Err(RegistryError::Unavailable(_))), "{failed:?}");
            check_absent(&registry, disk.as_ref(), &digest).await;
            let refused = registry.begin_upload(&repo("app"), None).await;
            assert!(matches!(refused, Err(RegistryError::Unavailable(_))), "{refused:?}");
            let health = registry.health();
            assert!(!health.ready && health.reasons[0].contains("folder"), "{health:?}");
            assert_eq!(read_blob(&registry, "app", &other).await.unwrap(), b"other");
            registry.close().await.unwrap_err();
            push_blob(&open_on(crashed(disk.as_ref()), |_| {}), "app", b"layer").await;
        }
    });
}

/// No sync was attempted, so no report of a failure is lost: the folder's next sync reports everything.
#[test]
fn a_folder_that_could_not_be_opened_for_want_of_descriptors_fails_one_push_and_no_other() {
    block_on(async {
        let (registry, faults, disk) = on_faulty();
        let id = begin(&registry, "app").await;
        let digest = sha256(b"layer");
        faults.fail(Operation::SyncFolder, "blobs", Errno::MFILE);
        let failed = registry.finish_upload(&repo("app"), id, &digest, whole(b"layer")).await;
        assert!(matches!(failed, Err(RegistryError::Internal(_))), "{failed:?}");
        check_absent(&registry, disk.as_ref(), &digest).await;
        assert!(registry.health().ready);
        push_blob(&registry, "app", b"layer").await;
        assert_eq!(read_blob(&registry, "app", &digest).await.unwrap(), b"layer");
    });
}

#[test]
fn a_manifest_that_could_not_be_stored_changes_no_tag_and_leaves_no_file() {
    block_on(async {
        for (operation, path) in [
            (Operation::Create, "uploads"),
            (Operation::Write, "uploads"),
            (Operation::Sync, "uploads"),
            (Operation::Rename, "blobs"),
            (Operation::Write, "journal"),
        ] {
            let (registry, faults, disk) = on_faulty();
            let layer = push_blob(&registry, "app", b"layer").await;
            let (old, new) = (image(&layer, &[]), image(&layer, std::slice::from_ref(&layer)));
            registry.put_manifest(&repo("app"), by_tag("latest", &old)).await.unwrap();
            faults.fail(operation, path, Errno::NOSPC);
            let failed = registry.put_manifest(&repo("app"), by_tag("latest", &new)).await;
            assert!(matches!(failed, Err(RegistryError::NoSpace)), "{operation:?} {path}: {failed:?}");
            assert_eq!(unfinished(&registry), [""; 0]);
            for registry in [&registry, &open_on(crashed(disk.as_ref()), |_| {})] {
                let latest = registry.manifest(&repo("app"), &Reference::Tag(tag("latest"))).await.unwrap();
                assert_eq!(latest.bytes, old);
            }
            registry.put_manifest(&repo("app"), by_tag("latest", &new)).await.unwrap();
        }
    });
}

#[test]
fn an_upload_that_found_no_space_goes_on_when_there_is_some() {
    block_on(async {
        let (registry, faults, _) = on_faulty();
        let id = begin(&registry, "app").await;
        registry.append(&repo("app"), id, whole(b"abc")).await.unwrap();
        // Only a body of more than one piece gets reserved space.
        for (reserves, length) in [(true, 300_000), (false, 6)] {
            if reserves {
                faults.fail(Operation::Reserve, "uploads", Errno::NOSPC);
            } else {
                faults.cut_write_short("uploads", 2, Errno::NOSPC);
            }
            let failed = registry.append(&repo("app"), id, whole(&vec![b'd'; length])).await;
            assert!(matches!(failed, Err(RegistryError::NoSpace)), "{failed:?}");
            assert_eq!(registry.upload_offset(&repo("app"), id).await.unwrap(), 3);
        }
        let digest = sha256(b"abcxy");
        registry.finish_upload(&repo("app"), id, &digest, whole(b"xy")).await.unwrap();
        assert_eq!(read_blob(&registry, "app", &digest).await.unwrap(), b"abcxy");
    });
}

#[test]
fn what_a_failed_write_left_in_the_file_is_no_part_of_the_content() {
    block_on(async {
        for truncate_fails in [false, true] {
            let (registry, faults, disk) = on_faulty();
            let digest = push_blob(&registry, "other", b"abc").await;
            let id = begin(&registry, "app").await;
            registry.append(&repo("app"), id, streamed(&b"abc"[..])).await.unwrap();
            faults.cut_write_short("uploads", 4, Errno::NOSPC);
            if truncate_fails {
                faults.fail(Operation::Truncate, "uploads", Errno::IO);
            }
            registry.append(&repo("app"), id, streamed(&b"dddddd"[..])).await.unwrap_err();
            assert_eq!(registry.upload_offset(&repo("app"), id).await.unwrap(), 3);
            let length = |path: String| disk.open(Path::new(&path)).unwrap().length().unwrap();
            assert_eq!(length(uploads_file(id)), if truncate_fails { 7 } else { 3 });
            registry.finish_upload(&repo("app"), id, &digest, nothing()).await.unwrap();
            assert_eq!(length(blob_path(&digest.content().unwrap()).display().to_string()), 3);
        }
    });
}

#[test]
fn an_upload_that_brought_its_content_in_vain_is_not_counted_for_ever() {
    block_on(async {
        let (registry, faults, disk) = on_faulty();
        let id = begin(&registry, "app").await;
        assert_eq!(registry.totals().uploads, 1);
        faults.fail(Operation::Write, "journal", Errno::NOSPC);
        let failed = registry.finish_upload(&repo("app"), id, &sha256(b"x"), whole(b"x")).await;
        assert!(matches!(failed, Err(RegistryError::NoSpace)), "{failed:?}");
        for registry in [&registry, &open_on(crashed(disk.as_ref()), |_| {})] {
            assert_eq!(registry.inner.sessions.all(|_| true).len(), 0);
            assert_eq!(registry.totals().uploads, 0);
        }
        push_blob(&registry, "app", b"x").await;
    });
}

#[test]
fn after_a_failed_sync_of_the_journal_reads_go_on_writes_do_not_and_health_says_why() {
    block_on(async {
        let (registry, faults, _) = on_faulty();
        let layer = push_blob(&registry, "app", b"layer").await;
        let manifest = image(&layer, &[]);
        registry.put_manifest(&repo("app"), by_tag("latest", &manifest)).await.unwrap();
        assert!(registry.health().ready);
        faults.fail(Operation::Sync, "journal", Errno::IO);
        let failed = registry.delete_tag(&repo("app"), &tag("latest")).await;
        assert!(matches!(failed, Err(RegistryError::Unavailable(_))), "{failed:?}");
        let health = registry.health();
        assert!(!health.ready);
        assert_eq!(health.reasons.len(), 1);
        assert!(health.reasons[0].contains("synced"), "{health:?}");
        assert!(registry.gave_up().is_some_and(|why| why.contains("synced")), "a server stops then");
        // Commands without an effect are refused, too.
        for failed in [
            registry.put_manifest(&repo("app"), by_tag("latest", &manifest)).await.map(drop),
            registry.begin_upload(&repo("app"), None).await.map(drop),
            registry.mount(&repo("app"), &layer, None).await.map(drop),
        ] {
            assert!(matches!(failed, Err(RegistryError::Unavailable(_))), "{failed:?}");
        }
        assert_eq!(read_blob(&registry, "app", &layer).await.unwrap(), b"layer");
        registry.close().await.unwrap_err();
    });
}

#[test]
fn after_a_failed_sync_writes_resume_and_uploads_in_progress_continue() {
    block_on(async {
        for folder in [false, true] {
            let (registry, faults, disk) = on_faulty_with(OnSyncFailure::Reopen);
            let layer = push_blob(&registry, "app", b"layer").await;
            let manifest = image(&layer, &[]);
            registry.put_manifest(&repo("app"), by_tag("latest", &manifest)).await.unwrap();
            let id = begin(&registry, "app").await;
            registry.append(&repo("app"), id, whole(b"ab")).await.unwrap();
            let pull = registry.open_blob(&repo("app"), &layer).await.unwrap();
            let (operation, path) =
                if folder { (Operation::SyncFolder, "blobs") } else { (Operation::Sync, "journal") };
            faults.fail(operation, path, Errno::IO);
            let next = by_tag("next", &image(&layer, std::slice::from_ref(&layer)));
            let failed = registry.put_manifest(&repo("app"), next.clone()).await;
            assert!(matches!(failed, Err(RegistryError::Unavailable(_))), "{failed:?}");
            assert_eq!(pull.with_file(|file| file.length().unwrap()).await, 5);
            for _ in 0..10_000 {
                // The writer learns of a folder's failure after the client.
                if registry.totals().reopened == 1 && registry.health().ready {
                    break;
                }
                Timer::after(Duration::from_millis(1)).await;
            }
            assert_eq!(registry.totals().reopened, 1);
            let digest = sha256(b"abc");
            registry.finish_upload(&repo("app"), id, &digest, whole(b"c")).await.unwrap();
            registry.put_manifest(&repo("app"), next).await.unwrap();
            for registry in [&registry, &open_on(crashed(disk.as_ref()), |_| {})] {
                let all = crate::registry::Page { last: None, limit: 10 };
                let tags = registry.tags(&repo("app"), &all).await.unwrap().items;
                assert_eq!(tags, [tag("latest"), tag("next")]);
                assert_eq!(read_blob(registry, "app", &digest).await.unwrap(), b"abc");
            }
            registry.close().await.unwrap();
        }
    });
}

/// Counts the files of content.
fn stored(registry: &Registry) -> usize {
    let mut count = 0;
    let looked = registry.inner.blobs.each_file(|_| {
        count += 1;
        Ok::<_, RegistryError>(())
    });
    looked.unwrap();
    count
}

#[test]
fn a_push_that_is_refused_after_a_failed_sync_stores_nothing() {
    block_on(async {
        let (registry, faults, _) = on_faulty();
        let layer = push_blob(&registry, "app", b"layer").await;
        let other = push_blob(&registry, "app", b"other").await;
        let id = begin(&registry, "app").await;
        registry.append(&repo("app"), id, whole(b"ab")).await.unwrap();
        faults.fail(Operation::Sync, "journal", Errno::IO);
        registry.delete_blob(&repo("app"), &other).await.unwrap_err();
        assert!(!registry.health().ready);
        let (files, creations) = (stored(&registry), faults.count(Operation::Create, "uploads"));
        for number in 0..3 {
            let digests = vec![layer.clone(); number + 1];
            let manifest = image(&layer, &digests);
            let put = registry.put_manifest(&repo("app"), by_tag("latest", &manifest)).await;
            assert!(matches!(put, Err(RegistryError::Unavailable(_))), "{put:?}");
        }
        let digest = sha256(b"abc");
        let finished = registry.finish_upload(&repo("app"), id, &digest, whole(b"c")).await;
        assert!(matches!(finished, Err(RegistryError::Unavailable(_))), "{finished:?}");
        let appended = registry.append(&repo("app"), id, streamed(&b"c"[..])).await;
        assert!(matches!(appended, Err(RegistryError::Unavailable(_))), "{appended:?}");
        assert_eq!(stored(&registry), files);
        assert_eq!(faults.count(Operation::Create, "uploads"), creations);
    });
}

#[test]
fn a_manifest_that_a_condition_or_an_immutable_tag_refuses_is_not_stored() {
    block_on(async {
        let disk = FaultyDisk::new(Arc::new(MemoryDisk::new()));
        let faults = disk.faults();
        let policy = Policy {
            repositories: vec!["app".parse().unwrap()],
            immutable: vec!["v*".parse().unwrap()],
            ..Policy::default()
        };
        let registry =
            open_on(Arc::new(disk), |options| options.policies = Policies::new(vec![policy.clone()]));
        let layer = push_blob(&registry, "app", b"layer").await;
        let (old, new) = (image(&layer, &[]), image(&layer, std::slice::from_ref(&layer)));
        registry.put_manifest(&repo("app"), by_tag("v1", &old)).await.unwrap();
        let creations = faults.count(Operation::Create, "uploads");
        let refused = registry.put_manifest(&repo("app"), by_tag("v1", &new)).await;
        assert!(matches!(refused, Err(RegistryError::Denied(_))), "{refused:?}");
        for condition in [Condition::Absent, Condition::Matches(vec![layer.clone()])] {
            let put = PutManifest { condition, ..by_tag("v1", &new) };
            let refused = registry.put_manifest(&repo("app"), put).await;
            assert!(matches!(refused, Err(RegistryError::ConditionFailed(_))), "{refused:?}");
        }
        assert_eq!(faults.count(Operation::Create, "uploads"), creations);
        registry.put_manifest(&repo("app"), by_tag("v1", &old)).await.unwrap();
        registry.put_manifest(&repo("app"), by_tag("v2", &new)).await.unwrap();
    });
}

#[test]
fn folders_that_an_earlier_start_could_not_sync_are_synced_by_the_next() {
    for path in ["blobs", ""] {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        // `pulk.json` exists already: the sync of its folder is not the one to fail.
        drop(open_on(Arc::clone(&disk), |_| {}));
        let next = FaultyDisk::new(disk);
        let faults = next.faults();
        drop(open_on(Arc::new(next), |_| {}));
        let done = faults.done();
        let synced =
            done.iter().any(|(operation, at)| *operation == Operation::SyncFolder && at == Path::new(path));
        assert!(synced, "{path:?} was never synced");
    }
}

#[test]
fn content_that_is_missing_or_damaged_is_reported_and_never_served() {
    block_on(async {
        let (registry, _, disk) = on_faulty();
        let layer = push_blob(&registry, "app", b"layer").await;
        let manifest = image(&layer, &[]);
        let digest = registry.put_manifest(&repo("app"), by_tag("latest", &manifest)).await.unwrap().digest;
        let place = |digest: &Digest| blob_path(&digest.content().unwrap());
        let disk = crashed(disk.as_ref());
        let file = disk.open_writable(Path::new(&place(&digest.into()))).unwrap();
        file.write_at(b"X", 3).unwrap();
        disk.remove(Path::new(&place(&layer))).unwrap();
        let registry = open_on(disk, |_| {});
        let failed = registry.manifest(&repo("app"), &Reference::Tag(tag("latest"))).await;
        assert!(matches!(failed, Err(RegistryError::Internal(_))), "{failed:?}");
        let failed = registry.open_blob(&repo("app"), &layer).await.map(drop);
        assert!(matches!(failed, Err(RegistryError::Internal(_))), "{failed:?}");
        // A retry of the push heals it.
        push_blob(&registry, "app", b"layer").await;
        registry.put_manifest(&repo("app"), by_tag("latest", &manifest)).await.unwrap();
        assert_eq!(read_blob(&registry, "app", &layer).await.unwrap(), b"layer");
        let latest = registry.manifest(&repo("app"), &Reference::Tag(tag("latest"))).await.unwrap();
        assert_eq!(latest.bytes, manifest);
    });
}

/// The system reports a failed write to the handles that are open then, and forgets it with the file.
#[test]
fn bytes_that_the_system_fails_to_write_between_two_requests_become_no_content() {
    block_on(async {
        let disk = SimulatedDisk::new(Medium::new());
        let registry = open_on(Arc::new(disk.clone()), |_| {});
        let id = begin(&registry, "app").await;
        registry.append(&repo("app"), id, whole(&[7; 10_000])).await.unwrap();
        disk.set_fault(Some(Fault { kind: FaultKind::WriteBack, at: 0, sticky: false }));
        disk.list(Path::new("")).unwrap();
        disk.set_fault(None);
        let digest = sha256(&[7; 10_000]);
        let finished = registry.finish_upload(&repo("app"), id, &digest, nothing()).await;
        assert!(matches!(finished, Err(RegistryError::Internal(_))), "{finished:?}");
        read_blob(&registry, "app", &digest).await.unwrap_err();
    });
}
