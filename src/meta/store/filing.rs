//! The files of content that only the journal has.

use std::sync::Arc;

use crate::blobs::{ContentStore, Filer};
use crate::meta::checkpoint::WriteFiles;
use crate::meta::error::MetaOpenError;
use crate::meta::recovery::{OpenedMeta, Start};

/// Starts the thread that writes the files, if any may be written, and returns it with what a checkpoint
/// waits for.
pub(super) fn begin(
    content: Option<&Arc<dyn ContentStore>>,
    is_read_only: bool,
    opened: &OpenedMeta,
) -> Result<(Option<Filer>, Box<WriteFiles>), MetaOpenError> {
    let Some(content) = content.cloned() else { return Ok((None, Box::new(|| Ok(())))) };
    if let (Start::Clean, Some(journal)) = (opened.start, &opened.journal) {
        content.unfiled().filed_by_stop(journal.head().seq);
    }
    let failed = |error: std::io::Error| MetaOpenError::Thread(error.to_string());
    let filer = (!is_read_only).then(|| Filer::start(Arc::clone(&content))).transpose().map_err(failed)?;
    Ok((filer, Box::new(move || content.write_files())))
}
