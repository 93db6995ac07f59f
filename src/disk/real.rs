//! The disk of the operating system.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, Stat, StatVfs, StatVfsMountFlags};
use rustix::io::{Errno, retry_on_intr};

use super::SYNC_FILESYSTEM;
use super::error::SYNC_FOLDER;
use super::filesystem::is_synced_as_a_whole;
use super::path::checked;
use super::real_file::RealFile;
use super::{Disk, DiskError, DiskFile, Entry, SyncSite, trials};

/// A file's mode: only for its owner, since the state of a hash holds pieces of uploads.
const FILE_MODE: Mode = Mode::from_raw_mode(0o600);

/// A folder's mode: only for its owner.
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o700);

/// A folder of the operating system's file tree, with everything in it.
///
/// The folder stays open and every path is looked up from there, so that it may be moved while pulk runs.
#[derive(Debug)]
pub struct RealDisk {
    root: OwnedFd,
    /// Whether the filesystem counts the names of a file, once that was tried.
    counts_names: OnceLock<bool>,
    /// A folder of the filesystem that is synced as a whole, if that can be trusted.
    // INVARIANT: it is open since before the first bytes were written that such a sync makes durable. The
    // system reports lost writes to the handles that were open then.
    whole: OnceLock<Option<OwnedFd>>,
}

impl RealDisk {
    /// Opens the disk in an existing folder.
    pub fn open(root: &Path) -> Result<Self, DiskError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = retry_on_intr(|| rustix::fs::open(root, flags, Mode::empty()))
            .map_err(|errno| DiskError::new("open", root, errno))?;
        Ok(Self { root, counts_names: OnceLock::new(), whole: OnceLock::new() })
    }

    /// Opens the disk in a folder, and creates it durably (mode 0700) unless it exists; its parent must
    /// exist.
    pub fn open_or_create(root: &Path) -> Result<Self, DiskError> {
        match retry_on_intr(|| rustix::fs::mkdir(root, FOLDER_MODE)) {
            Ok(()) => {
                let parent = match root.parent() {
                    Some(parent) if !parent.as_os_str().is_empty() => parent,
                    _ => Path::new("."),
                };
                let parent: &dyn Disk = &Self::open(parent)?;
                parent.sync_folder(Path::new(""))?;
            }
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(DiskError::new("create", root, errno)),
        }
        Self::open(root)
    }

    /// Tries what pulk needs of the filesystem and what no start would show. Fails where that is missing.
    /// The caller holds the lock of the data directory.
    pub fn try_filesystem(&self) -> Result<(), DiskError> {
        let counts_names = match trials::run(&self.root) {
            // What is not known is not relied on.
            Err(error) if error.is_full() => false,
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => return Ok(()),
            tried => tried?,
        };
        if self.counts_names.set(counts_names).is_ok() && !counts_names {
            log::info!(
                "the filesystem of the data directory does not show how many names a file has: after a \
                 crash, uploads are resumed on copies of their files"
            );
        }
        Ok(())
    }

    fn open_file(
        &self,
        op: &'static str,
        path: &Path,
        flags: OFlags,
    ) -> Result<Arc<dyn DiskFile>, DiskError> {
        let name = at_root(checked(op, path)?);
        let failed = |errno| DiskError::new(op, path, errno);
        let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file =
            retry_on_intr(|| rustix::fs::openat(&self.root, name, flags, FILE_MODE)).map_err(failed)?;
        // The system opens a folder for reading without an error.
        let status = rustix::fs::fstat(&file).map_err(failed)?;
        match FileType::from_raw_mode(status.st_mode) {
            FileType::RegularFile => {
                let counts_names = self.counts_names.get() == Some(&true);
                Ok(Arc::new(RealFile::new(File::from(file), path.to_owned(), counts_names)))
            }
            FileType::Directory => Err(failed(Errno::ISDIR)),
            _ => Err(failed(Errno::INVAL)),
        }
    }

    fn open_folder(&self, op: &'static str, path: &Path) -> Result<OwnedFd, DiskError> {
        let name = at_root(checked(op, path)?);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        retry_on_intr(|| rustix::fs::openat(&self.root, name, flags, Mode::empty()))
            .map_err(|errno| DiskError::new(op, path, errno))
    }

    /// Returns the two names of a rename, as the system takes them.
    fn both_names<'a>(&self, from: &'a Path, to: &'a Path) -> Result<(&'a Path, &'a Path), DiskError> {
        const OP: &str = "rename";
        let old = at_root(checked(OP, from)?);
        let new = at_root(checked(OP, to)?);
        // The system would also rename a folder, which the other disks cannot and no caller needs.
        // A file that the medium cannot look at may have a name that can be changed.
        match self.is_folder(old).map_err(|errno| DiskError::new(OP, from, errno)) {
            Ok(true) => Err(DiskError::new(OP, from, Errno::ISDIR)),
            Err(error) if !error.is_of_the_medium() => Err(error),
            _ => Ok((old, new)),
        }
    }

    fn measure(&self) -> Result<StatVfs, DiskError> {
        retry_on_intr(|| rustix::fs::fstatvfs(&self.root))
            .map_err(|errno| DiskError::new("measure the free space of", Path::new(""), errno))
    }

    fn is_folder(&self, path: &Path) -> rustix::io::Result<bool> {
        let status = retry_on_intr(|| rustix::fs::statat(&self.root, at_root(path), AtFlags::empty()))?;
        Ok(FileType::from_raw_mode(status.st_mode) == FileType::Directory)
    }
}

/// Returns `.` for the empty path, since the system has no empty paths.
fn at_root(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

fn entry(name: String, status: &Stat) -> Entry {
    let is_folder = FileType::from_raw_mode(status.st_mode) == FileType::Directory;
    let length = if is_folder { 0 } else { u64::try_from(status.st_size).unwrap_or(0) };
    Entry { name, is_folder, length }
}

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.open_file("create", path, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.open_file("open", path, OFlags::RDONLY)
    }

    fn open_writable(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.open_file("open for writing", path, OFlags::RDWR)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        let (old, new) = self.both_names(from, to)?;
        retry_on_intr(|| rustix::fs::renameat(&self.root, old, &self.root, new))
            .map_err(|errno| DiskError::new("rename to", to, errno))
    }

    fn rename_new(&self, from: &Path, to: &Path) -> Result<bool, DiskError> {
        let (old, new) = self.both_names(from, to)?;
        if self.counts_names.get() == Some(&false) {
            return Ok(false);
        }
        let flags = RenameFlags::NOREPLACE;
        match retry_on_intr(|| rustix::fs::renameat_with(&self.root, old, &self.root, new, flags)) {
            Ok(()) => Ok(true),
            // The last three: the filesystem, or the kernel, does not know the flag.
            Err(Errno::EXIST | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(false),
            Err(errno) => Err(DiskError::new("rename to", to, errno)),
        }
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        let name = at_root(checked("remove", path)?);
        retry_on_intr(|| rustix::fs::unlinkat(&self.root, name, AtFlags::empty()))
            .map_err(|errno| DiskError::new("remove", path, errno))
    }

    fn create_folder(&self, path: &Path) -> Result<(), DiskError> {
        const OP: &str = "create folder";
        let name = at_root(checked(OP, path)?);
        match retry_on_intr(|| rustix::fs::mkdirat(&self.root, name, FOLDER_MODE)) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) if self.is_folder(name) == Ok(true) => Ok(()),
            Err(errno) => Err(DiskError::new(OP, path, errno)),
        }
    }

    fn remove_folder(&self, path: &Path) -> Result<(), DiskError> {
        const OP: &str = "remove folder";
        let name = at_root(checked(OP, path)?);
        retry_on_intr(|| rustix::fs::unlinkat(&self.root, name, AtFlags::REMOVEDIR))
            .map_err(|errno| DiskError::new(OP, path, errno))
    }

    fn sync_folder_at(&self, path: &Path, _site: SyncSite) -> Result<(), DiskError> {
        let folder = self.open_folder(SYNC_FOLDER, path)?;
        if self.counts_names.get() == Some(&false) {
            // FAT has no inodes: a file's length and place are in its name's entry, which a rename writes
            // without them at first. A sync of the folder alone could keep the name of an empty file.
            retry_on_intr(|| rustix::fs::syncfs(&folder))
                .map_err(|errno| DiskError::new(SYNC_FOLDER, path, errno))?;
        }
        retry_on_intr(|| rustix::fs::fsync(&folder)).map_err(|errno| DiskError::new(SYNC_FOLDER, path, errno))
    }

    fn syncs_filesystem(&self, folder: &Path) -> bool {
        let open = || self.open_folder(SYNC_FILESYSTEM, folder).ok().filter(is_synced_as_a_whole);
        self.whole.get_or_init(open).is_some()
    }

    fn sync_filesystem_at(&self, folder: &Path, _site: SyncSite) -> Result<(), DiskError> {
        let whole = self.whole.get().and_then(Option::as_ref).ok_or(Errno::OPNOTSUPP);
        whole
            .and_then(|whole| retry_on_intr(|| rustix::fs::syncfs(whole)))
            .map_err(|errno| DiskError::new(SYNC_FILESYSTEM, folder, errno))
    }

    /// Lists a folder, sorted by name. Names that are not UTF-8 are not pulk's: they are left out, with a
    /// warning.
    fn list(&self, path: &Path) -> Result<Vec<Entry>, DiskError> {
        let folder = self.open_folder("list", path)?;
        let failed = |errno| DiskError::new("list", path, errno);
        let mut entries = Vec::new();
        for found in Dir::read_from(&folder).map_err(failed)? {
            let found = found.map_err(failed)?;
            let name = match found.file_name().to_str() {
                Ok("." | "..") => continue,
                Ok(name) => name.to_owned(),
                Err(_) => {
                    log::warn!("{}: skipped {:?}: the name is not UTF-8", path.display(), found.file_name());
                    continue;
                }
            };
            // A folder's length is meaningless, so skip its metadata.
            if found.file_type() == FileType::Directory {
                entries.push(Entry { name, is_folder: true, length: 0 });
                continue;
            }
            match retry_on_intr(|| rustix::fs::statat(&folder, found.file_name(), AtFlags::empty())) {
                Ok(status) => entries.push(entry(name, &status)),
                // Removed since the folder was read.
                Err(Errno::NOENT) => {}
                Err(errno) => {
                    let error = DiskError::new("look at", &path.join(&name), errno);
                    if !error.is_of_the_medium() {
                        return Err(error);
                    }
                    // One bad inode hides no other file.
                    log::error!("{error}");
                    entries.push(Entry { name, is_folder: false, length: 0 });
                }
            }
        }
        entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    fn free_bytes(&self) -> Result<Option<u64>, DiskError> {
        let status = self.measure()?;
        // `f_bavail` excludes the blocks kept for the superuser, for every caller.
        Ok(Some(status.f_bavail.saturating_mul(status.f_frsize)))
    }

    fn free_files(&self) -> Result<Option<u64>, DiskError> {
        let status = self.measure()?;
        // Filesystems that make inodes as they are needed, such as btrfs, report that they have none.
        Ok((status.f_files > 0).then_some(status.f_favail))
    }

    fn is_read_only(&self) -> bool {
        self.measure().is_ok_and(|status| status.f_flag.contains(StatVfsMountFlags::RDONLY))
    }
}
