//! Sends a stretch of a blob: by `sendfile` where there is a descriptor, through a buffer elsewhere.

use std::io;
use std::sync::Arc;

use super::output::Output;
use crate::disk::DiskFile;
use crate::wire::FileBody;

/// How much one `sendfile` may send: a bound on how long one client's turn at the disk lasts.
#[cfg(target_os = "linux")]
const SENDFILE_SIZE_MAX_BYTES: u64 = 1024 * 1024;

/// How much is read at once where there is no `sendfile`.
const READ_SIZE_MAX_BYTES: u64 = 256 * 1024;

/// What one turn at the disk came to.
enum Turn {
    /// So many bytes went to the socket, at least one.
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

/// Sends the bytes of `body`, and counts in `sent` those that the socket took.
///
/// The wait for a slow client lies between the turns at the disk, so it holds neither a permit nor a thread,
/// nor, with `sendfile`, a buffer.
pub(super) async fn send_file(body: &FileBody, output: Output<'_>, sent: &mut u64) -> io::Result<()> {
    let mut offset = body.offset;
    let mut left = body.length;
    let mut progress = output.progress();
    while left > 0 {
        let before = *sent;
        match turn(body, offset, left, output).await? {
            #[cfg(target_os = "linux")]
            Turn::Sent(count) => {
                progress.made();
                *sent += count;
            }
            #[cfg(target_os = "linux")]
            Turn::Full => output.writable(&mut progress).await?,
            Turn::Read(bytes) => output.write_all(&bytes, false, sent).await?,
            Turn::Ended => {
                let reason = format!("{} ended at byte {offset}", body.reader.digest());
                log::error!("a blob is shorter than its record: {reason}");
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
            }
        }
        let count = *sent - before;
        offset = offset.saturating_add(count);
        left = left.saturating_sub(count);
    }
    Ok(())
}

#[cfg(target_os = "linux")]
async fn turn(body: &FileBody, offset: u64, left: u64, output: Output<'_>) -> io::Result<Turn> {
    let socket = Arc::clone(output.socket);
    body.reader
        .with_file(move |file| match file.descriptor() {
            Some(descriptor) => sendfile(socket.get_ref(), descriptor, offset, left),
            None => read(file, offset, left),
        })
        .await
}

#[cfg(not(target_os = "linux"))]
async fn turn(body: &FileBody, offset: u64, left: u64, _output: Output<'_>) -> io::Result<Turn> {
    body.reader.with_file(move |file| read(file, offset, left)).await
}

/// Sends until the socket is full, but no more than a turn allows. The socket does not block.
#[cfg(target_os = "linux")]
fn sendfile(
    socket: &std::net::TcpStream,
    file: std::os::fd::BorrowedFd<'_>,
    offset: u64,
    left: u64,
) -> io::Result<Turn> {
    let mut position = offset;
    let end = offset.saturating_add(left.min(SENDFILE_SIZE_MAX_BYTES));
    while position < end {
        let count = usize::try_from(end - position).unwrap_or(usize::MAX);
        // The call moves `position` on by what it sent.
        match rustix::fs::sendfile(socket, file, Some(&mut position), count) {
            Ok(0) if position == offset => return Ok(Turn::Ended),
            Ok(0) => break,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) if position == offset => return Ok(Turn::Full),
            Err(rustix::io::Errno::AGAIN) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Turn::Sent(position - offset))
}

fn read(file: &dyn DiskFile, offset: u64, left: u64) -> io::Result<Turn> {
    let size = left.min(READ_SIZE_MAX_BYTES);
    let mut bytes = vec![0; size as usize];
    let count = file.read_at(&mut bytes, offset).map_err(io::Error::other)?;
    bytes.truncate(count);
    Ok(if bytes.is_empty() { Turn::Ended } else { Turn::Read(bytes) })
}
