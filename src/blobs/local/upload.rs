//! An upload while it comes in: a file that grows, hashed as it does.

use std::path::Path;
use std::sync::Arc;

use crate::blobs::error::BlobError;
use crate::blobs::local::layout::{UPLOADS_FOLDER, upload_path};
use crate::blobs::local::publish::{BlobStore, read_all};
use crate::disk::DiskFile;
use crate::spec::{Algorithm, ContentDigest, Hasher};

/// After so many bytes an upload is made durable as far as it has come.
pub const DURABLE_STEP_BYTES: u64 = 16 * 1024 * 1024;

/// After so many bytes the system is asked to begin writing them, so that the last sync has little to wait
/// for.
const WRITE_BACK_STEP_BYTES: u64 = 2 * 1024 * 1024;

/// Space is reserved ahead by no more than this, nor by more than has come, beside a first step: a client's
/// word for a length is no reason to fill the disk.
const RESERVE_STEP_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// So much is reserved at first.
const RESERVE_FIRST_BYTES: u64 = 1024 * 1024;

/// What is shorter is written at once, and its space needs no reserving.
const RESERVED_MIN_BYTES: u64 = 256 * 1024;

const READ_SIZE_BYTES: usize = 256 * 1024;

/// How far an upload has come. Its file is opened by each request that goes on with it, once.
#[derive(Debug)]
pub struct Upload {
    /// The open file, while a request goes on with it.
    file: Option<Arc<dyn DiskFile>>,
    /// `None` while what the file holds has not been hashed.
    hasher: Option<Hasher>,
    algorithm: Algorithm,
    offset: u64,
    durable: u64,
    writing_back: u64,
    /// How far the file may reach: space was reserved up to there, or a write that failed got so far.
    reserved: u64,
    /// Whether the file exists.
    created: bool,
    /// Whether the file's name is durable.
    named: bool,
    /// Whether nothing is known any more about what the medium holds of it.
    lost: bool,
}

impl Upload {
    /// Begins an upload that is hashed with `algorithm` as it comes in.
    pub fn begin(algorithm: Algorithm) -> Self {
        Self {
            file: None,
            hasher: Some(Hasher::new(algorithm)),
            algorithm,
            offset: 0,
            durable: 0,
            writing_back: 0,
            reserved: 0,
            created: false,
            named: false,
            lost: false,
        }
    }

    /// Goes on with an upload of which `offset` bytes are durable in the file `name`. Bytes behind that are
    /// cut off. Nothing is hashed twice where `state` is a saved hasher's.
    pub fn resume(
        store: &BlobStore,
        name: &str,
        algorithm: Algorithm,
        offset: u64,
        state: Option<&[u8]>,
    ) -> Result<Self, BlobError> {
        let mut upload = Self::begin(algorithm);
        if offset == 0 {
            store.forget(name);
            return Ok(upload);
        }
        let file = store.disk().open_writable(&upload_path(name))?;
        let length = file.length()?;
        if length < offset {
            return Err(BlobError::UploadDamaged { length, offset });
        }
        file.truncate(offset)?;
        upload.hasher = state.and_then(|state| Hasher::restore(algorithm, state));
        upload.offset = offset;
        upload.durable = offset;
        upload.writing_back = offset;
        upload.reserved = offset;
        upload.created = true;
        upload.named = true;
        Ok(upload)
    }

    /// Returns how many bytes have come.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Tells whether a sync failed. A second one could succeed although bytes never reached the medium, so
    /// the upload must not be gone on with.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    pub(in crate::blobs) fn lose(&mut self) {
        self.lost = true;
    }

    /// Returns the upload's file, which is opened unless it is open, and made when there is none.
    pub fn file(&mut self, store: &BlobStore, name: &str) -> Result<Arc<dyn DiskFile>, BlobError> {
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        let path = upload_path(name);
        let disk = store.disk();
        let file = if self.created { disk.open_writable(&path)? } else { disk.create(&path)? };
        self.created = true;
        self.file = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Closes the file until the next request: there may be many uploads that nobody goes on with.
    pub fn close_file(&mut self) {
        self.file = None;
    }

    /// Returns how much more space the disk needs for `bytes` of the `coming` ones.
    pub fn space_for(&self, bytes: u64, coming: u64) -> u64 {
        if self.offset < self.reserved {
            return (self.offset + bytes).saturating_sub(self.reserved);
        }
        bytes.max(self.reserve_step(coming))
    }

    /// Returns how much to reserve at once of what is to come.
    fn reserve_step(&self, coming: u64) -> u64 {
        coming.min(self.offset.clamp(RESERVE_FIRST_BYTES, RESERVE_STEP_MAX_BYTES))
    }

    /// Gives back space that was reserved for what did not come, or that a failed write took.
    pub fn give_back(&mut self, store: &BlobStore, name: &str) -> Result<(), BlobError> {
        if self.reserved > self.offset {
            self.file(store, name)?.truncate(self.offset)?;
            self.reserved = self.offset;
        }
        Ok(())
    }

    /// Reserves space for what is known to come, a step at a time. Fails when the disk is full.
    pub fn reserve(&mut self, file: &dyn DiskFile, coming: u64) -> Result<(), BlobError> {
        let end = self.offset.saturating_add(self.reserve_step(coming));
        if self.offset < self.reserved || end <= self.reserved || coming < RESERVED_MIN_BYTES {
            return Ok(());
        }
        file.reserve(self.offset, end - self.offset)?;
        self.reserved = end;
        Ok(())
    }

    /// Appends bytes. After an error the upload stands where it stood.
    pub fn append(&mut self, file: &dyn DiskFile, bytes: &[u8]) -> Result<(), BlobError> {
        self.catch_up(file)?;
        let end = self.offset + bytes.len() as u64;
        if let Err(error) = file.write_at(bytes, self.offset) {
            // Some of it may be in the file.
            self.reserved = self.reserved.max(end);
            return Err(error.into());
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        self.offset = end;
        if self.offset - self.writing_back >= WRITE_BACK_STEP_BYTES {
            file.start_write_back(self.writing_back, self.offset - self.writing_back);
            self.writing_back = self.offset;
        }
        Ok(())
    }

    /// Reads back all that has come.
    pub fn read_back(&mut self, store: &BlobStore, name: &str) -> Result<Vec<u8>, BlobError> {
        let bytes = read_all(self.file(store, name)?.as_ref(), self.offset)?;
        let length = bytes.len() as u64;
        if length < self.offset {
            return Err(BlobError::UploadDamaged { length, offset: self.offset });
        }
        Ok(bytes)
    }

    /// Forgets all that has come, as if nothing had.
    pub fn start_over(&mut self, store: &BlobStore, name: &str) {
        store.forget(name);
        *self = Self::begin(self.algorithm);
    }

    /// Cuts off what lies behind the last byte that came.
    pub(in crate::blobs) fn cut(&self, file: &dyn DiskFile) -> Result<(), BlobError> {
        let length = file.length()?;
        if length < self.offset {
            return Err(BlobError::UploadDamaged { length, offset: self.offset });
        }
        // Reserved space need not count in the length.
        if length > self.offset || self.reserved > self.offset {
            file.truncate(self.offset)?;
        }
        Ok(())
    }

    /// Makes the upload durable as far as it has come, if at least `step` bytes came since the last time.
    /// Returns whether it did. After an error the upload is lost.
    pub fn make_durable(
        &mut self,
        store: &BlobStore,
        file: &dyn DiskFile,
        step: u64,
    ) -> Result<bool, BlobError> {
        if self.offset - self.durable < step {
            return Ok(false);
        }
        self.lost = true;
        file.sync()?;
        if !self.named {
            store.disk().sync_folder(Path::new(UPLOADS_FOLDER))?;
        }
        (self.lost, self.named, self.durable) = (false, true, self.offset);
        Ok(true)
    }

    /// Returns the hasher's state at the current offset, where it can be saved.
    pub fn hash_state(&self) -> Option<Vec<u8>> {
        self.hasher.as_ref().and_then(Hasher::save)
    }

    /// Returns the digest of all that has come. An algorithm that was not announced has the file read again.
    pub(in crate::blobs) fn digest(
        &mut self,
        file: &dyn DiskFile,
        algorithm: Algorithm,
    ) -> Result<ContentDigest, BlobError> {
        if algorithm != self.algorithm {
            return Ok(hash(file, algorithm, self.offset)?.finish());
        }
        self.catch_up(file)?;
        // The hasher is kept, so that a failure behind this leaves the upload as it was.
        Ok(match &self.hasher {
            Some(hasher) => hasher.clone().finish(),
            None => hash(file, algorithm, self.offset)?.finish(),
        })
    }

    /// Hashes what the file holds already, where the hasher's state could not be saved.
    fn catch_up(&mut self, file: &dyn DiskFile) -> Result<(), BlobError> {
        if self.hasher.is_none() {
            self.hasher = Some(hash(file, self.algorithm, self.offset)?);
        }
        Ok(())
    }
}

fn hash(file: &dyn DiskFile, algorithm: Algorithm, length: u64) -> Result<Hasher, BlobError> {
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = vec![0; READ_SIZE_BYTES];
    let mut offset = 0;
    while offset < length {
        let want = usize::try_from(length - offset).unwrap_or(usize::MAX).min(buffer.len());
        let read = file.read_at(buffer.get_mut(..want).unwrap_or_default(), offset)?;
        if read == 0 {
            return Err(BlobError::UploadDamaged { length: offset, offset: length });
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
        offset += read as u64;
    }
    Ok(hasher)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    #[test]
    fn space_is_reserved_no_faster_than_bytes_come() {
        const MIB: u64 = 1024 * 1024;
        let store = BlobStore::open(Arc::new(MemoryDisk::new())).unwrap();
        let mut upload = Upload::begin(Algorithm::Sha256);
        let file = upload.file(&store, "one").unwrap();
        let (mut come, all) = (0, 100 * MIB);
        let mut steps = Vec::new();
        while come < all {
            let step = upload.space_for(MIB, all - come);
            upload.reserve(file.as_ref(), all - come).unwrap();
            upload.append(file.as_ref(), &vec![0; MIB as usize]).unwrap();
            come += MIB;
            if step > 0 {
                steps.push(step / MIB);
            }
        }
        assert_eq!(steps, [1, 1, 2, 4, 8, 16, 32, 36]);
    }
}
