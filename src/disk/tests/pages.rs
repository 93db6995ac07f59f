//! The memory that files in memory take.

use super::super::pages::{PAGE_LENGTH_MAX_BYTES, Pages};

#[test]
fn a_small_file_takes_about_its_own_length() {
    let mut pages = Pages::default();
    pages.write_at(&[1; 400], 0);
    assert!(pages.capacity() <= 800, "{}", pages.capacity());
}

#[test]
fn a_file_that_grows_by_small_writes_takes_whole_pages_and_no_more() {
    let mut pages = Pages::default();
    for number in 0..1000 {
        pages.write_at(&[1; 1000], number * 1000);
    }
    let whole_pages = 1_000_000_usize.next_multiple_of(PAGE_LENGTH_MAX_BYTES);
    assert!((1_000_000..=whole_pages).contains(&pages.capacity()), "{}", pages.capacity());
}

#[test]
fn holes_take_no_memory() {
    let mut pages = Pages::default();
    pages.truncate(1 << 40);
    pages.write_at(b"end", 1 << 40);
    assert_eq!(pages.length(), (1 << 40) + 3);
    assert!(pages.capacity() <= PAGE_LENGTH_MAX_BYTES);
}

#[test]
fn cutting_a_file_gives_its_pages_back() {
    let mut pages = Pages::default();
    pages.write_at(&vec![1; 10 * PAGE_LENGTH_MAX_BYTES], 0);
    pages.truncate(0);
    assert_eq!(pages.capacity(), 0);
}

#[test]
fn a_clone_keeps_its_bytes_when_the_other_changes() {
    let mut pages = Pages::default();
    pages.write_at(&vec![1; 2 * PAGE_LENGTH_MAX_BYTES], 0);
    let kept = pages.clone();
    pages.write_at(&[2; 10], 5);
    pages.truncate(20);
    let mut buffer = vec![0; 3 * PAGE_LENGTH_MAX_BYTES];
    assert_eq!(kept.read_at(&mut buffer, 0), 2 * PAGE_LENGTH_MAX_BYTES);
    assert!(buffer[..2 * PAGE_LENGTH_MAX_BYTES].iter().all(|byte| *byte == 1));
}
