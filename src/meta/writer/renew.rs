//! Replacing checkpoints that are far larger than what they hold now.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::disk::{Disk, DiskError};
use crate::meta::checkpoint;
use crate::meta::writer::message::Message;

/// How many times as long as a new one a checkpoint may be before a new one is taken for that.
const EXCESS_MAX: u64 = 4;

/// How often who waits for a new one looks whether it is to go on waiting.
const RENEW_PAUSE: Duration = Duration::from_millis(100);

/// Has new checkpoints taken in the place of those that are no shorter than is worthwhile, and far longer
/// than what is expected of one. `pause` is called now and then, and tells whether to go on waiting: a stop
/// waits for whoever waits here, and gives the checkpoint up only after that.
pub(in crate::meta) fn renew(
    disk: &dyn Disk,
    writer: &Sender<Message>,
    mut expected_bytes: u64,
    worthwhile_bytes: u64,
    pause: &mut dyn FnMut() -> bool,
) -> Result<(), DiskError> {
    for place in 0..checkpoint::CHECKPOINTS_KEPT {
        // The new ones come first, and each moves those before it on.
        let Some(kept) = checkpoint::find(disk)?.finished.get(place).copied() else { break };
        if kept.length < worthwhile_bytes || kept.length / EXCESS_MAX <= expected_bytes {
            continue;
        }
        let (waits, taken) = channel();
        // One that is not taken goes with its sender.
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
