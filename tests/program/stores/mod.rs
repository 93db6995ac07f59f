//! Frozen stores: data directories as each format of pulk left them, in `tests/stores/`.
//!
//! With the variable `PULK_FREEZE`, a test keeps the stores of this format there; `tests/stores/README.md`
//! says when.

mod contents;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pulk::{
    Algorithm, CollectOptions, Collector, CollectorOptions, Digest, Page, ReferrersPage, Registry,
    RegistryError, UploadId,
};
use smol::block_on;
use tempfile::TempDir;

use self::contents::{
    APP, Image, KEPT_BYTES, OTHER, SHA512_BLOB, UPLOAD, by_sha512, chunk, digest_by, first, index, open,
    referrers, second, tags,
};
use crate::common::{pulk, repo, sha256};

/// How a store was left: stopped, and with its server killed.
const VARIANTS: [&str; 2] = ["clean", "unclean"];

fn stores() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stores")
}

fn tar(arguments: &[&str], archive: &Path, folder: &Path) {
    let done = Command::new("tar").args(arguments).arg(archive).arg("-C").arg(folder).arg(".").status();
    assert!(done.unwrap().success(), "tar {arguments:?} {}", archive.display());
}

/// Returns a copy of a frozen store.
fn thawed(archive: &Path) -> TempDir {
    let folder = TempDir::new().unwrap();
    tar(&["-xzmf"], archive, folder.path());
    folder
}

/// Makes `clean.tar.gz`, `unclean.tar.gz` and `upload` of the format that this pulk writes.
fn make_stores(folder: &Path) {
    let store = TempDir::new().unwrap();
    let registry = open(store.path());
    let upload = first(&registry);
    block_on(registry.close()).unwrap();
    drop(registry);
    // A rebuild leaves a checkpoint of all rows, and continues in another journal file.
    let rebuilt = pulk(&["rebuild", "--from-content"], store.path());
    assert_eq!(rebuilt.code, 0, "{rebuilt:?}");
    let registry = open(store.path());
    second(&registry);
    fs::write(folder.join("upload"), format!("{upload}\n")).unwrap();
    // What is in the files while the server runs is what a kill leaves.
    tar(&["--exclude=./index", "-czf"], &folder.join("unclean.tar.gz"), store.path());
    block_on(registry.close()).unwrap();
    drop(registry);
    tar(&["-czf"], &folder.join("clean.tar.gz"), store.path());
}

fn format_of(data: &Path) -> u64 {
    let said: serde_json::Value = serde_json::from_slice(&fs::read(data.join("pulk.json")).unwrap()).unwrap();
    said["format"].as_u64().unwrap()
}

/// Every frozen store is opened, read, changed, stopped, opened again and collected.
#[test]
fn stores_of_every_format_open_with_all_that_they_have() {
    let mut found = 0;
    for entry in fs::read_dir(stores()).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap();
        // What follows the number says in what the stores differ from the others of their format.
        let number = name.strip_prefix("format-").and_then(|name| name.split('-').next());
        let Some(format) = number.map(|format| format.parse().unwrap()) else { continue };
        if folder.join("upload").exists() {
            opens(&folder, format);
            found += 1;
        }
    }
    assert!(found > 0);
}

#[test]
fn stores_of_this_format_are_made() {
    let folder = TempDir::new().unwrap();
    make_stores(folder.path());
    let format = format_of(thawed(&folder.path().join("clean.tar.gz")).path());
    opens(folder.path(), format);
    if std::env::var_os("PULK_FREEZE").is_some() {
        let kept = stores().join(format!("format-{format}"));
        fs::create_dir_all(&kept).unwrap();
        for entry in fs::read_dir(folder.path()).unwrap() {
            let made = entry.unwrap().path();
            fs::copy(&made, kept.join(made.file_name().unwrap())).unwrap();
        }
    }
}

/// Opens the stores of a format, as they were stopped and as their server was killed.
fn opens(folder: &Path, format: u64) {
    let upload: UploadId = fs::read_to_string(folder.join("upload")).unwrap().trim_end().parse().unwrap();
    for variant in VARIANTS {
        eprintln!("format {format}, {variant}");
        let store = thawed(&folder.join(format!("{variant}.tar.gz")));
        let data = store.path();
        assert_eq!(format_of(data), format);
        sound(data);
        assert_eq!(format_of(data), format, "a check changes nothing");

        let registry = open(data);
        has_all(&registry);
        finish_upload(&registry, upload);
        Image::new("four").push(&registry, APP, Some("v4"));
        block_on(registry.delete_tag(&repo(APP), &contents::tag("v4"))).unwrap();
        Image::new("three").push(&registry, APP, Some("v3"));
        block_on(registry.close()).unwrap();
        drop(registry);
        sound(data);

        let registry = open(data);
        has_all(&registry);
        collect(&registry);
        only_the_needed_is_left(&registry);
        drop(registry);
        sound(data);
    }
}

fn only_the_needed_is_left(registry: &Registry) {
    for (repo, tag, manifest) in tags() {
        assert_eq!(pulled(registry, &repo, tag).unwrap(), manifest);
    }
    for gone in ["untagged", "four"] {
        let gone = sha256(&Image::new(gone).manifest);
        let missing = pulled(registry, &repo(APP), gone.as_str()).unwrap_err();
        assert!(matches!(missing, RegistryError::ManifestUnknown(_)), "{missing}");
    }
}

fn sound(data: &Path) {
    let checked = pulk(&["check", "--deep"], data);
    assert_eq!(checked.code, 0, "{checked:?}");
}

fn collect(registry: &Registry) {
    let collector = Collector::new(registry, CollectorOptions::default());
    let options = CollectOptions {
        now: true,
        alone: true,
        unpaced: true,
        untagged_older_than: Some(Duration::ZERO),
        ..CollectOptions::default()
    };
    collector.run(&options, &mut |_| ()).unwrap();
}

fn pulled(registry: &Registry, name: &pulk::RepoName, reference: &str) -> Result<Vec<u8>, RegistryError> {
    let manifest = block_on(registry.manifest(name, &reference.parse().unwrap()))?;
    Ok(manifest.bytes.to_vec())
}

/// Asserts that a store has what its two lives left, byte for byte.
fn has_all(registry: &Registry) {
    let page = Page { last: None, limit: 100 };
    for name in [APP, OTHER] {
        let listed = block_on(registry.tags(&repo(name), &page)).unwrap().items;
        let listed: Vec<String> = listed.iter().map(ToString::to_string).collect();
        let expected: Vec<&str> =
            tags().iter().filter(|(repo, ..)| repo.as_str() == name).map(|(_, tag, _)| *tag).collect();
        assert_eq!(listed, expected);
    }
    for (repo, tag, manifest) in tags() {
        assert_eq!(pulled(registry, &repo, tag).unwrap(), manifest);
        assert_eq!(pulled(registry, &repo, sha256(&manifest).as_str()).unwrap(), manifest);
    }
    has_untagged(registry);
    has_blobs(registry);
    has_referrers(registry);
}

fn has_untagged(registry: &Registry) {
    let untagged = Image::new("untagged").manifest;
    assert_eq!(pulled(registry, &repo(APP), sha256(&untagged).as_str()).unwrap(), untagged);
    let (manifest, digest) = by_sha512();
    assert_eq!(pulled(registry, &repo(APP), digest.as_str()).unwrap(), manifest);
    let deleted = sha256(&Image::new("deleted").manifest);
    assert!(pulled(registry, &repo(APP), deleted.as_str()).is_err());
    assert_eq!(pulled(registry, &repo(APP), "all").unwrap(), index());
}

fn has_blobs(registry: &Registry) {
    for name in ["one", "two", "three", "untagged"] {
        let image = Image::new(name);
        for content in [&image.config, &image.layer] {
            has_blob(registry, APP, &sha256(content), content);
        }
    }
    has_blob(registry, APP, &digest_by(Algorithm::Sha512, SHA512_BLOB), SHA512_BLOB);
    let mounted = Image::new("one");
    has_blob(registry, OTHER, &sha256(&mounted.layer), &mounted.layer);
    let other = block_on(registry.blob_size(&repo(OTHER), &sha256(&mounted.config)));
    assert!(other.is_err(), "only the layer was mounted");
}

fn has_blob(registry: &Registry, name: &str, digest: &Digest, content: &[u8]) {
    let read = block_on(async {
        let blob = registry.open_blob(&repo(name), digest).await.unwrap();
        assert_eq!(blob.size(), content.len() as u64);
        let mut bytes = vec![0; content.len()];
        blob.with_file(move |file| {
            let length = file.read_at(&mut bytes, 0).unwrap();
            assert_eq!(length, bytes.len());
            bytes
        })
        .await
    });
    assert_eq!(read, content);
}

fn has_referrers(registry: &Registry) {
    let subject = sha256(&Image::new("one").manifest);
    let listed = block_on(registry.referrers(&repo(APP), &subject, &ReferrersPage::default())).unwrap();
    let mut expected = referrers().map(|manifest| sha256(&manifest).to_string());
    expected.sort();
    let digests: Vec<String> = listed.items.iter().map(|item| item.digest.to_string()).collect();
    assert_eq!(digests, expected);
    assert!(listed.items.iter().all(|item| item.artifact_type.as_deref() == Some("text/plain")));
}

/// Sends the rest of the unfinished upload.
fn finish_upload(registry: &Registry, upload: UploadId) {
    block_on(async {
        assert_eq!(registry.upload_offset(&repo(APP), upload).await.unwrap(), KEPT_BYTES as u64);
        registry
            .finish_upload(&repo(APP), upload, &sha256(&UPLOAD), chunk(&UPLOAD[KEPT_BYTES..]))
            .await
            .unwrap();
    });
    has_blob(registry, APP, &sha256(&UPLOAD), &UPLOAD);
}
