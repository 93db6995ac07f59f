//! Turns: there is one pass at a time.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::base::{lock, wait_while};
use crate::maintenance::collector::orphans::Orphans;

/// How often a caller waiting for a turn checks whether the pass is still wanted.
const WAIT_SLICE: Duration = Duration::from_millis(100);

/// The one turn that there is.
#[derive(Debug)]
pub(super) struct Turns {
    /// What one pass leaves for the next one; none while one runs.
    left: Mutex<Option<Orphans>>,
    freed: Condvar,
}

impl Default for Turns {
    fn default() -> Self {
        Self { left: Mutex::new(Some(Orphans::default())), freed: Condvar::new() }
    }
}

impl Turns {
    /// Waits for the turn, as long as it is wanted.
    pub(super) fn take(&self, wanted: &mut dyn FnMut() -> bool) -> Option<Turn<'_>> {
        while wanted() {
            let mut left = wait_while(&self.freed, self.left(), WAIT_SLICE, |left| left.is_none());
            if let Some(orphans) = left.take() {
                return Some(Turn { turns: self, orphans });
            }
        }
        None
    }

    fn left(&self) -> MutexGuard<'_, Option<Orphans>> {
        lock(&self.left)
    }
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    pub(super) orphans: Orphans,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.turns.left() = Some(std::mem::take(&mut self.orphans));
        self.turns.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_that_gives_up_gets_no_turn_and_one_that_waits_gets_the_next() {
        let turns = Turns::default();
        let turn = turns.take(&mut || true).unwrap();
        let mut asked = 0;
        let mut thrice = || {
            asked += 1;
            asked < 3
        };
        assert!(turns.take(&mut thrice).is_none());
        assert_eq!(asked, 3);
        std::thread::scope(|scope| {
            let (sender, waits) = std::sync::mpsc::channel();
            let turns = &turns;
            let next = scope.spawn(move || {
                turns
                    .take(&mut || {
                        let _ = sender.send(());
                        true
                    })
                    .is_some()
            });
            waits.recv().unwrap();
            drop(turn);
            assert!(next.join().unwrap());
        });
        assert!(turns.take(&mut || true).is_some());
    }
}
