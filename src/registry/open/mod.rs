//! Opening a registry and closing it.

pub(in crate::registry) mod format;
pub(in crate::registry) mod options;

use std::path::Path;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::blobs::{self, BLOBS_FOLDER, ContentStore, LocalStore, UPLOADS_FOLDER};
use crate::disk::{DirectoryLock, Disk, FreeSpace, MemoryDisk, MeteredDisk, RealDisk, same_filesystem};
use crate::meta::{self, Command, IndexKind, Meta, MetaOptions, Policies, Protection};
use crate::registry::content::damage::{self, DamageReports, ScrubCounters};
use crate::registry::content::manifest_cache::ManifestCache;
use crate::registry::content::verified::VerifiedFiles;
use crate::registry::disk_permits::DiskPermits;
use crate::registry::open_error::OpenError;
use crate::registry::operations::expiry;
use crate::registry::protection::digest_locks::DigestLocks;
use crate::registry::protection::leases::Leases;
use crate::registry::uploads::memory::ManifestMemory;
use crate::registry::uploads::pool::BufferPool;
use crate::registry::uploads::restore::restore_sessions;
use crate::registry::uploads::session::UploadSession;
use crate::registry::uploads::sessions::UploadSessions;
use crate::registry::{Inner, NamesInUse, READ_ONLY, Registry};

use options::{PolicyMemory, RegistryOptions, Storage};

/// How long unfinished uploads are made durable at a stop: on a slow disk that could take minutes.
const UPLOADS_CLOSE_TIME_MAX: Duration = Duration::from_secs(2);

impl Registry {
    /// Opens a registry, and creates its data directory if it is missing. Recovery after an unclean stop may
    /// take a while.
    pub fn open(options: RegistryOptions) -> Result<Self, OpenError> {
        let opened = match &options.storage {
            Storage::Memory => {
                Backing { disk: Arc::new(MemoryDisk::new()), lock: None, meta: MetaOptions::in_memory() }
            }
            Storage::Folder(folder) => open_folder(folder, options.journal_history_bytes)?,
        };
        #[cfg(test)]
        let opened = opened.with_faults(options.faults.as_ref());
        Self::open_on(options, opened)
    }

    /// Opens a registry on a disk.
    pub(crate) fn open_on(mut options: RegistryOptions, opened: Backing) -> Result<Self, OpenError> {
        let layout = format::examine(&opened.disk)?;
        let read_only = format::settle_or_read_only(opened.disk.as_ref(), &layout, opened.lock.as_ref())?;
        let metered = MeteredDisk::new(opened.disk);
        let counters = metered.counters();
        let disk: Arc<dyn Disk> = Arc::new(metered);
        let blobs = if read_only { content_as_it_is(&disk) } else { open_content(&disk, &options)? };
        let policies_unknown = recall_policies(disk.as_ref(), &mut options);
        let leases = Arc::new(Leases::new(options.lease, options.grace));
        let meta_options = MetaOptions {
            policies: options.policies.clone(),
            protection: Arc::clone(&leases) as Arc<dyn Protection>,
            reserve_bytes: options.reserve_bytes,
            progress: options.progress.clone(),
            content: Some(Arc::clone(&blobs)),
            rest: options.lease.max(options.grace),
            read_only,
            on_sync_failure: options.on_sync_failure,
            ..opened.meta
        };
        let meta = Meta::open(Arc::clone(&disk), meta_options)?;
        let mut sessions = UploadSessions::default();
        if !read_only {
            note_policies(disk.as_ref(), &options);
            damage::finish_quarantining(&meta, blobs.as_ref())?;
            sessions = restore_sessions(&meta, blobs.as_ref(), options.upload_idle_max, &leases)?;
        }
        let (alive, gone) = channel();
        let permits = DiskPermits::new();
        #[cfg(test)]
        let permits = if options.blocks_inline { permits.inline() } else { permits };
        let inner = Arc::new(Inner {
            space: FreeSpace::new(Arc::clone(&disk), options.reserve_bytes),
            disk,
            blobs,
            sessions,
            leases,
            locks: DigestLocks::new(),
            damage_reports: DamageReports::new(),
            scrubbed: ScrubCounters::default(),
            storing: NamesInUse::default(),
            collected: Mutex::default(),
            damage: Mutex::default(),
            permits: Arc::new(permits),
            pool: BufferPool::new(),
            manifest_memory: ManifestMemory::new(),
            cache: ManifestCache::new(),
            verified: VerifiedFiles::new(),
            counters,
            meta,
            options,
            policies_unknown,
            _alive: alive,
            _lock: opened.lock,
        });
        expiry::start(&inner, gone).map_err(OpenError::Thread)?;
        Ok(Self { inner, origin: None })
    }

    /// Ends what no stop waits for: requests that append to an upload, which can be resumed, and the
    /// verification of the index, for which commands may be waiting.
    pub(crate) fn begin_stop(&self) {
        self.inner.sessions.stop_appends();
        self.inner.meta.end_verification();
    }

    /// Stops taking commands and leaves the store in the state of a clean stop. Later operations of the
    /// registry fail. A second call does nothing.
    pub async fn close(&self) -> Result<(), OpenError> {
        let inner = Arc::clone(&self.inner);
        self.inner.permits.write(move || inner.close()).await
    }
}

impl Inner {
    fn close(&self) -> Result<(), OpenError> {
        let began = Instant::now();
        let mut skipped = 0_usize;
        for session in self.sessions.all(UploadSession::is_live) {
            if began.elapsed() >= UPLOADS_CLOSE_TIME_MAX {
                skipped += 1;
                continue;
            }
            let made_durable = session.with_upload(self.blobs.as_ref(), |upload| {
                if upload.make_durable(1)? {
                    let (id, row) = (session.id(), session.row(upload));
                    self.meta.submit(Command::AdvanceUpload { id, row }, Box::new(drop));
                }
                Ok(())
            });
            if let Err(error) = made_durable {
                log::warn!("upload {} restarts at its last durable offset: {error}", session.id());
            }
        }
        if skipped > 0 {
            log::warn!(
                "the disk is slow: {skipped} uploads go back to where they were last durable, since the stop \
                 does not wait for them"
            );
        }
        self.meta.close()?;
        Ok(())
    }
}

/// Puts the policies that the store remembers into force, if the options say so. Returns why they are not
/// known.
fn recall_policies(disk: &dyn Disk, options: &mut RegistryOptions) -> Option<String> {
    if options.policy_memory != PolicyMemory::Read {
        return None;
    }
    let (policies, unknown) = match meta::remembered_policies(disk) {
        Ok(policies) => (policies.unwrap_or_default(), None),
        Err(why) => (Policies::default(), Some(why)),
    };
    options.policies = policies;
    unknown
}

/// Has the store remember the policies in force, if the options say so. A disk that takes no writes is no
/// reason to refuse the start.
fn note_policies(disk: &dyn Disk, options: &RegistryOptions) {
    if options.policy_memory == PolicyMemory::Write
        && let Err(error) = meta::remember_policies(disk, &options.policies)
    {
        log::warn!(
            "the policies could not be noted: {error}; commands that find no server will use earlier ones, \
             unless --config names the file"
        );
    }
}

/// The disk, lock and metadata options of a registry.
pub(crate) struct Backing {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) lock: Option<DirectoryLock>,
    pub(crate) meta: MetaOptions,
}

#[cfg(test)]
impl Backing {
    fn with_faults(self, faults: Option<&Arc<crate::disk::faulty::Faults>>) -> Self {
        let Some(faults) = faults else { return self };
        Self { disk: Arc::new(crate::disk::faulty::FaultyDisk::with(self.disk, faults)), ..self }
    }
}

/// Opens the content of a store on a read-only filesystem.
fn content_as_it_is(disk: &Arc<dyn Disk>) -> Arc<dyn ContentStore> {
    log::warn!("{READ_ONLY}; pulk was started so: restart it where the filesystem takes writes");
    LocalStore::as_it_is(Arc::clone(disk))
}

/// Opens the content, and creates its folders where they are missing.
fn open_content(disk: &Arc<dyn Disk>, options: &RegistryOptions) -> Result<Arc<dyn ContentStore>, OpenError> {
    // INVARIANT: without a journal, no start has come as far as to acknowledge anything. Its sync may have
    // failed, and a sync makes only those names durable that are newer than the last failure.
    if meta::remove_empty_folders(disk.as_ref())? {
        blobs::remove_empty_folders(disk.as_ref())?;
    }
    let blobs = LocalStore::open_or_create(Arc::clone(disk))?;
    blobs.unfiled().carry_up_to(options.carried_max_bytes);
    if let Storage::Folder(folder) = &options.storage
        && !same_filesystem(&folder.join(UPLOADS_FOLDER), &folder.join(BLOBS_FOLDER))?
    {
        return Err(OpenError::Filesystems);
    }
    Ok(blobs)
}

fn open_folder(folder: &Path, history_max_bytes: u64) -> Result<Backing, OpenError> {
    let real = Arc::new(RealDisk::open_or_create(folder)?);
    let disk: Arc<dyn Disk> = Arc::clone(&real) as Arc<dyn Disk>;
    // Examine before the lock: an unusable directory stays as it is, byte for byte.
    format::examine(&disk)?;
    let lock = DirectoryLock::take(folder)?;
    real.try_filesystem()?;
    let meta = MetaOptions { history_max_bytes, ..MetaOptions::new(IndexKind::Sled(folder.to_owned())) };
    Ok(Backing { disk, lock: Some(lock), meta })
}
