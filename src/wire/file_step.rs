//! One step of sending a file, on a thread that may block.

use std::io;
use std::os::fd::BorrowedFd;
#[cfg(target_os = "linux")]
use std::sync::Arc;

#[cfg(target_os = "linux")]
use crate::wire::stream::Stream;

/// How much one `sendfile` may send: a bound on how long one client occupies the disk.
#[cfg(target_os = "linux")]
const SENDFILE_SIZE_MAX_BYTES: u64 = 1024 * 1024;

/// How much is read at once where there is no `sendfile`.
const READ_SIZE_MAX_BYTES: u64 = 256 * 1024;

/// What one step on a file came to.
#[derive(Debug)]
pub enum FileStepEnd {
    /// The socket took this many bytes, at least one.
    #[cfg(target_os = "linux")]
    Sent(u64),
    /// The socket takes nothing at the moment.
    #[cfg(target_os = "linux")]
    Full,
    /// There is no descriptor: these bytes were read instead.
    Read(Vec<u8>),
    /// The file has no byte there.
    Ended,
}

/// One step of sending a file: it may block on the disk, but never on the client.
#[derive(Debug)]
pub struct FileStep {
    #[cfg(target_os = "linux")]
    pub(super) stream: Arc<dyn Stream>,
    pub(super) offset: u64,
    pub(super) left: u64,
}

impl FileStep {
    /// Sends the file of `descriptor`, or without one reads by `read_at`, which fills a buffer from an offset
    /// on and returns how many bytes it read.
    pub fn run(
        self,
        descriptor: Option<BorrowedFd<'_>>,
        read_at: impl FnOnce(&mut [u8], u64) -> io::Result<usize>,
    ) -> io::Result<FileStepEnd> {
        #[cfg(target_os = "linux")]
        if let (Some(file), Some(socket)) = (descriptor, self.stream.descriptor()) {
            return sendfile(socket, file, self.offset, self.left);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = descriptor;
        let mut bytes = vec![0; self.left.min(READ_SIZE_MAX_BYTES) as usize];
        let count = read_at(&mut bytes, self.offset)?;
        bytes.truncate(count);
        Ok(if bytes.is_empty() { FileStepEnd::Ended } else { FileStepEnd::Read(bytes) })
    }
}

/// Sends until the socket is full, but no more than one step allows. The socket does not block.
#[cfg(target_os = "linux")]
fn sendfile(socket: BorrowedFd<'_>, file: BorrowedFd<'_>, offset: u64, left: u64) -> io::Result<FileStepEnd> {
    let mut position = offset;
    let end = offset.saturating_add(left.min(SENDFILE_SIZE_MAX_BYTES));
    while position < end {
        let count = usize::try_from(end - position).unwrap_or(usize::MAX);
        // The call moves `position` on by what it sent.
        match rustix::fs::sendfile(socket, file, Some(&mut position), count) {
            Ok(0) if position == offset => return Ok(FileStepEnd::Ended),
            Ok(0) => break,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) if position == offset => return Ok(FileStepEnd::Full),
            Err(rustix::io::Errno::AGAIN) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(FileStepEnd::Sent(position - offset))
}
