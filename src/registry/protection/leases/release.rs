//! What the writer checks before a sweep, and records after a command.

use std::time::Instant;

use super::{Leases, Scope, WatchedRepo};
use crate::meta::{Command, Protection, Pull, Sweep, SweptImage, TagRow, View};
use crate::spec::{ContentDigest, RepoName, Tag};

impl Leases {
    /// Returns the keys of what an image consists of, each with the key that clients rely on.
    fn keys_of(&self, repo: &RepoName, image: &SweptImage) -> Vec<(u64, u64)> {
        let tags = image.tags.iter().map(|(tag, row)| (self.tag_key(repo, tag), self.key(repo, &row.digest)));
        let manifests = image.manifests.iter().map(|digest| self.key(repo, digest)).map(|key| (key, key));
        tags.chain(manifests).collect()
    }
}

impl Protection for Leases {
    fn release(&self, sweep: &Sweep) -> Sweep {
        let now = Instant::now();
        let mut state = self.state();
        state.removing.clear();
        let mut left = |repo: &RepoName, all: &[ContentDigest]| -> Vec<ContentDigest> {
            let repo_key = self.all_key(repo);
            let held = state.holds(repo_key, now);
            if held || !state.may_sweep(&Scope::Repository(repo.clone()), now) {
                return Vec::new();
            }
            let goes = |digest: &&ContentDigest| {
                let key = self.key(repo, digest);
                !state.upload_holds(repo_key, key) && state.release(key, now)
            };
            all.iter().filter(goes).copied().collect()
        };
        match sweep {
            Sweep::Manifests { repo, manifests } => {
                Sweep::Manifests { repo: repo.clone(), manifests: left(repo, manifests) }
            }
            Sweep::Links { repo, links } => Sweep::Links { repo: repo.clone(), links: left(repo, links) },
            Sweep::Content { content } => {
                let may = state.may_sweep(&Scope::Content, now);
                let goes = |digest: &&ContentDigest| may && state.release(self.content_key(digest), now);
                Sweep::Content { content: content.iter().filter(goes).copied().collect() }
            }
            Sweep::Tags { repo, tags } => {
                let went = state.marking.as_ref().is_none_or(|marking| marking.tags_changed);
                let held = went || state.holds(self.all_key(repo), now);
                let may = !held && state.may_sweep(&Scope::Repository(repo.clone()), now);
                // A client learns of a tag together with the manifest that it names: the manifest's lease
                // protects the tag.
                let goes = |(tag, row): &&(Tag, TagRow)| {
                    may && state.release_for(self.tag_key(repo, tag), self.key(repo, &row.digest), now)
                };
                Sweep::Tags { repo: repo.clone(), tags: tags.iter().filter(goes).cloned().collect() }
            }
            Sweep::Images { repo, images } => {
                let went = state.marking.as_ref().is_none_or(|marking| marking.tags_changed);
                let held = went || state.holds(self.all_key(repo), now);
                let may = !held && state.may_sweep(&Scope::Repository(repo.clone()), now);
                let repo_key = self.all_key(repo);
                let goes = |image: &&SweptImage| {
                    let mut manifests = image.manifests.iter().map(|digest| self.key(repo, digest));
                    may && !manifests.any(|key| state.upload_holds(repo_key, key))
                        && state.release_all(&self.keys_of(repo, image), now)
                };
                Sweep::Images { repo: repo.clone(), images: images.iter().filter(goes).cloned().collect() }
            }
            Sweep::Repository { repo } => Sweep::Repository { repo: repo.clone() },
            // No client relies on it.
            Sweep::History { rows } => Sweep::History { rows: rows.clone() },
        }
    }

    fn release_manifest(&self, repo: &RepoName, digest: &ContentDigest) -> bool {
        let key = self.key(repo, digest);
        let mut state = self.state();
        let counted_on = |watched: &WatchedRepo| watched.anything || watched.touched.contains(&key);
        if state.watched.values().filter(|watched| watched.repo == *repo).any(counted_on) {
            return false;
        }
        state.removing.clear();
        state.removing.insert(key);
        true
    }

    fn end_sweep(&self) {
        self.state().removing.clear();
    }

    fn take_pulls(&self) -> Vec<Pull> {
        self.pulls().take()
    }

    fn note(&self, command: &Command, view: View<'_>) {
        let (repo, digests) = match command {
            Command::Link { repo, blob, .. } => (repo, vec![blob.digest()]),
            Command::Mount { repo, digest, .. } => (repo, vec![*digest]),
            Command::PutManifest(put) => {
                self.immutable.note(put);
                // A tag that moves may have been the last one of an image that a rule counts.
                if !put.tags.is_empty() {
                    self.state().note_tags_changed(&put.repo);
                }
                // Lease only what exists, so that made-up digests cannot fill the leases. The rest is noted
                // when it is pushed.
                let mut all: Vec<ContentDigest> =
                    put.references.iter().filter_map(crate::spec::Digest::content).collect();
                // INVARIANT: references that the index cannot be read for are noted.
                if let Ok(known) = view.known_among(&put.repo, &all) {
                    all = known;
                }
                all.push(put.blob.digest());
                (&put.repo, all)
            }
            Command::DeleteManifest { repo, .. } | Command::DeleteTag { repo, .. } => {
                return self.state().note_tags_changed(repo);
            }
            Command::DeleteUntagged { .. }
            | Command::Condemn { .. }
            | Command::NoteTime
            | Command::Unlink { .. }
            | Command::BeginUpload { .. }
            | Command::AdvanceUpload { .. }
            | Command::EndUpload { .. }
            | Command::Sweep(_) => return,
        };
        let (now, scope) = (Instant::now(), Scope::Repository(repo.clone()));
        let mut state = self.state();
        // What a manifest references stays as long as the manifest does, and that is the last.
        if let Some(digest) = digests.last() {
            state.uploads.note(|| self.all_key(repo), self.key(repo, digest), now);
        }
        for digest in digests {
            state.watch(repo, self.key(repo, &digest));
            state.note(&scope, self.key(repo, &digest), now);
            state.note(&Scope::Content, self.content_key(&digest), now);
        }
    }
}
