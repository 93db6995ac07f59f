//! An upload as a file that grows, hashed while it does.

use std::path::PathBuf;
use std::sync::Arc;

use crate::blobs::contract::{ContentUpload, DurableBlob, ResumePoint};
use crate::blobs::error::BlobError;
use crate::blobs::local::fanout::ContentFolders;
use crate::blobs::local::layout::upload_path;
use crate::blobs::local::own_file;
use crate::blobs::local::publish::{publish, remove_upload};
use crate::blobs::local::synced_folder::WrittenName;
use crate::blobs::unfiled::{ReservedBytes, UnfiledContent};
use crate::blobs::verify::read_up_to;
use crate::disk::{BLOCK_SIZE_BYTES, Disk, DiskFile, ReadFile};
use crate::spec::{Algorithm, ContentDigest, Hasher};

/// How many bytes are received before an upload is made durable again.
pub const DURABLE_STEP_BYTES: u64 = 16 * 1024 * 1024;

/// How many bytes are received before the system is asked to write them back, so that the last sync has
/// little left to do.
const WRITE_BACK_STEP_BYTES: u64 = 2 * 1024 * 1024;

/// The most space that is reserved ahead. It is never more than what was received either, after a first step:
/// a length that a client announces must not fill the disk.
const RESERVE_STEP_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The first step of reserved space.
const RESERVE_FIRST_BYTES: u64 = 1024 * 1024;

/// Shorter bodies are written at once and reserve no space.
const RESERVED_MIN_BYTES: u64 = 256 * 1024;

const READ_SIZE_BYTES: usize = 256 * 1024;

/// An upload of a [`LocalStore`](super::LocalStore). Its file is opened by the first operation that needs it.
pub(super) struct LocalUpload {
    disk: Arc<dyn Disk>,
    folders: Arc<ContentFolders>,
    unfiled: Arc<UnfiledContent>,
    name: String,
    /// What was received, while it is short and has no file.
    short: Option<ShortUpload>,
    /// The open file, until the upload is paused.
    // INVARIANT: the handle that wrote bytes is the one that makes them durable. A later handle would not
    // learn that the system lost them.
    file: Option<Arc<dyn DiskFile>>,
    /// `None` while what the file holds has not been hashed.
    hasher: Option<Hasher>,
    /// The offset of the block in which the next byte is written, and the hasher there.
    ///
    /// INVARIANT: an upload is resumed here. A write after it may garble its block at a power cut, with bytes
    /// that were durable.
    block: (u64, Option<Hasher>),
    /// What a rewind goes back to.
    mark: Option<Mark>,
    algorithm: Algorithm,
    offset: u64,
    durable: u64,
    writing_back: u64,
    /// How far the file may reach: space was reserved up to there, or a failed write reached it.
    reserved: u64,
    /// Whether the file exists.
    created: bool,
    /// The file's name, until it is durable.
    name_written: Option<WrittenName>,
    lost: bool,
}

/// The bytes of an upload without a file.
#[derive(Default)]
struct ShortUpload {
    bytes: Vec<u8>,
    room: Vec<ReservedBytes>,
}

/// An upload as it was when it was marked.
#[derive(Clone)]
struct Mark {
    offset: u64,
    hasher: Option<Hasher>,
    block: (u64, Option<Hasher>),
}

impl std::fmt::Debug for LocalUpload {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("LocalUpload");
        shown.field("name", &self.name).field("offset", &self.offset).finish_non_exhaustive()
    }
}

impl LocalUpload {
    pub(super) fn begin(
        disk: &Arc<dyn Disk>,
        (folders, unfiled): (&Arc<ContentFolders>, &Arc<UnfiledContent>),
        name: &str,
        algorithm: Algorithm,
    ) -> Self {
        Self {
            disk: Arc::clone(disk),
            folders: Arc::clone(folders),
            unfiled: Arc::clone(unfiled),
            name: name.to_owned(),
            short: Some(ShortUpload::default()),
            file: None,
            hasher: Some(Hasher::new(algorithm)),
            block: (0, Some(Hasher::new(algorithm))),
            mark: None,
            algorithm,
            offset: 0,
            durable: 0,
            writing_back: 0,
            reserved: 0,
            created: false,
            name_written: None,
            lost: false,
        }
    }

    pub(super) fn resume(
        disk: &Arc<dyn Disk>,
        (folders, unfiled): (&Arc<ContentFolders>, &Arc<UnfiledContent>),
        name: &str,
        point: ResumePoint<'_>,
    ) -> Result<Self, BlobError> {
        let ResumePoint { algorithm, offset, hash_state } = point;
        let mut upload = Self::begin(disk, (folders, unfiled), name, algorithm);
        if offset == 0 {
            remove_upload(disk.as_ref(), name);
            return Ok(upload);
        }
        let file = disk.open_writable(&upload.path())?;
        let length = file.length()?;
        if length < offset {
            return Err(BlobError::UploadDamaged { length, offset });
        }
        // INVARIANT: content never changes. A power cut can leave both names of the rename that published it.
        match file.has_other_names()? {
            Some(false) => file.truncate(offset)?,
            Some(true) | None => {
                let copied = own_file::copy(disk.as_ref(), folders, name, file.as_ref(), offset)?;
                upload.name_written = Some(copied);
            }
        }
        upload.hasher = hash_state.and_then(|state| Hasher::restore(algorithm, state));
        upload.block = (offset, upload.hasher.clone());
        upload.offset = offset;
        upload.durable = offset;
        upload.writing_back = offset;
        upload.reserved = offset;
        upload.created = true;
        upload.short = None;
        Ok(upload)
    }

    fn path(&self) -> PathBuf {
        upload_path(&self.name)
    }

    /// Returns the upload's file, opened or created if need be.
    fn file(&mut self) -> Result<Arc<dyn DiskFile>, BlobError> {
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        let path = self.path();
        let file = if self.created {
            self.disk.open_writable(&path)?
        } else {
            let (file, name) = self.folders.uploads().write(|| self.disk.create(&path))?;
            self.name_written = Some(name);
            file
        };
        self.created = true;
        if let Some(short) = self.short.as_ref().filter(|short| !short.bytes.is_empty())
            && let Err(error) = file.write_at(&short.bytes, 0)
        {
            remove_upload(self.disk.as_ref(), &self.name);
            (self.created, self.name_written) = (false, None);
            return Err(error.into());
        }
        self.short = None;
        self.file = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Keeps bytes without a file, if all that is known to come is short and there is room.
    fn keep_short(&mut self, bytes: &[u8], coming: u64) -> bool {
        let Some(short) = &mut self.short else { return false };
        let come = coming.max(bytes.len() as u64).saturating_add(self.offset);
        if come > self.unfiled.carried_max() as u64 {
            return false;
        }
        let Some(room) = self.unfiled.room_for_upload(bytes.len()) else { return false };
        short.bytes.extend_from_slice(bytes);
        short.room.push(room);
        true
    }

    /// Returns how much of the `coming` bytes to reserve at once.
    fn reserve_step(&self, coming: u64) -> u64 {
        coming.min(self.offset.clamp(RESERVE_FIRST_BYTES, RESERVE_STEP_MAX_BYTES))
    }

    /// Reserves space for the `coming` bytes, a step at a time. Fails when the disk is full.
    fn reserve(&mut self, file: &dyn DiskFile, coming: u64) -> Result<(), BlobError> {
        let end = self.offset.saturating_add(self.reserve_step(coming));
        if self.offset < self.reserved || end <= self.reserved || coming < RESERVED_MIN_BYTES {
            return Ok(());
        }
        file.reserve(self.offset, end - self.offset)?;
        self.reserved = end;
        Ok(())
    }

    /// Cuts the file to what was received.
    fn cut(&self, file: &dyn DiskFile) -> Result<(), BlobError> {
        let length = file.length()?;
        if length < self.offset {
            return Err(BlobError::UploadDamaged { length, offset: self.offset });
        }
        // The length may leave reserved space out.
        if length > self.offset || self.reserved > self.offset {
            file.truncate(self.offset)?;
        }
        Ok(())
    }

    /// Returns the digest of everything received. The file is read again for another algorithm than the one
    /// that was announced.
    fn digest(&mut self, algorithm: Algorithm) -> Result<ContentDigest, BlobError> {
        if let Some(short) = &self.short {
            return Ok(ContentDigest::of(algorithm, &short.bytes));
        }
        let file = self.file()?;
        let file = file.as_ref();
        if algorithm != self.algorithm {
            return Ok(hash(file, algorithm, self.offset)?.finish());
        }
        self.catch_up(file)?;
        // The hasher stays, so that a later failure leaves the upload as it was.
        Ok(match &self.hasher {
            Some(hasher) => hasher.clone().finish(),
            None => hash(file, algorithm, self.offset)?.finish(),
        })
    }

    /// Hashes the next bytes, and keeps the hasher as it is where their last block begins.
    fn hash(&mut self, bytes: &[u8]) {
        let end = self.offset + bytes.len() as u64;
        let block = end - end % BLOCK_SIZE_BYTES;
        let before = usize::try_from(block.saturating_sub(self.offset)).unwrap_or(0);
        let (before, after) = bytes.split_at_checked(before).unwrap_or((&[], bytes));
        if let Some(hasher) = &mut self.hasher {
            hasher.update(before);
            if block > self.offset {
                self.block = (block, Some(hasher.clone()));
            }
            hasher.update(after);
        }
        self.offset = end;
    }

    /// Hashes what the file already holds, where the state of the hash was not saved.
    fn catch_up(&mut self, file: &dyn DiskFile) -> Result<(), BlobError> {
        if self.hasher.is_none() {
            self.hasher = Some(hash(file, self.algorithm, self.offset)?);
        }
        Ok(())
    }
}

impl ContentUpload for LocalUpload {
    fn offset(&self) -> u64 {
        self.offset
    }

    fn is_lost(&self) -> bool {
        self.lost
    }

    fn space_for(&self, bytes: u64, coming: u64) -> u64 {
        if self.offset < self.reserved {
            return (self.offset + bytes).saturating_sub(self.reserved);
        }
        bytes.max(self.reserve_step(coming))
    }

    fn append(&mut self, bytes: &[u8], coming: u64) -> Result<(), BlobError> {
        if self.keep_short(bytes, coming) {
            self.hash(bytes);
            return Ok(());
        }
        let file = self.file()?;
        self.reserve(file.as_ref(), coming)?;
        self.catch_up(file.as_ref())?;
        let end = self.offset + bytes.len() as u64;
        if let Err(error) = file.write_at(bytes, self.offset) {
            // Some of it may be in the file.
            self.reserved = self.reserved.max(end);
            return Err(error.into());
        }
        self.hash(bytes);
        if self.offset - self.writing_back >= WRITE_BACK_STEP_BYTES {
            file.start_write_back(self.writing_back, self.offset - self.writing_back);
            self.writing_back = self.offset;
        }
        Ok(())
    }

    fn release_reserved(&mut self) -> Result<(), BlobError> {
        if self.reserved > self.offset {
            self.file()?.truncate(self.offset)?;
            self.reserved = self.offset;
        }
        Ok(())
    }

    fn make_durable(&mut self, step: u64) -> Result<bool, BlobError> {
        if self.offset - self.durable < step {
            return Ok(false);
        }
        let file = self.file()?;
        self.lost = true;
        file.sync()?;
        if let Some(name) = &self.name_written {
            name.sync_folder(self.disk.as_ref())?;
        }
        self.name_written = None;
        (self.lost, self.durable) = (false, self.offset);
        Ok(true)
    }

    fn resume_point(&self) -> (u64, Option<Vec<u8>>) {
        let (offset, hasher) = self.mark.as_ref().map_or(&self.block, |mark| &mark.block);
        (*offset, hasher.as_ref().and_then(Hasher::save))
    }

    fn read_back(&mut self) -> Result<Vec<u8>, BlobError> {
        let bytes = read_up_to(self.file()?.as_ref(), self.offset)?;
        let length = bytes.len() as u64;
        if length < self.offset {
            return Err(BlobError::UploadDamaged { length, offset: self.offset });
        }
        Ok(bytes)
    }

    fn mark(&mut self) {
        let Self { offset, hasher, block, .. } = self;
        let now = || Mark { offset: *offset, hasher: hasher.clone(), block: block.clone() };
        self.mark.get_or_insert_with(now);
    }

    fn rewind(&mut self) {
        let Some(Mark { offset, hasher, block }) = self.mark.take() else { return };
        self.reserved = self.reserved.max(self.offset);
        self.durable = self.durable.min(offset);
        self.writing_back = self.writing_back.min(offset);
        if let Some(short) = &mut self.short {
            short.bytes.truncate(usize::try_from(offset).unwrap_or(usize::MAX));
        }
        (self.offset, self.hasher, self.block) = (offset, hasher, block);
    }

    fn pause(&mut self) {
        if self.durable == self.offset {
            self.file = None;
        }
    }

    fn is_open(&self) -> bool {
        self.file.is_some()
    }

    fn short(&self) -> Option<Arc<[u8]>> {
        self.short.as_ref().map(|short| short.bytes.as_slice().into())
    }

    fn discard(&mut self) {
        self.short = None;
        self.file = None;
        if self.created {
            remove_upload(self.disk.as_ref(), &self.name);
        }
    }

    fn check_digest(&mut self, digest: ContentDigest) -> Result<(), BlobError> {
        let actual = self.digest(digest.algorithm())?;
        if actual != digest {
            return Err(BlobError::Mismatch { said: digest.into(), actual: actual.into() });
        }
        Ok(())
    }

    fn publish(&mut self, digest: ContentDigest) -> Result<DurableBlob, BlobError> {
        self.check_digest(digest)?;
        let file = self.file()?;
        // INVARIANT: what is published is what was hashed, to its last byte and no further.
        self.cut(file.as_ref())?;
        let folder = self.folders.ensure(self.disk.as_ref(), &digest)?;
        let (disk, path) = (self.disk.as_ref(), self.path());
        let published = publish(disk, file.as_ref(), &path, &folder, digest, self.offset);
        self.lost |= published.is_err();
        published
    }
}

fn hash(file: &dyn ReadFile, algorithm: Algorithm, length: u64) -> Result<Hasher, BlobError> {
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
    use crate::blobs::local::LocalStore;
    use crate::disk::MemoryDisk;

    #[test]
    fn space_is_reserved_no_faster_than_bytes_come() {
        const MIB: u64 = 1024 * 1024;
        let store = LocalStore::open_or_create(Arc::new(MemoryDisk::new())).unwrap();
        let mut upload = store.begin("one", Algorithm::Sha256);
        let (mut come, all) = (0, 100 * MIB);
        let mut steps = Vec::new();
        while come < all {
            let step = upload.space_for(MIB, all - come);
            upload.append(&vec![0; MIB as usize], all - come).unwrap();
            come += MIB;
            if step > 0 {
                steps.push(step / MIB);
            }
        }
        assert_eq!(steps, [1, 1, 2, 4, 8, 16, 32, 36]);
    }
}
