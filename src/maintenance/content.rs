//! The files of content: all of them, whatever names them.

use std::collections::BTreeMap;

use crate::blobs::{ContentStore, StoredFile, Verification};
use crate::maintenance::finding::{CheckReport, Kind};
use crate::maintenance::progress::Progress;
use crate::meta::{Fact, Tree, View};
use crate::registry::OpenError;
use crate::spec::ContentDigest;

/// The files of content.
pub(super) struct Content {
    files: BTreeMap<ContentDigest, ContentFile>,
}

/// A file of content.
struct ContentFile {
    /// Its length in bytes.
    length: u64,
    /// Whether a repository is known to have it.
    is_linked: bool,
    /// Whether a row names it. A power cut may have left the name of one without a row without its bytes.
    is_named: bool,
}

impl Content {
    /// Lists all files.
    pub(super) fn list(
        blobs: &dyn ContentStore,
        progress: &mut dyn Progress,
        report: &mut CheckReport,
    ) -> Result<Self, OpenError> {
        let mut files = BTreeMap::new();
        let listed = blobs.each_file(|file| {
            match file {
                StoredFile::Content(digest, length) => {
                    files.insert(digest, ContentFile { length, is_linked: false, is_named: false });
                    report.totals.content_bytes += length;
                }
                StoredFile::Foreign(path) => report.note(Kind::Leftover, path, "is not a file of pulk"),
            }
            progress.at("listing content", files.len() as u64, 0);
            Ok::<_, OpenError>(())
        });
        // Of a folder that cannot be listed, all content is found to be missing.
        match listed {
            Err(error) if error.is_of_the_medium() => {
                report.find(Kind::ContentMissing, "blobs", format!("cannot be listed: {error}"));
            }
            listed => listed?,
        }
        report.totals.content = files.len() as u64;
        Ok(Self { files })
    }

    /// Returns the length in bytes of a file of content.
    pub(super) fn length(&self, digest: &ContentDigest) -> Option<u64> {
        self.files.get(digest).map(|file| file.length)
    }

    /// Says how much content no repository has.
    pub(super) fn check_unlinked(
        &mut self,
        view: View<'_>,
        report: &mut CheckReport,
    ) -> Result<(), OpenError> {
        for tree in [Tree::Links, Tree::Manifests, Tree::Blobs] {
            view.each_fact(tree, |fact| match fact {
                Fact::Link { digest, .. } | Fact::Manifest { digest, .. } => {
                    self.files.entry(digest).and_modify(|file| file.is_linked = true);
                }
                Fact::Blob { digest, .. } => {
                    self.files.entry(digest).and_modify(|file| file.is_named = true);
                }
                _ => {}
            })?;
        }
        let unlinked = self.files.values().filter(|file| !file.is_linked);
        let (files, bytes) = unlinked.fold((0_u64, 0_u64), |sum, file| (sum.0 + 1, sum.1 + file.length));
        if files > 0 {
            let what = format!("has {files} files, {bytes} bytes, that no repository has");
            report.note(Kind::Unlinked, "blobs", what);
        }
        Ok(())
    }

    /// Reads all content and compares it with its digest.
    pub(super) fn check_bytes(
        &self,
        blobs: &dyn ContentStore,
        progress: &mut dyn Progress,
        report: &mut CheckReport,
    ) -> Result<(), OpenError> {
        let total = report.totals.content_bytes;
        let mut done = 0;
        for (digest, file) in &self.files {
            let found = blobs.verify(digest, &mut |read| {
                done += read;
                progress.at("hashing content, bytes", done, total);
            })?;
            if found == Verification::Damaged && !file.is_named {
                report.note(Kind::Leftover, digest.to_string(), "is what a push left that did not end");
            } else if found == Verification::Damaged {
                // The bytes of manifests are always verified.
                let place = digest.to_string();
                if !report
                    .findings
                    .iter()
                    .any(|known| known.kind == Kind::ContentDigest && known.place == place)
                {
                    report.find(Kind::ContentDigest, place, "has bytes that do not match its digest");
                }
            }
        }
        report.totals.hashed_bytes = done;
        Ok(())
    }
}
