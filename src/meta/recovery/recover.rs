//! Recovery: writes the valid lines to a new journal file and fills the index with them.

use std::path::Path;
use std::sync::Arc;

use crate::blobs::ContentStore;
use crate::disk::Disk;
use crate::meta::clock::StoreTime;
use crate::meta::error::MetaOpenError;
use crate::meta::index::{Index, RowTotals, View};
use crate::meta::journal::{FileLog, Log, list};
use crate::meta::recovery::plan::RecoveryPlan;
use crate::meta::recovery::progress::RecoveryProgress;
use crate::meta::recovery::replay;

/// The result of a recovery.
pub(in crate::meta) struct Recovered {
    /// The journal, ready to be appended to.
    pub(in crate::meta) journal: FileLog,
    /// The totals of the index's rows.
    pub(in crate::meta) totals: RowTotals,
    /// The store time.
    pub(in crate::meta) time: StoreTime,
    /// Whether acknowledged transactions may be missing, so that the rest must be reconciled.
    pub(in crate::meta) damaged: bool,
}

/// Rewrites the valid lines since the newest intact checkpoint into a new file, and fills `index`, which
/// must be empty. `content` gets what only the journal has. After damage, reconciles the remaining metadata
/// with it.
pub(in crate::meta) fn recover(
    shared: &Arc<dyn Disk>,
    plan: &RecoveryPlan,
    index: &dyn Index,
    progress: &RecoveryProgress,
    content: Option<&dyn ContentStore>,
) -> Result<Recovered, MetaOpenError> {
    let disk = shared.as_ref();
    remove_unfinished(disk)?;
    plan.settle_checkpoints(disk)?;
    plan.set_unopened_aside(disk)?;
    plan.survey.report();

    let damaged = plan.finds_damage();
    let RecoveryPlan { base, segments, survey, .. } = plan;
    base.load(disk, index, &mut |bytes| progress.note(bytes))?;
    let end = (plan.highest + 1, content, damaged);
    let (journal, time) = replay::replay(shared, index, segments, survey, base, end, progress)?;
    plan.retire(disk)?;
    progress.end();
    let replayed = journal.head().seq - (base.begin - 1);
    // A new store has nothing to report.
    if replayed > 0 || base.begin > 1 {
        log::info!("recovery rebuilt the index from {} and {replayed} transactions", base.name());
    }
    Ok(Recovered { journal, totals: RowTotals::of(View::new(index))?, time, damaged })
}

/// Removes the journal's unfinished files.
pub(in crate::meta) fn remove_unfinished(disk: &dyn Disk) -> Result<(), MetaOpenError> {
    for path in &list(disk)?.unfinished {
        log::info!("removing {}, which was left unfinished", path.display());
        disk.remove(path)?;
    }
    Ok(())
}

/// Makes every file and folder below `folder` durable.
pub(in crate::meta) fn sync_tree(disk: &Arc<dyn Disk>, folder: &Path) -> Result<(), MetaOpenError> {
    for entry in disk.list(folder)? {
        let path = folder.join(&entry.name);
        if entry.is_folder {
            sync_tree(disk, &path)?;
        } else {
            disk.open(&path)?.sync()?;
        }
    }
    disk.sync_folder(folder)?;
    Ok(())
}
