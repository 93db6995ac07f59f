//! What somebody counts on, so that it must not be swept.

use std::fmt::Debug;

use crate::meta::index::View;
use crate::meta::model::{Command, Sweep};
use crate::spec::{ContentDigest, RepoName};

/// Knows what somebody counts on. The writer asks it, and tells it everything, on its own thread.
pub trait Claims: Debug + Send + Sync {
    /// Takes out of a sweep what somebody counts on. What is left counts as going from now on, so that nobody
    /// is told any more that it is there, until [`Self::swept`].
    fn release(&self, sweep: &Sweep) -> Sweep;

    /// Tells whether a manifest that nothing seemed to need may go: nobody came to count on it since somebody
    /// began to look. If so, it counts as going until [`Self::swept`].
    fn let_go(&self, repo: &RepoName, digest: &ContentDigest) -> bool;

    /// Ends what the last [`Self::release`] or [`Self::let_go`] began: what went is gone from the index, and
    /// the rest is there.
    fn swept(&self);

    /// Notes what a command needs that was just carried out: it is in the index, which `view` shows, by now.
    ///
    /// INVARIANT: no command is decided between another one and its note, so a sweep that is decided later
    /// knows of it.
    fn note(&self, command: &Command, view: View<'_>);
}

/// Nobody counts on anything, for metadata whose store nobody sweeps.
#[derive(Debug, Default)]
pub struct Unclaimed;

impl Claims for Unclaimed {
    fn release(&self, sweep: &Sweep) -> Sweep {
        // Nobody would know, so nothing goes.
        match sweep {
            Sweep::Tags { repo, .. } => Sweep::Tags { repo: repo.clone(), tags: Vec::new() },
            Sweep::Manifests { repo, .. } => Sweep::Manifests { repo: repo.clone(), manifests: Vec::new() },
            Sweep::Links { repo, .. } => Sweep::Links { repo: repo.clone(), links: Vec::new() },
            Sweep::Repository { repo } => Sweep::Repository { repo: repo.clone() },
            Sweep::Content { .. } => Sweep::Content { content: Vec::new() },
        }
    }

    fn let_go(&self, _: &RepoName, _: &ContentDigest) -> bool {
        false
    }

    fn swept(&self) {}

    fn note(&self, _: &Command, _: View<'_>) {}
}
