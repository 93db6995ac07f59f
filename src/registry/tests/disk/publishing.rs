//! Content on its way to its name, on a disk that fails: what is not durable is not named.

use std::path::PathBuf;

use rustix::io::Errno;
use smol::block_on;

use super::failures::until_reopened;
use super::*;
use crate::blobs::blob_path;
use crate::disk::faulty::Operation;
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
fn a_blob_is_written_named_synced_and_its_folder_synced_before_the_journal_names_it() {
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
            (Operation::RenameNew, place),
            (Operation::Sync, uploads_file(id)),
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
            [Operation::Rename, Operation::RenameNew].contains(operation) && path.starts_with("blobs")
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
        faults.fail(Operation::RenameNew, "blobs", Errno::IO);
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
            (Operation::RenameNew, "blobs"),
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
fn no_push_relies_on_bytes_that_another_push_stored_again_and_that_need_not_be_durable() {
    block_on(async {
        let (registry, faults, disk) = on_faulty_with(OnSyncFailure::Reopen);
        let digest = push_blob(&registry, "app", b"layer").await;
        disk.remove(&blob_path(&digest.content().unwrap())).unwrap();
        faults.fail(Operation::SyncFolder, "blobs/sha256", Errno::IO);
        let id = begin(&registry, "app").await;
        registry.finish_upload(&repo("app"), id, &digest, whole(b"layer")).await.unwrap_err();
        // A file has the name and the bytes now, and neither name nor file need be durable.
        until_reopened(&registry).await;
        let before = faults.done().len();
        push_blob(&registry, "app", b"layer").await;
        let done = faults.done().split_off(before);
        let synced = |(operation, _): &(Operation, PathBuf)| *operation == Operation::SyncFolder;
        assert!(done.iter().any(synced), "{done:?}");
    });
}
