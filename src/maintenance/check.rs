//! Checking a store without changing anything in it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::blobs::{ContentStore, LocalStore};
use crate::disk::{DirectoryLock, Disk, RealDisk};
use crate::maintenance::content::Content;
use crate::maintenance::damage::DamageSurvey;
use crate::maintenance::finding::{CheckReport, Kind};
use crate::maintenance::progress::Progress;
use crate::maintenance::rows::Rows;
use crate::meta::{IndexError, Inspection, TemporaryFolder, Tree, remembered_policies};
use crate::registry::{Layout, OpenError, examine};

/// How often a store in use is checked before a finding is reported.
const LOOKS_MAX: u32 = 3;

/// How long operations in progress have to complete before the next check.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// Checks the store in a data directory; with `deep`, every byte of content and every row of the index is
/// read. Fails where there is none, or where a server uses it. Without temporary files, more is in memory.
pub fn check(
    folder: &Path,
    deep: bool,
    temporary: Option<&TemporaryFolder>,
    progress: &mut dyn Progress,
) -> Result<CheckReport, OpenError> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder)?);
    if examine(&disk)? == Layout::New {
        return Err(OpenError::NoStore);
    }
    let _lock = DirectoryLock::take(folder)?;
    check_on(
        &disk,
        deep,
        temporary,
        progress,
        |metadata| Ok(metadata.compare_index(folder, deep, temporary)?),
    )
}

/// Checks the store on a disk that nothing else uses; `compare` compares the index with the journal.
pub(crate) fn check_on(
    disk: &Arc<dyn Disk>,
    deep: bool,
    temporary: Option<&TemporaryFolder>,
    progress: &mut dyn Progress,
    compare: impl FnOnce(&mut Inspection) -> Result<(), OpenError>,
) -> Result<CheckReport, OpenError> {
    let mut report = CheckReport::default();
    check_layout(&examine(disk)?, &mut report);
    let checked = check_all((disk, false), temporary, &mut report, progress, compare)?;
    check_images(checked, deep, &mut report, progress)?;
    Ok(report)
}

/// The content, which of it there is, and the metadata.
type Checked = (Arc<dyn ContentStore>, Content, Inspection);

/// Reads the bytes of content, if that is asked, and finds the images that lead to what is damaged.
fn check_images(
    (blobs, content, metadata): Checked,
    deep: bool,
    report: &mut CheckReport,
    progress: &mut dyn Progress,
) -> Result<(), OpenError> {
    if deep {
        content.check_bytes(blobs.as_ref(), progress, report)?;
    }
    let wrong = report.wrong();
    let survey = DamageSurvey::new(metadata.view(), blobs.as_ref(), &wrong, usize::MAX);
    report.damage = survey.run(&mut || {
        progress.at("searching for damaged images", 0, 0);
        Ok::<_, OpenError>(())
    })?;
    Ok(())
}

/// Checks all but the bytes of content; `compare` compares the index with the journal.
fn check_all(
    (disk, in_use): (&Arc<dyn Disk>, bool),
    temporary: Option<&TemporaryFolder>,
    report: &mut CheckReport,
    progress: &mut dyn Progress,
    compare: impl FnOnce(&mut Inspection) -> Result<(), OpenError>,
) -> Result<Checked, OpenError> {
    if let Err(why) = remembered_policies(disk.as_ref()) {
        let what = format!(
            "cannot be read ({why}): commands on the stopped store remove nothing without --config; the next \
             `pulk serve` writes it again"
        );
        report.find(Kind::Policies, "policies.json", what);
    }
    progress.at("reading the journal", 0, 0);
    let mut metadata = Inspection::of(disk, temporary)?;
    // What only the journal has is content like any other.
    let blobs = LocalStore::as_it_is(Arc::clone(disk));
    metadata.restore_content(blobs.as_ref(), in_use);
    progress.at("comparing the index", 0, 0);
    compare(&mut metadata)?;
    report.totals.transactions = metadata.transactions;
    report.findings.extend(metadata.faults.drain(..).map(Into::into));
    report.notes.extend(metadata.notes.drain(..).map(Into::into));

    let mut content = Content::list(blobs.as_ref(), progress, report)?;
    Rows::new(metadata.view(), blobs.as_ref(), &content, report)?.check(progress)?;
    content.check_unlinked(metadata.view(), report)?;
    Ok((blobs, content, metadata))
}

/// Called for each row.
pub type VisitRow<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), IndexError> + 'a;

/// The rows of a running server's index.
pub trait LiveRows {
    /// Visits the rows of a tree: their keys, in order, and values.
    fn each(&mut self, tree: Tree, visit: &mut VisitRow<'_>) -> Result<(), OpenError>;
}

/// Checks the store in a data directory that a server uses. The store changes meanwhile, so it is checked
/// again, and only what every check finds is reported.
pub fn check_live(
    folder: &Path,
    deep: bool,
    rows: &mut dyn LiveRows,
    temporary: Option<&TemporaryFolder>,
    progress: &mut dyn Progress,
) -> Result<CheckReport, OpenError> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder)?);
    let layout = examine(&disk)?;
    let mut before: Option<CheckReport> = None;
    let mut looks = 1;
    let (mut report, checked) = loop {
        let mut report = CheckReport::default();
        check_layout(&layout, &mut report);
        let looked = check_all((&disk, true), temporary, &mut report, progress, |metadata| {
            compare_rows(metadata, rows)
        });
        let checked = match looked {
            Ok(checked) => checked,
            // A file was removed during the check.
            Err(_) if looks < LOOKS_MAX => {
                looks += 1;
                std::thread::sleep(LOOK_PAUSE);
                continue;
            }
            Err(error) => return Err(error),
        };
        // The last line of a journal in use may be incomplete.
        report.notes.retain(|note| note.kind != Kind::Journal);
        if let Some(before) = &before {
            report.keep_common(before);
        }
        if report.findings.is_empty() || looks >= LOOKS_MAX {
            break (report, checked);
        }
        looks += 1;
        before = Some(report);
        std::thread::sleep(LOOK_PAUSE);
    };
    check_images(checked, deep, &mut report, progress)?;
    Ok(report)
}

fn compare_rows(metadata: &mut Inspection, rows: &mut dyn LiveRows) -> Result<(), OpenError> {
    for tree in Tree::ALL {
        let mut comparison = metadata.comparison(tree);
        rows.each(tree, &mut |key, value| comparison.row(key, value))?;
        comparison.end()?;
    }
    Ok(())
}

fn check_layout(layout: &Layout, report: &mut CheckReport) {
    match layout {
        Layout::Known | Layout::New | Layout::Older { .. } => {}
        Layout::Unmarked => {
            report.find(Kind::Leftover, "pulk.json", "is missing; the next start writes it again");
        }
        Layout::Unreadable(why) => {
            let what = format!("cannot be read ({why}); the next start writes it again");
            report.find(Kind::Leftover, "pulk.json", what);
        }
    }
}

#[cfg(test)]
mod tests {
    use smol::block_on;

    use super::*;
    use crate::blobs::CARRIED_MAX_BYTES;
    use crate::maintenance::rebuild::rebuild;
    use crate::meta::copy_folder;
    use crate::registry::{Chunk, Registry, RegistryOptions, Storage};
    use crate::spec::ContentDigest;

    struct Silent;

    impl Progress for Silent {
        fn at(&mut self, _: &str, _: u64, _: u64) {}
    }

    fn push(registry: &Registry, content: &[u8]) {
        let repo = "app".parse().unwrap();
        block_on(async {
            let id = registry.begin_upload(&repo, None).await.unwrap();
            let body = Chunk { body: content, length: Some(content.len() as u64), range: None };
            let digest = ContentDigest::sha256_of(content).into();
            registry.finish_upload(&repo, id, &digest, body).await.unwrap();
        });
    }

    fn open(folder: &Path) -> Registry {
        let mut options = RegistryOptions::new(Storage::Folder(folder.into()));
        options.carried_max_bytes = CARRIED_MAX_BYTES;
        Registry::open(options).unwrap()
    }

    #[test]
    fn after_a_clean_stop_the_journal_says_that_all_content_has_files() {
        let folder = tempfile::tempdir().unwrap();
        let lines = || {
            let journal = std::fs::read_dir(folder.path().join("journal")).unwrap();
            journal.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect::<String>()
        };
        let registry = open(folder.path());
        push(&registry, b"one");
        block_on(registry.close()).unwrap();
        drop(registry);
        assert!(lines().contains(r#""content":"one""#) && !lines().contains("filed"), "{}", lines());
        let registry = open(folder.path());
        push(&registry, b"two");
        assert!(lines().contains(r#""filed":"#), "{}", lines());
    }

    #[test]
    fn content_that_only_the_journal_has_is_no_finding_and_no_loss() {
        let (folder, left) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let content = b"small content";
        let digest = ContentDigest::sha256_of(content);
        let registry = open(folder.path());
        push(&registry, content);
        assert!(registry.content().unfiled().bytes() > 0);
        copy_folder(folder.path(), left.path());
        drop(registry);

        let report = check(left.path(), true, None, &mut Silent).unwrap();
        assert_eq!((report.findings.len(), report.totals.content), (0, 1), "{report:?}");
        for from_content in [true, false] {
            let rebuilt = rebuild(left.path(), from_content, &mut Silent).unwrap();
            assert_eq!((rebuilt.repositories, rebuilt.links), (1, 1), "{rebuilt:?}");
            let file = left.path().join(crate::blobs::blob_path(&digest));
            assert_eq!(std::fs::read(file).unwrap(), content);
            assert_eq!(check(left.path(), true, None, &mut Silent).unwrap().findings.len(), 0);
        }
    }
}
