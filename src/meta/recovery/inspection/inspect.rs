//! Read-only inspection: what a recovery would find.

use std::env;
use std::sync::Arc;

use crate::disk::Disk;
use crate::meta::checkpoint::{self, CHECKPOINT_FOLDER, CheckpointFile};
use crate::meta::error::MetaOpenError;
use crate::meta::index::{Index, MapIndex, TemporaryFolder};
use crate::meta::journal::{self, Files, JOURNAL_FOLDER, damaged_path, header_of, journal_path};
use crate::meta::recovery::carried::CarriedContent;
use crate::meta::recovery::inspection::fault::{MetaFault, MetaFaultKind};
use crate::meta::recovery::inspection::result::Inspection;
use crate::meta::recovery::progress::RecoveryProgress;
use crate::meta::recovery::segments::{self, Segment};
use crate::meta::recovery::start::listed;
use crate::meta::recovery::starting_point::{self, StartingPoint};
use crate::meta::recovery::survey::is_damaged;
use crate::meta::recovery::survey::{self, JournalSurvey};
use crate::meta::recovery::{clean_marker, replay};

impl Inspection {
    /// Inspects the metadata on a disk. The rows that it adds up to are among the temporary files; where
    /// there is no room for them, they are in memory.
    pub fn of(disk: &Arc<dyn Disk>, temporary: Option<&TemporaryFolder>) -> Result<Self, MetaOpenError> {
        let kept = temporary.map(|folder| Self::with(disk, Arc::new(folder.index()?), true));
        match kept {
            None | Some(Err(MetaOpenError::Index(_))) => {}
            Some(done) => return done,
        }
        let mut found = Self::with(disk, Arc::new(MapIndex::new()), true)?;
        let what = format!("was checked in memory: {} has no room for its rows", env::temp_dir().display());
        found.note(MetaFaultKind::Index, "index", what);
        Ok(found)
    }

    /// Returns the faults of the metadata on a disk.
    pub fn faults_of(disk: &Arc<dyn Disk>) -> Result<Vec<MetaFault>, MetaOpenError> {
        Ok(Self::with(disk, Arc::new(MapIndex::new()), false)?.faults)
    }

    fn with(disk: &Arc<dyn Disk>, index: Arc<dyn Index>, has_rows: bool) -> Result<Self, MetaOpenError> {
        let mut found = Self {
            index,
            clean: None,
            carried: CarriedContent::default(),
            transactions: 0,
            faults: Vec::new(),
            notes: Vec::new(),
        };
        inspect(disk.as_ref(), has_rows, &mut found)?;
        Ok(found)
    }
}

/// Follows the journal, checks the checkpoints, and with `has_rows` fills the inspection's index as a
/// recovery would.
fn inspect(disk: &dyn Disk, has_rows: bool, found: &mut Inspection) -> Result<(), MetaOpenError> {
    let (files, journals_listed) = listed(journal::list(disk))?;
    let (checkpoints, checkpoints_listed) = listed(checkpoint::find(disk))?;
    for (kind, folder, is_listed) in [
        (MetaFaultKind::Journal, JOURNAL_FOLDER, journals_listed),
        (MetaFaultKind::Checkpoint, CHECKPOINT_FOLDER, checkpoints_listed),
    ] {
        if !is_listed {
            found.fault(kind, folder, "cannot be listed");
        }
    }
    for path in files.unfinished.iter().chain(&checkpoints.unfinished) {
        found.note(MetaFaultKind::Leftover, path, "is unfinished; the next start removes it");
    }
    let set_aside = files.damaged.iter().map(|number| damaged_path(*number));
    for path in set_aside.chain(checkpoints.damaged.iter().cloned()) {
        found.note(MetaFaultKind::Leftover, &path, "is damaged and was set aside by an earlier recovery");
    }
    let (base, damaged) = starting_point::examine(disk, &checkpoints.finished)?;
    check_checkpoints(disk, &checkpoints.finished, &base, &damaged, found)?;

    let segments = segments::since(disk, &files, &base)?;
    let marker = clean_marker::read(disk)?;
    let durable = marker.as_ref().map_or(0, |marker| marker.seq);
    let progress = RecoveryProgress::default();
    let survey = survey::survey(disk, &segments, &base, durable, &progress)?;
    check_survey(&survey, found);
    if base.lacks_journal(!segments.is_empty()) {
        found.fault(
            MetaFaultKind::Journal,
            "journal",
            format!("everything after {} is missing", base.name()),
        );
    }
    check_history(disk, &files, &segments, found)?;
    found.transactions = base.begin - 1 + survey.valid;
    let sound = survey.first_bad.is_none() && !survey.damaged;
    found.clean = marker.filter(|marker| sound && marker.seq == found.transactions);
    if has_rows {
        let (_, carried) =
            replay::rehearse(disk, found.index.as_ref(), &segments, &survey, &base, &progress)?;
        // A clean stop has filed all of it.
        found.carried = if found.clean.is_none() { carried } else { CarriedContent::default() };
    }
    Ok(())
}

fn check_checkpoints(
    disk: &dyn Disk,
    newest_first: &[CheckpointFile],
    base: &StartingPoint,
    damaged: &[CheckpointFile],
    found: &mut Inspection,
) -> Result<(), MetaOpenError> {
    for file in newest_first {
        let bad = if damaged.contains(file) {
            true
        } else {
            // `examine` just verified the checkpoint that a recovery starts from.
            file.begin != base.begin
                && checkpoint::verify(&file.path(), disk.open_to_salvage(&file.path())?.as_ref())?.is_none()
        };
        if bad {
            found.fault(MetaFaultKind::Checkpoint, &file.path(), "is damaged: it is not what was written");
        }
    }
    Ok(())
}

fn check_survey(survey: &JournalSurvey, found: &mut Inspection) {
    let Some(place) = survey.first_bad else {
        if survey.damaged {
            found.fault(MetaFaultKind::Journal, "journal", "its end, which was durable, is missing");
        }
        return;
    };
    let line =
        |place: &survey::LinePlace| format!("{} line {}", journal_path(place.file).display(), place.line);
    if !survey.damaged {
        let what =
            "and the rest was cut off by a crash before it was acknowledged; the next start removes it";
        return found.note(MetaFaultKind::Journal, line(&place), what);
    }
    for bad in survey.bad_lines() {
        found.fault(MetaFaultKind::Journal, line(bad), "cannot be read: it is not what was written");
    }
    if survey.bad_lines().first() != Some(&place) {
        found.fault(
            MetaFaultKind::Journal,
            line(&place),
            "does not follow the line before it: lines are missing",
        );
    }
}

/// Checks the files that recovery no longer needs: history must be intact, too.
fn check_history(
    disk: &dyn Disk,
    files: &Files,
    segments: &[Segment],
    found: &mut Inspection,
) -> Result<(), MetaOpenError> {
    for number in &files.finished {
        if segments.iter().any(|segment| segment.number == *number && segment.header.is_some()) {
            continue;
        }
        let path = journal_path(*number);
        match header_of(disk, *number)? {
            None => found.fault(MetaFaultKind::Journal, &path, "has a header that cannot be read"),
            Some(header) if is_damaged(disk, *number, header.clone())? => {
                found.fault(MetaFaultKind::Journal, &path, "is damaged, in a part that recovery skips");
            }
            Some(_) => {}
        }
    }
    Ok(())
}
