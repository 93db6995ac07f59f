//! The progress of a long operation.

/// Receives the progress of a long operation.
pub trait Progress {
    /// Says that `done` of `total` units of `what` are done; `total` is 0 where it is not known.
    fn at(&mut self, what: &str, done: u64, total: u64);
}
