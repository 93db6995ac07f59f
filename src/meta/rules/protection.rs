//! Protection from sweeps of what clients rely on.

use std::fmt::Debug;

use crate::meta::index::View;
use crate::meta::model::{Command, Pull, Sweep};
use crate::spec::{ContentDigest, RepoName};

/// Knows what clients rely on. The writer asks it, and reports every command to it, on its own thread.
pub trait Protection: Debug + Send + Sync {
    /// Takes everything protected out of a sweep. The rest is marked for removal until [`Self::end_sweep`]:
    /// no answer may say meanwhile that it exists.
    fn release(&self, sweep: &Sweep) -> Sweep;

    /// Returns whether a manifest that seemed unneeded may be removed: no client came to rely on it since the
    /// marking began. If so, it is marked for removal until [`Self::end_sweep`].
    fn release_manifest(&self, repo: &RepoName, digest: &ContentDigest) -> bool;

    /// Ends what the last [`Self::release`] or [`Self::release_manifest`] began: what was removed is durably
    /// gone from the index, and the rest is there.
    fn end_sweep(&self);

    /// Notes what a command that was just decided needs; `view` already shows it, the index not yet.
    ///
    /// INVARIANT: no command is decided between another one and its note, so a sweep that is decided later
    /// knows of it.
    fn note(&self, command: &Command, view: View<'_>);

    /// Takes some of the pulls that no row notes yet. The writer has them ride along with what it syncs.
    fn take_pulls(&self) -> Vec<Pull>;
}

/// Protects everything: for metadata without leases, where no sweep may remove anything.
#[derive(Debug, Default)]
pub struct SweepNothing;

impl Protection for SweepNothing {
    fn release(&self, sweep: &Sweep) -> Sweep {
        match sweep {
            Sweep::Tags { repo, .. } => Sweep::Tags { repo: repo.clone(), tags: Vec::new() },
            Sweep::Manifests { repo, .. } => Sweep::Manifests { repo: repo.clone(), manifests: Vec::new() },
            Sweep::Images { repo, .. } => Sweep::Images { repo: repo.clone(), images: Vec::new() },
            Sweep::Links { repo, .. } => Sweep::Links { repo: repo.clone(), links: Vec::new() },
            Sweep::Repository { repo } => Sweep::Repository { repo: repo.clone() },
            Sweep::Content { .. } => Sweep::Content { content: Vec::new() },
            // No client relies on it.
            Sweep::History { rows } => Sweep::History { rows: rows.clone() },
        }
    }

    fn release_manifest(&self, _: &RepoName, _: &ContentDigest) -> bool {
        false
    }

    fn end_sweep(&self) {}

    fn note(&self, _: &Command, _: View<'_>) {}

    fn take_pulls(&self) -> Vec<Pull> {
        Vec::new()
    }
}
