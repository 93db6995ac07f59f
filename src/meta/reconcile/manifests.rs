//! Manifests: the surviving ones restore what they reference.

use std::collections::HashSet;

use crate::blobs::StoredFile;
use crate::meta::error::MetaOpenError;
use crate::meta::model::{Fact, LinkRow, ManifestRow, Optional, Tree};
use crate::meta::reconcile::content::verified_bytes;
use crate::meta::reconcile::reconciler::{Reconciler, Unattributed};
use crate::meta::reconcile::report::Action;
use crate::spec::{
    ContentDigest, Descriptor, Digest, MANIFEST_SIZE_LIMIT_BYTES, Manifest, ManifestKind, MediaType, RepoName,
};

/// A manifest to restore: its digest, and its media type if known.
type Wanted = (ContentDigest, Option<MediaType>);

impl Reconciler<'_> {
    /// Drops manifests without content, and restores what the others reference.
    pub(super) fn check_manifests(&mut self) -> Result<(), MetaOpenError> {
        self.each_row(Tree::Manifests, |this, fact| {
            let Fact::Manifest { repo, digest, row: Some(row) } = fact else { return Ok(()) };
            let Some(bytes) = this.usable_bytes(&digest)? else {
                let what = format_args!("{repo}@{digest}: its content is missing or damaged");
                this.report.note(Action::DropManifest, &what);
                return this.take(Fact::Manifest { repo, digest, row: None });
            };
            this.ensure_repository(&repo)?;
            this.ensure_referrer(&repo, digest, &row)?;
            match Manifest::parse(&bytes, Some(&row.media_type)) {
                Ok(manifest) => this.ensure_references(&repo, &manifest),
                // The manifest was accepted as it is, so it is served as it is.
                Err(_) => Ok(()),
            }
        })
    }

    /// Restores what a manifest references, directly or through its child manifests.
    fn ensure_references(&mut self, repo: &RepoName, manifest: &Manifest) -> Result<(), MetaOpenError> {
        let mut wanted = self.ensure_direct_references(repo, manifest)?;
        // INVARIANT: each manifest is restored at most once, so the loop ends, and nested indexes of any
        // depth cannot overflow the stack.
        while let Some((digest, media_type)) = wanted.pop() {
            if self.view().manifest(repo, &digest)?.is_some() || self.view().link(repo, &digest)?.is_some() {
                continue;
            }
            match self.usable_manifest(&digest, media_type.as_ref())? {
                Some(child) => {
                    self.restore_manifest(repo, digest, &child)?;
                    wanted.extend(self.ensure_direct_references(repo, &child)?);
                }
                // An index may list content that is not a manifest, or that does not exist.
                None => self.ensure_link(repo, &digest).map(drop)?,
            }
        }
        Ok(())
    }

    /// Restores links to a manifest's blobs, and returns its children.
    fn ensure_direct_references(
        &mut self,
        repo: &RepoName,
        manifest: &Manifest,
    ) -> Result<Vec<Wanted>, MetaOpenError> {
        for blob in manifest.blobs() {
            let known = match blob.digest.content() {
                Some(digest) => self.ensure_link(repo, &digest)?,
                None => false,
            };
            if !known {
                self.report.note(Action::MissReference, &format_args!("{} in {repo}", blob.digest));
            }
        }
        let wanted = |child: &Descriptor| Some((child.digest.content()?, child.media_type.parse().ok()));
        Ok(manifest.children().filter_map(wanted).collect())
    }

    /// Returns whether the repository has the blob, after restoring its link if necessary.
    fn ensure_link(&mut self, repo: &RepoName, digest: &ContentDigest) -> Result<bool, MetaOpenError> {
        let Some(size) = self.usable(digest)? else { return Ok(false) };
        if self.view().link(repo, digest)?.is_none() {
            self.ensure_repository(repo)?;
            self.report.note(Action::RestoreLink, &format_args!("{digest} in {repo}"));
            let row = Some(LinkRow { size, optional: Optional::default() });
            self.take(Fact::Link { repo: repo.clone(), digest: *digest, row })?;
        }
        Ok(true)
    }

    pub(super) fn ensure_referrer(
        &mut self,
        repo: &RepoName,
        digest: ContentDigest,
        row: &ManifestRow,
    ) -> Result<(), MetaOpenError> {
        let Some(subject) = &row.subject else { return Ok(()) };
        if self.view().has_referrer(repo, subject, &digest)? {
            return Ok(());
        }
        self.report.note(Action::RestoreReferrer, &format_args!("{digest} of {subject} in {repo}"));
        let (repo, subject): (RepoName, Digest) = (repo.clone(), subject.clone());
        self.take(Fact::Referrer { repo, subject, digest, present: true })
    }

    /// Returns a manifest whose content is usable.
    fn usable_manifest(
        &mut self,
        digest: &ContentDigest,
        media_type: Option<&MediaType>,
    ) -> Result<Option<Manifest>, MetaOpenError> {
        let Some(bytes) = self.usable_bytes(digest)? else { return Ok(None) };
        // With a layer's media type, any JSON object would parse as a manifest of an unknown type.
        let known = media_type.filter(|said| said.kind() != ManifestKind::Other);
        let parsed = known.and_then(|media_type| Manifest::parse(&bytes, Some(media_type)).ok());
        Ok(parsed.or_else(|| Manifest::recognise(&bytes)))
    }

    /// Restores the manifest that a tag names, if its content exists.
    pub(super) fn restore_tagged(
        &mut self,
        repo: &RepoName,
        digest: ContentDigest,
    ) -> Result<bool, MetaOpenError> {
        let Some(manifest) = self.usable_manifest(&digest, None)? else { return Ok(false) };
        self.restore_manifest(repo, digest, &manifest)?;
        self.ensure_references(repo, &manifest)?;
        Ok(true)
    }

    fn restore_manifest(
        &mut self,
        repo: &RepoName,
        digest: ContentDigest,
        manifest: &Manifest,
    ) -> Result<(), MetaOpenError> {
        self.ensure_repository(repo)?;
        self.report.note(Action::RestoreManifest, &format_args!("{repo}@{digest}"));
        let row = ManifestRow::of(manifest).noted(self.noted);
        self.take(Fact::Manifest { repo: repo.clone(), digest, row: Some(row.clone()) })?;
        self.ensure_referrer(repo, digest, &row)
    }

    /// Searches all content for manifests that no repository has.
    pub(super) fn collect(
        &mut self,
        repo: &RepoName,
        seen: &HashSet<ContentDigest>,
        damaged: &HashSet<ContentDigest>,
    ) -> Result<Unattributed, MetaOpenError> {
        let mut found = Unattributed::default();
        let named = self.named()?;
        let mut lost = Vec::new();
        let mut loose = Vec::new();
        self.blobs.each_file(|file| {
            let StoredFile::Content(digest, length) = file else { return Ok::<_, MetaOpenError>(()) };
            if named.contains(&digest) {
                return Ok(());
            }
            loose.push((digest, length));
            if length > MANIFEST_SIZE_LIMIT_BYTES || damaged.contains(&digest) {
                return Ok(());
            }
            match verified_bytes(self.blobs, &digest, length).as_deref().map(Manifest::recognise) {
                Some(Some(_)) if seen.contains(&digest) => found.deleted += 1,
                Some(Some(manifest)) => lost.push((digest, manifest)),
                Some(None) => {}
                None => found.damaged += 1,
            }
            Ok(())
        })?;
        for (digest, manifest) in lost {
            if self.view().manifest(repo, &digest)?.is_some() {
                // Restored as the child of another manifest.
                found.manifests += 1;
            } else if !self.is_complete(&manifest)? || self.usable(&digest)?.is_none() {
                found.incomplete += 1;
                log::warn!("{digest} looks like a manifest, but content that it references is missing");
            } else {
                self.restore_manifest(repo, digest, &manifest)?;
                self.ensure_references(repo, &manifest)?;
                found.manifests += 1;
            }
        }
        let named = self.named()?;
        for (_, length) in loose.iter().filter(|(digest, _)| !named.contains(digest)) {
            found.loose.0 += 1;
            found.loose.1 += length;
        }
        Ok(found)
    }

    /// Tells whether all blobs that a manifest needs exist and are intact.
    fn is_complete(&mut self, manifest: &Manifest) -> Result<bool, MetaOpenError> {
        for blob in manifest.blobs() {
            let usable = match blob.digest.content() {
                Some(digest) => self.usable(&digest)?.is_some(),
                None => false,
            };
            if !usable {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns all content that some repository has, as a blob or a manifest.
    fn named(&self) -> Result<HashSet<ContentDigest>, MetaOpenError> {
        let mut named = HashSet::new();
        for tree in [Tree::Manifests, Tree::Links] {
            self.view().each_fact(tree, |fact| {
                if let Fact::Manifest { digest, .. } | Fact::Link { digest, .. } = fact {
                    named.insert(digest);
                }
            })?;
        }
        Ok(named)
    }
}
