//! The file of a Unix socket: its place, its permissions, and how to reach it.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// An address of a socket holds 108 bytes, the last of them zero.
const ADDRESS_LENGTH_MAX_BYTES: usize = 107;

/// The socket's file. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct SocketFile {
    place: SocketPath,
    /// The file itself, so that no later one gets its inode.
    file: OwnedFd,
}

impl SocketFile {
    /// Creates the socket, replaces one that a crash left, and listens. `mode` says who may use it, and
    /// `queue` how many clients may wait to be accepted.
    pub(crate) fn listen(path: &Path, mode: u32, queue: i32) -> io::Result<(Self, UnixListener)> {
        let place = SocketPath::open(path)?;
        place.remove_stale()?;
        let socket = socket(SocketFlags::CLOEXEC)?;
        // The file gets the mode of its socket: there is no moment in which others could connect.
        rustix::fs::fchmod(&socket, Mode::from_bits_truncate(mode))?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(place.address())?)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&place.folder, place.name(), flags, Mode::empty())?;
        let file = Self { place, file };
        rustix::net::listen(&socket, queue)?;
        Ok((file, UnixListener::from(socket)))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another server's socket stays.
        let own = rustix::fs::fstat(&self.file).map(|status| identity(&status));
        if self.place.status().map(|status| identity(&status)) == own
            && let Err(error) = self.place.remove()
        {
            log::warn!("cannot remove {}: {error}", self.place.path.display());
        }
    }
}

/// Connects to the server that listens at a socket, or returns `None` where none listens.
pub(crate) fn connect_socket(path: &Path) -> io::Result<Option<UnixStream>> {
    let place = match SocketPath::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    match UnixStream::connect(place.address()) {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
            _ => Err(error),
        },
    }
}

fn socket(flags: SocketFlags) -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

/// Returns the device and the inode of a file.
#[expect(clippy::useless_conversion, reason = "the fields have other types on other processors")]
fn identity(status: &Stat) -> (u64, u64) {
    (status.st_dev.into(), status.st_ino.into())
}

/// The path of a socket, and the open folder that it is in.
#[derive(Debug)]
struct SocketPath {
    path: PathBuf,
    folder: File,
}

impl SocketPath {
    fn open(path: &Path) -> io::Result<Self> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let flags = i32::try_from((OFlags::DIRECTORY | OFlags::CLOEXEC).bits()).unwrap_or_default();
        let folder =
            OpenOptions::new().read(true).custom_flags(flags).open(parent.unwrap_or(Path::new(".")))?;
        Ok(Self { path: path.to_owned(), folder })
    }

    fn name(&self) -> &OsStr {
        self.path.file_name().unwrap_or_default()
    }

    /// Returns a path that fits an address: where the socket's own is too long, the one through its folder's
    /// descriptor.
    fn address(&self) -> PathBuf {
        if self.path.as_os_str().as_bytes().len() <= ADDRESS_LENGTH_MAX_BYTES {
            self.path.clone()
        } else {
            let folder = self.folder.as_fd().as_raw_fd().to_string();
            Path::new("/proc/self/fd").join(folder).join(self.name())
        }
    }

    fn status(&self) -> Result<Stat, Errno> {
        rustix::fs::statat(&self.folder, self.name(), AtFlags::SYMLINK_NOFOLLOW)
    }

    fn remove(&self) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.folder, self.name(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Removes the socket of a server that crashed.
    fn remove_stale(&self) -> io::Result<()> {
        let status = match self.status() {
            Err(Errno::NOENT) => return Ok(()),
            status => status?,
        };
        if FileType::from_raw_mode(status.st_mode) != FileType::Socket {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "another file has its name"));
        }
        // Without blocking: a server whose queue is full answers, too.
        let client = socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
        match rustix::net::connect(&client, &SocketAddrUnix::new(self.address())?) {
            Err(Errno::CONNREFUSED) => self.remove(),
            Err(Errno::NOENT) => Ok(()),
            Ok(()) | Err(Errno::AGAIN) => {
                Err(io::Error::new(io::ErrorKind::AddrInUse, "another server listens there"))
            }
            Err(errno) => Err(errno.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(path: &Path) -> io::Result<(SocketFile, UnixListener)> {
        SocketFile::listen(path, 0o600, 1)
    }

    #[test]
    fn the_socket_of_another_server_is_neither_replaced_nor_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let (one, listener) = listen(&path).unwrap();
        assert_eq!(listen(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert!(connect_socket(&path).unwrap().is_some());
        drop(listener);
        let (other, _listener) = listen(&path).unwrap();
        drop(one);
        assert!(connect_socket(&path).unwrap().is_some(), "the first leaves the second's");
        drop(other);
        assert!(!path.exists() && connect_socket(&path).unwrap().is_none());
    }
}
