//! Disk operations that fail.

use rustix::io::Errno;

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The device does not answer.
    Io,
    /// There is no space.
    NoSpace,
    /// There is no space for all of it: half of a write is there.
    ShortWrite,
}

impl FaultKind {
    pub(super) fn errno(self) -> Errno {
        match self {
            Self::Io => Errno::IO,
            Self::NoSpace | Self::ShortWrite => Errno::NOSPC,
        }
    }
}

/// Which operations fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    /// The number of the first one that fails, counted from 0.
    pub(crate) at: u64,
    /// Whether all that change something fail from there on.
    pub(crate) sticky: bool,
}

impl Fault {
    /// Tells how the operation of this number fails. A full disk can be read, and so can one that takes no
    /// writes any more.
    pub(super) fn strikes(&self, number: u64, changes: bool) -> Option<FaultKind> {
        let reached = number == self.at || (self.sticky && number > self.at);
        let spared = !changes && (self.sticky || self.kind != FaultKind::Io);
        (reached && !spared).then_some(self.kind)
    }
}
