//! What a later version of pulk wrote: never dropped, and nothing changes for it.

use serde_json::{Value, json};

use super::*;
use crate::disk::RealDisk;
use crate::meta::journal::{journal_path, sealed};
use crate::meta::{FORMAT, Inspection, MetaOpenError, Start, rebuild_from_content, verify_closed};

/// Returns a line with the right sum.
fn line(body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let mut line = sealed(body.strip_suffix('}').unwrap().as_bytes());
    line.push(b'\n');
    line
}

/// Reads a line of a journal or a checkpoint.
pub(super) fn body(line: &[u8]) -> Value {
    serde_json::from_slice(line.strip_suffix(b"\n").unwrap()).unwrap()
}

/// Returns a copy of a line without its sum, changed, with the sum that it then has.
pub(super) fn changed(line_before: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut body = body(line_before);
    body.as_object_mut().unwrap().remove("sum");
    change(&mut body);
    line(&body)
}

pub(super) fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// Returns the names and bytes of all files of a disk.
fn snapshot(disk: &dyn Disk, folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in disk.list(folder).unwrap() {
        let path = folder.join(&entry.name);
        if entry.is_folder {
            files.extend(snapshot(disk, &path));
        } else {
            files.push((path.display().to_string(), read(disk, &path)));
        }
    }
    files.sort();
    files
}

/// Asserts that a start refuses a store, and so do the commands; returns the start's reason.
fn refused(disk: &Arc<dyn Disk>, options: MetaOptions) -> String {
    let before = snapshot(disk.as_ref(), Path::new(""));
    let error = Meta::open(Arc::clone(disk), options).unwrap_err();
    assert!(error.is_of_another_version(), "{error}");
    assert!(snapshot(disk.as_ref(), Path::new("")) == before, "nothing may change: {error}");
    error.to_string()
}

fn in_map() -> MetaOptions {
    MetaOptions::new(IndexKind::Map)
}

/// Makes the lines of a journal with five tags, each put by its own line.
fn journal() -> Vec<Vec<u8>> {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let meta = open(&disk);
    for name in ["a", "b", "c", "d", "e"] {
        run(&meta, put_manifest("app", name, &[name])).unwrap();
    }
    lines(&packed(lines_of(disk.as_ref(), 1)))
}

fn disk_with(lines: &[Vec<u8>]) -> Arc<dyn Disk> {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    disk.create_folder(Path::new("journal")).unwrap();
    write(disk.as_ref(), &journal_path(1), &lines.concat());
    disk
}

/// What a later version may do to a line: state another fact, know more of a row or of a transaction, or
/// write another kind of line.
fn unknown() -> [fn(&mut Value); 4] {
    [
        |line| line["facts"] = json!([{"freeze": {"repo": "app"}}]),
        |line| line["facts"] = json!([{"repository": {"repo": "app", "row": {"since": 1, "frozen": true}}}]),
        |line| line["signature"] = json!("x"),
        |line| *line = json!({"frozen": ["app"]}),
    ]
}

#[test]
fn a_line_of_the_journal_that_is_not_known_is_never_dropped() {
    let sound = journal();
    for change in unknown() {
        for at in 1..sound.len() {
            // In its place, as an acknowledged line, or as the last one that a crash left.
            let mut with = sound.clone();
            with[at] = changed(&sound[at], change);
            let place = with[..at].concat().len();
            let why = refused(&disk_with(&with), in_map());
            assert!(why.contains(&format!("journal/000000000001.log: the line at byte {place} ")), "{why}");
        }
    }
}

#[test]
fn a_line_that_is_not_known_is_refused_amid_damage_too() {
    let mut lines = journal();
    lines[3][40] ^= 1;
    lines[5] = changed(&lines[5], unknown()[0]);
    let why = refused(&disk_with(&lines), in_map());
    assert!(why.contains("unknown variant `freeze`"), "{why}");
}

#[test]
fn what_reads_a_stopped_store_refuses_such_a_line_too() {
    let mut lines = journal();
    let last = lines.len() - 1;
    lines[last] = changed(&lines[last], unknown()[0]);
    let disk = disk_with(&lines);
    disk.create_folder(Path::new("checkpoint")).unwrap();
    let before = snapshot(disk.as_ref(), Path::new(""));
    assert!(Inspection::of(&disk, None).unwrap_err().is_of_another_version());
    let blobs = LocalStore::open_or_create(Arc::new(MemoryDisk::new())).unwrap();
    let rebuilt = rebuild_from_content(&disk, Path::new(""), blobs.as_ref(), &repo("found"), &mut |_| ());
    assert!(rebuilt.unwrap_err().is_of_another_version());
    assert!(snapshot(disk.as_ref(), Path::new("")) == before);
    // A file that was closed before is only reported, since the server that verifies it needs nothing of it.
    write(
        disk.as_ref(),
        &journal_path(2),
        &line(&json!({"journal": 1, "first": 6, "prev": "", "durable": 5})),
    );
    let faults = verify_closed(disk.as_ref(), &mut |_| true).unwrap().unwrap();
    assert!(faults[0].what.contains("unknown variant `freeze`"), "{faults:?}");
}

#[test]
fn a_known_line_in_the_wrong_file_is_damage() {
    // A medium may show blocks of files that were removed.
    let sound = journal();
    let foreign = [
        sound[0].clone(),
        line(&json!({"facts": []})),
        line(&json!({"checkpoint": 1, "begin": 1})),
        line(&json!({"seq": 1, "line": "", "totals": {}})),
    ];
    for stale in foreign {
        let mut with = sound.clone();
        with[3] = stale.clone();
        let meta = open(&disk_with(&with));
        assert_eq!(meta.start(), Start::Salvaged);
        assert_eq!(tags(&meta, "app"), ["a", "b", "d", "e"]);
        // At the end, nothing shows that a line was acknowledged there.
        let mut with = sound.clone();
        with[5] = stale;
        let meta = open(&disk_with(&with));
        assert_eq!(meta.start(), Start::Recovered);
        assert_eq!(tags(&meta, "app"), ["a", "b", "c", "d"]);
    }
}

#[test]
fn a_journal_of_a_newer_format_is_refused() {
    let mut lines = journal();
    lines[0] = changed(&lines[0], |header| header["journal"] = json!(9));
    let why = refused(&disk_with(&lines), in_map());
    assert_eq!(
        why,
        format!("journal/000000000001.log has format 9, and this version of pulk reads up to {FORMAT}")
    );
    lines[0] = changed(&lines[0], |header| header["more"] = json!(1));
    let why = refused(&disk_with(&lines), in_map());
    assert!(why.contains("has format 9"), "{why}");
}

/// Makes a store in a folder that was stopped cleanly with one tag.
fn stopped() -> (tempfile::TempDir, Arc<dyn Disk>, MetaOptions) {
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path()).unwrap());
    let options = MetaOptions::new(IndexKind::Sled(folder.path().to_owned()));
    let meta = Meta::open(Arc::clone(&disk), options.clone()).unwrap();
    run(&meta, put_manifest("app", "one", &["latest"])).unwrap();
    meta.close().unwrap();
    (folder, disk, options)
}

#[test]
fn an_unknown_line_after_a_clean_stop_leaves_marker_and_index_as_they_are() {
    let (_folder, disk, options) = stopped();
    let mut bytes = lines_of(disk.as_ref(), 1);
    let sound = lines(&packed(bytes.clone()));
    bytes.extend(changed(sound.last().unwrap(), unknown()[0]));
    write(disk.as_ref(), &journal_path(1), &bytes);
    refused(&disk, options);
}

#[test]
fn an_unknown_marker_of_a_clean_stop_is_refused_and_stays() {
    let (_folder, disk, options) = stopped();
    let marker = read(disk.as_ref(), Path::new("clean"));
    write(disk.as_ref(), Path::new("clean"), &changed(&marker, |marker| marker["more"] = json!(1)));
    let why = refused(&disk, options);
    assert!(why.starts_with("clean: the line at byte 0 "), "{why}");
}

#[test]
fn no_line_is_appended_under_an_older_header() {
    let (_folder, disk, options) = stopped();
    let mut with = lines(&packed(lines_of(disk.as_ref(), 1)));
    with[0] = changed(&with[0], |header| header["journal"] = json!(0));
    // A clean stop leaves the last line at the end of a block.
    let mut bytes = with.concat();
    bytes.resize(bytes.len().next_multiple_of(4096), 0);
    write(disk.as_ref(), &journal_path(1), &bytes);
    let meta = Meta::open(Arc::clone(&disk), options).unwrap();
    run(&meta, put_manifest("app", "two", &["next"])).unwrap();
    assert_eq!(tags(&meta, "app"), ["latest", "next"]);
    assert_eq!(journal_files(disk.as_ref()), ["000000000002.log"]);
    assert_eq!(body(&lines(&lines_of(disk.as_ref(), 2))[0])["journal"], json!(FORMAT));
}

/// Makes a store with two checkpoints, and returns the path of the newest.
fn with_checkpoints() -> (Arc<dyn Disk>, std::path::PathBuf, Vec<String>) {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let meta = Meta::open(Arc::clone(&disk), MetaOptions { journal_min_bytes: 2000, ..in_map() }).unwrap();
    let finished = || crate::meta::checkpoint::find(disk.as_ref()).unwrap().finished;
    let mut pushed = Vec::new();
    eventually("there are two checkpoints", || {
        let name = format!("t{}", pushed.len());
        run(&meta, put_manifest("app", &name, &[&name])).unwrap();
        pushed.push(name);
        finished().len() == 2
    });
    meta.close().unwrap();
    let path = finished()[0].path();
    pushed.sort();
    (Arc::clone(&disk), path, pushed)
}

/// Rewrites the rows of a checkpoint, and its trailer so that it matches them.
fn rewrite(disk: &dyn Disk, path: &Path, change: impl Fn(&mut Value, &mut Value)) {
    let sound = lines(&read(disk, path));
    let (trailer, rows) = sound.split_last().unwrap();
    let mut new_trailer = body(trailer);
    let mut first = body(&rows[0]);
    first.as_object_mut().unwrap().remove("sum");
    new_trailer.as_object_mut().unwrap().remove("sum");
    change(&mut first, &mut new_trailer);
    let mut with = rows.to_vec();
    with[0] = line(&first);
    let mut sums = crate::meta::journal::SumOfSums::default();
    for line in &with {
        sums.add(&serde_json::from_value(body(line)["sum"].clone()).unwrap());
    }
    new_trailer["lines"] = serde_json::to_value(sums.finish()).unwrap();
    with.push(line(&new_trailer));
    write(disk, path, &with.concat());
}

#[test]
fn a_checkpoint_with_rows_that_are_not_known_is_refused() {
    let (disk, path, _) = with_checkpoints();
    rewrite(disk.as_ref(), &path, |rows, _| {
        rows["facts"].as_array_mut().unwrap().push(json!({"freeze": {}}));
    });
    let why = refused(&disk, in_map());
    assert!(why.contains(&format!("{}: the line at byte 0 ", path.display())), "{why}");
    assert!(Inspection::of(&disk, None).unwrap_err().is_of_another_version());
}

#[test]
fn a_checkpoint_of_a_newer_format_is_refused() {
    let (disk, path, _) = with_checkpoints();
    rewrite(disk.as_ref(), &path, |_, trailer| trailer["checkpoint"] = json!(99));
    assert_eq!(
        refused(&disk, in_map()),
        format!("{} has format 99, and this version of pulk reads up to {FORMAT}", path.display())
    );
    assert_eq!(crate::meta::formats_on(disk.as_ref()).unwrap().unwrap(), [FORMAT, 99].into());
}

#[test]
fn a_checkpoint_that_lacks_rows_is_damaged_and_the_older_one_is_used() {
    let (disk, path, pushed) = with_checkpoints();
    rewrite(disk.as_ref(), &path, |rows, _| {
        rows["facts"].as_array_mut().unwrap().pop();
    });
    let meta = open(&disk);
    assert_eq!(tags(&meta, "app"), pushed);
    assert_eq!(meta.start(), Start::Salvaged);
    assert!(read(disk.as_ref(), &path.with_extension("damaged")).len() > 100);
}

#[test]
fn an_index_is_not_rebuilt_without_a_line_that_is_not_known() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let meta = open(&disk);
    for name in ["a", "b"] {
        run(&meta, put_manifest("app", name, &[name])).unwrap();
    }
    let bytes = lines_of(disk.as_ref(), 1);
    let mut with = lines(&packed(bytes));
    with[2] = changed(&with[2], unknown()[0]);
    write(disk.as_ref(), &journal_path(1), &with.concat());
    meta.break_index();
    settle(&meta);
    let why = meta.poisoned().expect("it takes no writes");
    assert!(why.contains("unknown variant `freeze`"), "{why}");
    // Of history, everything or nothing is known as well.
    let named = meta.named_since(0, |_, _| ());
    assert!(matches!(named, Err(MetaOpenError::Unknown { .. })));
}
