//! Commands of root on another user's store.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use crate::commands::support::{Image, Store, push};

/// A user that files can be given to; it need not exist.
const OWNER: u32 = 54_321;

fn visit(path: &Path, seen: &mut dyn FnMut(&Path, &fs::Metadata)) {
    let status = fs::symlink_metadata(path).unwrap();
    seen(path, &status);
    if status.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            visit(&entry.unwrap().path(), seen);
        }
    }
}

/// Everything in a folder: its owner and its bytes.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut files = BTreeMap::new();
    visit(folder, &mut |path, status| {
        let bytes = if status.is_file() { fs::read(path).unwrap() } else { Vec::new() };
        files.insert(path.to_owned(), (status.uid(), bytes));
    });
    files
}

fn give_away(folder: &Path) {
    visit(folder, &mut |path, _| chown(path, Some(OWNER), Some(OWNER)).unwrap());
}

/// Only root can give files away, and only root is refused anything.
fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: only root can give a directory to another user");
    }
    root
}

#[test]
fn a_command_that_would_lock_out_the_stores_user_is_refused_before_it_changes_anything() {
    if !is_root() {
        return;
    }
    let store = Store::new();
    store.run(|registry| push(registry, "app", &Image::new("one", &[b"layer"]), Some("v1")));
    // A copy of a store may lack it; a check would have to create it.
    fs::remove_file(store.path().join("lock")).unwrap();
    give_away(store.path());
    let before = snapshot(store.path());
    for arguments in [
        &["status"][..],
        &["repos"],
        &["tags", "app"],
        &["du"],
        &["rm", "app:v1"],
        &["gc"],
        &["scrub"],
        &["check"],
        &["rebuild"],
        &["serve", "--listen", "127.0.0.1:0"],
    ] {
        let ran = store.pulk(arguments);
        assert_eq!(ran.code, 1, "{arguments:?}: {}", ran.err);
        for said in ["belongs to uid 54321", "sudo -u '#54321' pulk"] {
            assert!(ran.err.contains(said), "{arguments:?}: {}", ran.err);
        }
        assert_eq!(snapshot(store.path()), before, "{arguments:?}");
    }
}

#[test]
fn root_may_ask_the_server_of_another_user_and_serve_a_volume_without_a_store() {
    if !is_root() {
        return;
    }
    let store = Store::new();
    // Like a container's volume: the folder belongs to another user, and root's server uses it.
    chown(store.path(), Some(OWNER), Some(OWNER)).unwrap();
    let serving = store.serve();
    assert_eq!(store.pulk(&["status"]).code, 0);
    assert_eq!(serving.stop(), 0);
    assert_eq!(store.pulk(&["status"]).code, 0, "the store in it is root's");
}
