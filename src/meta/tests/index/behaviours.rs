//! The behaviour of every index, tested on both.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::meta::index::{IndexError, SledIndex};
use crate::meta::model::key;
use crate::meta::tests::hooked::{IndexCall, hooked};

/// Runs a test on each kind of index.
fn on_each(test: impl Fn(&dyn Index)) {
    test(&MapIndex::new());
    let folder = tempfile::tempdir().unwrap();
    test(&SledIndex::open(folder.path()).unwrap());
}

fn change(tree: Tree, key: &str, value: Option<&str>) -> RowChange {
    RowChange { tree, key: key.into(), value: value.map(|value| value.as_bytes().to_vec()) }
}

fn scanned(index: &dyn Index, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
    let mut keys = Vec::new();
    let mut visit = |key: &[u8], _: &[u8]| {
        keys.push(String::from_utf8(key.to_vec()).unwrap());
        if keys.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    index.scan(Tree::Tags, prefix.as_bytes(), after.map(str::as_bytes), &mut visit).unwrap();
    keys
}

#[test]
fn a_scan_keeps_to_its_prefix_and_begins_after_the_given_key() {
    on_each(|index| {
        let keys = ["a", "b1", "b2", "b3", "c"];
        index.apply(1, &keys.map(|key| change(Tree::Tags, key, Some("")))).unwrap();
        index.apply(2, &[change(Tree::Links, "b4", Some(""))]).unwrap();
        assert_eq!(scanned(index, "", None, 9), keys);
        assert_eq!(scanned(index, "b", None, 9), ["b1", "b2", "b3"]);
        assert_eq!(scanned(index, "b", None, 2), ["b1", "b2"]);
        assert_eq!(scanned(index, "b", Some("b1"), 9), ["b2", "b3"]);
        assert_eq!(scanned(index, "b", Some("b15"), 9), ["b2", "b3"]);
        // Before the prefix and after it.
        assert_eq!(scanned(index, "b", Some("a"), 9), ["b1", "b2", "b3"]);
        assert_eq!(scanned(index, "b", Some("c"), 9), [""; 0]);
        assert_eq!(scanned(index, "d", None, 9), [""; 0]);
    });
}

#[test]
fn what_is_loaded_is_there_when_loading_ends_each_row_as_its_last_change_left_it() {
    on_each(|index| {
        index.load(&[change(Tree::Tags, "b", Some("1")), change(Tree::Tags, "a", Some("2"))]).unwrap();
        index.load(&[change(Tree::Links, "a", Some("3")), change(Tree::Tags, "c", Some(""))]).unwrap();
        index.load(&[change(Tree::Tags, "b", None), change(Tree::Tags, "a", Some("4"))]).unwrap();
        index.finish_load(&mut || Ok(())).unwrap();
        assert_eq!(scanned(index, "", None, 9), ["a", "c"]);
        assert_eq!(index.get(Tree::Tags, b"a").unwrap(), Some(b"4".to_vec()));
        assert_eq!(index.get(Tree::Links, b"a").unwrap(), Some(b"3".to_vec()));
        assert_eq!(index.applied().unwrap(), 0);

        index.load(&[change(Tree::Tags, "c", None)]).unwrap();
        index.finish_load(&mut || Ok(())).unwrap();
        assert_eq!(scanned(index, "", None, 9), ["a"]);
    });
}

#[test]
fn all_changes_of_a_transaction_are_made_in_order_with_its_number() {
    on_each(|index| {
        assert_eq!(index.applied().unwrap(), 0);
        let changes = [
            change(Tree::Tags, "a", Some("1")),
            change(Tree::Manifests, "a", Some("2")),
            change(Tree::Tags, "a", Some("3")),
            change(Tree::Manifests, "b", Some("4")),
            change(Tree::Manifests, "b", None),
        ];
        index.apply(7, &changes).unwrap();
        assert_eq!(index.applied().unwrap(), 7);
        assert_eq!(index.get(Tree::Tags, b"a").unwrap(), Some(b"3".to_vec()));
        assert_eq!(index.get(Tree::Manifests, b"a").unwrap(), Some(b"2".to_vec()));
        assert_eq!(index.get(Tree::Manifests, b"b").unwrap(), None);
        index.apply(8, &[]).unwrap();
        assert_eq!(index.applied().unwrap(), 8);
    });
}

#[test]
fn a_visit_may_read_the_index() {
    on_each(|index| {
        index.apply(1, &["a", "b"].map(|key| change(Tree::Tags, key, Some(key)))).unwrap();
        let mut found = Vec::new();
        let mut visit = |key: &[u8], _: &[u8]| {
            found.extend(index.get(Tree::Tags, key).unwrap().unwrap());
            ControlFlow::Continue(())
        };
        index.scan(Tree::Tags, &[], None, &mut visit).unwrap();
        assert_eq!(found, *b"ab");
    });
}

/// More rows than are buffered in front of sled.
const MANY: usize = 300;

#[test]
fn rows_are_the_same_wherever_they_have_got_to() {
    let folder = tempfile::tempdir().unwrap();
    let (sled, map) = (SledIndex::open(folder.path()).unwrap(), MapIndex::new());
    for seq in 1..=MANY {
        // Rows are added, changed, removed and added again, some before they reached sled, some after.
        let key = |number: usize| format!("key{:03}", number % 97);
        let changes = [
            change(Tree::Tags, &key(seq), Some(&seq.to_string())),
            change(Tree::Tags, &key(seq * 5), None),
            change(Tree::Links, &key(seq), None),
            change(Tree::Links, &key(seq * 3), Some("")),
        ];
        for index in [&sled as &dyn Index, &map] {
            index.apply(seq as u64, &changes).unwrap();
        }
        for prefix in ["", "key0", "key05"] {
            for after in [None, Some("key04"), Some("key051")] {
                assert_eq!(scanned(&sled, prefix, after, MANY), scanned(&map, prefix, after, MANY), "{seq}");
            }
        }
        for number in 0..97 {
            for tree in [Tree::Tags, Tree::Links] {
                let key = key(number);
                assert_eq!(sled.get(tree, key.as_bytes()).unwrap(), map.get(tree, key.as_bytes()).unwrap());
            }
        }
    }
    sled.close().unwrap();
    let again = SledIndex::open(folder.path()).unwrap();
    assert_eq!(again.applied().unwrap(), MANY as u64);
    assert_eq!(scanned(&again, "", None, MANY), scanned(&map, "", None, MANY));
}

#[test]
fn a_scan_misses_no_row_that_goes_to_sled_meanwhile() {
    on_each(|index| {
        let keys: Vec<String> = (0..20).map(|number| format!("a{number:02}")).collect();
        let (even, odd): (Vec<_>, Vec<_>) = keys.iter().enumerate().partition(|(at, _)| at % 2 == 0);
        let rows = |keys: Vec<(usize, &String)>| -> Vec<RowChange> {
            keys.iter().map(|(_, key)| change(Tree::Tags, key, Some(""))).collect()
        };
        let others = |from: usize| -> Vec<RowChange> {
            (from..from + MANY).map(|number| change(Tree::Links, &format!("{number}"), Some(""))).collect()
        };
        index.apply(1, &rows(even)).unwrap();
        index.apply(2, &others(0)).unwrap();
        index.apply(3, &rows(odd)).unwrap();
        let mut seen = Vec::new();
        let mut visit = |key: &[u8], _: &[u8]| {
            seen.push(String::from_utf8(key.to_vec()).unwrap());
            let seq = 3 + seen.len();
            index.apply(seq as u64, &others(seq * MANY)).unwrap();
            ControlFlow::Continue(())
        };
        index.scan(Tree::Tags, b"a", None, &mut visit).unwrap();
        assert_eq!(seen, keys);
    });
}

#[test]
fn a_closed_sled_index_says_so_and_opens_again_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let index = SledIndex::open(folder.path()).unwrap();
    index.apply(3, &[change(Tree::Tags, "a", Some("1"))]).unwrap();
    index.close().unwrap();
    index.close().unwrap();
    assert!(matches!(index.get(Tree::Tags, b"a"), Err(IndexError::Closed)));
    assert!(matches!(index.applied(), Err(IndexError::Closed)));
    assert!(matches!(index.apply(4, &[]), Err(IndexError::Closed)));
    let again = SledIndex::open(folder.path()).unwrap();
    assert_eq!(again.applied().unwrap(), 3);
    assert_eq!(again.get(Tree::Tags, b"a").unwrap(), Some(b"1".to_vec()));
}

#[test]
fn pages_of_names_stay_within_their_repository() {
    let mut rules = Rules::default();
    rules.carry_out(&put_manifest("app", "one", &["a", "b", "c"]));
    rules.carry_out(&put_manifest("app/sub", "one", &["d"]));
    rules.carry_out(&put_manifest("apple", "one", &["0"]));
    let tags = |last, limit| {
        let tags = rules.view().tags(&repo("app"), last, limit).unwrap();
        tags.into_iter().map(|tag| tag.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(tags(None, 9), ["a", "b", "c"]);
    assert_eq!(tags(None, 2), ["a", "b"]);
    assert_eq!(tags(Some("b"), 9), ["c"]);
    assert_eq!(tags(Some("aa"), 9), ["b", "c"]);
    assert_eq!(tags(Some("z"), 9), [""; 0]);
    assert_eq!(tags(None, 0), [""; 0]);
    let all = rules.view().repositories(None, 9, |_| Ok(true)).unwrap();
    assert_eq!(all, ["app", "app/sub", "apple"].map(repo));
    let some = rules.view().repositories(Some("app"), 1, |name| Ok(name.as_str() != "app/sub")).unwrap();
    assert_eq!(some, [repo("apple")]);
}

#[test]
fn what_a_repository_has_of_some_digests_is_found_however_many_there_are() {
    on_each(|index| {
        let digest_of = |number: usize| digest(&number.to_string());
        // More rows than are read for 300 digests, and fewer than for 1000.
        let rows = (0..1500).flat_map(|number| {
            let tree = if number % 2 == 0 { Tree::Links } else { Tree::Manifests };
            ["app", "app2"].map(|name| {
                let key = key(&[name, &digest_of(number * 3 + name.len()).to_string()]);
                RowChange { tree, key, value: Some(b"{}".to_vec()) }
            })
        });
        index.apply(1, &rows.collect::<Vec<_>>()).unwrap();
        for count in [0, 1, 100, 300, 1000, 6000] {
            let asked: Vec<ContentDigest> = (0..count).map(digest_of).collect();
            let known = |number: &usize| *number >= 3 && number.is_multiple_of(3) && (number - 3) / 3 < 1500;
            let expected: Vec<ContentDigest> = (0..count).filter(known).map(digest_of).collect();
            assert_eq!(View::new(index).known_among(&repo("app"), &asked).unwrap(), expected, "{count}");
        }
    });
}

#[test]
fn a_few_rows_are_read_for_very_many_digests() {
    let read = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&read);
    let index = hooked(MapIndex::new(), move |call| {
        counter.fetch_add(usize::from(matches!(call, IndexCall::Get | IndexCall::Row)), Ordering::SeqCst);
        Ok(())
    });
    let link = |number: usize| RowChange {
        tree: Tree::Links,
        key: key(&["app", &digest(&number.to_string()).to_string()]),
        value: Some(b"{}".to_vec()),
    };
    index.apply(1, &(0..10).map(link).collect::<Vec<_>>()).unwrap();
    let asked: Vec<ContentDigest> = (5..20_000).map(|number| digest(&number.to_string())).collect();
    let known = View::new(index.as_ref()).known_among(&repo("app"), &asked).unwrap();
    assert_eq!(known, asked[..5]);
    assert_eq!(read.load(Ordering::SeqCst), 10);
}
