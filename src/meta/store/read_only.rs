//! Metadata on a disk that takes no writes.

use std::sync::Arc;

use crate::disk::Disk;
use crate::meta::error::MetaOpenError;
use crate::meta::recovery::{clean_marker, open};
use crate::meta::store::{Meta, MetaOptions};

impl Meta {
    /// Opens the metadata with the index in memory, and writes nothing.
    pub(super) fn open_read_only(disk: Arc<dyn Disk>, options: MetaOptions) -> Result<Self, MetaOpenError> {
        let marker = clean_marker::read(disk.as_ref())?;
        let durable = marker.as_ref().map_or(0, |marker| marker.seq);
        let found = open::RecoverySources {
            durable,
            content: options.content.as_deref(),
            progress: &options.progress,
        };
        let opened = open::as_it_is(disk.as_ref(), &found)?;
        options.clock.resume(&opened.time, options.rest);
        Self::run(disk, options, durable, opened)
    }

    /// Tells whether the disk took no writes at the start, so that every command is refused.
    pub fn is_read_only(&self) -> bool {
        self.shared.is_read_only()
    }
}
