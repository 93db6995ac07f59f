//! What lies in quarantine.

use serde::{Deserialize, Serialize};

use crate::admin::ask::Ask;
use crate::admin::error::AdminError;
use crate::admin::sink::{AnswerSink, send_item};
use crate::admin::store::OpenStore;
use crate::registry::{Registry, RegistryError};
use crate::spec::ContentDigest;

/// Asks for the damaged files that were set aside, in the order of their digests; may remove them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QuarantineRequest {
    /// Whether they are removed.
    pub(crate) empty: bool,
}

/// A damaged file that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QuarantinedFile {
    /// The digest that its bytes should have.
    pub(crate) digest: ContentDigest,
    /// The file, below the data directory.
    pub(crate) path: String,
    /// Its length in bytes.
    pub(crate) bytes: u64,
    /// Whether this content was stored again since.
    pub(crate) is_healed: bool,
    /// Whether the file was removed now.
    pub(crate) is_removed: bool,
}

/// What lies in quarantine, or did before it was emptied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QuarantineTotals {
    /// Files.
    pub(crate) files: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Files that were removed now.
    pub(crate) removed: u64,
}

impl Ask for QuarantineRequest {
    type Item = QuarantinedFile;
    type Report = QuarantineTotals;

    fn perform(&self, store: &OpenStore, sink: &mut dyn AnswerSink) -> Result<QuarantineTotals, AdminError> {
        quarantine(&store.registry, self.empty, sink)
    }
}

fn quarantine(
    registry: &Registry,
    empty: bool,
    sink: &mut dyn AnswerSink,
) -> Result<QuarantineTotals, AdminError> {
    if empty && registry.is_read_only() {
        return Err(RegistryError::ReadOnly.into());
    }
    let mut totals = QuarantineTotals::default();
    for file in registry.quarantined()? {
        sink.check_wanted()?;
        let is_removed = empty && registry.remove_quarantined(&file)?;
        totals.files += 1;
        totals.bytes += file.length;
        totals.removed += u64::from(is_removed);
        let entry = QuarantinedFile {
            digest: file.digest,
            path: format!("quarantine/{}", file.name),
            bytes: file.length,
            is_healed: registry.view().blob(&file.digest)?.is_some(),
            is_removed,
        };
        send_item(sink, &entry)?;
    }
    Ok(totals)
}
