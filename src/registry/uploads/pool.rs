//! The bounded pool of buffers that bodies come in through.

use std::sync::{Arc, Mutex};

use smol::lock::{Semaphore, SemaphoreGuardArc};

use crate::base::lock;

/// The length of a buffer, and so of a hop to the disk.
pub(in crate::registry) const BUFFER_SIZE_BYTES: usize = 256 * 1024;

/// The most buffers lent at once, whatever the number of uploads.
const BUFFERS_MAX: usize = 32;

/// How many of them may wait for more bytes from their clients at once. The others are written as soon as no
/// more bytes are ready, so that any number of slow clients leaves buffers for a fast one.
const PATIENT_MAX: usize = BUFFERS_MAX / 2;

/// How many unused buffers are kept for reuse.
const BUFFERS_KEPT_MAX: usize = 4;

/// Lends buffers.
#[derive(Debug)]
pub(in crate::registry) struct BufferPool {
    permits: Arc<Semaphore>,
    patient: Arc<Semaphore>,
    kept: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// A lent buffer, given back when it is dropped.
pub(in crate::registry) struct PooledBuffer {
    bytes: Vec<u8>,
    kept: Arc<Mutex<Vec<Vec<u8>>>>,
    patience: Option<SemaphoreGuardArc>,
    _permit: SemaphoreGuardArc,
}

impl BufferPool {
    pub(in crate::registry) fn new() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(BUFFERS_MAX)),
            patient: Arc::new(Semaphore::new(PATIENT_MAX)),
            kept: Arc::default(),
        }
    }

    /// Waits for a buffer. A caller must not hold one during an unbounded wait for a client.
    pub(in crate::registry) async fn take(&self) -> PooledBuffer {
        let permit = self.permits.acquire_arc().await;
        let kept = lock(&self.kept).pop();
        let bytes = kept.unwrap_or_else(|| vec![0; BUFFER_SIZE_BYTES]);
        let patience = self.patient.try_acquire_arc();
        PooledBuffer { bytes, kept: Arc::clone(&self.kept), patience, _permit: permit }
    }
}

impl PooledBuffer {
    /// Tells whether the buffer may wait a while for more bytes from its client.
    pub(in crate::registry) fn is_patient(&self) -> bool {
        self.patience.is_some()
    }

    /// Ends the buffer's wait for its client.
    pub(in crate::registry) fn end_waiting(&mut self) {
        self.patience = None;
    }

    /// Returns the first `length` bytes.
    pub(in crate::registry) fn filled(&self, length: usize) -> &[u8] {
        self.bytes.get(..length).unwrap_or_default()
    }

    /// Returns the space after the first `length` bytes, at most `limit` bytes of it.
    pub(in crate::registry) fn space(&mut self, length: usize, limit: usize) -> &mut [u8] {
        let end = self.bytes.len().min(length.saturating_add(limit));
        self.bytes.get_mut(length..end).unwrap_or_default()
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        let mut kept = lock(&self.kept);
        if kept.len() < BUFFERS_KEPT_MAX {
            kept.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use smol::block_on;

    use super::*;

    #[test]
    fn only_half_of_the_buffers_wait_for_slow_clients() {
        block_on(async {
            let pool = BufferPool::new();
            let mut taken = Vec::new();
            for _ in 0..BUFFERS_MAX {
                taken.push(pool.take().await);
            }
            assert_eq!(taken.iter().filter(|buffer| buffer.is_patient()).count(), PATIENT_MAX);
            assert!(smol::future::poll_once(pool.take()).await.is_none());
            taken.iter_mut().for_each(PooledBuffer::end_waiting);
            taken.pop();
            assert!(pool.take().await.is_patient());
        });
    }
}
