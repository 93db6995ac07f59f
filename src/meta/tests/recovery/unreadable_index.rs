//! The index that a stop left and that cannot be read: it is rebuilt.

use super::clean::Store;
use super::*;
use crate::meta::index::SledIndex;
use crate::meta::journal::journal_path;
use crate::meta::model::key;
use crate::meta::recovery::clean_marker;
use crate::meta::{Policies, Policy, Start};

#[test]
fn an_index_whose_files_are_damaged_is_rebuilt_whatever_sled_makes_of_them() {
    let store = Store::stopped();
    let index = store.folder.path().join("index");
    let names = std::fs::read_dir(&index).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> =
        names.filter(|path| path.is_file()).map(|path| (std::fs::read(&path).unwrap(), path)).collect();
    let marker = read(store.disk.as_ref(), Path::new("clean"));
    let journal = read(store.disk.as_ref(), &journal_path(1));
    for (bytes, path) in &files {
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0);
        for part in 0..=8 {
            let at = used * part / 8;
            for harm in [Harm::Cut, Harm::Flip, Harm::Fill] {
                let _ = std::fs::remove_dir_all(&index);
                std::fs::create_dir(&index).unwrap();
                files.iter().for_each(|(bytes, path)| std::fs::write(path, bytes).unwrap());
                std::fs::write(path, harm.done_to(bytes, at)).unwrap();
                for name in journal_files(store.disk.as_ref()) {
                    store.disk.remove(&Path::new("journal").join(name)).unwrap();
                }
                write(store.disk.as_ref(), &journal_path(1), &journal);
                write(store.disk.as_ref(), Path::new("clean"), &marker);
                let meta = store.open();
                settle(&meta);
                assert_eq!(tags(&meta, "app"), ["latest"], "{harm:?} at {at} of {}", path.display());
                assert_eq!(meta.totals().blobs, 1);
            }
        }
    }
}

#[test]
fn a_panic_of_sled_has_the_index_of_a_stop_rebuilt() {
    let store = Store::stopped();
    std::fs::write(store.folder.path().join("index/panics"), b"").unwrap();
    assert!(!crate::meta::rebuild_from_index(&store.disk, store.folder.path()).unwrap());
    assert!(store.has_marker());
    let meta = store.open();
    assert_eq!(meta.start(), Start::Recovered);
    assert_eq!(tags(&meta, "app"), ["latest"]);
}

#[derive(Debug, Clone, Copy)]
enum Harm {
    Cut,
    Flip,
    Fill,
}

impl Harm {
    fn done_to(self, bytes: &[u8], at: usize) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        match self {
            Self::Cut => bytes.truncate(at),
            Self::Flip => bytes[at] ^= 0x55,
            Self::Fill => bytes.iter_mut().skip(at).take(64).for_each(|byte| *byte = 0xff),
        }
        bytes
    }
}

fn quota() -> Policies {
    let all = vec!["*".parse().unwrap()];
    Policies::new(vec![Policy { repositories: all, quota_bytes: Some(1 << 20), ..Policy::default() }])
}

#[test]
fn a_row_that_cannot_be_read_does_not_fail_a_start_that_counts_for_quotas() {
    let store = Store::stopped();
    let key = key(&["app", &digest("one").to_string()]);
    store.change_index(&[RowChange { tree: Tree::Manifests, key, value: Some(b"{}".to_vec()) }]);
    let options = MetaOptions::new(IndexKind::Sled(store.folder.path().to_owned()));
    let meta = Meta::open(Arc::clone(&store.disk), MetaOptions { policies: quota(), ..options }).unwrap();
    settle(&meta);
    assert_eq!(tags(&meta, "app"), ["latest"]);
    assert_eq!(meta.quota(&repo("app")), Some((3, 1 << 20)));
}

#[test]
fn a_row_that_cannot_be_read_has_the_index_rebuilt() {
    let store = Store::stopped();
    let meta = store.open();
    settle(&meta);
    let break_row = |tree, parts: &[&str]| {
        let change = RowChange { tree, key: key(parts), value: Some(b"{}".to_vec()) };
        meta.index().apply(meta.index().applied().unwrap(), &[change]).unwrap();
    };
    // For a reader, for one that reads many, and for the writer.
    break_row(Tree::Tags, &["app", "latest"]);
    assert!(matches!(meta.view().tag(&repo("app"), &tag("latest")), Err(IndexError::Rebuilding)));
    settle(&meta);
    assert_eq!(meta.view().tag(&repo("app"), &tag("latest")).unwrap().unwrap().digest, digest("one"));
    break_row(Tree::Blobs, &["garbage"]);
    assert!(matches!(meta.view().blobs(|_, _| ()), Err(IndexError::Rebuilding)));
    settle(&meta);
    meta.view().blobs(|found, _| assert_eq!(found, digest("one"))).unwrap();
    break_row(Tree::Tags, &["app", "latest"]);
    run(&meta, put_manifest("app", "two", &["latest"])).unwrap();
    assert_eq!(meta.view().tag(&repo("app"), &tag("latest")).unwrap().unwrap().digest, digest("two"));
}

#[test]
fn the_journal_is_not_rebuilt_from_an_index_with_rows_that_are_not_known() {
    let store = Store::stopped();
    let key = key(&["app", "later"]);
    store.change_index(&[RowChange { tree: Tree::Tags, key, value: Some(b"{\"frozen\":1}".to_vec()) }]);
    let mut marker = clean_marker::read(store.disk.as_ref()).unwrap().unwrap();
    let index = SledIndex::open(&store.folder.path().join("index")).unwrap();
    Tree::ALL.iter().for_each(|tree| marker.totals.sums.recount(&index, *tree).unwrap());
    index.close().unwrap();
    clean_marker::write(store.disk.as_ref(), &marker).unwrap();
    assert!(!crate::meta::rebuild_from_index(&store.disk, store.folder.path()).unwrap());
    assert!(store.has_marker());
}
