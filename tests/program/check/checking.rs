//! `pulk check`: every kind of finding, and what is none.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::check::store::*;

#[test]
fn a_sound_store_is_reported_as_sound_and_left_unchanged() {
    let store = Store::with_two_images();
    let before = store.snapshot();
    for arguments in [&["check"][..], &["check", "--deep"]] {
        let (code, out, err) = store.pulk(arguments);
        assert_eq!(code, 0, "{out}{err}");
        assert!(out.contains("nothing is wrong"), "{out}");
        assert!(out.contains("1 repository, 2 manifests, 2 tags, 4 links"), "{out}");
        // Progress is for terminals only.
        assert_eq!(err, "");
    }
    assert_eq!(store.snapshot(), before);
}

#[test]
fn without_temporary_files_all_but_the_index_is_checked() {
    let store = Store::with_two_images();
    let (code, out, err) = store.pulk_without_temporary_files(&["check", "--json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["findings"]), (0, &json!([])), "{err}");
    assert_eq!(kinds(&report["notes"]), ["index"]);
    fs::remove_file(store.blob(&Image::new("one").layer)).unwrap();
    assert_eq!(store.pulk_without_temporary_files(&["check"]).0, 1);
}

#[test]
fn json_has_findings_notes_and_totals_in_one_object() {
    let store = Store::with_two_images();
    let (code, out, _) = store.pulk(&["check", "--json", "--deep"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 0);
    assert_eq!((&report["findings"], &report["notes"]), (&json!([]), &json!([])));
    let totals = &report["totals"];
    assert_eq!((&totals["content"], &totals["tags"], &totals["uploads"]), (&json!(6), &json!(2), &json!(0)));
    assert_eq!(totals["content_bytes"], totals["hashed_bytes"]);
}

#[test]
fn a_finding_names_its_place_in_plain_words() {
    let store = Store::with_two_images();
    fs::remove_file(store.blob(&Image::new("one").layer)).unwrap();
    let (code, out, _) = store.pulk(&["check"]);
    assert_eq!(code, 1);
    let digest = sha256(&Image::new("one").layer);
    assert!(out.contains(&format!("content-missing: {digest} has no file in blobs/")), "{out}");
    assert!(out.contains("1 thing is wrong"), "{out}");
}

#[test]
fn missing_and_shortened_content_is_found() {
    let store = Store::with_two_images();
    fs::remove_file(store.blob(&Image::new("one").layer)).unwrap();
    assert_eq!(store.wrong(&[]), ["content-missing"]);
    fs::write(store.blob(&Image::new("two").config), "short").unwrap();
    let mut wrong = store.wrong(&[]);
    wrong.sort_unstable();
    assert_eq!(wrong, ["content-length", "content-missing"]);
}

#[test]
fn a_flipped_byte_of_a_layer_is_found_by_reading_everything() {
    let store = Store::with_two_images();
    flip(&store.blob(&Image::new("one").layer));
    assert_eq!(store.wrong(&[]), Vec::<String>::new());
    assert_eq!(store.wrong(&["--deep"]), ["content-digest"]);
}

/// Content gets its name before its bytes are durable.
#[test]
fn a_file_that_no_row_names_is_no_damage_whatever_its_bytes_are() {
    let store = Store::with_two_images();
    let left = store.blob(b"never stored");
    fs::create_dir_all(left.parent().unwrap()).unwrap();
    fs::write(&left, "").unwrap();
    assert_eq!(store.wrong(&["--deep"]), Vec::<String>::new());
    let (code, out, _) = store.pulk(&["check", "--deep"]);
    assert_eq!(code, 0);
    let digest = left.file_name().unwrap().to_str().unwrap();
    assert!(out.contains(&format!("{digest} is what a push left that did not end")), "{out}");
}

#[test]
fn a_flipped_byte_of_a_manifest_is_found_in_any_case_and_once() {
    let store = Store::with_two_images();
    flip(&store.blob(&Image::new("one").manifest));
    assert_eq!(store.wrong(&[]), ["content-digest"]);
    assert_eq!(store.wrong(&["--deep"]), ["content-digest"]);
}

#[test]
fn damage_in_the_journal_is_found_by_file_and_line() {
    let store = Store::with_two_images();
    let mut lines = store.journal_lines();
    lines[2] = lines[2].replace("seq", "sEq");
    fs::write(store.journal(), lines.join("\n") + "\n").unwrap();
    let (code, out, _) = store.pulk(&["check"]);
    assert_eq!(code, 1);
    assert!(out.contains("journal: journal/000000000001.log line 3 cannot be read"), "{out}");
}

#[test]
fn a_lost_line_of_the_journal_is_found() {
    let store = Store::with_two_images();
    assert!(store.lose_lines("\"v1\"") > 0);
    assert!(store.wrong(&[]).contains(&"journal".to_owned()));
    // So is a lost end after a clean stop, although nothing that is left is wrong.
    let store = Store::with_two_images();
    let mut lines = store.journal_lines();
    lines.pop();
    fs::write(store.journal(), lines.join("\n") + "\n").unwrap();
    assert_eq!(store.wrong(&[]), ["journal"]);
}

#[test]
fn a_damaged_checkpoint_is_found() {
    let store = Store::with_two_images();
    fs::write(store.path("checkpoint/000000000003.checkpoint"), "{}\n").unwrap();
    assert!(store.wrong(&[]).contains(&"checkpoint".to_owned()));
}

#[test]
fn an_index_that_disagrees_with_the_journal_is_found() {
    let store = Store::with_two_images();
    let other = Store::new();
    other.run(|registry| {
        push(registry, "other", &Image::new("one"), "v1");
        push(registry, "other", &Image::new("two"), "v2");
    });
    store.remove_folder("index");
    fs::rename(other.path("index"), store.path("index")).unwrap();
    let wrong = store.wrong(&["--deep"]);
    assert!(wrong.iter().all(|kind| kind == "index"), "{wrong:?}");
    assert!(wrong.len() > 10, "{wrong:?}");
    store.remove_folder("index");
    assert_eq!(store.wrong(&[]), ["index"]);
    assert_eq!(store.wrong(&["--deep"]), ["index"]);
}

#[test]
fn the_index_is_copied_and_opened_only_by_a_deep_check() {
    let store = Store::with_two_images();
    fs::write(store.path("index/conf"), b"this is no configuration of a database").unwrap();
    assert_eq!(store.wrong(&[]), Vec::<String>::new());
    assert_eq!(store.wrong(&["--deep"]), ["index"]);
}

#[test]
fn what_the_stop_noted_of_the_index_is_compared_with_the_journal() {
    let store = Store::with_two_images();
    let clean = fs::read_to_string(store.path("clean")).unwrap();
    assert!(clean.contains(r#""rows":2,"#), "{clean}");
    let changed = with_sum(&clean.replacen(r#""rows":2,"#, r#""rows":3,"#, 1));
    fs::write(store.path("clean"), changed).unwrap();
    assert_eq!(store.wrong(&[]), ["index"]);
    let (_, out, _) = store.pulk(&["check"]);
    assert!(out.contains("has 3 rows instead of 2"), "{out}");
}

#[test]
fn a_check_leaves_no_temporary_files() {
    let store = Store::with_two_images();
    let temporary = tempfile::tempdir().unwrap();
    for arguments in [&["check"][..], &["check", "--deep"]] {
        let mut check = command(arguments, store.folder.path());
        assert!(check.env("TMPDIR", temporary.path()).output().unwrap().status.success());
        assert_eq!(files_below(temporary.path()), 0);
    }
}

#[test]
fn a_check_that_a_signal_ends_leaves_no_temporary_files() {
    let store = Store::with_two_images();
    // Reading this takes longer than the signal.
    store.run(|registry| push_blob(registry, "app", &vec![7; 64 << 20]));
    let temporary = tempfile::tempdir().unwrap();
    let interrupted = (0..100).any(|_| {
        let mut check = command(&["check", "--deep"], store.folder.path());
        check.env("TMPDIR", temporary.path()).stdout(Stdio::null());
        let mut running = check.spawn().unwrap();
        while running.try_wait().unwrap().is_none() && files_below(temporary.path()) == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let pid = Pid::from_child(&running);
        // It may have ended meanwhile.
        let _ = kill_process(pid, Signal::INT);
        let code = running.wait().unwrap().code();
        assert!(matches!(code, Some(0 | 130)), "{code:?}");
        assert_eq!(files_below(temporary.path()), 0);
        code == Some(130)
    });
    assert!(interrupted);
}

fn files_below(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

/// Lines that verify, but that pulk never writes.
#[test]
fn rows_that_contradict_each_other_are_found() {
    let digest = sha256(b"nothing");
    let image = Image::new("one");
    let layer = sha256(&image.layer);
    let repository = |name: &str| json!({"repository": {"repo": name, "row": {"since": 1}}});
    let size = image.layer.len();
    let link = |name: &str, digest| json!({"link": {"repo": name, "digest": digest, "row": {"size": size}}});
    let manifest =
        |bytes: &[u8], row: Value| json!({"manifest": {"repo": "app", "digest": sha256(bytes), "row": row}});
    let row = |media_type: &str, size: usize| json!({"media_type": media_type, "size": size});
    let cases = [
        ("tag", json!([{"tag": {"repo": "app", "tag": "x", "row": {"digest": digest}}}])),
        (
            "referrer",
            json!([{"referrer": {"repo": "app", "subject": digest, "digest": image.digest(),
                                 "present": true}}]),
        ),
        ("referrer", {
            let mut row = row(OCI_MANIFEST, image.manifest.len());
            row["subject"] = json!(digest);
            json!([manifest(&image.manifest, row)])
        }),
        ("repository", json!([repository("empty")])),
        ("repository", json!([link("unknown", &layer)])),
        ("content-unknown", json!([link("app", &digest)])),
        ("reference", json!([{"link": {"repo": "app", "digest": layer, "row": null}}])),
        ("manifest", json!([manifest(&image.layer, row(OCI_MANIFEST, image.layer.len()))])),
        (
            "upload",
            json!([{"upload": {"id": "00000000-0000-4000-8000-000000000001",
                               "row": {"repo": "app", "algorithm": "sha256", "offset": 5}}}]),
        ),
    ];
    for (kind, facts) in cases {
        let store = Store::with_two_images();
        store.append(&facts);
        assert_eq!(store.wrong(&[]), [kind], "{facts}");
    }
}

#[test]
fn notes_are_not_findings() {
    let store = Store::with_two_images();
    let absent = Image::new("absent");
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX,
                       "manifests": [descriptor(OCI_MANIFEST, &absent.manifest)]});
    store.run(|registry| push_manifest(registry, "app", index.to_string().as_bytes(), Some("sparse")));
    let unlinked = store.blob(b"unlinked");
    fs::create_dir_all(unlinked.parent().unwrap()).unwrap();
    fs::write(unlinked, b"unlinked").unwrap();
    fs::write(store.path("uploads/left"), b"bytes").unwrap();
    fs::write(store.path("journal/000000000009.new"), b"bytes").unwrap();
    fs::write(store.path("blobs/sha256/notes.txt"), b"bytes").unwrap();
    // As after a crash.
    store.remove("clean");
    let torn = fs::read_to_string(store.journal()).unwrap() + "{\"seq\":99";
    fs::write(store.journal(), torn).unwrap();

    let (code, out, _) = store.pulk(&["check", "--json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["findings"]), (0, &json!([])));
    let mut notes = kinds(&report["notes"]);
    notes.sort_unstable();
    assert_eq!(
        notes,
        ["index", "journal", "leftover", "leftover", "leftover", "sparse-index", "unlinked"],
        "{out}"
    );
    let (code, out, _) = store.pulk(&["check"]);
    assert_eq!(code, 0);
    assert!(out.contains("note: index: index is not valid"), "{out}");
}

#[test]
fn a_store_in_use_is_left_alone_and_the_user_named() {
    let store = Store::with_two_images();
    let registry = store.open();
    for command in ["check", "rebuild"] {
        let (code, _, err) = store.pulk(&[command]);
        assert_eq!(code, 1);
        assert!(err.contains(&format!("is in use by pid {}", std::process::id())), "{err}");
    }
    drop(registry);
}

#[test]
fn a_command_creates_no_store() {
    let store = Store::new();
    for command in ["check", "rebuild"] {
        let (code, _, err) = store.pulk(&[command]);
        assert_eq!(code, 1);
        assert!(err.contains("it holds no store") && err.contains("--data"), "{err}");
        assert!(store.snapshot().is_empty());
        let Ran { code, err, .. } = pulk(&[command], &store.path("nowhere"));
        assert_eq!(code, 1);
        assert!(err.contains("nowhere"), "{err}");
        let (code, _, _) = store.pulk(&[command, "--quickly"]);
        assert_eq!(code, 2);
    }
}

#[test]
fn help_explains_flags_and_exit_codes() {
    for (command, flags) in [("check", &["--deep", "--json"][..]), ("rebuild", &["--from-content"])] {
        let (code, out, _) = Store::new().pulk(&[command, "--help"]);
        assert_eq!(code, 0);
        for text in
            flags.iter().chain(&["--data", "--config", "--log", "PULK_DATA", "Exit codes:", "Examples:"])
        {
            assert!(out.contains(text), "{command}: {text}");
        }
    }
}
