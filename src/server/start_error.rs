//! Why a server did not start, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{DiskError, LockError};
use crate::registry::{OpenError, needed};
use crate::wire::{BindError, ListenAddress};

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The server cannot listen on the address.
    #[error("{source}")]
    Listen {
        /// The requested address.
        address: ListenAddress,
        /// Why not.
        source: BindError,
    },

    /// Another process uses the data directory.
    #[error("the data directory {} is in use{}", folder.display(), by_pid(*pid))]
    DataInUse {
        /// The data directory.
        folder: PathBuf,
        /// The process that uses it, if known.
        pid: Option<u32>,
    },

    /// The folder that should hold the data directory does not exist.
    #[error("cannot create the data directory {}: the folder {} does not exist",
        folder.display(), parent_of(folder).display())]
    NoParent {
        /// The data directory.
        folder: PathBuf,
    },

    /// There is no such data directory, and only a server creates one.
    #[error("the data directory {} does not exist", folder.display())]
    NoFolder {
        /// The data directory.
        folder: PathBuf,
    },

    /// The data directory can't be created or written.
    #[error("cannot write to the data directory {}: {source}", folder.display())]
    NotWritable {
        /// The data directory.
        folder: PathBuf,
        /// What failed.
        source: DiskError,
    },

    /// The data directory belongs to another user, and files of this process would lock that user out.
    #[error("the data directory {} belongs to uid {owner}, and this is uid {user}", folder.display())]
    Foreign {
        /// The data directory.
        folder: PathBuf,
        /// The user that it belongs to.
        owner: u32,
        /// The user that this process runs as.
        user: u32,
    },

    /// The filesystem of the data directory lacks something that pulk needs.
    #[error("the filesystem of the data directory {} cannot be used: {source}", folder.display())]
    UnfitFilesystem {
        /// The data directory.
        folder: PathBuf,
        /// What it cannot do.
        source: DiskError,
    },

    /// An upload could not become a blob by a rename.
    #[error("uploads/ and blobs/ in {} lie on different filesystems", folder.display())]
    SplitFilesystems {
        /// The data directory.
        folder: PathBuf,
    },

    /// The data directory has a format that this version doesn't know.
    #[error("{} was written by a newer pulk (format {found}; this one reads up to {known}){}",
        folder.display(), needed(by.as_deref()))]
    NewerFormat {
        /// The data directory.
        folder: PathBuf,
        /// The format found there.
        found: u32,
        /// The newest format that this version knows.
        known: u32,
        /// The version of pulk that wrote the format first, where that is known.
        by: Option<String>,
    },

    /// The data directory has content, but no metadata that describes it.
    #[error("{}: journal/ and checkpoint/ are missing or empty, but blobs/ has content", folder.display())]
    MetadataLost {
        /// The data directory.
        folder: PathBuf,
    },

    /// The store in the data directory could not be opened.
    #[error("cannot open the data directory {}: {source}", folder.display())]
    Store {
        /// The data directory.
        folder: PathBuf,
        /// What failed, and on what.
        source: OpenError,
    },

    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// What to do where the medium fails.
const MEDIUM_ADVICE: &str = "The disk failed: check it (smartctl, dmesg). Repair the filesystem, or restore \
                             a copy of the data directory. Delete nothing of it.";

impl StartError {
    /// Converts a failed opening to what it means for the data directory.
    pub(crate) fn from_open(folder: &Path, error: OpenError) -> Self {
        let folder = folder.to_owned();
        match error {
            OpenError::Lock(LockError::Held { pid, .. }) => Self::DataInUse { folder, pid },
            OpenError::Newer { found, known, by } => Self::NewerFormat { folder, found, known, by },
            OpenError::Foreign { owner, user } => Self::Foreign { folder, owner, user },
            OpenError::MetadataLost => Self::MetadataLost { folder },
            OpenError::Filesystems => Self::SplitFilesystems { folder },
            OpenError::Lock(LockError::Disk(source)) | OpenError::Disk(source)
                if source.is_of_the_filesystem() =>
            {
                Self::UnfitFilesystem { folder, source }
            }
            OpenError::Lock(LockError::Disk(source)) => Self::NotWritable { folder, source },
            OpenError::Disk(source) if source.is_not_found() && source.path() == folder => {
                if source.op() == "create" { Self::NoParent { folder } } else { Self::NoFolder { folder } }
            }
            OpenError::Disk(source) if cannot_be_written(source.kind()) => {
                Self::NotWritable { folder, source }
            }
            OpenError::Thread(source) => Self::Thread(source),
            source @ (OpenError::NoStore
            | OpenError::Feature { .. }
            | OpenError::Older { .. }
            | OpenError::Format(_)
            | OpenError::Disk(_)
            | OpenError::Blobs(_)
            | OpenError::Server(_)
            | OpenError::Meta(_)
            | OpenError::Index(_)) => Self::Store { folder, source },
        }
    }

    /// Returns what the operator can do about it, in a sentence or two.
    pub fn advice(&self) -> String {
        match self {
            Self::Listen { address, source } => listen_advice(address, source),
            Self::DataInUse { pid: Some(pid), .. } => {
                format!("Stop that process first (kill {pid}), or choose another directory with --data.")
            }
            Self::DataInUse { pid: None, .. } => {
                "Stop the other process first, or choose another directory with --data.".to_owned()
            }
            Self::NoParent { folder } => parent_advice(folder),
            Self::NoFolder { .. } | Self::Store { source: OpenError::NoStore, .. } => {
                "Name the data directory with --data, PULK_DATA or in the configuration file.".to_owned()
            }
            Self::NotWritable { source, .. } => write_advice(source.kind()),
            Self::Foreign { owner, .. } => format!(
                "The owner could not read files that this user writes: run pulk as the owner (sudo -u \
                 '#{owner}' pulk …), or change the owner of the directory and its contents (chown -R). \
                 Nothing was changed."
            ),
            Self::UnfitFilesystem { .. } => {
                "pulk needs locks (flock), syncs of folders (fsync), renames that replace a file, and files \
                 that can be cut: keep the data directory on a local filesystem such as ext4, xfs or btrfs."
                    .to_owned()
            }
            Self::SplitFilesystems { .. } => {
                "Publishing a blob renames a file, which cannot cross filesystems: keep the whole data \
                 directory on one filesystem."
                    .to_owned()
            }
            Self::NewerFormat { .. } => {
                "Use the newer pulk, or choose another directory with --data. Nothing was changed.".to_owned()
            }
            Self::MetadataLost { folder } => format!(
                "If they exist elsewhere (an incomplete copy, a missing mount), restore them. If they are \
                 lost, `pulk rebuild --data {}` recovers what the content itself shows. Nothing was \
                 changed.",
                folder.display()
            ),
            Self::Store { source: OpenError::Feature { .. }, .. } => {
                "Use a pulk that knows the feature, or choose another directory with --data. Nothing was \
                 changed."
                    .to_owned()
            }
            Self::Store { source: OpenError::Older { .. }, .. } => {
                "Use a version of pulk that reads both formats first. Nothing was changed.".to_owned()
            }
            Self::Store { source: OpenError::Meta(error), .. } if error.is_of_another_version() => {
                "Another version of pulk wrote it, and what it says may have been acknowledged: use that \
                 version. Nothing was changed."
                    .to_owned()
            }
            Self::Store { source, .. } if source.is_of_the_medium() => MEDIUM_ADVICE.to_owned(),
            Self::Store { .. } => {
                "Check what the message names. Delete nothing: the journal and the blobs hold everything \
                 that was acknowledged."
                    .to_owned()
            }
            Self::Thread(_) => "The system denies this user more threads or memory.".to_owned(),
        }
    }
}

fn by_pid(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" by pid {pid}")).unwrap_or_default()
}

/// Returns the folder that holds another one.
fn parent_of(folder: &Path) -> &Path {
    folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn cannot_be_written(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::StorageFull
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::AlreadyExists
    )
}

fn listen_advice(address: &ListenAddress, error: &BindError) -> String {
    match (error, address) {
        (BindError::PortTaken { .. }, ListenAddress::Tcp { host, port }) => format!(
            "Another program uses port {port}: stop it, or choose another port with --listen {host}:PORT."
        ),
        (BindError::PortTaken { .. }, ListenAddress::Unix(_)) => {
            "Another program listens at that socket: stop it, or choose another path with --listen unix:PATH."
                .to_owned()
        }
        (_, ListenAddress::Unix(path)) => format!(
            "The folder {} must exist and be writable, and nothing else than a socket may have that name.",
            parent_of(path).display()
        ),
        (BindError::Other { source, .. }, _) if source.kind() == io::ErrorKind::AddrNotAvailable => {
            "This machine does not have that address: use --listen 127.0.0.1:5000 for local clients only, \
             or --listen 0.0.0.0:5000 for all networks."
                .to_owned()
        }
        (BindError::NotAllowed { .. }, _) => {
            "Ports below 1024 need CAP_NET_BIND_SERVICE: grant it, or choose a higher port with --listen."
                .to_owned()
        }
        (BindError::Unresolvable { .. } | BindError::Other { .. }, _) => {
            "Choose another address with --listen.".to_owned()
        }
    }
}

fn parent_advice(folder: &Path) -> String {
    format!(
        "Only the last folder of the path is created: create the others first (mkdir -p {}), or choose \
         another directory with --data, PULK_DATA or in the configuration file.",
        parent_of(folder).display()
    )
}

fn write_advice(kind: io::ErrorKind) -> String {
    match kind {
        io::ErrorKind::StorageFull => {
            "The filesystem of the directory is full: free space, or choose another with --data."
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "The filesystem of the directory is read-only: remount it, or choose another with --data."
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "A file is in the place of a directory: remove it, or choose another with --data."
        }
        _ => "Give it to the user that runs pulk (chown), or choose another with --data.",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    fn listen_advice(source: BindError) -> String {
        StartError::Listen { address: "[::1]:80".parse().unwrap(), source }.advice()
    }

    #[test]
    fn a_taken_port_is_answered_with_how_to_choose_another() {
        let address = "[::1]:80".to_owned();
        let taken = listen_advice(BindError::PortTaken { address: address.clone() });
        assert!(taken.contains("Another program uses port 80"));
        assert!(taken.contains("--listen [::1]:PORT"));
        assert!(listen_advice(BindError::NotAllowed { address: address.clone() }).contains("1024"));
        let source = io::ErrorKind::AddrNotAvailable.into();
        assert!(listen_advice(BindError::Other { address, source }).contains("0.0.0.0:5000"));
    }

    #[test]
    fn a_directory_in_use_names_the_process_where_it_is_known() {
        let folder = PathBuf::from("/srv/pulk");
        let known = StartError::DataInUse { folder: folder.clone(), pid: Some(41) };
        assert_eq!(known.to_string(), "the data directory /srv/pulk is in use by pid 41");
        assert!(known.advice().contains("kill 41"));
        let unknown = StartError::DataInUse { folder, pid: None };
        assert_eq!(unknown.to_string(), "the data directory /srv/pulk is in use");
        assert!(unknown.advice().contains("--data"));
    }

    #[test]
    fn a_directory_without_a_parent_names_the_folder_that_is_missing() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("missing/data");
        let error = crate::disk::RealDisk::open_or_create(&folder).unwrap_err();
        let error = StartError::from_open(&folder, error.into());
        let missing = root.path().join("missing");
        assert!(error.to_string().ends_with(&format!("the folder {} does not exist", missing.display())));
        assert!(error.advice().contains(&format!("mkdir -p {}", missing.display())));
        let error = crate::disk::RealDisk::open(&folder).unwrap_err();
        let error = StartError::from_open(&folder, error.into());
        assert_eq!(error.to_string(), format!("the data directory {} does not exist", folder.display()));
        assert!(error.advice().contains("PULK_DATA"));
    }

    #[test]
    fn a_directory_that_cannot_be_written_says_why_and_what_helps() {
        let advice = |kind: io::ErrorKind| {
            let source = DiskError::new("create", Path::new("lock"), io::Error::from(kind));
            StartError::from_open(Path::new("d"), source.into()).advice()
        };
        assert!(advice(io::ErrorKind::PermissionDenied).contains("chown"));
        assert!(advice(io::ErrorKind::StorageFull).contains("full"));
        assert!(advice(io::ErrorKind::ReadOnlyFilesystem).contains("read-only"));
        assert!(advice(io::ErrorKind::NotADirectory).contains("A file is in the place"));
    }

    #[test]
    fn a_filesystem_that_lacks_something_is_refused_with_what_pulk_needs() {
        let refused = |op: &'static str, errno: Errno| {
            let source = DiskError::new(op, Path::new(""), errno);
            StartError::from_open(Path::new("d"), source.into())
        };
        let error = refused("sync folder", Errno::INVAL);
        let why =
            "the filesystem of the data directory d cannot be used: cannot sync folder .: Invalid argument";
        assert!(error.to_string().starts_with(why), "{error}");
        assert!(error.advice().contains("ext4"));
        assert!(refused("truncate", Errno::PERM).advice().contains("cut"));
        let locked = LockError::Disk(DiskError::new("lock", Path::new("lock"), Errno::NOLCK));
        let locked = StartError::from_open(Path::new("d"), locked.into());
        assert!(locked.advice().contains("flock"), "{locked}");
        for (op, errno) in [("sync folder", Errno::IO), ("write", Errno::INVAL), ("truncate", Errno::IO)] {
            assert!(!refused(op, errno).advice().contains("flock"), "{op}");
        }
    }

    #[test]
    fn a_newer_format_is_named_with_the_one_that_is_known() {
        let error = StartError::NewerFormat { folder: PathBuf::from("d"), found: 3, known: 1, by: None };
        assert_eq!(error.to_string(), "d was written by a newer pulk (format 3; this one reads up to 1)");
        assert!(error.advice().contains("Nothing was changed"));
    }

    #[test]
    fn split_filesystems_are_explained() {
        let error = StartError::SplitFilesystems { folder: PathBuf::from("d") };
        assert!(error.to_string().contains("different filesystems"));
        assert!(error.advice().contains("rename"));
    }
}
