//! Blobs as files that the transport sends.

use std::io;

use crate::registry::BlobReader;
use crate::wire::{BodyFile, FileStep, FileStepFuture};

impl BodyFile for BlobReader {
    fn run(&self, step: FileStep) -> FileStepFuture<'_> {
        Box::pin(self.with_file(move |file| {
            step.run(file.descriptor(), |buffer, offset| {
                file.read_at(buffer, offset).map_err(io::Error::other)
            })
        }))
    }

    fn name(&self) -> String {
        self.digest().to_string()
    }
}
