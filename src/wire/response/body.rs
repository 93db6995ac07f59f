//! Sends an answer.

use std::io;

use smol::io::AsyncReadExt;
use tide::http::Body;

use super::file::send_file;
use super::head::{Payload, Reply};
use super::output::Output;
use super::sent::SentGuard;

/// How much of a body is read and written at once.
const PIECE_SIZE_BYTES: usize = 64 * 1024;

/// Sends an answer and counts its body's bytes in `guard`. After an error the connection can't be used again.
pub(in crate::wire) async fn send(reply: Reply, output: Output<'_>, guard: &mut SentGuard) -> io::Result<()> {
    let Reply { head, payload, .. } = reply;
    match payload {
        Payload::None => output.write_all(&head, false, &mut 0).await?,
        Payload::Sized { body, length } => send_sized(head, body, length, output, guard).await?,
        Payload::Chunked(body) => send_stream(head, body, Form::Chunks, output, guard).await?,
        Payload::UntilClose(body) => send_stream(head, body, Form::Plain, output, guard).await?,
        Payload::File(file) => {
            output.write_all(&head, true, &mut 0).await?;
            send_file(&file, output, &mut guard.sent.bytes_out).await?;
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
        let read = fill_piece(&mut body, &mut piece, head_length).await?;
        piece.truncate(head_length + read);
        let mut written = 0;
        let result = output.write_all(&piece, false, &mut written).await;
        guard.sent.bytes_out += written.saturating_sub(head_length as u64);
        result?;
        left -= read as u64;
        piece.clear();
        head_length = 0;
    }
    Ok(())
}

/// Reads into `piece` from `start` on, until it is full or the body has to wait while there is something to
/// send. Returns how much was read.
async fn fill_piece(body: &mut Body, piece: &mut [u8], start: usize) -> io::Result<usize> {
    let mut end = start;
    while let Some(room) = piece.get_mut(end..).filter(|room| !room.is_empty()) {
        let count = match smol::future::poll_once(body.read(room)).await {
            Some(read) => read?,
            None if end > 0 => break,
            None => body.read(room).await?,
        };
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the answer's body ended early"));
        }
        end += count;
    }
    Ok(end - start)
}

/// How the pieces of a body of unknown length are told apart from what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Chunks,
    Plain,
}

async fn send_stream(
    head: Vec<u8>,
    mut body: Body,
    form: Form,
    output: Output<'_>,
    guard: &mut SentGuard,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE_SIZE_BYTES];
    let mut out = head;
    loop {
        let read = match smol::future::poll_once(body.read(&mut piece)).await {
            Some(read) => read?,
            None => {
                // The stream has to wait: what is known goes out first.
                output.write_all(&out, false, &mut 0).await?;
                out.clear();
                body.read(&mut piece).await?
            }
        };
        let content = piece.get(..read).unwrap_or_default();
        match form {
            Form::Chunks if content.is_empty() => out.extend_from_slice(b"0\r\n\r\n"),
            Form::Chunks => {
                out.extend_from_slice(format!("{read:x}\r\n").as_bytes());
                out.extend_from_slice(content);
                out.extend_from_slice(b"\r\n");
            }
            Form::Plain => out.extend_from_slice(content),
        }
        output.write_all(&out, false, &mut 0).await?;
        guard.sent.bytes_out += read as u64;
        if read == 0 {
            return Ok(());
        }
        out.clear();
    }
}
