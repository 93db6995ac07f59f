//! The file of the control socket: its place, its permissions, and how to reach it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// The socket's name in the data directory.
pub(super) const SOCKET_NAME: &str = "control.sock";

/// An address of a socket holds 108 bytes, the last of them zero.
const ADDRESS_LENGTH_MAX_BYTES: usize = 107;

/// How many clients may wait to be accepted.
const WAITING_MAX: i32 = 16;

/// The socket's file. It is removed when this is dropped.
///
/// It exists only under the lock of the data directory, so that an older one may be removed.
#[derive(Debug)]
pub(super) struct SocketFile {
    folder: File,
}

impl SocketFile {
    /// Creates the socket, replaces one that a crash left, and listens. Only the owner may use it.
    pub(super) fn listen(data: &Path) -> io::Result<(Self, UnixListener)> {
        let folder = open_folder(data)?;
        remove_stale(folder.as_fd())?;
        let flags = SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        // The file gets the mode of its socket: there is no moment in which others could connect.
        rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(address(data, folder.as_fd()))?)?;
        let file = Self { folder };
        rustix::net::listen(&socket, WAITING_MAX)?;
        Ok((file, UnixListener::from(socket)))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        match rustix::fs::unlinkat(&self.folder, SOCKET_NAME, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => log::warn!("cannot remove {SOCKET_NAME}: {error}"),
        }
    }
}

/// Connects to the server of a data directory, or returns `None` where none listens.
pub(super) fn connect(data: &Path) -> io::Result<Option<UnixStream>> {
    let folder = match open_folder(data) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    match UnixStream::connect(address(data, folder.as_fd())) {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
            _ => Err(error),
        },
    }
}

fn open_folder(data: &Path) -> io::Result<File> {
    let flags = i32::try_from((OFlags::DIRECTORY | OFlags::CLOEXEC).bits()).unwrap_or_default();
    OpenOptions::new().read(true).custom_flags(flags).open(data)
}

/// Returns a path of the socket that fits an address: where the data directory's own is too long, the one
/// through its descriptor.
fn address(data: &Path, folder: BorrowedFd<'_>) -> PathBuf {
    let plain = data.join(SOCKET_NAME);
    if plain.as_os_str().as_bytes().len() <= ADDRESS_LENGTH_MAX_BYTES {
        plain
    } else {
        Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(SOCKET_NAME)
    }
}

fn remove_stale(folder: BorrowedFd<'_>) -> io::Result<()> {
    let status = match rustix::fs::statat(folder, SOCKET_NAME, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(()),
        status => status?,
    };
    if FileType::from_raw_mode(status.st_mode) != FileType::Socket {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "another file has its name"));
    }
    Ok(rustix::fs::unlinkat(folder, SOCKET_NAME, AtFlags::empty())?)
}
