//! Content that is found on the disk rather than published by this process: looked at, verified, adopted.

use std::path::Path;
use std::sync::Arc;

use crate::blobs::error::BlobError;
use crate::blobs::local::layout::{BLOBS_FOLDER, blob_path, upload_path};
use crate::blobs::local::publish::{BlobStore, DurableBlob};
use crate::disk::{Disk, DiskError, DiskFile};
use crate::spec::{Algorithm, ContentDigest, Hasher};

const READ_SIZE_BYTES: usize = 256 * 1024;

/// What was found under a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<T> {
    /// Content whose bytes have that digest.
    Intact(T),
    /// Bytes that have another digest, or cannot be read from the medium.
    Damaged,
    /// Nothing.
    Missing,
}

/// A file in the folders of content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occupant {
    /// Content under its digest, with its length in bytes.
    Content(ContentDigest, u64),
    /// Something that is not pulk's, by its path.
    Stranger(String),
}

impl BlobStore {
    /// Opens the store of a disk as it is, and makes nothing.
    pub fn as_it_is(disk: Arc<dyn Disk>) -> Self {
        Self::over(disk)
    }

    /// Returns the length in bytes of the file that lies under a digest, without a look at what is in it.
    pub fn length(&self, digest: &ContentDigest) -> Result<Option<u64>, BlobError> {
        Ok(self.read(digest)?.map(|file| file.length()).transpose()?)
    }

    /// Reads all of the content of a digest and says whether its bytes have it. `read` is told how many bytes
    /// were read each time.
    pub fn verify(&self, digest: &ContentDigest, read: &mut dyn FnMut(u64)) -> Result<Found<u64>, BlobError> {
        let Some(file) = self.read(digest)? else { return Ok(Found::Missing) };
        verify(file.as_ref(), digest, read)
    }

    /// Opens content after all of it was read and found to have its digest, or at once where `is_known` says
    /// of the open file that it was verified before.
    pub fn open_verified(
        &self,
        digest: &ContentDigest,
        is_known: impl FnOnce(&dyn DiskFile) -> bool,
    ) -> Result<Found<Arc<dyn DiskFile>>, BlobError> {
        let Some(file) = self.read(digest)? else { return Ok(Found::Missing) };
        if is_known(file.as_ref()) {
            return Ok(Found::Intact(file));
        }
        Ok(match verify(file.as_ref(), digest, &mut |_| {})? {
            Found::Intact(_) => Found::Intact(file),
            Found::Damaged => Found::Damaged,
            Found::Missing => Found::Missing,
        })
    }

    /// Makes content that was found on the disk nameable again: its bytes are read, verified, and published
    /// anew.
    ///
    /// That the file is there, and reads well, shows only what the page cache has: after a failed sync the
    /// medium may never have got it. `name` is a name for the unfinished file that nobody else uses.
    pub fn adopt(&self, name: &str, digest: ContentDigest) -> Result<Found<DurableBlob>, BlobError> {
        let Some(old) = self.read(&digest)? else { return Ok(Found::Missing) };
        let path = upload_path(name);
        let new = self.disk().create(&path)?;
        let adopted = self.copy(old.as_ref(), new.as_ref(), &path, digest);
        if !matches!(adopted, Ok(Found::Intact(_))) {
            self.forget(name);
        }
        adopted
    }

    fn copy(
        &self,
        old: &dyn DiskFile,
        new: &dyn DiskFile,
        path: &Path,
        digest: ContentDigest,
    ) -> Result<Found<DurableBlob>, BlobError> {
        let mut hasher = Hasher::new(digest.algorithm());
        let mut offset = 0;
        let copied = each_piece(old, |piece| {
            new.write_at(piece, offset)?;
            hasher.update(piece);
            new.start_write_back(offset, piece.len() as u64);
            offset += piece.len() as u64;
            Ok(())
        });
        match copied {
            Ok(length) if hasher.finish() == digest => {
                self.publish(new, path, digest, length).map(Found::Intact)
            }
            Ok(_) | Err(Piecewise::Reading) => Ok(Found::Damaged),
            Err(Piecewise::Taking(error)) => Err(error.into()),
        }
    }

    /// Visits every file in the folders of content, in the order of their digests.
    pub fn each_occupant<E: From<DiskError>>(
        &self,
        mut visit: impl FnMut(Occupant) -> Result<(), E>,
    ) -> Result<(), E> {
        for algorithm in Algorithm::ALL {
            let folder = Path::new(BLOBS_FOLDER).join(algorithm.to_string());
            for fanout in self.list_if_there(&folder)? {
                let inner = folder.join(&fanout.name);
                if !fanout.is_folder {
                    visit(Occupant::Stranger(inner.display().to_string()))?;
                    continue;
                }
                for entry in self.list_if_there(&inner)? {
                    let digest = format!("{algorithm}:{}", entry.name).parse::<ContentDigest>().ok();
                    let path = inner.join(&entry.name);
                    // Nobody looks for content where it does not belong.
                    let digest = digest.filter(|digest| !entry.is_folder && blob_path(digest) == path);
                    visit(match digest {
                        Some(digest) => Occupant::Content(digest, entry.length),
                        None => Occupant::Stranger(path.display().to_string()),
                    })?;
                }
            }
        }
        Ok(())
    }

    fn list_if_there(&self, folder: &Path) -> Result<Vec<crate::disk::Entry>, DiskError> {
        match self.disk().list(folder) {
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            listed => listed,
        }
    }

    /// Removes content that nothing names and nobody can come to name meanwhile. Not durable: what a crash
    /// brings back is removed again.
    pub fn discard(&self, digest: &ContentDigest) -> Result<(), BlobError> {
        Ok(self.disk().remove(&blob_path(digest))?)
    }
}

fn verify(
    file: &dyn DiskFile,
    digest: &ContentDigest,
    read: &mut dyn FnMut(u64),
) -> Result<Found<u64>, BlobError> {
    let mut hasher = Hasher::new(digest.algorithm());
    let taken = each_piece(file, |piece| {
        hasher.update(piece);
        read(piece.len() as u64);
        Ok(())
    });
    match taken {
        Ok(length) if hasher.finish() == *digest => Ok(Found::Intact(length)),
        Ok(_) | Err(Piecewise::Reading) => Ok(Found::Damaged),
        Err(Piecewise::Taking(error)) => Err(error.into()),
    }
}

/// Why not all pieces of a file were taken.
enum Piecewise {
    /// The file could not be read.
    Reading,
    /// The one who takes the pieces failed.
    Taking(DiskError),
}

/// Reads a file piece by piece, and returns its length.
fn each_piece(
    file: &dyn DiskFile,
    mut take: impl FnMut(&[u8]) -> Result<(), DiskError>,
) -> Result<u64, Piecewise> {
    let mut buffer = vec![0; READ_SIZE_BYTES];
    let mut offset = 0;
    loop {
        let read = file.read_at(&mut buffer, offset).map_err(|_| Piecewise::Reading)?;
        if read == 0 {
            return Ok(offset);
        }
        take(buffer.get(..read).unwrap_or_default()).map_err(Piecewise::Taking)?;
        offset += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    fn store() -> (BlobStore, Arc<dyn Disk>) {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        (BlobStore::open(Arc::clone(&disk)).unwrap(), disk)
    }

    fn put(store: &BlobStore, content: &[u8]) -> ContentDigest {
        let digest = ContentDigest::sha256_of(content);
        store.put("put", digest, content).unwrap();
        digest
    }

    fn damage(disk: &dyn Disk, digest: &ContentDigest) {
        disk.open_writable(&blob_path(digest)).unwrap().write_at(b"X", 0).unwrap();
    }

    #[test]
    fn intact_content_is_adopted_and_damaged_content_is_not() {
        let (store, disk) = store();
        let (good, bad) = (put(&store, b"good"), put(&store, b"bad"));
        damage(disk.as_ref(), &bad);
        let Found::Intact(adopted) = store.adopt("a", good).unwrap() else { panic!("it is damaged") };
        assert_eq!((adopted.digest(), adopted.size()), (good, 4));
        assert_eq!(store.read_whole(&good).unwrap().unwrap(), b"good");
        assert_eq!(store.adopt("b", bad).unwrap(), Found::Damaged);
        assert_eq!(store.adopt("c", ContentDigest::sha256_of(b"none")).unwrap(), Found::Missing);
        assert_eq!(store.unfinished().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn verifying_reads_every_byte() {
        let (store, disk) = store();
        let digest = put(&store, &[7; 600_000]);
        let mut count = 0;
        assert_eq!(store.verify(&digest, &mut |read| count += read).unwrap(), Found::Intact(600_000));
        assert_eq!(count, 600_000);
        damage(disk.as_ref(), &digest);
        assert_eq!(store.verify(&digest, &mut |_| ()).unwrap(), Found::Damaged);
        store.discard(&digest).unwrap();
        assert_eq!(store.verify(&digest, &mut |_| ()).unwrap(), Found::Missing);
    }

    #[test]
    fn what_does_not_lie_where_its_digest_belongs_is_a_stranger() {
        let (store, disk) = store();
        let digest = put(&store, b"good");
        let wrong = format!("blobs/sha256/00/{}", "f".repeat(64));
        for path in ["blobs/sha256/notes.txt", "blobs/sha512/ab/x", &wrong] {
            disk.create(Path::new(path)).unwrap();
        }
        let mut found = Vec::new();
        store
            .each_occupant(|occupant| {
                found.push(occupant);
                Ok::<_, DiskError>(())
            })
            .unwrap();
        assert_eq!(found.len(), 4);
        assert!(found.contains(&Occupant::Content(digest, 4)));
        assert!(found.contains(&Occupant::Stranger(wrong)));
    }
}
