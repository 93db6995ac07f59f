//! Following the journal of a store.

use std::sync::Arc;
use std::sync::mpsc::channel;

use crate::disk::Disk;
use crate::meta::error::MetaOpenError;
use crate::meta::index::IndexError;
use crate::meta::journal::{FileTail, FollowFrom, Follower, LogKind, LogPosition, LogTail, Wake};
use crate::meta::store::Meta;
use crate::meta::writer::Message;

impl Meta {
    /// Follows the journal. `wake` is called on the writer's thread after each commit, and must not block.
    pub fn follow(&self, from: FollowFrom, wake: Wake) -> Result<Follower, MetaOpenError> {
        let tail = self.tail()?;
        if self.is_read_only() || self.is_without_journal() {
            return Follower::closed(tail, from);
        }
        Follower::live(tail, &self.shared.durable, from, wake)
    }

    fn tail(&self) -> Result<Box<dyn LogTail>, MetaOpenError> {
        match self.log {
            // The writer may be busy for long, such as while it verifies the index of a clean stop.
            LogKind::Files => Ok(Box::new(FileTail::new(Arc::clone(&self.disk), LogPosition::start()))),
            LogKind::Memory => {
                let (answer, answered) = channel();
                self.send(Message::ReadFrom(LogPosition::start(), answer));
                answered.recv().map_err(|_| IndexError::Closed.into())
            }
        }
    }
}

/// Reads the journal of a store that no process uses, from its oldest transaction to its end, and changes
/// nothing.
pub fn read_closed_journal(disk: Arc<dyn Disk>) -> Result<Follower, MetaOpenError> {
    Follower::closed(Box::new(FileTail::new(disk, LogPosition::start())), FollowFrom::Oldest)
}
