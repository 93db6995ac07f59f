//! Small content that rides in the journal's line, and gets its file later.

use std::path::PathBuf;

use rustix::io::Errno;
use smol::block_on;

use super::*;
use crate::blobs::{CARRIED_MAX_BYTES, blob_path};
use crate::disk::faulty::Operation;
use crate::spec::Reference;

fn carrying(disk: &Arc<dyn Disk>) -> Registry {
    open_on(Arc::clone(disk), |options| options.carried_max_bytes = CARRIED_MAX_BYTES)
}

fn unfiled(registry: &Registry) -> u64 {
    registry.content().unfiled().bytes()
}

fn file_of(digest: &Digest) -> PathBuf {
    blob_path(&digest.content().unwrap())
}

fn bytes_of(disk: &dyn Disk, digest: &Digest) -> Option<Vec<u8>> {
    let file = disk.open(&file_of(digest)).ok()?;
    let mut bytes = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
    Some(bytes)
}

/// Pushes a config, a layer that has a file from the beginning, and a manifest, and returns the digests of
/// config and manifest.
async fn push_image(registry: &Registry, name: &str) -> (Digest, Digest) {
    let config = push_blob(registry, name, b"{}").await;
    let layer = push_blob(registry, name, &[1; 64 * 1024]).await;
    let manifest = image(&config, &[layer]);
    let put = registry.put_manifest(&repo(name), by_tag("v1", &manifest)).await.unwrap();
    (config, put.digest.into())
}

async fn is_whole(registry: &Registry, name: &str, config: &Digest, manifest: &Digest) -> bool {
    let found = registry.manifest(&repo(name), &Reference::Tag(tag("v1"))).await.unwrap();
    found.digest == manifest.content().unwrap() && read_blob(registry, name, config).await.unwrap() == b"{}"
}

#[test]
fn an_image_takes_five_syncs_and_its_files_one_more_for_many_of_them() {
    block_on(async {
        let disk = with_fanout_folders();
        let registry = carrying(&disk);
        for (number, name) in ["one", "two"].into_iter().enumerate() {
            let before = registry.totals().syncs;
            let config = [b'c', number as u8];
            let config = push_blob(&registry, name, &config).await;
            let id = begin(&registry, name).await;
            let layer = vec![number as u8; 64 * 1024];
            registry.append(&repo(name), id, streamed(&layer[..])).await.unwrap();
            registry.finish_upload(&repo(name), id, &sha256(&layer), nothing()).await.unwrap();
            let manifest = image(&config, &[sha256(&layer)]);
            registry.put_manifest(&repo(name), by_tag("v1", &manifest)).await.unwrap();
            assert_eq!(registry.totals().syncs - before, 5, "{name}");
            assert!(bytes_of(disk.as_ref(), &config).is_none() && unfinished(&registry).is_empty());
        }
        let before = registry.totals().syncs;
        registry.content().write_files().unwrap();
        assert_eq!((registry.totals().syncs - before, unfiled(&registry)), (1, 0));
    });
}

#[test]
fn a_config_in_chunks_takes_the_sync_of_the_journal() {
    block_on(async {
        let registry = carrying(&with_fanout_folders());
        let before = registry.totals().syncs;
        let id = begin(&registry, "app").await;
        registry.append(&repo("app"), id, streamed(&b"con"[..])).await.unwrap();
        registry.append(&repo("app"), id, streamed(&b"fig"[..])).await.unwrap();
        registry.finish_upload(&repo("app"), id, &sha256(b"config"), nothing()).await.unwrap();
        assert_eq!(registry.totals().syncs - before, 1);
        assert_eq!(read_blob(&registry, "app", &sha256(b"config")).await.unwrap(), b"config");
    });
}

#[test]
fn what_only_the_journal_has_is_there_after_a_crash_and_has_files_after_a_stop() {
    block_on(async {
        let disk = with_fanout_folders();
        let registry = carrying(&disk);
        let (config, manifest) = push_image(&registry, "app").await;
        let left = crashed(disk.as_ref());
        drop(registry);

        // Killed several times: a recovery keeps it in the journal.
        let mut left = left;
        for _ in 0..3 {
            let registry = carrying(&left);
            assert!(unfiled(&registry) > 0 && bytes_of(left.as_ref(), &config).is_none());
            assert!(is_whole(&registry, "app", &config, &manifest).await);
            left = crashed(left.as_ref());
        }
        let registry = carrying(&left);
        registry.close().await.unwrap();
        assert_eq!(unfiled(&registry), 0);
        drop(registry);
        for digest in [&config, &manifest] {
            let bytes = bytes_of(left.as_ref(), digest).unwrap();
            assert_eq!(sha256(&bytes), *digest);
        }
        assert!(is_whole(&carrying(&left), "app", &config, &manifest).await);
    });
}

#[test]
fn a_torn_file_is_not_read_and_a_start_brings_its_content_back() {
    block_on(async {
        let disk = with_fanout_folders();
        let registry = carrying(&disk);
        let (config, manifest) = push_image(&registry, "app").await;
        let left = crashed(disk.as_ref());
        left.create(&file_of(&config)).unwrap().write_at(b"{", 0).unwrap();
        let registry = carrying(&left);
        assert!(is_whole(&registry, "app", &config, &manifest).await);
        let mut listed = 0;
        let seen: Result<(), crate::blobs::BlobError> = registry.content().each_file(|file| {
            let is_config = crate::blobs::StoredFile::Content(config.content().unwrap(), 2) == file;
            listed += usize::from(is_config);
            Ok(())
        });
        seen.unwrap();
        assert_eq!(listed, 1, "it is listed once, with the length of the content");
        registry.close().await.unwrap();
        assert_eq!(bytes_of(left.as_ref(), &config).unwrap(), b"{}");
    });
}

#[test]
fn files_that_could_not_be_made_durable_are_written_again() {
    for operation in [Operation::SyncFilesystem, Operation::Rename, Operation::Create, Operation::Write] {
        block_on(async {
            let disk = with_fanout_folders();
            let faulty = FaultyDisk::new(Arc::clone(&disk));
            let faults = faulty.faults();
            let registry = carrying(&(Arc::new(faulty) as Arc<dyn Disk>));
            let (config, manifest) = push_image(&registry, "app").await;
            let folder = if operation == Operation::Create || operation == Operation::Write {
                "uploads"
            } else {
                "blobs"
            };
            faults.fail(operation, folder, Errno::IO);
            registry.content().write_files().unwrap_err();
            assert!(unfiled(&registry) > 0 && registry.health().ready);
            assert!(is_whole(&registry, "app", &config, &manifest).await);
            let left = carrying(&crashed(disk.as_ref()));
            assert!(is_whole(&left, "app", &config, &manifest).await);
            let renamed = faults.count(Operation::Rename, "blobs");
            registry.content().write_files().unwrap();
            assert_eq!((faults.count(Operation::Rename, "blobs") - renamed, unfiled(&registry)), (2, 0));
            assert_eq!(unfinished(&registry), [""; 0]);
            assert!(is_whole(&registry, "app", &config, &manifest).await);
        });
    }
}

#[test]
fn a_push_whose_line_was_not_written_leaves_nothing() {
    block_on(async {
        let (disk, faults) = faulty();
        let registry = carrying(&disk);
        faults.fail(Operation::Write, "journal", Errno::NOSPC);
        let id = begin(&registry, "app").await;
        let refused = registry.finish_upload(&repo("app"), id, &sha256(b"config"), whole(b"config")).await;
        drop(refused);
        faults.fail(Operation::Write, "journal", Errno::NOSPC);
        let id = begin(&registry, "app").await;
        drop(registry.finish_upload(&repo("app"), id, &sha256(b"other"), whole(b"other")).await);
        let known = [&b"config"[..], b"other"].map(|content| sha256(content).content().unwrap());
        let there = known.iter().filter(|digest| registry.view().blob(digest).unwrap().is_some()).count();
        assert_eq!(unfiled(&registry) > 0, there > 0);
        push_blob(&registry, "app", b"config").await;
        assert_eq!(read_blob(&registry, "app", &sha256(b"config")).await.unwrap(), b"config");
    });
}

#[test]
fn a_failed_sync_of_the_journal_takes_its_content_along() {
    block_on(async {
        let faulty = FaultyDisk::new(with_fanout_folders());
        let faults = faulty.faults();
        let disk: Arc<dyn Disk> = Arc::new(faulty);
        let registry = carrying(&disk);
        push_blob(&registry, "app", b"before").await;
        faults.fail(Operation::Sync, "journal", Errno::IO);
        let id = begin(&registry, "app").await;
        let lost = registry.finish_upload(&repo("app"), id, &sha256(b"config"), whole(b"config")).await;
        assert!(lost.is_err());
        for _ in 0..10_000 {
            if registry.health().ready {
                break;
            }
            Timer::after(Duration::from_millis(1)).await;
        }
        push_blob(&registry, "app", b"after").await;
        assert_eq!(unfiled(&registry), ("before".len() + "after".len()) as u64);
        assert!(read_blob(&registry, "app", &sha256(b"config")).await.is_err());
        push_blob(&registry, "app", b"config").await;
        registry.content().write_files().unwrap();
        let left = carrying(&crashed(disk.as_ref()));
        for content in [&b"before"[..], b"after", b"config"] {
            assert_eq!(read_blob(&left, "app", &sha256(content)).await.unwrap(), content);
        }
    });
}

#[test]
fn a_row_that_comes_back_while_its_content_has_no_file_carries_it_again() {
    block_on(async {
        let disk = with_fanout_folders();
        let registry = carrying(&disk);
        let config = push_blob(&registry, "app", b"config").await;
        // As a sweep does it.
        let digest = config.content().unwrap();
        registry.command(crate::meta::Command::Condemn { digest }).await.unwrap();
        assert!(registry.view().blob(&config.content().unwrap()).unwrap().is_none());
        // As when there is no room: the push writes its own file. That of the first one may replace it.
        registry.content().unfiled().carry_up_to(0);
        push_blob(&registry, "app", b"config").await;
        let left = crashed(disk.as_ref());
        left.open_writable(&file_of(&config)).unwrap().truncate(1).unwrap();
        let registry = carrying(&left);
        assert_eq!(read_blob(&registry, "app", &config).await.unwrap(), b"config");
    });
}

#[test]
fn few_bytes_are_written_for_a_small_manifest_and_fewer_for_one_that_is_there() {
    const MANIFESTS: u64 = 32;
    // The journal's file grows by steps of a part of its length, so what a line takes of them is a mean.
    const ROUNDS: u64 = 8;
    block_on(async {
        let registry = carrying(&with_fanout_folders());
        let config = push_blob(&registry, "app", b"{}").await;
        let written = || registry.inner.counters.snapshot().bytes_written;
        let manifest = |number: u64| {
            let layers = vec![config.clone(); 4 + usize::try_from(number).unwrap()];
            image(&config, &layers)
        };
        for number in 0..MANIFESTS {
            registry
                .put_manifest(&repo("app"), by_tag(&format!("v{number}"), &manifest(number)))
                .await
                .unwrap();
        }
        registry.content().write_files().unwrap();
        let before = written();
        for number in (0..ROUNDS).flat_map(|_| 0..MANIFESTS) {
            registry.put_manifest(&repo("app"), by_tag("again", &manifest(number))).await.unwrap();
        }
        let retag = (written() - before) / (ROUNDS * MANIFESTS);
        eprintln!("{retag} bytes are written for a retag");
        assert!(retag <= 6 * 1024, "{retag} bytes for a retag");
        let before = written();
        registry.put_manifest(&repo("app"), by_tag("v1", &manifest(1))).await.unwrap();
        assert_eq!(written(), before, "an unchanged push writes nothing");
    });
}

#[test]
fn a_small_manifest_costs_few_bytes_with_its_file() {
    const MANIFESTS: u64 = 64;
    block_on(async {
        let registry = carrying(&with_fanout_folders());
        let config = push_blob(&registry, "app", b"{}").await;
        let before = registry.inner.counters.snapshot().bytes_written;
        for number in 0..MANIFESTS {
            let layers = vec![config.clone(); 10];
            let mut manifest = image(&config, &layers).to_vec();
            manifest.extend(vec![b' '; usize::try_from(number).unwrap()]);
            registry
                .put_manifest(&repo("app"), by_tag(&format!("v{number}"), &manifest.into()))
                .await
                .unwrap();
        }
        registry.content().write_files().unwrap();
        let each = (registry.inner.counters.snapshot().bytes_written - before) / MANIFESTS;
        eprintln!("{each} bytes are written for a small manifest with its tag and its file");
        assert!(each <= 16 * 1024, "{each}");
    });
}

#[test]
fn clients_that_push_images_at_once_take_no_more_syncs_than_one_after_the_other() {
    const CLIENTS: usize = 8;
    const IMAGES: usize = 10;
    let each = |carried: usize| {
        let folder = tempfile::tempdir().unwrap();
        let mut options = RegistryOptions::new(Storage::Folder(folder.path().into()));
        options.carried_max_bytes = carried;
        let registry = Registry::open(options).unwrap();
        // The folders are there.
        for number in 0_u32..1000 {
            let digest = ContentDigest::sha256_of(&number.to_le_bytes());
            std::fs::create_dir_all(folder.path().join(blob_path(&digest)).parent().unwrap()).unwrap();
            std::fs::write(folder.path().join(blob_path(&digest)), b"").unwrap();
        }
        let before = registry.totals().syncs;
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let registry = &registry;
                scope.spawn(move || {
                    for number in 0..IMAGES {
                        block_on(async {
                            let name = format!("app{client}");
                            let config = format!("{{\"image\":\"{client}-{number}\"}}");
                            let config = push_blob(registry, &name, config.as_bytes()).await;
                            let layer = vec![(client * IMAGES + number) as u8; 64 * 1024 + client];
                            let layer = push_blob(registry, &name, &layer).await;
                            let manifest = image(&config, &[layer]);
                            registry.put_manifest(&repo(&name), by_tag("v1", &manifest)).await.unwrap();
                        });
                    }
                });
            }
        });
        registry.content().write_files().unwrap();
        (registry.totals().syncs - before) as f64 / (CLIENTS * IMAGES) as f64
    };
    let (with_files, carried) = (each(0), each(CARRIED_MAX_BYTES));
    eprintln!("{CLIENTS} clients: {with_files} syncs for each image with files, {carried} in the journal");
    assert!(carried <= 6.0, "{carried}");
}
