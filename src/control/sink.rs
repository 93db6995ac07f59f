//! The way of an answer's parts from the thread that does the work to the task that writes to the client.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use smol::channel::{Sender, TrySendError};
use smol::future::or;
use smol::{Timer, block_on};

use crate::admin::{AdminError, AnswerSink};
use crate::control::message::AnswerPart;

/// How long work waits for a client that does not read the answer.
const ROOM_TIME_MAX: Duration = Duration::from_secs(10);

/// The least time between two progress events.
const PROGRESS_PAUSE: Duration = Duration::from_millis(100);

/// Makes the failure of a request that the stop of the server ends.
pub(super) fn stopping() -> AdminError {
    AdminError::failed("the server is stopping")
}

/// Hands the parts of an answer from a thread that blocks to the task that writes them.
pub(super) struct ClientSink {
    events: Sender<AnswerPart>,
    stopping: Arc<AtomicBool>,
    told: Option<Instant>,
}

impl ClientSink {
    pub(super) fn new(events: Sender<AnswerPart>, stopping: Arc<AtomicBool>) -> Self {
        Self { events, stopping, told: None }
    }
}

impl AnswerSink for ClientSink {
    fn progress(&mut self, what: &str, done: u64, total: u64) {
        if self.told.is_some_and(|told| told.elapsed() < PROGRESS_PAUSE) {
            return;
        }
        self.told = Some(Instant::now());
        // A slow client may miss progress.
        let event = AnswerPart::Progress { what: what.to_owned(), done, total };
        match self.events.try_send(event) {
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {}
        }
    }

    fn item(&mut self, item: Value) -> Result<(), AdminError> {
        self.check_wanted()?;
        let sent = async { self.events.send(AnswerPart::Item(item)).await.map_err(|_| AdminError::gone()) };
        let stalled = async {
            Timer::after(ROOM_TIME_MAX).await;
            Err(AdminError::failed("the client does not read the answer"))
        };
        block_on(or(sent, stalled))
    }

    fn check_wanted(&self) -> Result<(), AdminError> {
        if self.stopping.load(Ordering::SeqCst) {
            return Err(stopping());
        }
        if self.events.is_closed() { Err(AdminError::gone()) } else { Ok(()) }
    }
}
