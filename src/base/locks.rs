//! Locks that a panic does not close.
//!
//! A thread that panics while it holds a lock poisons it. No code here leaves locked data half changed when
//! it panics, so the next caller takes the data as it is.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

/// Locks a mutex.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks for reading.
pub(crate) fn read<T: ?Sized>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Locks for writing.
pub(crate) fn write<T: ?Sized>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until `changed` is notified.
pub(crate) fn wait<'a, T>(changed: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    changed.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

/// Waits while `condition` holds, at most `timeout`.
pub(crate) fn wait_while<'a, T>(
    changed: &Condvar,
    guard: MutexGuard<'a, T>,
    timeout: Duration,
    condition: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    changed.wait_timeout_while(guard, timeout, condition).unwrap_or_else(PoisonError::into_inner).0
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_lock_outlives_a_panic_of_its_holder() {
        let (mutex, rwlock) = (Mutex::new(1), RwLock::new(1));
        let panicked = thread::scope(|scope| {
            let holder = scope.spawn(|| {
                let (_mutex, _rwlock) = (lock(&mutex), write(&rwlock));
                panic!("on purpose");
            });
            holder.join()
        });
        assert!(panicked.is_err());
        assert!(mutex.is_poisoned() && rwlock.is_poisoned());
        assert_eq!(*lock(&mutex), 1);
        assert_eq!(*read(&rwlock), 1);
        assert_eq!(*write(&rwlock), 1);
    }

    #[test]
    fn a_wait_ends_by_its_condition_or_its_timeout() {
        let (mutex, changed) = (Mutex::new(false), Condvar::new());
        assert!(!*wait_while(&changed, lock(&mutex), Duration::from_millis(1), |done| !*done));
        thread::scope(|scope| {
            scope.spawn(|| {
                *lock(&mutex) = true;
                changed.notify_all();
            });
            let mut done = lock(&mutex);
            while !*done {
                done = wait(&changed, done);
            }
        });
        assert!(*wait_while(&changed, lock(&mutex), Duration::MAX, |done| !*done));
    }
}
