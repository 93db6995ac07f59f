//! Every kind of line that is durable, as each format writes it, in `tests/stores/format-N/lines.txt`.
//!
//! A change of a line without a new number fails here. `tests/stores/README.md` says how the file is written.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::meta::FORMAT;
use crate::meta::checkpoint::{CheckpointRows, Trailer};
use crate::meta::journal::{Header, Record, decode, encode};
use crate::meta::recovery::CleanMarker;

const HELP: &str =
    "the lines of this format are not what tests/stores has; tests/stores/README.md says what now";

const SHA256: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const SUM: &str = "0123456789abcdef0123456789abcdef";
const UPLOAD: &str = "00000000-0000-4000-8000-000000000001";

fn stores() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stores")
}

fn frozen_lines() -> PathBuf {
    stores().join(format!("format-{FORMAT}/lines.txt"))
}

fn store_time() -> Value {
    json!({
        "open_ms": 5,
        "anchor": {"wall_ms": 1_796_074_292_194_u64, "ahead_ms": 1, "open_ms": 4},
        "downtimes": [{"since_ms": 2, "length_ms": 3}],
    })
}

/// A fact of each kind, with all that its row may have; then those that say that a row is absent.
fn facts() -> Value {
    let manifest = json!({
        "media_type": "application/vnd.oci.image.manifest.v1+json", "size": 7, "subject": SHA256,
        "artifact_type": "text/plain", "annotations": {"name": "value"}, "noted": 3,
        "optional": {"x": 1},
    });
    let upload = json!({
        "repo": "app", "algorithm": "sha256", "offset": 64, "state": "00", "at": 9, "optional": {"x": 1},
    });
    json!([
        {"repository": {"repo": "app", "row": {"since": 1, "optional": {"x": 1}}}},
        {"manifest": {"repo": "app", "digest": SHA256, "row": manifest}},
        {"tag": {
            "repo": "app", "tag": "v1", "was": SHA256,
            "row": {"digest": SHA256, "noted": 2, "order": 3, "optional": {"x": 1}},
        }},
        {"referrer": {"repo": "app", "subject": SHA256, "digest": SHA256, "present": true}},
        {"link": {"repo": "app", "digest": SHA256, "row": {"size": 4, "optional": {"x": 1}}}},
        {"blob": {"digest": SHA256, "row": {"size": 5, "optional": {"x": 1}}, "content": "text\n"}},
        {"blob": {"digest": SHA256, "row": {"size": 1}, "content": {"hex": "ff"}}},
        {"upload": {"id": UPLOAD, "row": upload}},
        {"repository": {"repo": "app", "row": null}},
        {"manifest": {"repo": "app", "digest": SHA256, "row": null}},
        {"tag": {"repo": "app", "tag": "v1", "row": null}},
        {"referrer": {"repo": "app", "subject": SHA256, "digest": SHA256, "present": false}},
        {"link": {"repo": "app", "digest": SHA256, "row": null}},
        {"blob": {"digest": SHA256, "row": null}},
        {"upload": {"id": UPLOAD, "row": null}},
    ])
}

/// The facts that came with the bin and with history.
fn later_facts() -> Value {
    let manifest = json!({"media_type": "application/vnd.oci.image.manifest.v1+json", "size": 7, "noted": 3});
    let binned = json!({"row": manifest, "noted": 8, "at": 9, "by": {"command": "rm"}, "optional": {"x": 1}});
    let changed = json!({
        "digest": SHA256, "was": SHA256, "noted": 8, "at": 9, "by": {"command": "rm"}, "optional": {"x": 1},
    });
    json!([
        {"bin": {"repo": "app", "digest": SHA256, "row": binned}},
        {"history": {"repo": "app", "tag": "v1", "order": 3, "row": changed}},
        {"bin": {"repo": "app", "digest": SHA256, "row": null}},
        {"history": {"repo": "app", "tag": "v1", "order": 3, "row": null}},
    ])
}

/// The totals over some trees: those of the first version, or all.
fn totals(trees: usize) -> Value {
    let sums: Vec<Value> = (0..trees).map(|_| json!({"rows": 1, "hashes": [2, 3]})).collect();
    json!({"blobs": 1, "blob_bytes": 2, "uploads": 3, "tag_order": 4, "sums": {"trees": sums}})
}

/// Renders every kind of line, and the fields that each of its objects may have.
fn rendered() -> String {
    let mut text = String::new();
    let header = json!({"journal": FORMAT, "first": 1, "prev": SUM, "durable": 0});
    add::<Header>(&mut text, "header", &header);
    let by = json!({
        "account": "a", "address": "::1", "request": "b", "client": "c", "rule": "d", "command": "e",
        "why": "f",
    });
    let record = json!({
        "seq": 1, "prev": SUM, "durable": 0, "at": 2, "time": store_time(), "by": by, "filed": 1,
        "optional": {"x": 1}, "facts": facts(),
    });
    add::<Record>(&mut text, "record", &record);
    let tag = json!({"digest": SHA256, "noted": 2, "order": 3, "optional": {"pulled": 4, "x": 1}});
    let pulled = json!([{"tag": {"repo": "app", "tag": "v1", "row": tag}}]);
    add::<CheckpointRows>(&mut text, "pulled", &json!({"facts": pulled}));
    add::<CheckpointRows>(&mut text, "rows", &json!({"facts": facts()}));
    add::<CheckpointRows>(&mut text, "rows", &json!({"facts": later_facts()}));
    let trailer = json!({
        "checkpoint": FORMAT, "begin": 2, "prev": SUM, "end": 3, "time": store_time(), "rows": 1,
        "lines": SUM,
    });
    add::<Trailer>(&mut text, "trailer", &trailer);
    for trees in [8, Tree::ALL.len()] {
        let totals = totals(trees);
        let marker = json!({"seq": 3, "line": SUM, "totals": totals, "time": store_time(), "generation": 1});
        add::<CleanMarker>(&mut text, "marker", &marker);
    }
    let trees: Vec<&str> = Tree::ALL.iter().map(|tree| tree.name()).collect();
    writeln!(text, "trees: {}", trees.join(", ")).unwrap();
    let other = serde_json::from_value::<Fact>(json!({"?": {}})).unwrap_err();
    writeln!(text, "facts: {}", other.to_string().replace('`', "")).unwrap();
    text
}

/// Adds a line as its type writes it, and what each of its objects may have.
fn add<T: DeserializeOwned + Serialize>(text: &mut String, kind: &str, value: &Value) {
    let read: T = serde_json::from_value(value.clone()).unwrap();
    let (line, _) = encode(&read).unwrap();
    writeln!(text, "{kind} {}", String::from_utf8(line).unwrap().trim_end()).unwrap();
    let whole = serde_json::to_value(&read).unwrap();
    let mut pointers = Vec::new();
    objects(&whole, String::new(), &mut pointers);
    let mut known: Vec<String> = Vec::new();
    for pointer in pointers {
        let mut with = whole.clone();
        with.pointer_mut(&pointer).unwrap().as_object_mut().unwrap().insert("?".to_owned(), json!({}));
        let said = match serde_json::from_value::<T>(with) {
            Ok(_) => "anything".to_owned(),
            Err(error) => error.to_string().replace('`', ""),
        };
        let parts: Vec<&str> = pointer.split('/').filter(|part| part.parse::<u64>().is_err()).collect();
        let said = format!("  {kind}{}: {said}", parts.join("."));
        if !known.contains(&said) {
            known.push(said);
        }
    }
    known.iter().for_each(|said| writeln!(text, "{said}").unwrap());
}

/// Finds the places of all objects in a value.
fn objects(value: &Value, place: String, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| objects(value, format!("{place}/{name}"), found));
            found.push(place);
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| objects(item, format!("{place}/{at}"), found));
        }
        _ => {}
    }
}

#[test]
fn no_line_changes_without_another_number_of_the_format() {
    if std::env::var_os("PULK_FREEZE").is_some() {
        fs::create_dir_all(frozen_lines().parent().unwrap()).unwrap();
        fs::write(frozen_lines(), rendered()).unwrap();
    }
    let frozen = fs::read_to_string(frozen_lines()).unwrap_or_default();
    for (at, (now, then)) in rendered().lines().zip(frozen.lines()).enumerate() {
        assert_eq!(now, then, "line {}: {HELP}", at + 1);
    }
    assert_eq!(rendered().lines().count(), frozen.lines().count(), "{HELP}");
}

#[test]
fn the_lines_of_every_format_are_read() {
    let mut read = 0;
    for entry in fs::read_dir(stores()).unwrap() {
        let Ok(frozen) = fs::read_to_string(entry.unwrap().path().join("lines.txt")) else { continue };
        for line in frozen.lines() {
            let Some((kind, line)) = line.split_once(" {") else { continue };
            let line = format!("{{{line}");
            let line = line.as_bytes();
            match kind {
                "header" => drop(decode::<Header>(line).unwrap()),
                "record" => drop(decode::<Record>(line).unwrap()),
                "rows" | "pulled" => drop(decode::<CheckpointRows>(line).unwrap()),
                "trailer" => drop(decode::<Trailer>(line).unwrap()),
                "marker" => drop(decode::<CleanMarker>(line).unwrap()),
                other => panic!("{other}"),
            }
            read += 1;
        }
    }
    assert!(read >= 5);
}
