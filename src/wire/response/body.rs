//! Sends an answer.

use std::io;

use smol::io::AsyncReadExt;
use tide::http::Body;

use super::file::send_file;
use super::head::{Payload, Reply};
use super::output::Output;
use super::ranges::send_ranges;
use super::sent::SentGuard;

/// How much of a body is read and written at once.
const PIECE_SIZE_BYTES: usize = 64 * 1024;

/// Sends an answer and counts its body's bytes in `guard`. After an error the connection must end.
pub(in crate::wire) async fn send(reply: Reply, output: Output<'_>, guard: &mut SentGuard) -> io::Result<()> {
    let Reply { head, payload, .. } = reply;
    match payload {
        Payload::None => output.write_all(&head, false, &mut 0).await?,
        Payload::Sized { body, length } => send_sized(head, body, length, output, guard).await?,
        Payload::File(file) => {
            output.write_all(&head, true, &mut 0).await?;
            send_file(&file, output, &mut guard.sent.bytes_out).await?;
        }
        Payload::Ranges(ranges) => {
            output.write_all(&head, true, &mut 0).await?;
            send_ranges(&ranges, output, &mut guard.sent.bytes_out).await?;
        }
    }
    guard.sent.complete = true;
    Ok(())
}

/// Sends a body of known length; the head and the first piece (often all of it) go out in one write.
async fn send_sized(
    head: Vec<u8>,
    mut body: Body,
    length: u64,
    output: Output<'_>,
    guard: &mut SentGuard,
) -> io::Result<()> {
    let mut piece = head;
    let mut head_length = piece.len();
    let mut left = length;
    while left > 0 {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE_SIZE_BYTES);
        piece.resize(head_length + count, 0);
        fill_piece(&mut body, &mut piece, head_length).await?;
        left -= count as u64;
        if left == 0 {
            // A slow client shall hold the bytes once.
            body = Body::empty();
        }
        let mut written = 0;
        let result = output.write_all(&piece, false, &mut written).await;
        guard.sent.bytes_out += written.saturating_sub(head_length as u64);
        result?;
        piece.clear();
        head_length = 0;
    }
    Ok(())
}

/// Reads into `piece` from `start` until it is full.
async fn fill_piece(body: &mut Body, piece: &mut [u8], start: usize) -> io::Result<()> {
    let mut end = start;
    while let Some(room) = piece.get_mut(end..).filter(|room| !room.is_empty()) {
        match body.read(room).await? {
            0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the answer's body ended early")),
            count => end += count,
        }
    }
    Ok(())
}
