//! The files of content: all of them, whatever names them.

use std::collections::{BTreeMap, HashSet};

use crate::blobs::{ContentStore, StoredFile, Verification};
use crate::maintenance::finding::{CheckReport, Kind};
use crate::maintenance::progress::Progress;
use crate::meta::{Fact, Tree, View};
use crate::registry::OpenError;
use crate::spec::ContentDigest;

/// The files of content with their lengths in bytes.
pub(super) struct Content {
    lengths: BTreeMap<ContentDigest, u64>,
    /// Those that no row names. A power cut may have left their names without their bytes.
    unnamed: HashSet<ContentDigest>,
}

impl Content {
    /// Lists all files.
    pub(super) fn list(
        blobs: &dyn ContentStore,
        progress: &mut dyn Progress,
        report: &mut CheckReport,
    ) -> Result<Self, OpenError> {
        let mut lengths = BTreeMap::new();
        blobs.each_file(|file| {
            match file {
                StoredFile::Content(digest, length) => {
                    lengths.insert(digest, length);
                    report.totals.content_bytes += length;
                }
                StoredFile::Foreign(path) => report.note(Kind::Leftover, path, "is not a file of pulk"),
            }
            progress.at("listing content", lengths.len() as u64, 0);
            Ok::<_, OpenError>(())
        })?;
        report.totals.content = lengths.len() as u64;
        Ok(Self { lengths, unnamed: HashSet::new() })
    }

    /// Returns the length in bytes of a file of content.
    pub(super) fn length(&self, digest: &ContentDigest) -> Option<u64> {
        self.lengths.get(digest).copied()
    }

    /// Says how much content no repository has.
    pub(super) fn check_unlinked(
        &mut self,
        view: View<'_>,
        report: &mut CheckReport,
    ) -> Result<(), OpenError> {
        for digest in self.lengths.keys() {
            if view.blob(digest)?.is_none() {
                self.unnamed.insert(*digest);
            }
        }
        let mut linked = HashSet::new();
        for tree in [Tree::Links, Tree::Manifests] {
            view.each_fact(tree, |fact| {
                if let Fact::Link { digest, .. } | Fact::Manifest { digest, .. } = fact {
                    linked.insert(digest);
                }
            })?;
        }
        let unlinked = self.lengths.iter().filter(|(digest, _)| !linked.contains(digest));
        let (files, bytes) = unlinked.fold((0_u64, 0_u64), |sum, (_, length)| (sum.0 + 1, sum.1 + length));
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
        for digest in self.lengths.keys() {
            let found = blobs.verify(digest, &mut |read| {
                done += read;
                progress.at("hashing content, bytes", done, total);
            })?;
            if found == Verification::Damaged && self.unnamed.contains(digest) {
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
