//! The blocks of a medium that cannot be read.

use super::super::BLOCK_SIZE_BYTES;
use super::medium::{Change, File, FileId, Medium};

impl Medium {
    /// Makes the block at an offset of a file unreadable until it is written as a whole.
    pub(super) fn rot(&mut self, id: FileId, offset: u64) {
        self.files.entry(id).or_default().unreadable.insert(offset / BLOCK_SIZE_BYTES);
    }

    /// Tells whether a read of these bytes fails.
    pub(super) fn is_unreadable(&self, id: FileId, offset: u64, length: usize) -> bool {
        let blocks = offset / BLOCK_SIZE_BYTES..(offset + length as u64).div_ceil(BLOCK_SIZE_BYTES);
        self.files.get(&id).is_some_and(|file| file.unreadable.range(blocks).next().is_some())
    }

    /// Tells whether a write of these bytes fails, since it leaves a part of an unreadable block.
    pub(super) fn is_unwritable(&self, id: FileId, offset: u64, length: usize) -> bool {
        let end = offset + length as u64;
        [offset, end].iter().any(|edge| edge % BLOCK_SIZE_BYTES != 0 && self.is_unreadable(id, *edge, 1))
    }
}

impl File {
    /// Makes the blocks readable that a change replaces as a whole, or cuts off.
    pub(super) fn heal(&mut self, change: &Change) {
        let healed = match change {
            Change::Write { offset, bytes } => {
                let end = offset + bytes.len() as u64;
                // The last block of a file may be short.
                let whole = if end >= self.visible.length() { u64::MAX } else { end / BLOCK_SIZE_BYTES };
                offset.div_ceil(BLOCK_SIZE_BYTES)..whole
            }
            Change::Length(length) => length.div_ceil(BLOCK_SIZE_BYTES)..u64::MAX,
            Change::Extent(_) => return,
        };
        self.unreadable.retain(|block| !healed.contains(block));
    }
}
