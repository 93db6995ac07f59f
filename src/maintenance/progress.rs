//! How far something long has come.

/// Is told how far something long has come.
pub trait Progress {
    /// Says that `done` of `total` units of `what` are done; 0 of 0 where nobody knows how many there are.
    fn at(&mut self, what: &str, done: u64, total: u64);
}
