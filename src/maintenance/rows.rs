//! Compares the rows of the metadata with the content and with each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::blobs::{BlobError, ContentStore};
use crate::maintenance::content::Content;
use crate::maintenance::finding::{CheckReport, Kind};
use crate::maintenance::progress::Progress;
use crate::meta::{Fact, ManifestRow, Tree, UploadId, UploadRow, View};
use crate::registry::{OpenError, UnreadableManifest, read_manifest};
use crate::spec::{ContentDigest, Descriptor, Manifest, RepoName};

/// Checks the rows of a store.
pub(super) struct Rows<'a> {
    view: View<'a>,
    blobs: &'a dyn ContentStore,
    content: &'a Content,
    report: &'a mut CheckReport,
    quarantined: BTreeSet<ContentDigest>,
    /// The lengths in bytes of the uploads' files, by their names.
    uploads: BTreeMap<String, u64>,
}

/// Returns what a folder holds: nothing, and a finding, where it cannot be listed.
fn listed<T>(
    listed: Result<Vec<T>, BlobError>,
    (kind, folder): (Kind, &str),
    report: &mut CheckReport,
) -> Result<Vec<T>, OpenError> {
    match listed.map_err(OpenError::from) {
        Err(error) if error.is_of_the_medium() => {
            report.find(kind, folder, format!("cannot be listed: {error}"));
            Ok(Vec::new())
        }
        listed => listed,
    }
}

impl<'a> Rows<'a> {
    pub(super) fn new(
        view: View<'a>,
        blobs: &'a dyn ContentStore,
        content: &'a Content,
        report: &'a mut CheckReport,
    ) -> Result<Self, OpenError> {
        let quarantined = listed(blobs.quarantined(), (Kind::Quarantined, "quarantine"), report)?;
        let quarantined = quarantined.into_iter().map(|file| file.digest).collect();
        let uploads = listed(blobs.uploads(), (Kind::Upload, "uploads"), report)?;
        let uploads = uploads.into_iter().map(|upload| (upload.name, upload.length)).collect();
        Ok(Self { view, blobs, content, report, quarantined, uploads })
    }

    /// Checks everything.
    pub(super) fn check(&mut self, progress: &mut dyn Progress) -> Result<(), OpenError> {
        for tree in Tree::ALL {
            let view = self.view;
            let mut done = 0;
            let mut failed = None;
            view.each_fact(tree, |fact| {
                done += 1;
                progress.at(&format!("checking {}", tree.name()), done, 0);
                if failed.is_none() {
                    failed = self.check_fact(fact).err();
                }
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
        }
        self.check_upload_files()
    }

    fn check_fact(&mut self, fact: Fact) -> Result<(), OpenError> {
        match fact {
            Fact::Repository { repo, .. } => self.check_repository(&repo),
            Fact::Manifest { repo, digest, row: Some(row) } => self.check_manifest(&repo, digest, &row),
            Fact::Tag { repo, tag, row: Some(row), .. } => {
                self.report.totals.tags += 1;
                if self.view.manifest(&repo, &row.digest)?.is_none() {
                    let what = format!("names {}, which is not a manifest of the repository", row.digest);
                    self.report.find(Kind::Tag, format_args!("{repo}:{tag}"), what);
                }
                Ok(())
            }
            Fact::Referrer { repo, subject, digest, .. } => {
                let row = self.view.manifest(&repo, &digest)?;
                if row.is_none_or(|row| row.subject.as_ref() != Some(&subject)) {
                    let what = format!("is listed as a referrer of {subject}, but is not one");
                    self.report.find(Kind::Referrer, format_args!("{repo}@{digest}"), what);
                }
                Ok(())
            }
            Fact::Link { repo, digest, row: Some(row) } => {
                self.report.totals.links += 1;
                self.check_known(&repo)?;
                self.check_named(format_args!("{digest} in {repo}"), digest, row.size)
            }
            Fact::Blob { digest, row: Some(row), .. } => {
                match self.content.length(&digest) {
                    None => self.report.find(Kind::ContentMissing, digest, "has no file in blobs/"),
                    Some(length) if length != row.size => {
                        let what = format!("has {length} bytes instead of {}", row.size);
                        self.report.find(Kind::ContentLength, digest, what);
                    }
                    Some(_) => {}
                }
                Ok(())
            }
            Fact::Upload { id, row: Some(row) } => self.check_upload(id, &row),
            // Removed rows.
            Fact::Manifest { .. }
            | Fact::Tag { .. }
            | Fact::Link { .. }
            | Fact::Blob { .. }
            | Fact::Upload { .. }
            | Fact::Bin { .. } => Ok(()),
            // What became of a tag rests on nothing else.
            Fact::History { .. } => Ok(()),
        }
    }

    fn check_repository(&mut self, repo: &RepoName) -> Result<(), OpenError> {
        self.report.totals.repositories += 1;
        if !self.view.has_anything(repo)? {
            self.report.find(Kind::Repository, repo, "has neither a manifest nor a blob");
        }
        Ok(())
    }

    fn check_known(&mut self, repo: &RepoName) -> Result<(), OpenError> {
        if self.view.repository(repo)?.is_none()
            && !self
                .report
                .findings
                .iter()
                .any(|known| known.kind == Kind::Repository && known.place == repo.as_str())
        {
            self.report.find(Kind::Repository, repo, "has content, but no row as a repository");
        }
        Ok(())
    }

    /// Checks that the store has a row for content of a repository, with the same length.
    fn check_named(
        &mut self,
        place: std::fmt::Arguments<'_>,
        digest: ContentDigest,
        size: u64,
    ) -> Result<(), OpenError> {
        match self.view.blob(&digest)? {
            None if self.quarantined.contains(&digest) => {
                let what =
                    "is damaged and was moved to quarantine/; a push of it, to any repository, heals it";
                self.report.find(Kind::Quarantined, place, what);
            }
            None => {
                let what =
                    "was damaged or missing, and is out of use; a push of it, to any repository, heals it";
                self.report.find(Kind::ContentUnknown, place, what);
            }
            Some(row) if row.size != size => {
                let what = format!("should have {size} bytes, the store says {}", row.size);
                self.report.find(Kind::ContentLength, place, what);
            }
            // Its file is checked once, by the row of the content.
            Some(_) => {}
        }
        Ok(())
    }

    fn check_manifest(
        &mut self,
        repo: &RepoName,
        digest: ContentDigest,
        row: &ManifestRow,
    ) -> Result<(), OpenError> {
        self.report.totals.manifests += 1;
        self.check_known(repo)?;
        let place = format_args!("{repo}@{digest}");
        self.check_named(place, digest, row.size)?;
        if let Some(subject) = &row.subject
            && !self.view.has_referrer(repo, subject, &digest)?
        {
            let what = format!("is not listed as a referrer of {subject}");
            self.report.find(Kind::Referrer, place, what);
        }
        if self.content.length(&digest) != Some(row.size) {
            return Ok(());
        }
        match read_manifest(self.blobs, &digest, row) {
            Ok(manifest) => self.check_references(repo, place, &manifest),
            Err(UnreadableManifest::Damaged | UnreadableManifest::Missing) => {
                self.report.find(Kind::ContentDigest, digest, "has bytes that do not match its digest");
                Ok(())
            }
            Err(UnreadableManifest::Store(error)) => Err(error.into()),
            Err(UnreadableManifest::Malformed(error)) => {
                self.report.find(Kind::Manifest, place, format!("cannot be read: {error}"));
                Ok(())
            }
        }
    }

    fn check_references(
        &mut self,
        repo: &RepoName,
        place: std::fmt::Arguments<'_>,
        manifest: &Manifest,
    ) -> Result<(), OpenError> {
        let view = self.view;
        let has_blob = |blob: &Descriptor| match blob.digest.content() {
            Some(digest) => view.link(repo, &digest).map(|row| row.is_some()),
            None => Ok(false),
        };
        for blob in manifest.blobs() {
            if !has_blob(blob)? {
                let what = format!("needs {}, which the repository does not have", blob.digest);
                self.report.find(Kind::Reference, place, what);
            }
        }
        for child in manifest.children() {
            let is_manifest = match child.digest.content() {
                Some(digest) => view.manifest(repo, &digest)?.is_some(),
                None => false,
            };
            if !is_manifest && !has_blob(child)? {
                let what = format!("lists {}, which the repository does not have", child.digest);
                self.report.note(Kind::SparseIndex, place, what);
            }
        }
        Ok(())
    }

    fn check_upload(&mut self, id: UploadId, row: &UploadRow) -> Result<(), OpenError> {
        self.report.totals.uploads += 1;
        if row.offset == 0 {
            return Ok(());
        }
        let what = match self.uploads.get(&id.to_string()).copied() {
            None => "has no file in uploads/; the next start abandons it".to_owned(),
            Some(length) if length < row.offset => {
                format!("has {length} bytes in its file, but {} were durable", row.offset)
            }
            Some(_) => return Ok(()),
        };
        self.report.find(Kind::Upload, id, what);
        Ok(())
    }

    /// Files without a row are removed at the next start.
    fn check_upload_files(&mut self) -> Result<(), OpenError> {
        let mut known = BTreeSet::new();
        self.view.uploads(|id, _| {
            known.insert(id.to_string());
        })?;
        for name in self.uploads.keys() {
            if !known.contains(name) {
                let place = format_args!("uploads/{name}");
                let what = "belongs to no upload; the next start removes it";
                self.report.note(Kind::Leftover, place, what);
            }
        }
        Ok(())
    }
}
