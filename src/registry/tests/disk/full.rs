//! A disk that is full up to the reserve: pushes are refused, everything else works.

use rustix::io::Errno;
use smol::block_on;

use super::*;
use crate::disk::faulty::Operation;
use crate::meta::{IndexError, MetaError};
use crate::registry::open::options::RESERVE_BYTES;
use crate::spec::{ErrorAnswer, Reference};

const MIB: u64 = 1024 * 1024;

fn no_space<T: std::fmt::Debug>(done: &Result<T, RegistryError>) {
    assert!(matches!(done, Err(RegistryError::NoSpace)), "{done:?}");
}

fn does_not_fit<T: std::fmt::Debug>(done: &Result<T, RegistryError>) {
    assert!(matches!(done, Err(RegistryError::DoesNotFit { asked, free }) if asked > free), "{done:?}");
}

/// Fills the disk up to the reserve and a little more.
fn fill(registry: &Registry, faults: &Faults) {
    faults.set_free_bytes(RESERVE_BYTES - 1);
    registry.inner.space.forget();
}

fn make_space(faults: &Faults) {
    faults.set_free_bytes(1024 * MIB);
}

#[test]
fn what_does_not_fit_differs_from_a_full_disk() {
    block_on(async {
        let (registry, faults, _) = on_faulty();
        let begun = begin(&registry, "app").await;
        faults.set_free_bytes(RESERVE_BYTES + MIB);
        registry.inner.space.forget();
        let too_long = Chunk { body: &b""[..], length: Some(2 * MIB), range: None };
        let refused = registry.append(&repo("app"), begun, too_long).await.unwrap_err();
        assert!(
            matches!(refused, RegistryError::DoesNotFit { asked, free } if (asked, free) == (2 * MIB, MIB))
        );
        let said = refused.to_string();
        assert!(said.contains("at least 2097152 bytes are needed in all, 1048576 are free"), "{said}");
        assert_eq!(refused.answer(), ErrorAnswer::NO_SPACE);
        assert_eq!(registry.health().reasons, [""; 0], "the disk is not full");
        registry.finish_upload(&repo("app"), begun, &sha256(b"fits"), whole(b"fits")).await.unwrap();
    });
}

#[test]
fn without_inodes_pushes_are_refused_and_health_says_so() {
    block_on(async {
        let (registry, faults, _) = on_faulty();
        let layer = push_blob(&registry, "app", b"layer").await;
        faults.set_free_files(3);
        registry.inner.space.forget();
        no_space(&registry.begin_upload(&repo("app"), None).await);
        let health = registry.health();
        assert!(health.ready && health.reasons[0].contains("inodes"), "{health:?}");
        assert_eq!(registry.totals().free_files, Some(3));
        assert_eq!(read_blob(&registry, "app", &layer).await.unwrap(), b"layer");
        registry.delete_blob(&repo("app"), &layer).await.unwrap();
        faults.set_free_files(1_000_000);
        begin(&registry, "app").await;
        assert_eq!(registry.health().reasons, [""; 0]);
    });
}

/// XFS can make as many inodes as fit into the free bytes.
#[test]
fn a_disk_whose_bytes_are_used_up_does_not_lack_inodes_even_if_it_can_make_few() {
    let (registry, faults, _) = on_faulty();
    faults.set_free_files(3);
    faults.set_free_bytes(RESERVE_BYTES - 1);
    registry.inner.space.forget();
    let reasons = registry.health().reasons;
    assert!(reasons.len() == 1 && reasons[0].contains("the disk is full"), "{reasons:?}");
    make_space(&faults);
    registry.inner.space.forget();
    assert!(registry.health().reasons[0].contains("inodes"));
}

#[test]
fn below_the_reserve_pushes_are_refused_pulls_lists_and_deletes_go_on_until_there_is_space() {
    block_on(async {
        let (registry, faults, _) = on_faulty();
        let layer = push_blob(&registry, "app", b"layer").await;
        let manifest = image(&layer, &[]);
        registry.put_manifest(&repo("app"), by_tag("latest", &manifest)).await.unwrap();
        let begun = begin(&registry, "app").await;
        registry.append(&repo("app"), begun, whole(b"ab")).await.unwrap();

        fill(&registry, &faults);
        no_space(&registry.begin_upload(&repo("app"), None).await);
        no_space(&registry.append(&repo("app"), begun, streamed(&b"c"[..])).await);
        no_space(&registry.append(&repo("app"), begun, whole(b"c")).await);
        no_space(&registry.finish_upload(&repo("app"), begun, &sha256(b"ab"), nothing()).await);
        no_space(&registry.put_manifest(&repo("app"), by_tag("next", &manifest)).await);
        no_space(&registry.mount(&repo("other"), &layer, Some(&repo("app"))).await);
        let health = registry.health();
        assert!(health.ready);
        assert!(health.reasons[0].contains("full"), "{health:?}");

        let latest = Reference::Tag(tag("latest"));
        assert_eq!(registry.manifest(&repo("app"), &latest).await.unwrap().bytes, manifest);
        assert_eq!(read_blob(&registry, "app", &layer).await.unwrap(), b"layer");
        let all = crate::registry::Page { last: None, limit: 10 };
        assert_eq!(registry.tags(&repo("app"), &all).await.unwrap().items, [tag("latest")]);
        assert_eq!(registry.upload_offset(&repo("app"), begun).await.unwrap(), 2);
        registry.delete_tag(&repo("app"), &tag("latest")).await.unwrap();

        make_space(&faults);
        assert_eq!(registry.health().reasons, [""; 0]);
        registry.finish_upload(&repo("app"), begun, &sha256(b"abc"), whole(b"c")).await.unwrap();
        registry.put_manifest(&repo("app"), by_tag("next", &manifest)).await.unwrap();
    });
}

#[test]
fn an_upload_that_reaches_the_reserve_ends_there_and_keeps_what_arrived() {
    block_on(async {
        let (registry, faults, _) = on_faulty();
        // Room for two and a half of the pieces that a body is written in.
        faults.set_free_bytes(RESERVE_BYTES + 5 * MIB / 8);
        let id = begin(&registry, "app").await;
        let content = vec![7; 1024 * 1024];
        let refused = registry.append(&repo("app"), id, streamed(&content[..])).await.unwrap_err();
        // Its length is not known: it needs what came, and the piece that found no room.
        let RegistryError::DoesNotFit { asked, free } = refused else { panic!("{refused:?}") };
        assert_eq!(asked, 3 * 256 * 1024);
        assert!((2 * 256 * 1024..=5 * MIB / 8).contains(&free), "{free}");
        let offset = registry.upload_offset(&repo("app"), id).await.unwrap();
        assert_eq!(offset, 2 * 256 * 1024);
        make_space(&faults);
        let rest = &content[usize::try_from(offset).unwrap()..];
        registry.finish_upload(&repo("app"), id, &sha256(&content), whole(rest)).await.unwrap();
    });
}

#[test]
fn a_length_that_cannot_fit_is_refused_before_anything_is_written() {
    block_on(async {
        let (registry, faults, _) = on_faulty();
        faults.set_free_bytes(RESERVE_BYTES + MIB);
        let id = begin(&registry, "app").await;
        let huge = Chunk { body: &b"abc"[..], length: Some(2 * MIB), range: None };
        does_not_fit(&registry.append(&repo("app"), id, huge).await);
        assert_eq!(registry.upload_offset(&repo("app"), id).await.unwrap(), 0);
        assert_eq!(unfinished(&registry), [""; 0]);
    });
}

#[test]
fn space_that_was_reserved_for_what_did_not_come_is_given_back() {
    block_on(async {
        let (registry, faults, _) = on_faulty();
        let id = begin(&registry, "app").await;
        let short = Chunk { body: &b"abc"[..], length: Some(2 * MIB), range: None };
        registry.append(&repo("app"), id, short).await.unwrap_err();
        assert_eq!(faults.count(Operation::Reserve, "uploads"), 1);
        assert_eq!(faults.count(Operation::Truncate, "uploads"), 1);
        assert_eq!(registry.upload_offset(&repo("app"), id).await.unwrap(), 3);
        registry.finish_upload(&repo("app"), id, &sha256(b"abcd"), whole(b"d")).await.unwrap();
    });
}

#[test]
fn a_disk_that_turns_out_to_be_full_is_reported_as_such() {
    block_on(async {
        let (registry, faults, _) = on_faulty();
        let id = begin(&registry, "app").await;
        faults.fail(Operation::Write, "uploads", Errno::NOSPC);
        no_space(&registry.append(&repo("app"), id, whole(b"abc")).await);
        faults.fail(Operation::Write, "journal", Errno::DQUOT);
        no_space(&registry.begin_upload(&repo("app"), None).await);
    });
}

#[test]
fn an_index_without_space_is_reported_like_a_journal_without_space() {
    for full in [MetaError::NoSpace, MetaError::Index(IndexError::NoSpace)] {
        assert_eq!(RegistryError::from(full).answer(), ErrorAnswer::NO_SPACE);
    }
}

#[test]
fn without_space_for_the_journal_a_push_is_refused_before_it_stores_anything() {
    block_on(async {
        let (registry, _, disk) = on_faulty();
        let layer = push_blob(&registry, "app", b"layer").await;
        registry.put_manifest(&repo("app"), by_tag("old", &image(&layer, &[]))).await.unwrap();
        let disk = FaultyDisk::new(crashed(disk.as_ref()));
        let faults = disk.faults();
        faults.fail(Operation::Create, "journal", Errno::NOSPC);
        let registry = open_on(Arc::new(disk), |options| options.reserve_bytes = 0);
        // There is space for content, but not for another copy of the journal.
        faults.set_free_bytes(600);
        registry.inner.space.forget();
        assert!(registry.inner.meta.is_without_journal());
        let creations = faults.count(Operation::Create, "uploads");
        let new = image(&layer, std::slice::from_ref(&layer));
        no_space(&registry.put_manifest(&repo("app"), by_tag("new", &new)).await);
        assert_eq!(faults.count(Operation::Create, "uploads"), creations);
    });
}
