//! Data directories: opened, closed, opened again.

use std::os::unix::fs::PermissionsExt;

use smol::block_on;

use super::*;
use crate::disk::{DirectoryLock, RealDisk};
use crate::meta::FORMAT;
use crate::registry::{Layout, OpenError};

fn options(folder: &tempfile::TempDir) -> RegistryOptions {
    RegistryOptions::new(Storage::Folder(folder.path().to_owned()))
}

#[test]
fn a_data_directory_is_one_registrys_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(options(&folder)).unwrap();
    let refused = Registry::open(options(&folder)).unwrap_err();
    assert!(matches!(refused, OpenError::Lock(_)), "{refused}");
    assert!(refused.to_string().contains(&std::process::id().to_string()), "{refused}");
    drop(registry);
    Registry::open(options(&folder)).unwrap();
}

/// A filesystem may take writes again between the lock and the start: others may share the lock by then.
#[test]
fn with_a_shared_lock_nothing_is_written_although_the_filesystem_would_take_it() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(options(&folder)).unwrap();
    let layer = block_on(push_blob(&registry, "app", b"layer"));
    block_on(registry.close()).unwrap();
    drop(registry);
    let names = || {
        let entries = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = entries.collect();
        names.sort();
        names
    };
    let before = names();
    let backing = || Backing {
        disk: Arc::new(RealDisk::open(folder.path()).unwrap()),
        lock: Some(DirectoryLock::shared(folder.path())),
        meta: MetaOptions::new(IndexKind::Sled(folder.path().to_owned())),
    };
    let one = Registry::open_on(options(&folder), backing()).unwrap();
    let other = Registry::open_on(options(&folder), backing()).unwrap();
    for registry in [&one, &other] {
        assert!(registry.is_read_only());
        block_on(registry.open_blob(&repo("app"), &layer)).unwrap();
    }
    drop((one, other));
    assert_eq!(names(), before);
    assert!(folder.path().join("clean").exists());
}

/// A program that embeds the registry may have any umask, and sled's files have the mode that it leaves.
#[test]
fn everything_in_a_data_directory_is_out_of_reach_of_other_users() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let registry = Registry::open(options(&folder)).unwrap();
        block_on(push_blob(&registry, "app", b"layer"));
    }
    let entries: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap).collect();
    assert!(entries.iter().any(|entry| entry.file_name() == "index"));
    for entry in entries {
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o} {}", entry.path().display());
    }
}

#[test]
fn a_registry_that_is_only_dropped_stops_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let registry = Registry::open(options(&folder)).unwrap();
        block_on(push_blob(&registry, "app", format!("layer {round}").as_bytes()));
        assert_eq!(registry.totals().blobs, round + 1);
        drop(registry);
        assert!(folder.path().join("clean").exists());
    }
    // One file, always appended to.
    assert_eq!(std::fs::read_dir(folder.path().join("journal")).unwrap().count(), 1);
}

#[test]
fn after_close_nothing_is_taken_and_a_second_close_does_nothing() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(options(&folder)).unwrap();
        let layer = push_blob(&registry, "app", b"layer").await;
        let id = begin(&registry, "app").await;
        registry.close().await.unwrap();
        registry.close().await.unwrap();
        for refused in [
            registry.begin_upload(&repo("app"), None).await.map(drop),
            registry.finish_upload(&repo("app"), id, &sha256(b"x"), whole(b"x")).await.map(drop),
            registry.put_manifest(&repo("app"), by_tag("latest", &image(&layer, &[]))).await.map(drop),
            registry.delete_blob(&repo("app"), &layer).await,
            registry.blob_size(&repo("app"), &layer).await.map(drop),
        ] {
            assert!(matches!(refused, Err(RegistryError::Unavailable(_))), "{refused:?}");
        }
        drop(registry);
        let registry = Registry::open(options(&folder)).unwrap();
        assert_eq!(read_blob(&registry, "app", &layer).await.unwrap(), b"layer");
        registry.blob_size(&repo("app"), &sha256(b"x")).await.unwrap_err();
    });
}

#[test]
fn an_older_format_is_raised_in_place_and_one_too_old_refused() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let instance = "9b2c6f0e-0a5b-4a53-9a3f-2f1f0c1d2e3a";
    let path = Path::new("pulk.json");
    let file = disk.create(path).unwrap();
    file.write_at(format!("{{\"format\":0,\"instance\":\"{instance}\"}}").as_bytes(), 0).unwrap();
    disk.create_folder(Path::new("journal")).unwrap();
    disk.create(Path::new("journal/000000000001.log")).unwrap();
    let refused = crate::registry::examine(&disk).unwrap_err();
    assert!(matches!(refused, OpenError::Older { found: 0, known: 1 }), "{refused}");

    let instance = instance.parse().unwrap();
    crate::registry::settle(
        disk.as_ref(),
        &Layout::Older { format: 1, instance, features: vec!["f".to_owned()] },
    )
    .unwrap();
    let mut bytes = [0; 200];
    let length = disk.open(path).unwrap().read_at(&mut bytes, 0).unwrap();
    let written: serde_json::Value = serde_json::from_slice(&bytes[..length]).unwrap();
    assert_eq!(written["format"], FORMAT);
    assert_eq!(written["instance"], instance.to_string());
    assert_eq!(written["pulk"], env!("CARGO_PKG_VERSION"));
    // What the store uses is still named, and no version knows it.
    assert_eq!(written["features"], serde_json::json!(["f"]));
    let refused = crate::registry::examine(&disk).unwrap_err();
    assert!(matches!(&refused, OpenError::Feature { feature, .. } if feature == "f"), "{refused}");
}

#[test]
fn a_directory_of_a_newer_version_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pulk.json"), r#"{"format":99,"other":[]}"#).unwrap();
    let refused = Registry::open(options(&folder)).unwrap_err();
    assert!(matches!(refused, OpenError::Newer { found: 99, known: FORMAT, by: None }), "{refused}");
    std::fs::write(folder.path().join("pulk.json"), "garbage").unwrap();
    let refused = Registry::open(options(&folder)).unwrap_err();
    assert!(matches!(refused, OpenError::Format(_)), "{refused}");
    assert!(!folder.path().join("blobs").exists() && !folder.path().join("journal").exists());
}
