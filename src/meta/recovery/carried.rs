//! Content that lines of the journal carry, and that need not have durable files.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::blobs::ContentStore;
use crate::meta::journal::Record;
use crate::meta::model::{CarriedBytes, Fact};
use crate::spec::ContentDigest;

/// The content of the lines so far that no later line says to be filed, and whose rows still stand. The
/// writer holds as much in memory, and no more.
#[derive(Debug, Default)]
pub(super) struct CarriedContent {
    content: BTreeMap<ContentDigest, (u64, Arc<[u8]>)>,
    /// Everything up to this transaction has durable files.
    filed: u64,
}

impl CarriedContent {
    /// Takes the next line.
    pub(super) fn learn(&mut self, record: &Record) {
        self.learn_unless(record, |_, _| true);
    }

    /// Takes the next line, and drops what it says to be filed where `has_file` agrees, which gets the
    /// digest and the length in bytes.
    pub(super) fn learn_unless(&mut self, record: &Record, has_file: impl Fn(&ContentDigest, u64) -> bool) {
        if let Some(filed) = record.filed.filter(|filed| *filed > self.filed) {
            self.filed = filed;
            self.content.retain(|digest, (seq, bytes)| *seq > filed || !has_file(digest, bytes.len() as u64));
        }
        for fact in &record.facts {
            match fact {
                Fact::Blob { digest, row: Some(_), content: Some(CarriedBytes(bytes)) } => {
                    self.content.insert(*digest, (record.seq, Arc::clone(bytes)));
                }
                // A later row carries its own, unless a file has it.
                Fact::Blob { digest, row: None, .. } => drop(self.content.remove(digest)),
                _ => {}
            }
        }
    }

    /// Drops the content that has a file, whatever the file's bytes are.
    pub(super) fn drop_filed(&mut self, store: &dyn ContentStore) {
        self.content.retain(|digest, _| matches!(store.length(digest), Ok(None)));
    }

    /// Hands the content over to its store, which reads it from memory and files it later. `last` is the last
    /// transaction of the journal.
    pub(super) fn restore(self, store: &dyn ContentStore, last: u64) {
        let content = self.content.into_iter().map(|(digest, (_, bytes))| (digest, bytes)).collect();
        store.unfiled().restore(&content, last);
    }
}
