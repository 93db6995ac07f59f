//! Reads everything that a registry has, the way clients do.

use super::model::{Found, Model};
use crate::crash_tests::histories::client::{Key, Value, finish, push, put, repo, tag};
use crate::crash_tests::histories::content::{blob, blobs, manifest, manifests};
use crate::crash_tests::histories::history::Recording;
use crate::crash_tests::{REPOS, TAGS};
use crate::registry::{Page, ReferrersPage, Registry, RegistryError};
use crate::spec::{ContentDigest, Digest, Reference};

/// Reads and returns all content; fails on anything that is not as it was pushed.
pub(crate) async fn observe(registry: &Registry) -> Result<Found, String> {
    let mut found = Found::new();
    for name in REPOS {
        for one in blobs() {
            let there = read_blob(registry, name, one.digest, &one.bytes).await?;
            found.insert(Key::Blob(name, one.digest), there.then_some(one.digest));
        }
        for one in manifests() {
            let reference = Reference::Digest(one.digest.into());
            let there = read_manifest(registry, name, &reference).await?;
            found.insert(Key::Manifest(name, one.digest), there);
        }
        for named in TAGS {
            let there = read_manifest(registry, name, &Reference::Tag(tag(named))).await?;
            found.insert(Key::Tag(name, named), there);
        }
        check_lists(registry, name, &found).await?;
    }
    Ok(found)
}

async fn read_blob(
    registry: &Registry,
    name: &str,
    digest: ContentDigest,
    bytes: &[u8],
) -> Result<bool, String> {
    let reader = match registry.open_blob(&repo(name), &digest.into()).await {
        Ok(reader) => reader,
        Err(RegistryError::BlobUnknown(_) | RegistryError::NameUnknown(_)) => return Ok(false),
        Err(error) => return Err(format!("blob {digest} of {name} cannot be opened: {error}")),
    };
    // One byte more than expected, so that the end shows.
    let size = bytes.len() + 1;
    let read = reader.with_file(move |file| {
        let mut buffer = vec![0; size];
        let mut length = 0;
        loop {
            match file.read_at(&mut buffer[length..], length as u64)? {
                0 => {
                    buffer.truncate(length);
                    return Ok(buffer);
                }
                more => length += more,
            }
        }
    });
    let read = read.await.map_err(|error: crate::disk::DiskError| error.to_string())?;
    if reader.size() != bytes.len() as u64 || read != bytes {
        return Err(format!("blob {digest} of {name} is served with other bytes ({})", read.len()));
    }
    Ok(true)
}

async fn read_manifest(registry: &Registry, name: &str, reference: &Reference) -> Result<Value, String> {
    match registry.manifest(&repo(name), reference).await {
        Ok(content) => {
            let known = manifests().iter().find(|one| one.digest == content.digest);
            if known.is_some_and(|one| *one.bytes == *content.bytes && one.media_type == content.media_type) {
                return Ok(Some(content.digest));
            }
            Err(format!("manifest {reference:?} of {name} is served as something else"))
        }
        Err(
            RegistryError::ManifestUnknown(_) | RegistryError::TagUnknown(_) | RegistryError::NameUnknown(_),
        ) => Ok(None),
        Err(error) => Err(format!("manifest {reference:?} of {name} cannot be read: {error}")),
    }
}

/// Checks that the lists agree with what is found one by one.
async fn check_lists(registry: &Registry, name: &'static str, found: &Found) -> Result<(), String> {
    let page = Page { limit: 1000, last: None };
    let listed: Vec<String> = match registry.tags(&repo(name), &page).await {
        Ok(listing) => listing.items.iter().map(|tag| tag.as_str().to_owned()).collect(),
        Err(RegistryError::NameUnknown(_)) => Vec::new(),
        Err(error) => return Err(format!("the tags of {name} cannot be listed: {error}")),
    };
    let there = |key: &Key| found.get(key).copied().flatten().is_some();
    let expected: Vec<&str> = TAGS.iter().filter(|tag| there(&Key::Tag(name, tag))).copied().collect();
    if listed != expected {
        return Err(format!("{name} lists the tags {listed:?} and has {expected:?}"));
    }
    for subject in manifests() {
        let page = ReferrersPage::default();
        let listed = registry.referrers(&repo(name), &Digest::from(subject.digest), &page).await;
        let listed = listed.map_err(|error| format!("referrers of {name} cannot be listed: {error}"))?;
        let listed: Vec<ContentDigest> = listed.items.iter().map(|item| item.digest).collect();
        let referring = manifests().iter().filter(|one| one.subject == Some(subject.digest));
        let mut expected: Vec<ContentDigest> =
            referring.map(|one| one.digest).filter(|digest| there(&Key::Manifest(name, *digest))).collect();
        expected.sort();
        if listed != expected {
            return Err(format!("{name} lists the referrers {listed:?} and has {expected:?}"));
        }
    }
    Ok(())
}

/// Checks that every manifest has what it refers to, unless a client deleted that.
pub(crate) fn check_references(model: &Model<'_>, found: &Found) -> Result<(), String> {
    for (key, value) in found {
        let (Key::Manifest(name, digest), Some(_)) = (key, value) else { continue };
        let Some(one) = manifests().iter().find(|one| one.digest == *digest) else { continue };
        let blobs = one.blobs.iter().map(|blob| Key::Blob(name, *blob));
        let children = one.children.iter().map(|child| Key::Manifest(name, *child));
        for needed in blobs.chain(children) {
            if found.get(&needed) == Some(&None) && !model.may_be_deleted(&needed) {
                return Err(format!("{key:?} is there without {needed:?}"));
            }
        }
    }
    Ok(())
}

/// Checks that the registry accepts a push, to a repository that histories do not use.
pub(crate) async fn probe(registry: &Registry) -> Result<(), String> {
    let failed = |error: RegistryError| format!("a push after the crash fails: {error}");
    for number in [0, 1] {
        push(registry, "probe", &blob(number).bytes).await.map_err(failed)?;
    }
    put(registry, "probe", 0, &["v1"], false).await.map_err(failed)?;
    check_probe(registry).await
}

/// Checks that what the probe pushed is there.
pub(crate) async fn check_probe(registry: &Registry) -> Result<(), String> {
    let named = read_manifest(registry, "probe", &Reference::Tag(tag("v1"))).await?;
    let mut whole = named == Some(manifest(0).digest);
    for number in [0, 1] {
        whole &= read_blob(registry, "probe", blob(number).digest, &blob(number).bytes).await?;
    }
    if whole { Ok(()) } else { Err("what was pushed after the crash is not there".to_owned()) }
}

/// Checks that uploads stand at a possible offset, and that resuming them ends in the right content. Returns
/// the keys that this changes.
pub(crate) async fn resume(
    registry: &Registry,
    recording: &Recording,
    model: &Model<'_>,
) -> Result<Vec<Key>, String> {
    let mut changed = Vec::new();
    for (slot, upload) in recording.uploads.iter().enumerate() {
        let (Some((least, most)), Some(id)) = (model.upload(slot, upload), upload.id) else { continue };
        let stands = match registry.upload_offset(&repo(upload.repo), id).await {
            Ok(offset) => Some(offset),
            Err(RegistryError::UploadUnknown) => None,
            Err(error) => return Err(format!("upload {slot} cannot be asked for: {error}")),
        };
        if stands > most || stands < least {
            return Err(format!("upload {slot} stands at {stands:?}, not between {least:?} and {most:?}"));
        }
        if stands.is_some() {
            changed.push(Key::Blob(upload.repo, blob(upload.blob).digest));
            match finish(registry, upload).await {
                Ok(()) => {
                    let content = blob(upload.blob);
                    read_blob(registry, upload.repo, content.digest, &content.bytes).await?;
                }
                Err(error) => return Err(format!("upload {slot} cannot continue: {error}")),
            }
        }
    }
    Ok(changed)
}
