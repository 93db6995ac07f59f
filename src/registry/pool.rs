//! The bounded pool of buffers that bodies come in through.

use std::sync::{Arc, Mutex, PoisonError};

use smol::lock::{Semaphore, SemaphoreGuardArc};

/// The length of a buffer, and so of a hop to the disk.
pub(super) const BUFFER_SIZE_BYTES: usize = 256 * 1024;

/// How many buffers there are at most, whatever the number of uploads.
const BUFFERS_MAX: usize = 32;

/// How many buffers are kept for the next one who needs one.
const BUFFERS_KEPT_MAX: usize = 4;

/// Lends buffers.
#[derive(Debug)]
pub(super) struct Pool {
    permits: Arc<Semaphore>,
    kept: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// A lent buffer, given back when it is dropped.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    kept: Arc<Mutex<Vec<Vec<u8>>>>,
    _permit: SemaphoreGuardArc,
}

impl Pool {
    pub(super) fn new() -> Self {
        Self { permits: Arc::new(Semaphore::new(BUFFERS_MAX)), kept: Arc::default() }
    }

    /// Waits for a buffer. Nobody may hold one while waiting for a client without bound.
    pub(super) async fn take(&self) -> Buffer {
        let permit = self.permits.acquire_arc().await;
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = kept.unwrap_or_else(|| vec![0; BUFFER_SIZE_BYTES]);
        Buffer { bytes, kept: Arc::clone(&self.kept), _permit: permit }
    }
}

impl Buffer {
    /// Returns the first `length` bytes.
    pub(super) fn filled(&self, length: usize) -> &[u8] {
        self.bytes.get(..length).unwrap_or_default()
    }

    /// Returns what lies behind the first `length` bytes, at most `limit` of them.
    pub(super) fn space(&mut self, length: usize, limit: usize) -> &mut [u8] {
        let end = self.bytes.len().min(length.saturating_add(limit));
        self.bytes.get_mut(length..end).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < BUFFERS_KEPT_MAX {
            kept.push(std::mem::take(&mut self.bytes));
        }
    }
}
