//! Large blobs: their content differs from push to push, and most of it is sent from one file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::common::content::Content;
use crate::load::{Load, request, request_head, with_digest};

const BLOCK_SIZE_BYTES: usize = 64 * 1024;
const READ_SIZE_BYTES: usize = 1024 * 1024;

/// The file that blobs are sent from.
pub struct Source {
    file: File,
    size: u64,
    first: Vec<u8>,
}

/// A blob: a number, followed by the source from the same offset on.
pub struct Blob {
    pub digest: String,
    pub size: u64,
    first: Vec<u8>,
}

impl Source {
    /// Writes a file of this length.
    pub fn new(folder: &Path, size: u64) -> Self {
        let mut file =
            File::options().create_new(true).read(true).write(true).open(folder.join("source")).unwrap();
        Content::new(0, size).write(&mut file).unwrap();
        file.sync_all().unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let mut first = vec![0; BLOCK_SIZE_BYTES];
        file.read_exact(&mut first).unwrap();
        Self { file, size, first }
    }

    /// Makes the blob of a number, and hashes it.
    pub fn blob(&self, number: u64) -> Blob {
        let mut first = self.first.clone();
        first.splice(..8, number.to_le_bytes());
        let mut hash = Sha256::new();
        hash.update(&first);
        let mut file = &self.file;
        file.seek(SeekFrom::Start(BLOCK_SIZE_BYTES as u64)).unwrap();
        let mut piece = vec![0; READ_SIZE_BYTES];
        loop {
            let count = file.read(&mut piece).unwrap();
            if count == 0 {
                break;
            }
            hash.update(piece.get(..count).unwrap());
        }
        let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Blob { digest: format!("sha256:{hex}"), size: self.size, first }
    }

    /// Pushes a blob by POST and PUT. Returns the seconds from its first byte to its last, and from its last
    /// to the answer.
    pub fn push(&self, load: &mut Load, repo: &str, blob: &Blob) -> (f64, f64) {
        load.send(&request("POST", &format!("/v2/{repo}/blobs/uploads/")));
        let location = load.answer("POST", 202).location.expect("a location");
        let target = with_digest(&location, &blob.digest);
        let begun = std::time::Instant::now();
        load.send(&request_head("PUT", &target, "application/octet-stream", blob.size));
        load.send(&blob.first);
        load.send_file(&self.file, BLOCK_SIZE_BYTES as u64);
        let sent = begun.elapsed().as_secs_f64();
        load.answer("PUT", 201);
        (sent, begun.elapsed().as_secs_f64() - sent)
    }
}
