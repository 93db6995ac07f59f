//! Disk operations that fail.

use rustix::io::Errno;

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The device does not answer.
    Io,
    /// The disk has no space.
    NoSpace,
    /// The disk has no space for all of it: half of a write is there.
    ShortWrite,
    /// The disk has no space, but operations that need none succeed: syncs, and what frees space.
    Full,
    /// The system fails to write back what no sync has reached. The operation itself succeeds, unless it is a
    /// sync of such a file.
    WriteBack,
}

/// What an operation does to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It only reads.
    Reads,
    /// It changes something, and needs no space for it.
    Keeps,
    /// It needs space.
    Takes,
}

impl FaultKind {
    pub(super) fn errno(self) -> Errno {
        match self {
            Self::Io | Self::WriteBack => Errno::IO,
            Self::NoSpace | Self::ShortWrite | Self::Full => Errno::NOSPC,
        }
    }
}

/// Which operations fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    /// The number of the first operation that fails, counted from 0.
    pub(crate) at: u64,
    /// Whether all later changes fail too.
    pub(crate) sticky: bool,
}

impl Fault {
    /// Tells how the operation of this number fails. A full disk can be read, and so can one that takes no
    /// more writes.
    pub(super) fn strikes(&self, number: u64, effect: Effect) -> Option<FaultKind> {
        let reached = number == self.at || (self.sticky && number > self.at);
        let spared = match effect {
            Effect::Reads => self.sticky || !matches!(self.kind, FaultKind::Io | FaultKind::WriteBack),
            Effect::Keeps => self.kind == FaultKind::Full,
            Effect::Takes => false,
        };
        (reached && !spared).then_some(self.kind)
    }
}
