//! What a registry does, without HTTP: the operations, the rules, the sessions.
//!
//! Any executor can poll these futures. Blocking work runs under a permit of [`disk_permits`]; reads of the
//! index take about a microsecond and need none.
//!
//! | | |
//! |---|---|
//! | `operations/` | what clients ask for |
//! | `uploads/` | upload sessions in memory |
//! | `content/` | readers of content, and what is known of verified files |
//! | `protection/` | what keeps content from the collector |
//! | `upkeep/` | what the collector and the scrub work with |
//! | `open/`, `open_error` | opening a registry and closing it |
//! | `graph` | what a manifest leads to |
//! | `disk_permits`, `manifest_thread` | how many threads may block, and the one for long manifests |
//! | `types`, `error` | arguments, results and errors of the operations |

mod content;
mod disk_permits;
mod error;
mod graph;
mod manifest_thread;
mod open;
mod open_error;
mod operations;
mod protection;
#[cfg(test)]
mod tests;
mod types;
mod upkeep;
mod uploads;

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};

use smol::channel::bounded;

use crate::base::lock;
use crate::blobs::ContentStore;
use crate::disk::{DirectoryLock, Disk, DiskCounters, FreeSpace};
use crate::meta::{
    Answer, Command, FollowFrom, Follower, Guard, Meta, MetaError, MetaOpenError, Policies, Sweep, View, Wake,
};
use crate::spec::ContentDigest;
use content::damage::DamageReports;
use content::manifest_cache::ManifestCache;
use content::verified::VerifiedFiles;
use disk_permits::DiskPermits;
use protection::digest_locks::{DigestLocks, StoreGuard};
use protection::leases::Leases;
use uploads::memory::ManifestMemory;
use uploads::names_in_use::NamesInUse;
use uploads::pool::BufferPool;
use uploads::sessions::UploadSessions;

pub use crate::meta::{OnSyncFailure, Origin, RecoveryProgress};
pub(crate) use content::damage::ScrubCounters;
pub use content::reader::BlobReader;
pub use error::RegistryError;
pub(crate) use graph::{ReferenceWalk, UnreadableManifest, read_manifest, referrers};
#[cfg(test)]
pub(crate) use open::Backing;
pub(crate) use open::format::{Layout, examine, examine_content, settle};
pub use open::options::{PolicyMemory, RegistryOptions, Storage};
pub use open_error::OpenError;
pub(crate) use open_error::needed;
pub use operations::manifest_body::ManifestBody;
pub use operations::manifest_push::TAGS_PER_PUT_MAX;
pub(crate) use protection::leases::{Protected, Scope};
pub(in crate::registry) use types::READ_ONLY;
pub use types::{
    Chunk, Condition, Health, Listing, ManifestContent, ManifestInfo, Page, PushManifest, PutManifest,
    PutManifestOutcome, PutTarget, Referrers, ReferrersPage, ScrubTotals, Totals, UploadId,
};
pub use upkeep::Collected;
pub(crate) use upkeep::Upkeep;
pub(crate) use upkeep::damage::Condemned;
pub(crate) use upkeep::damage_state::{DAMAGED_LISTED_MAX, LACKS_LISTED_MAX};
pub use upkeep::damage_state::{DamageState, DamagedImage, DamagedKind};
pub(crate) use upkeep::removal::Removal;
#[cfg(test)]
pub(crate) use upkeep::sweeping::FILES_PER_STEP;

/// A registry: a handle that can be cloned freely. The store is closed with [`Registry::close`], or when the
/// last handle is dropped.
///
/// What a handle changes is noted in the journal as coming from the handle's origin
/// ([`Registry::on_behalf_of`]).
#[derive(Debug, Clone)]
pub struct Registry {
    inner: Arc<Inner>,
    /// Where the changes come from, if that is known.
    origin: Option<Arc<Origin>>,
}

struct Inner {
    disk: Arc<dyn Disk>,
    blobs: Arc<dyn ContentStore>,
    sessions: UploadSessions,
    leases: Arc<Leases>,
    locks: DigestLocks,
    damage_reports: DamageReports,
    scrubbed: ScrubCounters,
    /// The files of manifests that are being stored: they belong to no session.
    storing: NamesInUse,
    collected: Mutex<Collected>,
    /// What is damaged, if that is known.
    damage: Mutex<Option<DamageState>>,
    permits: Arc<DiskPermits>,
    pool: BufferPool,
    manifest_memory: Arc<ManifestMemory>,
    cache: ManifestCache,
    verified: VerifiedFiles,
    counters: Arc<DiskCounters>,
    space: FreeSpace,
    meta: Meta,
    options: RegistryOptions,
    /// Why the policies that the store remembers are not known, where those are to be in force.
    policies_unknown: Option<String>,
    /// Dropped to tell the expiry thread that the registry is gone.
    _alive: Sender<()>,
    /// Dropped last: until then the data directory is this process's.
    _lock: Option<DirectoryLock>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Inner").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Registry {
    /// Returns a handle of the same registry, whose changes are noted as coming from this origin.
    pub fn on_behalf_of(&self, origin: Origin) -> Self {
        let notes_clients = self.inner.options.journal_clients;
        let origin = if notes_clients { origin } else { origin.without_client() };
        let origin = (!origin.is_empty()).then(|| Arc::new(origin));
        Self { inner: Arc::clone(&self.inner), origin }
    }

    /// Returns the policies in force.
    pub fn policies(&self) -> &Policies {
        &self.inner.options.policies
    }

    /// Returns why the policies that the store remembers are not known, where those are to be in force
    /// ([`PolicyMemory::Read`]).
    pub fn policies_unknown(&self) -> Option<&str> {
        self.inner.policies_unknown.as_deref()
    }

    /// Returns the largest manifest that is accepted, in bytes.
    pub fn manifest_size_max_bytes(&self) -> u64 {
        self.inner.options.manifest_size_max_bytes
    }

    /// Tells whether the registry can do its work, and if not, why.
    pub fn health(&self) -> Health {
        let meta = &self.inner.meta;
        let poisoned = meta.poisoned().map(|why| format!("writes are refused: {why}"));
        let mut reasons: Vec<String> = meta.rebuilding().into_iter().chain(poisoned).collect();
        if self.is_read_only() {
            // Pulls work as far as the index does.
            let ready = meta.rebuilding().is_none();
            reasons.insert(0, READ_ONLY.to_owned());
            return Health { ready, reasons };
        }
        let ready = reasons.is_empty();
        if meta.is_without_journal() {
            reasons.push("no space for the journal: writes are refused; pulls still work".to_owned());
        }
        reasons.extend(self.lack_of_room());
        Health { ready, reasons }
    }

    /// Says that the disk has no room for pushes, if so, and what would give them some.
    pub(crate) fn lack_of_room(&self) -> Option<String> {
        const KEPT: &str = "pushes are refused; pulls and deletes still work";
        let space = &self.inner.space;
        if space.lacks_files() {
            return Some(format!("the disk has too few free inodes: {KEPT}"));
        }
        if space.has_room(0) {
            return None;
        }
        let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
        let (free, reserve) = (mib(space.free_bytes().unwrap_or(0)), mib(self.reserve_bytes()));
        Some(format!(
            "the disk is full: {KEPT}; {free} are free, and `limits.reserve_bytes` keeps {reserve} free: \
             make room, or set it lower"
        ))
    }

    /// Tells whether the filesystem of the store is read-only, now or when the store was opened.
    pub fn is_read_only(&self) -> bool {
        self.inner.is_read_only()
    }

    /// Tells whether it reopens its store by itself after a failed sync.
    pub fn reopens(&self) -> bool {
        self.inner.options.on_sync_failure == OnSyncFailure::Reopen
    }

    /// Returns why this registry takes no more writes until a restart, as [`OnSyncFailure::Exit`] says.
    pub fn gave_up(&self) -> Option<String> {
        if self.reopens() { None } else { self.inner.meta.poisoned() }
    }

    /// Follows the journal. `wake` is called on the writer's thread after each commit, and must not block.
    pub(crate) fn follow_journal(&self, from: FollowFrom, wake: Wake) -> Result<Follower, MetaOpenError> {
        self.inner.meta.follow(from, wake)
    }

    /// Returns totals of the store and of the work done.
    pub fn totals(&self) -> Totals {
        let stored = self.inner.meta.totals();
        let done = self.inner.counters.snapshot();
        Totals {
            blobs: stored.blobs,
            blob_bytes: stored.blob_bytes,
            unfiled_bytes: self.inner.blobs.unfiled().bytes(),
            uploads: stored.uploads,
            index_bytes: self.inner.meta.index_bytes(),
            syncs: done.file_syncs + done.folder_syncs + done.filesystem_syncs,
            sync_nanoseconds: done.file_sync_nanoseconds
                + done.folder_sync_nanoseconds
                + done.filesystem_sync_nanoseconds,
            free_bytes: self.inner.space.free_bytes(),
            free_files: self.inner.space.free_files(),
            read_only: self.is_read_only(),
            writes_refused: self.inner.meta.poisoned().is_some(),
            reopen_tries: self.inner.meta.reopen_tries(),
            reopened: self.inner.meta.reopened(),
            damaged_images: self.damage().map(|state| state.images),
            scrub: self.inner.scrubbed.snapshot(),
        }
    }

    /// Returns the results of the collections since the start.
    pub fn collected(&self) -> Collected {
        *lock(&self.inner.collected)
    }

    /// Returns the counters of the scrub's work.
    pub(crate) fn scrub_counters(&self) -> &ScrubCounters {
        &self.inner.scrubbed
    }

    /// Reads the index, for the upkeep of the store.
    pub(crate) fn view(&self) -> View<'_> {
        self.inner.meta.view()
    }

    /// Returns the metadata.
    #[cfg(test)]
    pub(crate) fn meta(&self) -> &Meta {
        &self.inner.meta
    }

    /// Returns how many bytes of the disk are kept free of pushes.
    pub(crate) fn reserve_bytes(&self) -> u64 {
        self.inner.options.reserve_bytes
    }

    /// Refuses at least `coming` more bytes of content, of which `came` bytes came, while the metadata takes
    /// no writes, and when the disk is full up to the reserve. It asks before anything is stored, because
    /// what is stored for a command that is then refused has no name.
    async fn check_writable(&self, came: u64, coming: u64) -> Result<(), RegistryError> {
        self.inner.check_unpoisoned()?;
        if self.inner.meta.is_read_only() {
            return Err(RegistryError::ReadOnly);
        }
        if !self.inner.space.has_room(coming) {
            return Err(self.inner.no_room_for(came, coming));
        }
        if self.inner.meta.is_without_journal() {
            // A command makes the writer look for space, and its answer says whether there is some.
            self.command(Command::Sweep(Sweep::Content { content: Vec::new() })).await?;
        }
        Ok(())
    }

    /// Has the writer carry out a command.
    async fn command(&self, command: Command) -> Result<(), RegistryError> {
        let (answer, answered) = answer();
        self.inner.meta.submit(command.by(self.origin.clone()), answer);
        answered.await
    }

    /// Waits until everything that was decided before is durable and visible.
    pub(crate) async fn settled(&self) -> Result<(), RegistryError> {
        let (answer, answered) = answer();
        self.inner.meta.settle(answer);
        answered.await
    }

    /// Has the writer carry out a command if `guard` allows it when its turn comes.
    async fn command_if(&self, guard: Guard, command: Command) -> Result<(), MetaError> {
        let (sender, receiver) = bounded(1);
        self.inner.meta.submit_if(
            guard,
            command.by(self.origin.clone()),
            Box::new(move |done| drop(sender.try_send(done))),
        );
        receiver.recv().await.unwrap_or(Err(MetaError::Stopped))
    }

    /// Stores content and has the writer carry out the command that names it. Once the store has begun, both
    /// complete even if the caller stops waiting.
    async fn store_then_command(
        &self,
        digest: ContentDigest,
        store: impl FnOnce() -> Result<Command, RegistryError> + Send + 'static,
    ) -> Result<(), RegistryError> {
        // INVARIANT: held from before the file has its name until the index has the row that names it.
        let storing = self.inner.locks.store(&digest).await;
        let (answer, answered) = answer_with(storing);
        let (inner, origin) = (Arc::clone(&self.inner), self.origin.clone());
        let submit = move || {
            // Again: it may have waited for its permit.
            inner.check_unpoisoned()?;
            store().map(|command| inner.meta.submit(command.by(origin), answer))
        };
        self.inner.permits.write(submit).await?;
        let done = answered.await;
        if done.is_err() {
            // The command was refused: possibly no row names the file.
            let inner = Arc::clone(&self.inner);
            self.inner.permits.write(move || inner.remove_if_unnamed(&digest)).await;
        }
        done
    }
}

impl Inner {
    fn is_read_only(&self) -> bool {
        self.meta.is_read_only() || self.disk.is_read_only()
    }

    /// Refuses to store anything once the writer takes no commands.
    fn check_unpoisoned(&self) -> Result<(), RegistryError> {
        self.meta.poisoned().map_or(Ok(()), |why| Err(MetaError::Poisoned(why).into()))
    }
}

/// Returns the callback for a command's result, and the future that waits for it.
fn answer() -> (Answer, impl Future<Output = Result<(), RegistryError>>) {
    answer_with(None)
}

/// Does the same as [`answer`], and holds `storing` until the command has ended.
fn answer_with(storing: Option<StoreGuard>) -> (Answer, impl Future<Output = Result<(), RegistryError>>) {
    let (sender, receiver) = bounded(1);
    let answer: Answer = Box::new(move |done| {
        drop(storing);
        // The caller may be gone; the command is carried out all the same.
        drop(sender.try_send(done));
    });
    let answered = async move {
        match receiver.recv().await {
            Ok(done) => Ok(done?),
            Err(_) => Err(RegistryError::Unavailable("the registry is stopping".to_owned())),
        }
    };
    (answer, answered)
}
