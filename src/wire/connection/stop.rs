//! The signal that tells connections to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use event_listener::Event;

/// A signal that is given once; every clone sees it, before and after.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    shared: Arc<StopState>,
}

#[derive(Debug, Default)]
struct StopState {
    triggered: AtomicBool,
    event: Event,
}

impl Stop {
    /// Makes a signal that has not been given.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the signal; giving it again changes nothing.
    pub fn trigger(&self) {
        self.shared.triggered.store(true, Ordering::SeqCst);
        self.shared.event.notify(usize::MAX);
    }

    /// Returns whether the signal was given.
    pub fn is_triggered(&self) -> bool {
        self.shared.triggered.load(Ordering::SeqCst)
    }

    /// Waits until the signal is given.
    pub async fn wait(&self) {
        while !self.is_triggered() {
            let listener = self.shared.event.listen();
            // Check again: the signal may have been given before this listened.
            if self.is_triggered() {
                return;
            }
            listener.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_reaches_waiting_and_later_callers() {
        let stop = Stop::new();
        let waiting = stop.clone();
        let waiter = std::thread::spawn(move || smol::block_on(waiting.wait()));
        assert!(!stop.is_triggered());
        stop.trigger();
        waiter.join().unwrap();
        smol::block_on(stop.wait());
        assert!(stop.is_triggered());
    }
}
