//! Reconciliation of metadata and content that disagree after damage.

use super::*;
use crate::blobs::{ContentStore, LocalStore, blob_path};
use crate::disk::faulty::FaultyDisk;
use crate::meta::journal::{journal_path, list};
use crate::meta::model::{ManifestRow, TagRow};
use crate::meta::reconcile::{FactSink, Reconciler};
use crate::meta::{MetaOpenError, Start};
use crate::spec::Manifest;

/// Opens metadata with the content on the same disk.
fn open_whole(
    disk: &Arc<dyn Disk>,
    journal_min_bytes: u64,
) -> Result<(Meta, Arc<dyn ContentStore>), Box<dyn std::error::Error>> {
    let blobs = LocalStore::open_or_create(Arc::clone(disk))?;
    let content = Some(blobs.clone());
    let options = MetaOptions { content, journal_min_bytes, ..MetaOptions::new(IndexKind::Map) };
    Ok((Meta::open(Arc::clone(disk), options)?, blobs))
}

const LONG: u64 = u64::MAX;

fn image(name: &str) -> String {
    let blob = digest(name);
    format!(
        r#"{{"mediaType":"{}","config":{{"mediaType":"a/b","digest":"{blob}","size":1}},"layers":[]}}"#,
        MediaType::OCI_MANIFEST
    )
}

/// Pushes a config of its own and an image of it.
fn push(meta: &Meta, blobs: &Arc<dyn ContentStore>, name: &str, to: &str) {
    let put_content = |content: &str| {
        blobs.put(&UploadId::random().to_string(), digest(content), content.as_bytes()).unwrap()
    };
    let blob = put_content(name);
    run(meta, Command::Link { repo: repo("app"), blob: blob.into(), upload: upload_id(0) }).unwrap();
    let manifest = image(name);
    let row = ManifestRow::of(&Manifest::parse(manifest.as_bytes(), None).unwrap());
    let blob = put_content(&manifest);
    let put = PutManifestCommand { blob: blob.into(), row, ..put("app", name, &[to]) };
    run(meta, Command::PutManifest(put)).unwrap();
}

fn copy_all(from: &dyn Disk, to: &dyn Disk, folder: &Path) {
    for entry in from.list(folder).unwrap() {
        let path = folder.join(&entry.name);
        if entry.is_folder {
            to.create_folder(&path).unwrap();
            copy_all(from, to, &path);
        } else {
            write(to, &path, &read(from, &path));
        }
    }
}

/// Returns a copy of the disk whose newest journal lacks the lines that contain `text`.
fn without_lines(disk: &Arc<dyn Disk>, text: &str) -> Arc<dyn Disk> {
    let copied = MemoryDisk::new();
    copy_all(disk.as_ref(), &copied, Path::new(""));
    let path = journal_path(*list(disk.as_ref()).unwrap().finished.last().unwrap());
    let lines = String::from_utf8(packed(read(disk.as_ref(), &path))).unwrap();
    let left: String = lines.split_inclusive('\n').filter(|line| !line.contains(text)).collect();
    assert!(left.len() < lines.len());
    write(&copied, &path, left.as_bytes());
    Arc::new(copied)
}

fn disk_of_three_images() -> Arc<dyn Disk> {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let (meta, blobs) = open_whole(&disk, LONG).unwrap();
    for name in ["one", "two", "three"] {
        push(&meta, &blobs, name, "latest");
    }
    drop(meta);
    disk
}

#[test]
fn a_manifest_loses_a_tag_whose_move_away_was_lost() {
    let moved = format!("\"was\":\"{}\"", digest(&image("one")));
    let disk = without_lines(&disk_of_three_images(), &moved);
    let (meta, _) = open_whole(&disk, LONG).unwrap();
    assert_eq!(meta.start(), Start::Salvaged);
    let tags_of = |name: &str| meta.view().tags_of(&repo("app"), &digest(&image(name)), 9).unwrap();
    assert_eq!(tags_of("one"), []);
    assert_eq!(tags_of("three"), [tag("latest")]);
}

#[test]
fn what_was_reconciled_stays_so_when_its_last_line_is_damaged() {
    let disk = disk_of_three_images();
    // A config is lost, and the image with it; so is a line of another image, which is what triggers
    // reconciling.
    let file = blob_path(&digest("one"));
    let disk = without_lines(&disk, &format!("\"was\":\"{}\"", digest(&image("one"))));
    disk.remove(&file).unwrap();
    let rows = |disk: &Arc<dyn Disk>| {
        let (meta, _) = open_whole(disk, LONG).unwrap();
        let mut rows = Vec::new();
        for tree in Tree::ALL {
            meta.view().each_fact(tree, |fact| rows.push(fact)).unwrap();
        }
        rows
    };
    let reconciled = rows(&disk);
    assert!(!format!("{reconciled:?}").contains(&digest("one").to_string()));

    let path = journal_path(*list(disk.as_ref()).unwrap().finished.last().unwrap());
    let lines = String::from_utf8(read(disk.as_ref(), &path)).unwrap();
    let last = lines.trim_end_matches('\0').rfind("\"facts\":[{").unwrap();
    let file = disk.open_writable(&path).unwrap();
    file.write_at(b"!", last as u64).unwrap();
    assert_eq!(rows(&disk), reconciled);
}

#[test]
fn a_sound_journal_is_not_meddled_with() {
    let disk = disk_of_three_images();
    let (meta, _) = open_whole(&disk, LONG).unwrap();
    assert_eq!(meta.start(), Start::Recovered);
    let before = rows(meta.index());
    // What a deletion left is not a contradiction, and needs no repair.
    run(&meta, Command::Unlink { repo: repo("app"), digest: digest("one") }).unwrap();
    drop(meta);
    let (meta, _) = open_whole(&disk, LONG).unwrap();
    assert_eq!(rows(meta.index()).len(), before.len() - 1);
}

/// A crash before the end leaves the damage visible; reconciling takes effect as a whole or not at all.
#[test]
fn a_crash_at_any_operation_of_reconciling_leaves_it_to_be_done_again() {
    let damaged = without_lines(
        &disk_of_three_images(),
        &format!("\"link\":{{\"repo\":\"app\",\"digest\":\"{}", digest("one")),
    );
    damaged.remove(&blob_path(&digest("two"))).unwrap();
    let visible = |meta: &Meta| {
        let mut rows = rows(meta.index());
        // The time when a repository was restored is irrelevant.
        rows.retain(|(tree, ..)| *tree != Tree::Repositories);
        rows
    };
    let copied = || {
        let copied = MemoryDisk::new();
        copy_all(damaged.as_ref(), &copied, Path::new(""));
        Arc::new(copied) as Arc<dyn Disk>
    };
    let expected = visible(&open_whole(&copied(), LONG).unwrap().0);
    let has_link = |meta: &Meta, name: &str| meta.view().link(&repo("app"), &digest(name)).unwrap().is_some();
    for count in 0..10_000 {
        let disk = copied();
        let faulty = FaultyDisk::new(Arc::clone(&disk));
        faulty.faults().die_after(count);
        let opened = open_whole(&(Arc::new(faulty) as Arc<dyn Disk>), LONG);
        let finished = opened.is_ok();
        drop(opened);
        let (meta, _) = open_whole(&disk, LONG).unwrap();
        assert_eq!(visible(&meta), expected, "after {count} operations");
        assert!(has_link(&meta, "one") && !has_link(&meta, "two"));
        if finished {
            assert!(count > 5);
            return;
        }
    }
    panic!("it never comes to its end");
}

/// Opens with short journal files and pushes until the store has `wanted` checkpoints.
fn with_checkpoints(disk: &Arc<dyn Disk>, wanted: usize) -> Vec<String> {
    let (meta, blobs) = open_whole(disk, 2048).unwrap();
    let mut names = Vec::new();
    for _ in 0..10_000 {
        let name = format!("image {}", names.len());
        push(&meta, &blobs, &name, &format!("t{}", names.len()));
        names.push(name);
        let taken = disk.list(Path::new("checkpoint")).unwrap();
        if taken.iter().filter(|entry| entry.name.ends_with(".checkpoint")).count() >= wanted {
            return names;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    panic!("no checkpoint is taken");
}

#[test]
fn a_checkpoint_without_its_journal_is_gone_on_from_and_said_to_be_damage() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let names = with_checkpoints(&disk, 1);
    for number in list(disk.as_ref()).unwrap().finished {
        disk.remove(&journal_path(number)).unwrap();
    }
    let (meta, blobs) = open_whole(&disk, LONG).unwrap();
    assert_eq!(meta.start(), Start::Salvaged);
    let first = digest(&image(&names[0]));
    assert!(meta.view().manifest(&repo("app"), &first).unwrap().is_some());
    push(&meta, &blobs, "after", "after");
}

#[test]
fn without_any_checkpoint_the_whole_journal_is_replayed() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let names = with_checkpoints(&disk, 2);
    for entry in disk.list(Path::new("checkpoint")).unwrap() {
        disk.remove(&Path::new("checkpoint").join(entry.name)).unwrap();
    }
    let (meta, _) = open_whole(&disk, LONG).unwrap();
    for name in names {
        assert!(meta.view().manifest(&repo("app"), &digest(&image(&name))).unwrap().is_some(), "{name}");
    }
}

#[test]
fn what_is_left_of_the_journal_after_lost_checkpoints_is_completed_from_the_content() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let names = with_checkpoints(&disk, 1);
    let (meta, blobs) = open_whole(&disk, LONG).unwrap();
    // A tag that is in the last file only, of an image whose facts are in none of the remaining files.
    let last = names.last().unwrap();
    push(&meta, &blobs, last, "again");
    push(&meta, &blobs, "another", "another");
    drop(meta);
    for entry in disk.list(Path::new("checkpoint")).unwrap() {
        write(disk.as_ref(), &Path::new("checkpoint").join(entry.name), b"{}\n");
    }
    let numbers = list(disk.as_ref()).unwrap().finished;
    for number in &numbers[..numbers.len() - 1] {
        disk.remove(&journal_path(*number)).unwrap();
    }
    let (meta, _) = open_whole(&disk, LONG).unwrap();
    assert_eq!(meta.start(), Start::Salvaged);
    let row = meta.view().tag(&repo("app"), &tag("again")).unwrap().unwrap();
    assert_eq!(row.digest, digest(&image(last)));
    assert!(meta.view().manifest(&repo("app"), &row.digest).unwrap().is_some());
    assert!(meta.view().link(&repo("app"), &digest(last)).unwrap().is_some());
}

struct Taking<'a>(&'a MapIndex);

impl FactSink for Taking<'_> {
    fn take(&mut self, facts: Vec<Fact>) -> Result<(), MetaOpenError> {
        self.0.load(&changes_of(&facts).unwrap())?;
        Ok(())
    }
}

/// What was restored is not removed for its age before its owner has seen it.
#[test]
fn a_restored_manifest_is_noted_at_the_time_of_its_restoring() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let blobs = LocalStore::open_or_create(disk).unwrap();
    for content in ["one".to_owned(), image("one")] {
        blobs.put(&UploadId::random().to_string(), digest(&content), content.as_bytes()).unwrap();
    }
    let (index, manifest) = (MapIndex::new(), digest(&image("one")));
    let row = Some(TagRow { digest: manifest, noted: 3, order: None, optional: Optional::default() });
    apply_all(&index, &[vec![Fact::Tag { repo: repo("app"), tag: tag("v1"), row, was: None }]]);
    Reconciler::new(&index, &*blobs, &mut Taking(&index), 0, 28).run().unwrap();
    let restored = View::new(&index).manifest(&repo("app"), &manifest).unwrap().unwrap();
    assert_eq!(restored.noted, 28);
}
