//! Opening a registry and closing it.

pub(in crate::registry) mod cleaning;
pub(in crate::registry) mod format;
pub(in crate::registry) mod options;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::blobs::{BLOBS_FOLDER, BlobError, BlobStore, UPLOADS_FOLDER};
use crate::disk::{
    DirectoryLock, Disk, DiskError, ForeignOwner, FreeSpace, LockError, MemoryDisk, MeteredDisk, RealDisk,
    same_filesystem,
};
use crate::meta::{
    Claims, Command, IndexError, IndexKind, Meta, MetaOptions, OpenError as MetaOpenError, UploadRow,
};
use crate::registry::content::damage::{self, DamageReports, ScrubCounters};
use crate::registry::content::manifest_cache::ManifestCache;
use crate::registry::content::verified::VerifiedFiles;
use crate::registry::disk_permits::DiskPermits;
use crate::registry::protection::digest_locks::DigestLocks;
use crate::registry::protection::leases::Leases;
use crate::registry::uploads::expiry;
use crate::registry::uploads::memory::ManifestMemory;
use crate::registry::uploads::pool::BufferPool;
use crate::registry::uploads::session::{UploadSession, UploadSessions};
use crate::registry::{Inner, NamesInUse, Registry};
use cleaning::Unnamed;
use options::{RegistryOptions, Storage};

/// Why a registry could not be opened or closed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another pulk uses the data directory, or the lock could not be taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The data directory was made by a newer version.
    #[error("the data directory has format {found}, this version of pulk knows formats up to {known}")]
    Newer {
        /// The directory's format.
        found: u32,
        /// The newest that this version knows.
        known: u32,
    },
    /// There is no store, and this is not to make one.
    #[error("there is no store in it: neither pulk.json nor a journal nor content")]
    NoStore,
    /// The data directory belongs to another user, whom files of this one would lock out of it.
    #[error("it belongs to uid {owner}, and what uid {user} makes in it would lock that one out")]
    Foreign {
        /// The user that it belongs to.
        owner: u32,
        /// The user that this process runs as.
        user: u32,
    },
    /// There is content, and nothing that says what it is.
    #[error("journal and checkpoints are missing in the data directory, but there is content in it")]
    MetadataLost,
    /// `pulk.json` is damaged.
    #[error("pulk.json in the data directory cannot be read: {0}")]
    Format(String),
    /// Uploads could not be renamed to their place.
    #[error("`uploads` and `blobs` in the data directory are on different filesystems")]
    Filesystems,
    /// A disk operation failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Content could not be looked at.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// Metadata could not be opened or closed.
    #[error(transparent)]
    Meta(#[from] MetaOpenError),
    /// The index could not be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// The server that uses the data directory did not do its part.
    #[error("the server does not answer as it should: {0}")]
    Server(String),
}

impl OpenError {
    /// Makes the error of a data directory that belongs to another user.
    pub(crate) fn foreign(found: ForeignOwner) -> Self {
        Self::Foreign { owner: found.owner, user: rustix::process::geteuid().as_raw() }
    }
}

impl Registry {
    /// Opens a registry, and makes its data directory when it is not there. May take a while after an unclean
    /// stop.
    pub fn open(options: RegistryOptions) -> Result<Self, OpenError> {
        let opened = match &options.storage {
            Storage::Memory => Backing {
                disk: Arc::new(MemoryDisk::new()),
                lock: None,
                meta: MetaOptions::new(IndexKind::Map),
            },
            Storage::Folder(folder) => open_folder(folder)?,
        };
        Self::open_on(options, opened)
    }

    /// Opens a registry on a disk.
    pub(crate) fn open_on(options: RegistryOptions, opened: Backing) -> Result<Self, OpenError> {
        let layout = format::examine(&opened.disk)?;
        format::settle(opened.disk.as_ref(), &layout)?;
        let metered = MeteredDisk::new(opened.disk);
        let counters = metered.counters();
        let disk: Arc<dyn Disk> = Arc::new(metered);
        let blobs = BlobStore::open(Arc::clone(&disk))?;
        if let Storage::Folder(folder) = &options.storage
            && !same_filesystem(&folder.join(UPLOADS_FOLDER), &folder.join(BLOBS_FOLDER))?
        {
            return Err(OpenError::Filesystems);
        }
        let space = FreeSpace::new(Arc::clone(&disk), options.reserve_bytes);
        let leases = Arc::new(Leases::new(options.lease, options.grace));
        let meta_options = MetaOptions {
            policies: options.policies.clone(),
            claims: Arc::clone(&leases) as Arc<dyn Claims>,
            reserve_bytes: options.reserve_bytes,
            progress: options.progress.clone(),
            content: Some(blobs.clone()),
            ..opened.meta
        };
        let meta = Meta::open(Arc::clone(&disk), meta_options)?;
        damage::finish_quarantining(&meta, &blobs)?;
        let keeps_unnamed = cleaning::remove_unnamed(&meta, &blobs)? == Unnamed::Kept;
        let sessions = restore_sessions(&meta, &blobs, options.upload_idle_max)?;
        let (alive, gone) = channel();
        let permits = DiskPermits::new(options.waiting_max);
        #[cfg(test)]
        let permits = if options.blocks_inline { permits.inline() } else { permits };
        let inner = Arc::new(Inner {
            disk,
            blobs,
            sessions,
            leases,
            locks: DigestLocks::new(),
            damage_reports: DamageReports::new(),
            scrubbed: ScrubCounters::default(),
            storing: NamesInUse::default(),
            keeps_unnamed,
            collected: Mutex::default(),
            permits: Arc::new(permits),
            pool: BufferPool::new(),
            manifest_memory: ManifestMemory::new(),
            cache: ManifestCache::new(),
            verified: VerifiedFiles::new(),
            counters,
            space,
            meta,
            options,
            _alive: alive,
            _lock: opened.lock,
        });
        expiry::start(&inner, gone).map_err(OpenError::Thread)?;
        Ok(Self { inner })
    }

    /// Stops taking commands and leaves the store as a clean stop does. What is asked of the registry
    /// afterwards fails. A second call does nothing.
    pub async fn close(&self) -> Result<(), OpenError> {
        let inner = Arc::clone(&self.inner);
        self.inner.permits.write(move || inner.close()).await
    }
}

impl Inner {
    fn close(&self) -> Result<(), OpenError> {
        for session in self.sessions.all(UploadSession::is_live) {
            let made_durable = session.with_upload(&self.blobs, |upload| {
                let file = upload.file(&self.blobs, &session.name())?;
                if upload.make_durable(&self.blobs, file.as_ref(), 1)? {
                    let (id, row) = (session.id(), session.row(upload));
                    self.meta.submit(Command::AdvanceUpload { id, row }, Box::new(drop));
                }
                Ok(())
            });
            if let Err(error) = made_durable {
                log::warn!("upload {} goes back to where it was last durable: {error}", session.id());
            }
        }
        self.meta.close()?;
        Ok(())
    }
}

/// What a registry is kept in.
pub(crate) struct Backing {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) lock: Option<DirectoryLock>,
    pub(crate) meta: MetaOptions,
}

fn open_folder(folder: &Path) -> Result<Backing, OpenError> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open_or_create(folder)?);
    // Before the lock: what can't be gone on with stays as it is, byte for byte.
    format::examine(&disk)?;
    let lock = DirectoryLock::take(folder)?;
    let meta = MetaOptions::new(IndexKind::Sled(folder.to_owned()));
    Ok(Backing { disk, lock: Some(lock), meta })
}

/// Makes a session of each upload of earlier runs that can go on, and removes the files of all others.
fn restore_sessions(meta: &Meta, blobs: &BlobStore, idle_max: Duration) -> Result<UploadSessions, OpenError> {
    let clock = meta.clock();
    let now = clock.now(Duration::ZERO).ok();
    // Else none would ever time out where pulk starts every day.
    let idle = |row: &UploadRow| {
        let idle = now.zip(clock.corrected(row.at)).map(|(now, at)| now.saturating_sub(at));
        Duration::from_millis(idle.unwrap_or(0))
    };
    let mut files: BTreeSet<String> = blobs.unfinished()?.into_iter().collect();
    let sessions = UploadSessions::default();
    let (mut lost, mut saved) = (Vec::new(), Vec::new());
    meta.view().uploads(|id, row| saved.push((id, row)))?;
    for (id, row) in saved {
        let name = id.to_string();
        // INVARIANT: nobody goes on with a file that is content already.
        if files.contains(&name) && blobs.is_content_too(&name)? {
            log::info!("upload {id} is given up: a crash came when its file had become content");
            meta.submit(Command::EndUpload { id }, Box::new(drop));
        } else if files.remove(&name) || row.offset == 0 {
            let idle = idle(&row);
            sessions.restore(UploadSession::saved(id, row, idle, idle_max));
        } else {
            lost.push(id);
        }
    }
    for name in &files {
        log::info!("removing the file of upload {name}, which nothing knows of any more");
        blobs.forget(name);
    }
    for id in lost {
        log::warn!("upload {id} lost its file and is given up");
        meta.submit(Command::EndUpload { id }, Box::new(drop));
    }
    Ok(sessions)
}
