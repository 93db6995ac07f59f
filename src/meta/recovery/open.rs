//! Opening a store: as a clean stop left it, or rebuilt.

use std::sync::Arc;

use crate::blobs::ContentStore;
use crate::disk::Disk;
use crate::meta::clock::StoreTime;
use crate::meta::error::MetaOpenError;
use crate::meta::index::{INDEX_FOLDER, Index, IndexError, IndexKind, MapIndex, RowTotals, SledIndex, View};
use crate::meta::journal::{FileLog, Log, MemoryLog};
use crate::meta::model::Tree;
use crate::meta::recovery::build::Build;
use crate::meta::recovery::clean_marker::CleanMarker;
use crate::meta::recovery::plan::RecoveryPlan;
use crate::meta::recovery::progress::RecoveryProgress;
use crate::meta::recovery::recover::{Recovered, recover, remove_unfinished};
use crate::meta::recovery::replay::rehearse;
use crate::meta::recovery::resume::resume;
use crate::meta::recovery::start::{Start, after_recovery};

/// An index, and the journal that it matches.
pub(in crate::meta) struct OpenedMeta {
    pub(in crate::meta) index: Arc<dyn Index>,
    /// `None` when the disk has no space for a new journal file.
    pub(in crate::meta) journal: Option<Box<dyn Log>>,
    pub(in crate::meta) totals: RowTotals,
    /// The store time.
    pub(in crate::meta) time: StoreTime,
    pub(in crate::meta) start: Start,
}

impl OpenedMeta {
    /// Tells whether rows may be missing that were written before this start: unless the last stop was clean,
    /// and everything up to its transaction `durable` is there.
    pub(in crate::meta) fn may_lack_rows(&self, durable: u64) -> bool {
        let ends_there = self.journal.as_ref().is_some_and(|journal| journal.head().seq == durable);
        match self.start {
            Start::Clean => false,
            Start::Recovered => !ends_there,
            Start::Salvaged => true,
        }
    }
}

/// The inputs of a recovery besides the journal.
pub(in crate::meta) struct RecoverySources<'a> {
    /// Every transaction up to this one is known to have been acknowledged.
    pub(in crate::meta) durable: u64,
    /// The content: it gets what only the journal has, and after damage the metadata is reconciled with it.
    pub(in crate::meta) content: Option<&'a dyn ContentStore>,
    /// Reports the progress of the recovery.
    pub(in crate::meta) progress: &'a RecoveryProgress,
}

/// Returns a store that ends with the process.
pub(in crate::meta) fn in_memory() -> OpenedMeta {
    OpenedMeta {
        index: Arc::new(MapIndex::new()),

        journal: Some(Box::new(MemoryLog::new())),
        totals: RowTotals::default(),
        time: StoreTime::default(),
        start: Start::Recovered,
    }
}

/// How a store is going to be opened.
pub(in crate::meta) enum Opening {
    /// As a clean stop left it: the journal ends where its marker says.
    Clean(FileLog, Box<CleanMarker>),
    /// By a recovery.
    Recovery(RecoveryPlan),
}

/// Determines how to open the store, and changes nothing. Fails where the journal or a checkpoint holds a
/// line that this version does not know, as far as a start reads them.
pub(in crate::meta) fn prepare(
    disk: &Arc<dyn Disk>,
    kind: &IndexKind,
    marker: Option<CleanMarker>,
    found: &RecoverySources<'_>,
) -> Result<Opening, MetaOpenError> {
    if let (IndexKind::Sled(_), Some(marker)) = (kind, marker) {
        match resume(disk, &marker)? {
            Some(journal) => return Ok(Opening::Clean(journal, Box::new(marker))),
            None => log::warn!("the journal does not end where the last stop left it"),
        }
    }
    Ok(Opening::Recovery(RecoveryPlan::of(disk.as_ref(), found.durable, found.progress)?))
}

/// Opens the store. On a full disk the store is read-only.
pub(in crate::meta) fn open(
    disk: &Arc<dyn Disk>,
    kind: &IndexKind,
    opening: Opening,
    found: &RecoverySources<'_>,
) -> Result<OpenedMeta, MetaOpenError> {
    let plan = match opening {
        Opening::Recovery(plan) => plan,
        Opening::Clean(journal, marker) => match left_clean(disk, kind, journal, &marker)? {
            Some(opened) => return Ok(opened),
            None => RecoveryPlan::of(disk.as_ref(), found.durable, found.progress)?,
        },
    };
    match recovered_by(disk, kind, &plan, found) {
        Err(error) if error.is_full() => {
            log::error!("{error}; the registry is read-only until there is space");
            readable(disk.as_ref(), &plan, found)
        }
        done => done,
    }
}

/// Returns the journal of a clean stop with its index, unless the index does not match it.
fn left_clean(
    disk: &Arc<dyn Disk>,
    kind: &IndexKind,
    journal: FileLog,
    marker: &CleanMarker,
) -> Result<Option<OpenedMeta>, MetaOpenError> {
    let IndexKind::Sled(root) = kind else { return Ok(None) };
    let index = match SledIndex::open_generation(&root.join(INDEX_FOLDER), marker.generation) {
        Ok(index) => index,
        Err(error) => {
            log::warn!("{error}; the index will be rebuilt");
            return Ok(None);
        }
    };
    if let Err(why) = check_left(&index, marker) {
        log::warn!("{why}; the index will be rebuilt");
        if let Err(error) = index.close() {
            log::debug!("the old index could not be closed: {error}");
        }
        return Ok(None);
    }
    let (index, journal) = (Arc::new(index), Some(Box::new(journal) as Box<dyn Log>));
    let (totals, time) = (marker.totals, marker.time.clone());
    // A failed rotation may have left an unfinished file, which would make the next rotation fail.
    remove_unfinished(disk.as_ref())?;
    Ok(Some(OpenedMeta { index, journal, totals, time, start: Start::Clean }))
}

/// Checks what is needed of the index before the writer verifies all of it: where it ends, and the uploads,
/// since the files of unknown ones are removed.
fn check_left(index: &SledIndex, marker: &CleanMarker) -> Result<(), String> {
    let expected = &marker.totals.sums;
    let mut found = *expected;
    let read = found.recount(index, Tree::Uploads).and_then(|()| index.applied());
    match read {
        Ok(applied) if applied != marker.seq => {
            Err("the index is not where the last stop left it".to_owned())
        }
        Ok(_) => expected.difference(&found).map_or(Ok(()), Err),
        Err(error) => Err(error.to_string()),
    }
}

/// Rebuilds the index and an appendable journal. If the disk has no space for the index, keeps the index in
/// memory and leaves the remaining space to the journal.
pub(in crate::meta) fn recovered(
    disk: &Arc<dyn Disk>,
    kind: &IndexKind,
    found: &RecoverySources<'_>,
) -> Result<OpenedMeta, MetaOpenError> {
    let plan = RecoveryPlan::of(disk.as_ref(), found.durable, found.progress)?;
    recovered_by(disk, kind, &plan, found)
}

fn recovered_by(
    disk: &Arc<dyn Disk>,
    kind: &IndexKind,
    plan: &RecoveryPlan,
    found: &RecoverySources<'_>,
) -> Result<OpenedMeta, MetaOpenError> {
    let recovered_into = |index: Arc<dyn Index>| {
        let recovered = recover(disk, plan, index.as_ref(), found.progress, found.content)?;
        let Recovered { journal, totals, time, damaged } = recovered;
        if damaged {
            log::error!("acknowledged changes may be missing");
        }
        let start = after_recovery(disk.as_ref(), damaged)?;
        Ok(OpenedMeta { index, journal: Some(Box::new(journal)), totals, time, start })
    };
    match kind.make(0).map_err(MetaOpenError::from).and_then(recovered_into) {
        // A stop ended it.
        Err(MetaOpenError::Index(IndexError::Closed)) => return Err(IndexError::Closed.into()),
        // As while pulk runs: an index that cannot be kept in files is kept in memory.
        Err(error) if error.is_full() || matches!(error, MetaOpenError::Index(_)) => {
            give_way(disk.as_ref(), kind)?;
            if !kind.is_on_disk() {
                return Err(error);
            }
            log::warn!("{error}; the index is kept in memory until the next start");
        }
        done => return done,
    }
    let recovered = recovered_into(Arc::new(MapIndex::new()));
    if recovered.is_err() {
        give_way(disk.as_ref(), kind)?;
    }
    recovered
}

/// Frees the space that an unfinished recovery took. Files of an index that cannot be removed are not used:
/// without `clean`, the next start tries it again.
fn give_way(disk: &dyn Disk, kind: &IndexKind) -> Result<(), MetaOpenError> {
    if let Err(error) = kind.remove() {
        log::warn!("{error}");
    }
    remove_unfinished(disk)
}

/// Opens the store as it is, and writes nothing to the disk.
pub(in crate::meta) fn as_it_is(
    disk: &dyn Disk,
    found: &RecoverySources<'_>,
) -> Result<OpenedMeta, MetaOpenError> {
    let plan = RecoveryPlan::of(disk, found.durable, found.progress)?;
    if plan.finds_damage() {
        log::error!("the journal or a checkpoint is damaged: acknowledged changes may be missing");
    }
    readable(disk, &plan, found)
}

/// Returns a read-only state, and writes nothing to the disk.
fn readable(
    disk: &dyn Disk,
    plan: &RecoveryPlan,
    found: &RecoverySources<'_>,
) -> Result<OpenedMeta, MetaOpenError> {
    let index: Arc<dyn Index> = Arc::new(MapIndex::new());
    let RecoveryPlan { segments, survey, base, .. } = plan;
    let (time, carried) = rehearse(disk, index.as_ref(), segments, survey, base, found.progress)?;
    if let Some(store) = found.content {
        carried.restore(store, base.begin - 1 + survey.valid);
    }
    found.progress.end();
    let totals = RowTotals::of(View::new(index.as_ref()))?;
    // Assume damage: what a recovery would find is not known yet.
    Ok(OpenedMeta { index, journal: None, totals, time, start: Start::Salvaged })
}

/// Builds an index of a new generation from the newest intact checkpoint and everything durable in the log
/// after it. If the new index fails too, keeps it in memory: the log is the truth, wherever the index is.
pub(in crate::meta) fn rebuilt(
    disk: &dyn Disk,
    kind: &IndexKind,
    generation: u64,
    log: &dyn Log,
    progress: &RecoveryProgress,
) -> Result<(Arc<dyn Index>, RowTotals), MetaOpenError> {
    let filled = |make: &dyn Fn() -> Result<Arc<dyn Index>, IndexError>| {
        let mut build = Build::begin(
            disk,
            |place| Ok(log.read_from(place)),
            |bytes_to_read| {
                progress.begin(bytes_to_read);
                make()
            },
        )?;
        build.fill(disk, log.synced(), &mut |bytes| progress.note(bytes))?;
        progress.end();
        let index = build.finish();
        let totals = RowTotals::of(View::new(index.as_ref()))?;
        Ok((index, totals))
    };
    match filled(&|| kind.make(generation)) {
        Err(MetaOpenError::Index(IndexError::Closed)) => Err(IndexError::Closed.into()),
        Err(error @ MetaOpenError::Index(_)) if kind.is_on_disk() => {
            log::warn!("{error}; the index is kept in memory until the next start");
            filled(&|| Ok(Arc::new(MapIndex::new())))
        }
        done => done,
    }
}
