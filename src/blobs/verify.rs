//! Reading content of any store: whole, verified, or to publish it again.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::SystemTime;

use crate::blobs::contract::{ContentStore, DurableBlob, StoredFile};
use crate::blobs::error::BlobError;
use crate::disk::{DiskError, ReadFile, unless_damaged};
use crate::spec::{ContentDigest, Hasher};

const READ_SIZE_BYTES: usize = 256 * 1024;

/// What verifying content found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification<T> {
    /// Its bytes have its digest.
    Intact(T),
    /// Its bytes have another digest, or cannot be read from the medium.
    Damaged,
    /// There is none.
    Missing,
}

impl dyn ContentStore + '_ {
    /// Returns the length in bytes of content, without reading it.
    pub fn length(&self, digest: &ContentDigest) -> Result<Option<u64>, BlobError> {
        Ok(self.open(digest)?.map(|file| file.length()).transpose()?)
    }

    /// Returns when content was stored, by the system's clock; `None` where there is none, or the store does
    /// not know.
    pub fn stored_at(&self, digest: &ContentDigest) -> Result<Option<SystemTime>, BlobError> {
        Ok(self.open(digest)?.and_then(|file| file.written_at()))
    }

    /// Reads small content whole, or returns `None` where there is none.
    #[cfg(test)]
    pub fn read_whole(&self, digest: &ContentDigest) -> Result<Option<Vec<u8>>, BlobError> {
        let Some(file) = self.open(digest)? else { return Ok(None) };
        Ok(Some(read_up_to(file.as_ref(), file.length()?)?))
    }

    /// Reads small content of this length whole and verifies it. Of a file of another length, which a damaged
    /// filesystem may have, nothing is read.
    pub fn read_verified(
        &self,
        digest: &ContentDigest,
        length: u64,
    ) -> Result<Verification<Vec<u8>>, BlobError> {
        let file = match self.opened(digest)? {
            Verification::Intact(file) => file,
            Verification::Damaged => return Ok(Verification::Damaged),
            Verification::Missing => return Ok(Verification::Missing),
        };
        // Where the length is not known, the bytes decide.
        if unless_damaged(file.length())?.is_some_and(|found| found != length) {
            return Ok(Verification::Damaged);
        }
        let read = unless_damaged(read_up_to(file.as_ref(), length))?;
        let Some(bytes) = read else { return Ok(Verification::Damaged) };
        let is_intact = ContentDigest::of(digest.algorithm(), &bytes) == *digest;
        Ok(if is_intact { Verification::Intact(bytes) } else { Verification::Damaged })
    }

    /// Reads and verifies content, and returns its length. `read` is called with the length of each piece.
    pub fn verify(
        &self,
        digest: &ContentDigest,
        read: &mut dyn FnMut(u64),
    ) -> Result<Verification<u64>, BlobError> {
        match self.opened(digest)? {
            Verification::Intact(file) => verify(file.as_ref(), digest, read),
            Verification::Damaged => Ok(Verification::Damaged),
            Verification::Missing => Ok(Verification::Missing),
        }
    }

    /// Opens content. What the medium cannot open is damaged.
    fn opened(&self, digest: &ContentDigest) -> Result<Verification<Arc<dyn ReadFile>>, BlobError> {
        Ok(match self.open(digest) {
            Err(BlobError::Disk(error)) if error.is_of_the_medium() => {
                log::error!("{error}");
                Verification::Damaged
            }
            opened => opened?.map_or(Verification::Missing, Verification::Intact),
        })
    }

    /// Tells whether the content of this length is there and intact, by reading all of it.
    pub fn is_intact(&self, digest: &ContentDigest, length: u64) -> bool {
        if length <= READ_SIZE_BYTES as u64 {
            return matches!(self.read_verified(digest, length), Ok(Verification::Intact(_)));
        }
        matches!(self.length(digest), Ok(Some(found)) if found == length)
            && matches!(self.verify(digest, &mut |_| ()), Ok(Verification::Intact(_)))
    }

    /// Opens content of this length after it was verified, or at once if `is_known` says that this open file
    /// was verified before.
    pub fn open_verified(
        &self,
        digest: &ContentDigest,
        length: u64,
        is_known: impl FnOnce(&dyn ReadFile) -> bool,
    ) -> Result<Verification<Arc<dyn ReadFile>>, BlobError> {
        let Some(file) = self.open(digest)? else { return Ok(Verification::Missing) };
        if is_known(file.as_ref()) {
            return Ok(Verification::Intact(file));
        }
        if file.length()? != length {
            return Ok(Verification::Damaged);
        }
        Ok(match verify(file.as_ref(), digest, &mut |_| {})? {
            Verification::Intact(_) => Verification::Intact(file),
            Verification::Damaged => Verification::Damaged,
            Verification::Missing => Verification::Missing,
        })
    }

    /// Publishes content again that was found in the store, so that metadata may name it.
    ///
    /// That the file exists and reads well shows only what the page cache has: after a failed sync the medium
    /// may never have received it. `name` is a name of an upload that nothing else uses.
    pub fn adopt(&self, name: &str, digest: ContentDigest) -> Result<Verification<DurableBlob>, BlobError> {
        let old = match self.opened(&digest)? {
            Verification::Intact(old) => old,
            Verification::Damaged => return Ok(Verification::Damaged),
            Verification::Missing => return Ok(Verification::Missing),
        };
        let mut new = self.begin(name, digest.algorithm());
        let adopted = match each_piece(old.as_ref(), |piece| new.append(piece, 0)) {
            Ok(_) => match new.publish(digest) {
                Ok(blob) => return Ok(Verification::Intact(blob)),
                Err(BlobError::Mismatch { .. }) => Ok(Verification::Damaged),
                Err(error) => Err(error),
            },
            Err(PieceError::Read) => Ok(Verification::Damaged),
            Err(PieceError::Take(error)) => Err(error),
        };
        self.remove_upload(name);
        adopted
    }

    /// Visits everything in the place for content until `visit` fails.
    pub fn each_file<E: From<BlobError>>(
        &self,
        mut visit: impl FnMut(StoredFile) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut visited = Ok(());
        self.list(&mut |file| {
            visited = visit(file);
            if visited.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        visited
    }
}

fn verify(
    file: &dyn ReadFile,
    digest: &ContentDigest,
    read: &mut dyn FnMut(u64),
) -> Result<Verification<u64>, BlobError> {
    let mut hasher = Hasher::new(digest.algorithm());
    let taken = each_piece(file, |piece| {
        hasher.update(piece);
        read(piece.len() as u64);
        Ok(())
    });
    match taken {
        Ok(length) if hasher.finish() == *digest => Ok(Verification::Intact(length)),
        Ok(_) | Err(PieceError::Read) => Ok(Verification::Damaged),
        Err(PieceError::Take(error)) => Err(error),
    }
}

/// Why not all pieces of a file were read and taken.
pub(in crate::blobs) enum PieceError {
    /// The file could not be read.
    Read,
    /// The callback failed.
    Take(BlobError),
}

/// Reads a file piece by piece, and returns its length.
pub(in crate::blobs) fn each_piece(
    file: &dyn ReadFile,
    mut take: impl FnMut(&[u8]) -> Result<(), BlobError>,
) -> Result<u64, PieceError> {
    let mut buffer = vec![0; READ_SIZE_BYTES];
    let mut offset = 0;
    loop {
        let read = file.read_at(&mut buffer, offset).map_err(|_| PieceError::Read)?;
        if read == 0 {
            return Ok(offset);
        }
        take(buffer.get(..read).unwrap_or_default()).map_err(PieceError::Take)?;
        offset += read as u64;
    }
}

/// Reads the first `length` bytes of a file, or all of it where it is shorter.
pub(in crate::blobs) fn read_up_to(file: &dyn ReadFile, length: u64) -> Result<Vec<u8>, DiskError> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    let mut filled = 0;
    while let Some(space) = bytes.get_mut(filled..).filter(|space| !space.is_empty()) {
        match file.read_at(space, filled as u64)? {
            0 => bytes.truncate(filled),
            read => filled += read,
        }
    }
    Ok(bytes)
}
