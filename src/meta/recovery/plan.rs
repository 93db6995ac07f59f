//! What a recovery is going to do: found before it changes anything.

use std::path::Path;

use crate::disk::{Disk, unless_damaged};
use crate::meta::checkpoint::{self, CheckpointFile};
use crate::meta::error::MetaOpenError;
use crate::meta::journal::{self, Files, JOURNAL_FOLDER, damaged_path, header_of, journal_path};
use crate::meta::recovery::progress::RecoveryProgress;
use crate::meta::recovery::segments::{self, Segment};
use crate::meta::recovery::start::if_there;
use crate::meta::recovery::starting_point::{self, StartingPoint};
use crate::meta::recovery::survey::{self, JournalSurvey};

/// What a recovery starts from and replays, and what becomes of the files.
pub(in crate::meta) struct RecoveryPlan {
    pub(super) base: StartingPoint,
    pub(super) segments: Vec<Segment>,
    pub(super) survey: JournalSurvey,
    /// The highest number of any journal file.
    pub(super) highest: u64,
    damaged_checkpoints: Vec<CheckpointFile>,
    /// The numbers of the journal files that the medium cannot open.
    unopened: Vec<u64>,
    retired: Vec<(u64, Retirement)>,
}

/// What becomes of a journal file that a recovery replaces.
enum Retirement {
    /// It is removed: the new file has all of it.
    Removed,
    /// It is damaged, and kept under another name for examination.
    SetAside,
}

impl RecoveryPlan {
    /// Reads the newest intact checkpoint and the journal since then, and changes nothing. Every transaction
    /// up to `durable` is known to have been acknowledged. Fails at a line that this version does not know.
    pub(super) fn of(
        disk: &dyn Disk,
        durable: u64,
        progress: &RecoveryProgress,
    ) -> Result<Self, MetaOpenError> {
        let files = if_there(journal::list(disk))?.unwrap_or_default();
        let checkpoints = if_there(checkpoint::find(disk))?.unwrap_or_default().finished;
        let (mut base, damaged_checkpoints) = starting_point::examine(disk, &checkpoints)?;
        let mut segments = segments::since(disk, &files, &base)?;
        progress.begin(bytes_to_read(disk, &base, &segments)?);
        let survey = survey::survey(disk, &segments, &base, durable, progress)?;
        let unopened = unopened(disk, &files)?;
        // A crash came after such a file was set aside, and before another one replaced it.
        base.damaged |= files.damaged.last() > files.finished.last();
        segments.retain(|segment| !unopened.contains(&segment.number));
        let mut retired = retired(disk, &files, &segments, &survey, base.begin)?;
        retired.retain(|(number, _)| !unopened.contains(number));
        let highest = files.highest;
        Ok(Self { base, segments, survey, highest, damaged_checkpoints, unopened, retired })
    }

    /// Tells whether acknowledged transactions may be missing.
    pub(super) fn finds_damage(&self) -> bool {
        self.survey.damaged || self.base.damaged || self.base.lacks_journal(!self.segments.is_empty())
    }

    /// Removes unfinished checkpoints, and sets the damaged ones aside. A second call does nothing.
    pub(super) fn settle_checkpoints(&self, disk: &dyn Disk) -> Result<(), MetaOpenError> {
        checkpoint::list(disk)?;
        for file in &self.damaged_checkpoints {
            let Some(aside) = if_there(checkpoint::set_aside(disk, file))? else { continue };
            log::error!(
                "{} is damaged: it is kept as {}, and recovery starts from an older state",
                file.path().display(),
                aside.display()
            );
        }
        Ok(())
    }

    /// Sets the journal files aside that the medium cannot open. A second call does nothing.
    ///
    /// INVARIANT: this comes before the new file, which would replace them: the medium may be able to read
    /// them again one day, and a start removes what was replaced.
    pub(super) fn set_unopened_aside(&self, disk: &dyn Disk) -> Result<(), MetaOpenError> {
        set_aside(disk, &self.unopened)
    }

    /// Removes the files that the new one replaces, and durably renames damaged ones. If a crash brings a
    /// removed file back, the new file still replaces it.
    pub(super) fn retire(&self, disk: &dyn Disk) -> Result<(), MetaOpenError> {
        let mut kept = Vec::new();
        for (number, retirement) in &self.retired {
            match retirement {
                Retirement::Removed => disk.remove(&journal_path(*number))?,
                Retirement::SetAside => kept.push(*number),
            }
        }
        set_aside(disk, &kept)
    }
}

/// Returns the numbers of the journal files that the medium cannot open.
pub(super) fn unopened(disk: &dyn Disk, files: &Files) -> Result<Vec<u64>, MetaOpenError> {
    let mut unopened = Vec::new();
    for number in &files.finished {
        if !disk.can_open(&journal_path(*number))? {
            unopened.push(*number);
        }
    }
    Ok(unopened)
}

/// Durably renames damaged journal files, as far as that was not done before.
pub(super) fn set_aside(disk: &dyn Disk, numbers: &[u64]) -> Result<(), MetaOpenError> {
    for number in numbers {
        if_there(disk.rename(&journal_path(*number), &damaged_path(*number)))?;
    }
    if !numbers.is_empty() {
        disk.sync_folder(Path::new(JOURNAL_FOLDER))?;
    }
    Ok(())
}

/// Returns the number of bytes that a rebuild reads: the checkpoint once more after choosing it, the journal
/// twice.
fn bytes_to_read(disk: &dyn Disk, base: &StartingPoint, segments: &[Segment]) -> Result<u64, MetaOpenError> {
    let mut total = base.length();
    for segment in segments {
        let file = disk.open_to_salvage(&journal_path(segment.number))?;
        total += 2 * unless_damaged(file.length())?.unwrap_or(0);
    }
    Ok(total)
}

/// Returns what becomes of the files once a new one has what was valid since transaction `begin`.
fn retired(
    disk: &dyn Disk,
    files: &Files,
    segments: &[Segment],
    survey: &JournalSurvey,
    begin: u64,
) -> Result<Vec<(u64, Retirement)>, MetaOpenError> {
    let mut retired = Vec::new();
    for number in &files.finished {
        let segment = segments.iter().find(|segment| segment.number == *number);
        let (first, is_damaged) = match segment {
            Some(segment) => {
                let first = segment.header.as_ref().map(|header| header.first);
                (first, survey.damaged_files.contains(number))
            }
            // A later file had already replaced it. It still exists because a crash interrupted that
            // recovery, or because it is history.
            None => match header_of(disk, *number) {
                Ok(Some(header)) if header.first < begin => continue,
                Ok(Some(header)) => (Some(header.first), survey::is_damaged(disk, *number, header)?),
                Ok(None) => (None, true),
                Err(MetaOpenError::Disk(_)) => (None, true),
                Err(error) => return Err(error),
            },
        };
        if is_damaged {
            retired.push((*number, Retirement::SetAside));
        } else if first >= Some(begin) {
            retired.push((*number, Retirement::Removed));
        }
    }
    Ok(retired)
}
