//! What the collector and the scrub work with: reads, sweeps, the removal of files, damage.
//!
//! Every call here may block its thread.

mod compaction;
pub(in crate::registry) mod damage;
pub(in crate::registry) mod damage_state;
mod marking;
pub(in crate::registry) mod removal;
pub(in crate::registry) mod sweeping;

use std::sync::Arc;
use std::sync::mpsc::channel;

use crate::base::lock;
use crate::blobs::ContentStore;
use crate::meta::{AttributedCommand, Clock, Command, Origin, PolicySet, Sweep, View};
use crate::registry::error::RegistryError;
use crate::registry::{Inner, READ_ONLY, Registry};
use crate::spec::{ContentDigest, RepoName};

/// Results of the collections since the start, for monitoring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    /// How many passes have ended.
    pub passes: u64,
    /// How many bytes of content were removed.
    pub removed_bytes: u64,
    /// How long the last pass took, in milliseconds.
    pub last_duration_ms: u64,
    /// Bytes of manifests that are kept although no tag leads to them, and of what only they need, in the
    /// last pass.
    pub untagged_bytes: u64,
}

/// A registry as the collector sees it.
#[derive(Debug, Clone)]
pub(crate) struct Upkeep {
    inner: Arc<Inner>,
}

impl Registry {
    /// Returns what the collector works with.
    pub(crate) fn upkeep(&self) -> Upkeep {
        Upkeep { inner: Arc::clone(&self.inner) }
    }

    /// Returns the policies that apply to a repository, added up.
    pub(crate) fn policy(&self, repo: &RepoName) -> PolicySet {
        self.inner.options.policies.of(repo)
    }
}

impl Upkeep {
    /// Reads the index.
    pub(crate) fn view(&self) -> View<'_> {
        self.inner.meta.view()
    }

    /// Returns what the registry was opened with.
    pub(crate) fn options(&self) -> &crate::registry::RegistryOptions {
        &self.inner.options
    }

    /// Returns the clock that ages are computed with.
    pub(crate) fn clock(&self) -> &Clock {
        self.inner.meta.clock()
    }

    /// Returns the content.
    pub(crate) fn blobs(&self) -> &dyn ContentStore {
        self.inner.blobs.as_ref()
    }

    /// Tells whether the filesystem is read-only.
    pub(crate) fn is_read_only(&self) -> bool {
        self.inner.is_read_only()
    }

    /// Returns why nothing can be swept at the moment, or `None`.
    pub(crate) fn refuses_writes(&self) -> Option<String> {
        let meta = &self.inner.meta;
        if self.inner.is_read_only() {
            return Some(READ_ONLY.to_owned());
        }
        let no_journal = || "there is no space for the journal".to_owned();
        let why = meta.poisoned().or_else(|| meta.rebuilding());
        why.or_else(|| meta.is_without_journal().then(no_journal))
    }

    /// Reports content that could not be read to the scrub.
    pub(crate) fn report_damage(&self, digest: &ContentDigest) {
        self.inner.report_damage(digest);
    }

    /// Returns why nothing at all may be removed, or `None`. Metadata may be missing, and the remaining
    /// content may be all that is left of it.
    pub(crate) fn keeps_everything(&self) -> Option<&'static str> {
        let damaged = "damaged files of the journal or of checkpoints are kept (`*.damaged`)";
        self.inner.meta.keeps_damaged().then_some(damaged)
    }

    /// Updates the results after a pass.
    pub(crate) fn note(&self, passed: impl FnOnce(&mut Collected)) {
        passed(&mut lock(&self.inner.collected));
    }
}

impl Inner {
    pub(in crate::registry) fn sweep(&self, sweep: Sweep, by: Option<Origin>) -> Result<(), RegistryError> {
        self.submit_and_wait(Command::Sweep(sweep).by(by.map(Arc::new)))
    }

    /// Waits until the index shows every command that was noted before. Blocks.
    ///
    /// If the writer refuses commands, it has none that may become visible later, and refuses sweeps, too.
    pub(in crate::registry) fn settle(&self) {
        let (sender, receiver) = channel();
        self.meta.settle(Box::new(move |done| drop(sender.send(done))));
        if let Ok(Err(error)) = receiver.recv() {
            log::debug!("the index is read as it is: {error}");
        }
    }

    fn submit_and_wait(&self, command: AttributedCommand) -> Result<(), RegistryError> {
        let (sender, receiver) = channel();
        self.meta.submit(command, Box::new(move |done| drop(sender.send(done))));
        let stopping = || RegistryError::Unavailable("the registry is stopping".to_owned());
        Ok(receiver.recv().map_err(|_| stopping())??)
    }
}
