//! How far the journal is durable, and who is woken when that changes.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::base::lock;

/// Called on the writer's thread after each commit. It must not block.
pub type Wake = Box<dyn Fn() + Send>;

/// The last transaction that is durable and visible in the index.
///
/// The writer moves it on after each commit. That costs it two atomic operations where nothing follows.
#[derive(Default)]
pub(in crate::meta) struct DurableEnd {
    seq: AtomicU64,
    is_followed: AtomicBool,
    followers: Mutex<Followers>,
}

#[derive(Default)]
struct Followers {
    wakes: Vec<(u64, Wake)>,
    last_id: u64,
}

impl fmt::Debug for DurableEnd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DurableEnd").field("seq", &self.seq).finish_non_exhaustive()
    }
}

impl DurableEnd {
    /// Returns the last durable transaction.
    pub(in crate::meta) fn seq(&self) -> u64 {
        self.seq.load(Ordering::SeqCst)
    }

    /// Notes that everything up to a transaction is durable and visible, and wakes all followers.
    pub(in crate::meta) fn advance(&self, seq: u64) {
        let before = self.seq.swap(seq, Ordering::SeqCst);
        if before != seq && self.is_followed.load(Ordering::SeqCst) {
            lock(&self.followers).wakes.iter().for_each(|(_, wake)| wake());
        }
    }

    /// Has `wake` called after each change, until the subscription is dropped. A change that comes after this
    /// returns is not missed.
    pub(in crate::meta) fn subscribe(self: &Arc<Self>, wake: Wake) -> Subscription {
        let mut followers = lock(&self.followers);
        followers.last_id += 1;
        let id = followers.last_id;
        followers.wakes.push((id, wake));
        self.is_followed.store(true, Ordering::SeqCst);
        Subscription { end: Arc::clone(self), id }
    }
}

/// Keeps a follower awake until it is dropped.
pub(in crate::meta) struct Subscription {
    end: Arc<DurableEnd>,
    id: u64,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut followers = lock(&self.end.followers);
        followers.wakes.retain(|(id, _)| *id != self.id);
        self.end.is_followed.store(!followers.wakes.is_empty(), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_follower_is_woken_by_each_change_until_it_leaves() {
        let end = Arc::new(DurableEnd::default());
        end.advance(1);
        let (sender, woken) = channel();
        let subscription = end.subscribe(Box::new(move || sender.send(()).unwrap_or_default()));
        let other = end.subscribe(Box::new(|| {}));
        end.advance(2);
        end.advance(2);
        end.advance(3);
        assert_eq!((woken.try_iter().count(), end.seq()), (2, 3));
        drop(subscription);
        end.advance(4);
        // Its callback is gone, too.
        assert!(woken.recv().is_err());
        assert!(end.is_followed.load(Ordering::SeqCst));
        drop(other);
        assert!(!end.is_followed.load(Ordering::SeqCst));
    }
}
