//! Manifests served from their files: read once to verify them, and again after the file has changed.

use std::fs;
use std::path::Path;
use std::time::Duration;

use smol::{Timer, block_on};

use super::{by_tag, image, push_blob, repo, tag};
use crate::blobs::blob_path;
use crate::registry::{ManifestBody, Registry, RegistryError, RegistryOptions, Storage};
use crate::spec::{ContentDigest, Reference};

/// More layers than the bytes of a cached manifest name.
const LAYERS: usize = 1_000;

/// A file is remembered only after two seconds without a change; no test takes this long.
const TRIES_MAX: usize = 600;

async fn get(registry: &Registry) -> Result<ManifestBody, RegistryError> {
    let (repo, reference) = (repo("app"), Reference::Tag(tag("large")));
    let info = registry.manifest_info(&repo, &reference).await?;
    Ok(registry.manifest_body(&repo, &reference, info).await?.1)
}

/// Gets the manifest, and returns how many bytes that read from the disk.
async fn bytes_read_by_get(registry: &Registry) -> u64 {
    let before = registry.inner.counters.snapshot().bytes_read;
    let body = get(registry).await.unwrap();
    assert!(matches!(body, ManifestBody::File(_)));
    registry.inner.counters.snapshot().bytes_read - before
}

async fn wait_until_known(registry: &Registry) {
    for _ in 0..TRIES_MAX {
        if bytes_read_by_get(registry).await == 0 {
            return;
        }
        Timer::after(Duration::from_millis(50)).await;
    }
    panic!("the manifest is read at every request");
}

fn path_of(folder: &Path, digest: &ContentDigest) -> std::path::PathBuf {
    folder.join(blob_path(digest))
}

#[test]
fn a_large_manifest_is_read_once_and_again_when_its_file_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(RegistryOptions::new(Storage::Folder(folder.path().to_owned()))).unwrap();
    block_on(async {
        let layer = push_blob(&registry, "app", b"layer").await;
        let manifest = image(&layer, &vec![layer.clone(); LAYERS]);
        let digest = registry.put_manifest(&repo("app"), by_tag("large", &manifest)).await.unwrap().digest;
        assert_eq!(bytes_read_by_get(&registry).await, manifest.len() as u64);
        wait_until_known(&registry).await;
        assert_eq!(bytes_read_by_get(&registry).await, 0);

        // Written again, with the same bytes and, as far as they can be set, the same times of the last
        // change.
        let path = path_of(folder.path(), &digest);
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, &manifest).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        assert_eq!(bytes_read_by_get(&registry).await, manifest.len() as u64);
        wait_until_known(&registry).await;

        let mut damaged = manifest.to_vec();
        damaged[100] ^= 1;
        fs::write(&path, &damaged).unwrap();
        assert!(matches!(get(&registry).await, Err(RegistryError::Internal(_))));

        // Another file under the same name.
        fs::remove_file(&path).unwrap();
        fs::write(&path, &manifest).unwrap();
        assert_eq!(bytes_read_by_get(&registry).await, manifest.len() as u64);
    });
}

/// A damaged filesystem may say any length: neither memory nor time is spent on it.
#[test]
fn a_file_that_says_it_is_longer_than_its_manifest_is_damaged() {
    for layers in [1, LAYERS] {
        let folder = tempfile::tempdir().unwrap();
        let open =
            || Registry::open(RegistryOptions::new(Storage::Folder(folder.path().to_owned()))).unwrap();
        let registry = open();
        let digest = block_on(async {
            let layer = push_blob(&registry, "app", b"layer").await;
            let manifest = image(&layer, &vec![layer.clone(); layers]);
            registry.put_manifest(&repo("app"), by_tag("large", &manifest)).await.unwrap().digest
        });
        block_on(registry.close()).unwrap();
        drop(registry);
        let file = fs::File::options().write(true).open(path_of(folder.path(), &digest)).unwrap();
        file.set_len(1 << 40).unwrap();
        let registry = open();
        let got = block_on(get(&registry));
        assert!(matches!(got, Err(RegistryError::Internal(_))), "{got:?}");
        let row = registry.view().manifest(&repo("app"), &digest).unwrap().unwrap();
        assert!(registry.read_manifest(digest, &row).is_none());
    }
}
