//! Content to push: of any length, reproducible, and incompressible.

use std::io::{self, Write};
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

const BLOCK_SIZE_BYTES: usize = 64 * 1024;

/// The pattern of every block; only its first bytes differ between blocks.
static PATTERN: OnceLock<Vec<u8>> = OnceLock::new();

/// A blob, identified by its number.
#[derive(Debug, Clone)]
pub struct Content {
    number: u64,
    pub size: u64,
    pub digest: String,
}

impl Content {
    /// Makes the content of a number, and hashes it.
    pub fn new(number: u64, size: u64) -> Self {
        let mut hash = Sha256::new();
        for_each_block(number, size, |block| {
            hash.update(block);
            Ok(())
        })
        .unwrap();
        let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { number, size, digest: format!("sha256:{hex}") }
    }

    /// Writes all of it.
    pub fn write(&self, sink: &mut dyn Write) -> io::Result<()> {
        for_each_block(self.number, self.size, |block| sink.write_all(block))
    }
}

fn for_each_block(number: u64, size: u64, mut visit: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut block = PATTERN.get_or_init(pattern).clone();
    let mut left = size;
    let mut index: u64 = 0;
    while left > 0 {
        for (place, byte) in block.iter_mut().zip(number.to_le_bytes().into_iter().chain(index.to_le_bytes()))
        {
            *place = byte;
        }
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        visit(block.split_at(length).0)?;
        left -= length as u64;
        index += 1;
    }
    Ok(())
}

fn pattern() -> Vec<u8> {
    let mut block = vec![0; BLOCK_SIZE_BYTES];
    blake3::Hasher::new().finalize_xof().fill(&mut block);
    block
}
