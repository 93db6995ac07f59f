//! What a later version notes of rows, and this one may do without: never lost.

use serde_json::{Value, json};

use super::unknown::{body, changed, lines};
use super::*;
use crate::meta::journal::journal_path;
use crate::meta::{Start, rebuild_from_content};

/// Entries that no version knows, with values that a rewrite might change.
fn entries() -> Value {
    json!({"z": [1, {"deep": null}], "a": 12_345_678_901_234_567_u64, "ü": "\u{7f}\\"})
}

/// Adds the entries to every row of a line, and to the line.
fn with_entries(line: &mut Value) {
    line["optional"] = entries();
    for fact in line["facts"].as_array_mut().unwrap() {
        for kind in fact.as_object_mut().unwrap().values_mut() {
            if kind.get("row").is_some_and(Value::is_object) {
                kind["row"]["optional"] = entries();
            }
        }
    }
}

/// Returns the rows of a store, each as it is stored, and asserts that all but `new` have the entries.
fn rows_have_entries(meta: &Meta, new: &[&str]) -> usize {
    let mut found = 0;
    for tree in Tree::ALL {
        for (key, value) in meta.view().raw_rows(tree, None, 1000).unwrap() {
            let key = String::from_utf8(key).unwrap();
            if value.is_empty() || new.iter().any(|new| key.contains(new)) {
                continue;
            }
            let row = String::from_utf8(value).unwrap();
            assert!(row.contains(&format!("\"optional\":{}", entries())), "{} {key} {row}", tree.name());
            found += 1;
        }
    }
    found
}

/// Makes a store of a later version: rows of every kind, each with entries, after a crash.
fn of_a_later_version() -> Arc<dyn Disk> {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let meta = open(&disk);
    run(&meta, link("app", "layer")).unwrap();
    run(&meta, put_manifest("app", "one", &["latest", "v1"])).unwrap();
    run(&meta, Command::BeginUpload { id: upload_id(1), row: upload_row("app", 0) }).unwrap();
    run(&meta, put_manifest("app", "two", &[])).unwrap();
    let with: Vec<Vec<u8>> = lines(&packed(lines_of(disk.as_ref(), 1)))
        .iter()
        .enumerate()
        .map(|(at, line)| if at == 0 { line.clone() } else { changed(line, with_entries) })
        .collect();
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    disk.create_folder(Path::new("journal")).unwrap();
    // The sums of changed lines are others: chain them again.
    write(disk.as_ref(), &journal_path(1), &chained(&with).concat());
    disk
}

/// Corrects what each line says of the one before.
fn chained(lines: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut out: Vec<Vec<u8>> = vec![lines[0].clone()];
    let mut before = body(&lines[0])["prev"].clone();
    for line in &lines[1..] {
        let line = changed(line, |line| line["prev"] = before);
        before = body(&line)["sum"].clone();
        out.push(line);
    }
    out
}

/// Changes other fields of every row that a command can change.
fn change_rows(meta: &Meta) {
    // A tag that moves, a manifest that loses its last tag, one that is pushed again, an upload that grows.
    run(meta, put_manifest("app", "two", &["latest", "v1"])).unwrap();
    let mut again = put("app", "one", &[]);
    again.row.artifact_type = Some("other".to_owned());
    run(meta, Command::PutManifest(again)).unwrap();
    run(meta, Command::AdvanceUpload { id: upload_id(1), row: upload_row("app", 64) }).unwrap();
    settle(meta);
}

#[test]
fn entries_stay_through_changes_a_recovery_a_checkpoint_and_a_rebuild() {
    let disk = of_a_later_version();
    let options = MetaOptions { journal_min_bytes: 2000, ..MetaOptions::new(IndexKind::Map) };
    let meta = Meta::open(Arc::clone(&disk), options.clone()).unwrap();
    assert_eq!(meta.start(), Start::Recovered);
    let all = rows_have_entries(&meta, &[]);
    assert!(all >= 9, "{all}");
    change_rows(&meta);
    // The history has rows of the tags that moved.
    let moved = "\0".to_owned() + &crate::meta::model::order_part(2);
    assert_eq!(rows_have_entries(&meta, &[&moved]), all);
    eventually("there is a checkpoint", || {
        run(&meta, put_manifest("new", "new", &["new"])).unwrap();
        run(&meta, Command::DeleteTag { repo: repo("new"), tag: tag("new") }).unwrap();
        !crate::meta::checkpoint::find(disk.as_ref()).unwrap().finished.is_empty()
    });
    drop(meta);
    let (new, new_digest) = ("new", digest("new").to_string());
    let meta = Meta::open(Arc::clone(&disk), options.clone()).unwrap();
    assert_eq!(rows_have_entries(&meta, &[&moved, new, &new_digest]), all);
    meta.break_index();
    settle(&meta);
    assert_eq!(rows_have_entries(&meta, &[&moved, new, &new_digest]), all);
    drop(meta);
    let blobs = LocalStore::open_or_create(Arc::new(MemoryDisk::new())).unwrap();
    for content in ["layer", "one", "two", "new"] {
        blobs.put(&UploadId::random().to_string(), digest(content), content.as_bytes()).unwrap();
    }
    rebuild_from_content(&disk, Path::new(""), blobs.as_ref(), &repo("found"), &mut |_| ()).unwrap();
    let meta = Meta::open(disk, options).unwrap();
    assert_eq!(rows_have_entries(&meta, &[&moved, new, &new_digest, "found"]), all);
}

#[test]
fn an_entry_outside_of_its_place_is_still_refused() {
    let disk = of_a_later_version();
    let bytes = lines_of(disk.as_ref(), 1);
    let mut with = lines(&packed(bytes));
    with[1] = changed(&with[1], |line| line["facts"][0]["blob"]["row"]["more"] = json!(1));
    write(disk.as_ref(), &journal_path(1), &with.concat());
    let error = Meta::open(disk, MetaOptions::new(IndexKind::Map)).unwrap_err();
    assert!(error.is_of_another_version(), "{error}");
}
