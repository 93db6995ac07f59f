//! The behaviours that all disks share.

use std::io::ErrorKind;
use std::path::Path;

use super::super::Disk;
use super::{bytes, create, list, read};

/// Tests every behaviour on a disk from `$make`, which returns a value that outlives the disk, and the disk.
macro_rules! behaviours_of {
    ($disk:ident: $make:path; $($behaviour:ident)*) => {
        mod $disk {
            $(#[test]
            fn $behaviour() {
                let (_outlives, disk) = $make();
                super::$behaviour(&disk);
            })*
        }
    };
}

macro_rules! behaviours {
    ($($behaviour:ident)*) => {
        behaviours_of! { on_a_real_disk: super::super::real; $($behaviour)* }
        behaviours_of! { on_a_memory_disk: super::super::memory; $($behaviour)* }
        behaviours_of! { on_a_simulated_disk: super::super::simulated; $($behaviour)* }
        behaviours_of! { on_a_metered_disk: super::super::metered; $($behaviour)* }
    };
}

behaviours! {
    a_file_is_created_once
    a_created_file_is_readable_and_writable
    opening_what_is_not_there_is_not_found
    opening_a_folder_as_a_file_is_refused
    a_file_opened_for_reading_cannot_be_changed
    bytes_are_written_at_the_given_offset
    writing_beyond_the_end_leaves_zeroes_between
    writing_nothing_changes_nothing
    reading_at_and_beyond_the_end_gives_nothing
    bytes_cut_off_do_not_come_back
    truncating_can_extend_with_zeroes
    reserving_space_keeps_the_length
    syncing_and_starting_write_back_change_no_bytes
    renaming_moves_between_folders
    renaming_replaces
    renaming_to_its_own_name_keeps_the_file
    renaming_what_is_not_there_is_not_found
    renaming_into_a_missing_folder_is_not_found
    renaming_a_folder_or_onto_one_is_refused
    an_unlinked_file_stays_readable
    a_replaced_file_stays_readable
    removing_what_is_not_there_is_not_found
    removing_a_folder_is_refused
    only_an_empty_folder_is_removed
    creating_a_folder_twice_keeps_what_is_in_it
    creating_a_folder_over_a_file_is_refused
    a_missing_parent_is_not_found
    a_file_is_no_folder_on_the_way
    a_list_is_sorted_and_has_lengths
    the_root_can_be_listed_and_synced
    the_root_can_be_neither_made_nor_moved
    syncing_a_folder_needs_one
    paths_out_of_the_root_are_refused
    names_that_are_not_utf_8_are_refused
    superfluous_slashes_and_dots_are_ignored
    handles_of_one_file_see_each_other
    threads_write_one_file_side_by_side
    threads_that_create_one_name_have_one_winner
}

fn a_file_is_created_once(disk: &dyn Disk) {
    create(disk, "a", b"first");
    let error = disk.create(Path::new("a")).unwrap_err();
    assert!(error.kind() == ErrorKind::AlreadyExists);
    assert_eq!(error.to_string(), "cannot create a: File exists (os error 17)");
    assert_eq!(read(disk, "a"), b"first");
}

fn a_created_file_is_readable_and_writable(disk: &dyn Disk) {
    let file = create(disk, "a", b"bytes");
    assert_eq!(bytes(file.as_ref()), b"bytes");
    assert_eq!(file.length().unwrap(), 5);
}

fn opening_what_is_not_there_is_not_found(disk: &dyn Disk) {
    let error = disk.open(Path::new("a")).unwrap_err();
    assert!(error.is_not_found() && error.kind() != ErrorKind::AlreadyExists && !error.is_full());
    assert_eq!((error.op(), error.path()), ("open", Path::new("a")));
    assert!(disk.open_writable(Path::new("a")).unwrap_err().is_not_found());
}

fn opening_a_folder_as_a_file_is_refused(disk: &dyn Disk) {
    disk.create_folder(Path::new("f")).unwrap();
    assert_eq!(disk.open(Path::new("f")).unwrap_err().kind(), ErrorKind::IsADirectory);
    assert_eq!(disk.open_writable(Path::new("f")).unwrap_err().kind(), ErrorKind::IsADirectory);
    assert!(disk.create(Path::new("f")).unwrap_err().kind() == ErrorKind::AlreadyExists);
}

fn a_file_opened_for_reading_cannot_be_changed(disk: &dyn Disk) {
    create(disk, "a", b"bytes");
    let file = disk.open(Path::new("a")).unwrap();
    file.write_at(b"other", 0).unwrap_err();
    file.truncate(0).unwrap_err();
    assert_eq!(read(disk, "a"), b"bytes");
}

fn bytes_are_written_at_the_given_offset(disk: &dyn Disk) {
    create(disk, "a", b"0123456789");
    let file = disk.open_writable(Path::new("a")).unwrap();
    file.write_at(b"abc", 3).unwrap();
    file.write_at(b"end", 10).unwrap();
    assert_eq!(read(disk, "a"), b"012abc6789end");
}

fn writing_beyond_the_end_leaves_zeroes_between(disk: &dyn Disk) {
    let file = create(disk, "a", b"start");
    file.write_at(b"end", 300_000).unwrap();
    let all = bytes(file.as_ref());
    assert_eq!(all.len(), 300_003);
    assert!(all.starts_with(b"start") && all.ends_with(b"end"));
    assert!(all[5..300_000].iter().all(|byte| *byte == 0));
}

fn writing_nothing_changes_nothing(disk: &dyn Disk) {
    let file = create(disk, "a", b"bytes");
    file.write_at(b"", 100).unwrap();
    assert_eq!(file.length().unwrap(), 5);
}

fn reading_at_and_beyond_the_end_gives_nothing(disk: &dyn Disk) {
    let file = create(disk, "a", b"bytes");
    let mut buffer = [7; 4];
    assert_eq!(file.read_at(&mut buffer, 5).unwrap(), 0);
    assert_eq!(file.read_at(&mut buffer, 1 << 40).unwrap(), 0);
    assert_eq!(file.read_at(&mut [], 0).unwrap(), 0);
    assert_eq!(file.read_at(&mut buffer, 3).unwrap(), 2);
    assert_eq!(&buffer, b"es\x07\x07");
}

fn bytes_cut_off_do_not_come_back(disk: &dyn Disk) {
    let file = create(disk, "a", &vec![1; 200_000]);
    file.truncate(70_000).unwrap();
    assert_eq!(file.length().unwrap(), 70_000);
    file.truncate(200_000).unwrap();
    let all = bytes(file.as_ref());
    assert_eq!(all.len(), 200_000);
    assert!(all[..70_000].iter().all(|byte| *byte == 1));
    assert!(all[70_000..].iter().all(|byte| *byte == 0));
}

fn truncating_can_extend_with_zeroes(disk: &dyn Disk) {
    let file = create(disk, "a", b"x");
    file.truncate(3).unwrap();
    assert_eq!(bytes(file.as_ref()), b"x\0\0");
}

fn reserving_space_keeps_the_length(disk: &dyn Disk) {
    let file = create(disk, "a", b"bytes");
    file.reserve(0, 1 << 20).unwrap();
    file.reserve(0, 0).unwrap();
    assert_eq!(bytes(file.as_ref()), b"bytes");
    disk.open(Path::new("a")).unwrap().reserve(0, 1 << 20).unwrap_err();
}

fn syncing_and_starting_write_back_change_no_bytes(disk: &dyn Disk) {
    let file = create(disk, "a", b"bytes");
    file.start_write_back(0, 5);
    file.start_write_back(0, 0);
    file.sync().unwrap();
    assert_eq!(bytes(file.as_ref()), b"bytes");
}

fn renaming_moves_between_folders(disk: &dyn Disk) {
    disk.create_folder(Path::new("f")).unwrap();
    create(disk, "a", b"bytes");
    disk.rename(Path::new("a"), Path::new("f/b")).unwrap();
    assert!(disk.open(Path::new("a")).unwrap_err().is_not_found());
    assert_eq!(read(disk, "f/b"), b"bytes");
    disk.sync_folder(Path::new("f")).unwrap();
}

fn renaming_replaces(disk: &dyn Disk) {
    create(disk, "a", b"new");
    create(disk, "b", b"old");
    disk.rename(Path::new("a"), Path::new("b")).unwrap();
    assert_eq!(list(disk, ""), [("b".to_owned(), false, 3)]);
    assert_eq!(read(disk, "b"), b"new");
}

fn renaming_to_its_own_name_keeps_the_file(disk: &dyn Disk) {
    create(disk, "a", b"bytes");
    disk.rename(Path::new("a"), Path::new("./a")).unwrap();
    assert_eq!(read(disk, "a"), b"bytes");
}

fn renaming_what_is_not_there_is_not_found(disk: &dyn Disk) {
    create(disk, "b", b"bytes");
    let error = disk.rename(Path::new("a"), Path::new("b")).unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(error.path(), Path::new("a"));
    assert_eq!(read(disk, "b"), b"bytes");
}

fn renaming_into_a_missing_folder_is_not_found(disk: &dyn Disk) {
    create(disk, "a", b"bytes");
    let error = disk.rename(Path::new("a"), Path::new("f/a")).unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(error.path(), Path::new("f/a"));
    assert_eq!(read(disk, "a"), b"bytes");
}

fn renaming_a_folder_or_onto_one_is_refused(disk: &dyn Disk) {
    disk.create_folder(Path::new("f")).unwrap();
    create(disk, "a", b"bytes");
    let from = disk.rename(Path::new("f"), Path::new("g")).unwrap_err();
    assert_eq!((from.kind(), from.path()), (ErrorKind::IsADirectory, Path::new("f")));
    let to = disk.rename(Path::new("a"), Path::new("f")).unwrap_err();
    assert_eq!((to.kind(), to.path()), (ErrorKind::IsADirectory, Path::new("f")));
    assert_eq!(list(disk, ""), [("a".to_owned(), false, 5), ("f".to_owned(), true, 0)]);
}

fn an_unlinked_file_stays_readable(disk: &dyn Disk) {
    let written = create(disk, "a", b"bytes");
    let opened = disk.open(Path::new("a")).unwrap();
    disk.remove(Path::new("a")).unwrap();
    assert!(disk.open(Path::new("a")).unwrap_err().is_not_found());
    written.write_at(b"B", 0).unwrap();
    assert_eq!(bytes(opened.as_ref()), b"Bytes");
    create(disk, "a", b"another");
    assert_eq!(bytes(opened.as_ref()), b"Bytes");
}

fn a_replaced_file_stays_readable(disk: &dyn Disk) {
    create(disk, "a", b"new");
    let replaced = create(disk, "b", b"replaced");
    disk.rename(Path::new("a"), Path::new("b")).unwrap();
    assert_eq!(bytes(replaced.as_ref()), b"replaced");
    assert_eq!(read(disk, "b"), b"new");
}

fn removing_what_is_not_there_is_not_found(disk: &dyn Disk) {
    create(disk, "a", b"");
    disk.remove(Path::new("a")).unwrap();
    assert!(disk.remove(Path::new("a")).unwrap_err().is_not_found());
}

fn removing_a_folder_is_refused(disk: &dyn Disk) {
    disk.create_folder(Path::new("f")).unwrap();
    assert_eq!(disk.remove(Path::new("f")).unwrap_err().kind(), ErrorKind::IsADirectory);
    assert_eq!(list(disk, "").len(), 1);
}

fn only_an_empty_folder_is_removed(disk: &dyn Disk) {
    disk.create_folder(Path::new("f")).unwrap();
    create(disk, "f/a", b"bytes");
    assert!(disk.remove_folder(Path::new("f")).unwrap_err().is_not_empty());
    assert!(!disk.remove_folder_if_empty(Path::new("f")).unwrap());
    assert_eq!(read(disk, "f/a"), b"bytes");
    assert_eq!(disk.remove_folder(Path::new("f/a")).unwrap_err().kind(), ErrorKind::NotADirectory);
    disk.remove(Path::new("f/a")).unwrap();
    assert!(disk.remove_folder_if_empty(Path::new("f")).unwrap());
    assert!(disk.remove_folder_if_empty(Path::new("f")).unwrap());
    assert!(disk.remove_folder(Path::new("f")).unwrap_err().is_not_found());
    assert!(disk.create(Path::new("f/a")).unwrap_err().is_not_found());
    assert_eq!(list(disk, ""), []);
}

fn creating_a_folder_twice_keeps_what_is_in_it(disk: &dyn Disk) {
    disk.create_folder(Path::new("f")).unwrap();
    create(disk, "f/a", b"bytes");
    disk.create_folder(Path::new("f")).unwrap();
    assert_eq!(read(disk, "f/a"), b"bytes");
}

fn creating_a_folder_over_a_file_is_refused(disk: &dyn Disk) {
    create(disk, "a", b"bytes");
    assert!(disk.create_folder(Path::new("a")).unwrap_err().kind() == ErrorKind::AlreadyExists);
    assert_eq!(read(disk, "a"), b"bytes");
}

fn a_missing_parent_is_not_found(disk: &dyn Disk) {
    assert!(disk.create(Path::new("f/a")).unwrap_err().is_not_found());
    assert!(disk.create_folder(Path::new("f/g")).unwrap_err().is_not_found());
    assert!(disk.list(Path::new("f")).unwrap_err().is_not_found());
    assert_eq!(list(disk, ""), []);
}

fn a_file_is_no_folder_on_the_way(disk: &dyn Disk) {
    create(disk, "a", b"bytes");
    let kinds = [
        disk.create(Path::new("a/b")).unwrap_err().kind(),
        disk.open(Path::new("a/b")).unwrap_err().kind(),
        disk.create_folder(Path::new("a/b")).unwrap_err().kind(),
        disk.list(Path::new("a")).unwrap_err().kind(),
        disk.rename(Path::new("a"), Path::new("a/b")).unwrap_err().kind(),
    ];
    assert_eq!(kinds, [ErrorKind::NotADirectory; 5]);
}

fn a_list_is_sorted_and_has_lengths(disk: &dyn Disk) {
    disk.create_folder(Path::new("f")).unwrap();
    disk.create_folder(Path::new("f/middle")).unwrap();
    for (name, length) in [("f/z", 3), ("f/Z", 2), ("f/a", 0), ("f/10", 1), ("f/é", 70_000)] {
        create(disk, name, &vec![1; length]);
    }
    let listed = list(disk, "f");
    let expected = [
        ("10", false, 1),
        ("Z", false, 2),
        ("a", false, 0),
        ("middle", true, 0),
        ("z", false, 3),
        ("é", false, 70_000),
    ];
    assert_eq!(listed, expected.map(|(name, is_folder, length)| (name.to_owned(), is_folder, length)));
}

fn the_root_can_be_listed_and_synced(disk: &dyn Disk) {
    create(disk, "a", b"bytes");
    for root in ["", ".", "./"] {
        disk.sync_folder(Path::new(root)).unwrap();
        assert_eq!(list(disk, root), [("a".to_owned(), false, 5)]);
        disk.create_folder(Path::new(root)).unwrap();
    }
}

fn the_root_can_be_neither_made_nor_moved(disk: &dyn Disk) {
    create(disk, "a", b"bytes");
    disk.create(Path::new("")).unwrap_err();
    disk.open(Path::new("")).unwrap_err();
    disk.remove(Path::new("")).unwrap_err();
    disk.remove_folder(Path::new("")).unwrap_err();
    disk.rename(Path::new(""), Path::new("b")).unwrap_err();
    disk.rename(Path::new("a"), Path::new("")).unwrap_err();
    assert_eq!(list(disk, ""), [("a".to_owned(), false, 5)]);
}

fn syncing_a_folder_needs_one(disk: &dyn Disk) {
    create(disk, "a", b"bytes");
    assert_eq!(disk.sync_folder(Path::new("a")).unwrap_err().kind(), ErrorKind::NotADirectory);
    assert!(disk.sync_folder(Path::new("f")).unwrap_err().is_not_found());
}

fn paths_out_of_the_root_are_refused(disk: &dyn Disk) {
    disk.create_folder(Path::new("f")).unwrap();
    create(disk, "a", b"bytes");
    for path in ["..", "../a", "/a", "f/../a", "f/../../a", "/"] {
        let path = Path::new(path);
        let kinds = [
            disk.create(path).unwrap_err().kind(),
            disk.open(path).unwrap_err().kind(),
            disk.open_writable(path).unwrap_err().kind(),
            disk.rename(path, Path::new("b")).unwrap_err().kind(),
            disk.rename(Path::new("a"), path).unwrap_err().kind(),
            disk.remove(path).unwrap_err().kind(),
            disk.create_folder(path).unwrap_err().kind(),
            disk.sync_folder(path).unwrap_err().kind(),
            disk.list(path).unwrap_err().kind(),
        ];
        assert_eq!(kinds, [ErrorKind::InvalidInput; 9], "{}", path.display());
    }
    assert_eq!(read(disk, "a"), b"bytes");
}

fn names_that_are_not_utf_8_are_refused(disk: &dyn Disk) {
    use std::os::unix::ffi::OsStrExt;
    let path = Path::new(std::ffi::OsStr::from_bytes(b"a\xff"));
    assert_eq!(disk.create(path).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(disk.create(Path::new("a\0b")).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(list(disk, ""), []);
}

fn superfluous_slashes_and_dots_are_ignored(disk: &dyn Disk) {
    disk.create_folder(Path::new("./f/")).unwrap();
    create(disk, "f//a", b"bytes");
    assert_eq!(read(disk, "./f/./a"), b"bytes");
    assert_eq!(read(disk, "f/a/"), b"bytes");
}

fn handles_of_one_file_see_each_other(disk: &dyn Disk) {
    let first = create(disk, "a", b"bytes");
    let second = disk.open(Path::new("a")).unwrap();
    disk.rename(Path::new("a"), Path::new("b")).unwrap();
    first.write_at(b"more", 5).unwrap();
    assert_eq!(bytes(second.as_ref()), b"bytesmore");
    first.truncate(2).unwrap();
    assert_eq!(second.length().unwrap(), 2);
}

fn threads_write_one_file_side_by_side(disk: &dyn Disk) {
    const PIECE: usize = 10_000;
    let file = disk.create(Path::new("a")).unwrap();
    std::thread::scope(|scope| {
        for number in 0..8_u8 {
            let file = &file;
            scope.spawn(move || {
                for round in 0..4 {
                    let place = round * 8 + usize::from(number);
                    file.write_at(&[number; PIECE], (place * PIECE) as u64).unwrap();
                }
            });
        }
    });
    let all = bytes(file.as_ref());
    assert_eq!(all.len(), 32 * PIECE);
    for (place, piece) in all.chunks(PIECE).enumerate() {
        assert!(piece.iter().all(|byte| usize::from(*byte) == place % 8));
    }
}

fn threads_that_create_one_name_have_one_winner(disk: &dyn Disk) {
    let winners = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| disk.create(Path::new("a")).is_ok())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(|won| *won).count()
    });
    assert_eq!(winners, 1);
}
