//! A file's bytes in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The length to which a page grows before the next begins. Bytes never move from one page to another.
pub(super) const PAGE_LENGTH_MAX_BYTES: usize = 64 * 1024;

const PAGE_LENGTH: u64 = PAGE_LENGTH_MAX_BYTES as u64;

/// A file's bytes in pages, so that a long file is not copied as it grows.
///
/// A clone shares its pages until one of the two changes them.
// INVARIANT: no page is longer than `PAGE_LENGTH_MAX_BYTES`, and none reaches beyond `length`. Bytes below
// `length` that no page holds are zeroes.
#[derive(Clone, Default)]
pub(super) struct Pages {
    pages: BTreeMap<u64, Arc<Vec<u8>>>,
    length: u64,
}

impl Pages {
    /// Returns the length in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Returns the memory that the bytes take.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.pages.values().map(|page| page.capacity()).sum()
    }

    /// Copies bytes from `offset` on into `buffer`, and returns their number; 0 means the end.
    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> usize {
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        let mut rest = buffer.get_mut(..wanted).unwrap_or_default();
        let mut position = offset;
        while !rest.is_empty() {
            let (number, start) = place(position);
            let (piece, after) = rest.split_at_mut((PAGE_LENGTH_MAX_BYTES - start).min(rest.len()));
            let held = self.pages.get(&number).and_then(|page| page.get(start..)).unwrap_or_default();
            let (copied, zeroes) = piece.split_at_mut(held.len().min(piece.len()));
            copied.copy_from_slice(held.get(..copied.len()).unwrap_or_default());
            zeroes.fill(0);
            position += piece.len() as u64;
            rest = after;
        }
        wanted
    }

    /// Writes `bytes` at `offset`, and extends the file if they reach beyond its end.
    pub(super) fn write_at(&mut self, bytes: &[u8], offset: u64) {
        if bytes.is_empty() {
            return;
        }
        let mut rest = bytes;
        let mut position = offset;
        while !rest.is_empty() {
            let (number, start) = place(position);
            let (piece, after) = rest.split_at((PAGE_LENGTH_MAX_BYTES - start).min(rest.len()));
            let page = Arc::make_mut(self.pages.entry(number).or_default());
            let end = start + piece.len();
            grow(page, end);
            if let Some(target) = page.get_mut(start..end) {
                target.copy_from_slice(piece);
            }
            position += piece.len() as u64;
            rest = after;
        }
        self.length = self.length.max(position);
    }

    /// Cuts the file, or extends it with zeroes, to `length` bytes.
    pub(super) fn truncate(&mut self, length: u64) {
        if length < self.length {
            let (number, kept) = place(length);
            // The bytes cut off must not come back when the file grows again.
            drop(self.pages.split_off(&length.div_ceil(PAGE_LENGTH)));
            if let Some(page) = self.pages.get_mut(&number)
                && page.len() > kept
            {
                Arc::make_mut(page).truncate(kept);
            }
        }
        self.length = length;
    }
}

/// Extends a page with zeroes to `length` bytes. Small files stay small, and no page takes more than its
/// longest.
fn grow(page: &mut Vec<u8>, length: usize) {
    if length > page.capacity() {
        let capacity = length.max(page.capacity() * 2).min(PAGE_LENGTH_MAX_BYTES);
        page.reserve_exact(capacity.saturating_sub(page.len()));
    }
    if length > page.len() {
        page.resize(length, 0);
    }
}

/// Returns the number of the page that holds `offset`, and the position in it.
fn place(offset: u64) -> (u64, usize) {
    let start = usize::try_from(offset % PAGE_LENGTH).unwrap_or(0);
    (offset / PAGE_LENGTH, start)
}
