//! Replacing checkpoints that are far larger than what they hold now.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::disk::{Disk, DiskError};
use crate::meta::checkpoint;
use crate::meta::writer::message::Message;

/// How many times the expected length of a new checkpoint an old one may have before it is replaced.
const EXCESS_MAX: u64 = 4;

/// How often a caller waiting for a checkpoint checks whether to keep waiting.
const RENEW_PAUSE: Duration = Duration::from_millis(100);

/// Replaces checkpoints of at least `worthwhile_bytes` that are far longer than `expected_bytes`. Calls
/// `pause` now and then, which returns whether to keep waiting: a stop first waits for this caller, and only
/// then gives the checkpoint up.
pub(in crate::meta) fn renew(
    disk: &dyn Disk,
    writer: &Sender<Message>,
    mut expected_bytes: u64,
    worthwhile_bytes: u64,
    pause: &mut dyn FnMut() -> bool,
) -> Result<(), DiskError> {
    for place in 0..checkpoint::CHECKPOINTS_KEPT {
        // New checkpoints come first in the list, and each moves the older ones one place on.
        let Some(kept) = checkpoint::find(disk)?.finished.get(place).copied() else { break };
        if kept.length < worthwhile_bytes || kept.length / EXCESS_MAX <= expected_bytes {
            continue;
        }
        let (waits, taken) = channel();
        // If no checkpoint is taken, its sender is dropped, which ends the wait below.
        drop(writer.send(Message::Checkpoint(waits)));
        expected_bytes = loop {
            match taken.recv_timeout(RENEW_PAUSE) {
                Ok(length) => break length,
                Err(RecvTimeoutError::Timeout) if pause() => {}
                Err(_) => return Ok(()),
            }
        };
    }
    Ok(())
}
