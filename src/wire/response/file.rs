//! Sends a range of a file: by `sendfile` where there are descriptors, through a buffer elsewhere.

use std::io;
#[cfg(target_os = "linux")]
use std::sync::Arc;

use super::output::Output;
use crate::wire::contract::FileBody;
use crate::wire::file_step::{FileStep, FileStepEnd};

/// Sends the bytes of `body`; `sent` counts those that the socket took.
///
/// A slow client is waited for between the steps: it holds no permit, no thread, and with `sendfile` no
/// buffer.
pub(super) async fn send_file(body: &FileBody, output: Output<'_>, sent: &mut u64) -> io::Result<()> {
    let mut offset = body.offset;
    let mut left = body.length;
    let mut progress = output.progress();
    while left > 0 {
        output.check_place()?;
        let before = *sent;
        let step = FileStep {
            #[cfg(target_os = "linux")]
            stream: Arc::clone(output.stream),
            offset,
            left,
        };
        match body.file.run(step).await? {
            #[cfg(target_os = "linux")]
            FileStepEnd::Sent(count) => {
                output.took(count, &mut progress);
                *sent += count;
            }
            #[cfg(target_os = "linux")]
            FileStepEnd::Full => {
                output.wait(output.stream.writable(), &mut progress).await?;
            }
            FileStepEnd::Read(bytes) => output.write_all(&bytes, false, sent).await?,
            FileStepEnd::Ended => {
                let reason = format!("{} ended at byte {offset}", body.file.name());
                log::error!("a file is shorter than the answer made from it: {reason}");
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
            }
        }
        let count = *sent - before;
        offset = offset.saturating_add(count);
        left = left.saturating_sub(count);
    }
    Ok(())
}
