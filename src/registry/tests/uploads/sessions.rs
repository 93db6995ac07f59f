//! Uploads: how they are resumed, which request may write, and how they end.

use smol::block_on;
use smol::future::zip;

use super::bodies::{Body, Part};
use super::*;

/// Shows that an upload left nothing.
async fn check_gone(registry: &Registry, id: UploadId, digest: &Digest) {
    let unknown = registry.upload_offset(&repo("app"), id).await;
    assert!(matches!(unknown, Err(RegistryError::UploadUnknown)), "{unknown:?}");
    registry.blob_size(&repo("app"), digest).await.unwrap_err();
    assert_eq!(unfinished(registry), [""; 0]);
    assert_eq!(registry.inner.sessions.all(|_| true).len(), 0);
}

/// C1
#[test]
fn a_blob_comes_back_whichever_way_it_was_pushed() {
    block_on(async {
        let registry = in_memory();
        let content = vec![7; 700_000];
        for way in 0..4 {
            let (name, id) = (format!("app{way}"), begin(&registry, &format!("app{way}")).await);
            let (name, digest) = (repo(&name), sha256(&content));
            let last = match way {
                0 => whole(&content),
                1 => {
                    assert_eq!(registry.append(&name, id, streamed(&content[..])).await.unwrap(), 700_000);
                    nothing()
                }
                2 => {
                    registry.append(&name, id, ranged(&content[..300_000], 0, 299_999)).await.unwrap();
                    registry
                        .append(&name, id, ranged(&content[300_000..600_000], 300_000, 599_999))
                        .await
                        .unwrap();
                    ranged(&content[600_000..], 600_000, 699_999)
                }
                _ => {
                    for piece in content.chunks(100_000) {
                        registry.append(&name, id, whole(piece)).await.unwrap();
                    }
                    whole(&[])
                }
            };
            registry.finish_upload(&name, id, &digest, last).await.unwrap();
            assert_eq!(read_blob(&registry, name.as_str(), &digest).await.unwrap(), content);
            let unknown = registry.upload_offset(&name, id).await;
            assert!(matches!(unknown, Err(RegistryError::UploadUnknown)), "{unknown:?}");
        }
        assert_eq!(unfinished(&registry), [""; 0]);
        assert_eq!((registry.totals().blobs, registry.totals().uploads), (1, 0));
    });
}

#[test]
fn a_blob_of_no_bytes_is_a_blob() {
    block_on(async {
        let registry = in_memory();
        let digest = push_blob(&registry, "one", b"").await;
        assert_eq!(registry.blob_size(&repo("one"), &digest).await.unwrap(), 0);
        assert_eq!(read_blob(&registry, "one", &digest).await.unwrap(), b"");
        let id = begin(&registry, "two").await;
        assert_eq!(registry.append(&repo("two"), id, nothing()).await.unwrap(), 0);
        registry.finish_upload(&repo("two"), id, &digest, nothing()).await.unwrap();
        assert_eq!(read_blob(&registry, "two", &digest).await.unwrap(), b"");
    });
}

/// G8
#[test]
fn any_algorithm_is_checked_whether_or_not_it_was_announced() {
    block_on(async {
        let registry = in_memory();
        let content = vec![3; 300_000];
        for announced in [None, Some(Algorithm::Sha256), Some(Algorithm::Sha512), Some(Algorithm::Blake3)] {
            for named in Algorithm::ALL {
                let digest = Digest::from(ContentDigest::of(named, &content));
                let id = registry.begin_upload(&repo("app"), announced).await.unwrap();
                registry.append(&repo("app"), id, streamed(&content[..100_000])).await.unwrap();
                registry
                    .finish_upload(&repo("app"), id, &digest, streamed(&content[100_000..]))
                    .await
                    .unwrap();
                assert_eq!(read_blob(&registry, "app", &digest).await.unwrap(), content);

                let wrong = Digest::from(ContentDigest::of(named, b"other"));
                let id = registry.begin_upload(&repo("app"), announced).await.unwrap();
                let refused = registry.finish_upload(&repo("app"), id, &wrong, whole(&content)).await;
                assert!(matches!(refused, Err(RegistryError::DigestMismatch { .. })), "{refused:?}");
                check_gone(&registry, id, &wrong).await;
            }
        }
    });
}

#[test]
fn a_digest_that_cannot_be_computed_is_refused_and_the_upload_stays() {
    block_on(async {
        let registry = in_memory();
        let id = begin(&registry, "app").await;
        registry.append(&repo("app"), id, whole(b"abc")).await.unwrap();
        let strange = "md5:d41d8cd98f00b204e9800998ecf8427e".parse().unwrap();
        let refused = registry.finish_upload(&repo("app"), id, &strange, nothing()).await;
        assert!(matches!(refused, Err(RegistryError::DigestInvalid(_))), "{refused:?}");
        assert_eq!(registry.upload_offset(&repo("app"), id).await.unwrap(), 3);
        registry.finish_upload(&repo("app"), id, &sha256(b"abc"), nothing()).await.unwrap();
    });
}

/// C3
#[test]
fn a_chunk_out_of_order_changes_nothing() {
    block_on(async {
        let registry = in_memory();
        let id = begin(&registry, "app").await;
        registry.append(&repo("app"), id, ranged(&b"abc"[..], 0, 2)).await.unwrap();
        for (first, last) in [(0, 2), (2, 4), (4, 6)] {
            let refused = registry.append(&repo("app"), id, ranged(&b"def"[..], first, last)).await;
            match refused {
                Err(RegistryError::OutOfOrder { begins, offset: 3 }) => assert_eq!(begins, first),
                other => panic!("{other:?}"),
            }
        }
        let digest = sha256(b"abcdef");
        let refused = registry.finish_upload(&repo("app"), id, &digest, ranged(&b"def"[..], 4, 6)).await;
        assert!(matches!(refused, Err(RegistryError::OutOfOrder { .. })), "{refused:?}");
        registry.finish_upload(&repo("app"), id, &digest, ranged(&b"def"[..], 3, 5)).await.unwrap();
    });
}

#[test]
fn a_chunk_of_another_length_than_was_said_is_refused() {
    block_on(async {
        let registry = in_memory();
        let short_length = Chunk { body: &b"abc"[..], length: Some(5), range: None };
        let differing =
            Chunk { range: Some(ContentRange { first: 0, last: 4 }), length: Some(3), body: &b"abc"[..] };
        for (chunk, kept) in [
            (ranged(&b"abc"[..], 0, 4), 3),
            (short_length, 3),
            (differing, 0),
            (ranged(&b"abcdefgh"[..], 0, 4), 5),
        ] {
            let id = begin(&registry, "app").await;
            let refused = registry.append(&repo("app"), id, chunk).await;
            assert!(matches!(refused, Err(RegistryError::SizeInvalid { .. })), "{refused:?}");
            assert_eq!(registry.upload_offset(&repo("app"), id).await.unwrap(), kept);
        }
    });
}

#[test]
fn a_body_that_breaks_off_keeps_what_came_and_can_be_resumed() {
    block_on(async {
        let registry = in_memory();
        let id = begin(&registry, "app").await;
        let refused = registry.append(&repo("app"), id, streamed(Body::that_breaks_after(b"abc"))).await;
        assert!(matches!(refused, Err(RegistryError::BodyBroken(_))), "{refused:?}");
        assert_eq!(registry.upload_offset(&repo("app"), id).await.unwrap(), 3);
        let digest = sha256(b"abcdef");
        let breaks = ranged(Body::that_breaks_after(b"d"), 3, 5);
        let refused = registry.finish_upload(&repo("app"), id, &digest, breaks).await;
        assert!(matches!(refused, Err(RegistryError::BodyBroken(_))), "{refused:?}");
        assert_eq!(registry.upload_offset(&repo("app"), id).await.unwrap(), 4);
        registry.finish_upload(&repo("app"), id, &digest, ranged(&b"ef"[..], 4, 5)).await.unwrap();
        assert_eq!(read_blob(&registry, "app", &digest).await.unwrap(), b"abcdef");
    });
}

#[test]
fn a_second_request_takes_an_upload_over_from_one_that_hangs() {
    block_on(async {
        let registry = in_memory();
        let id = begin(&registry, "app").await;
        let name = repo("app");
        let first = registry.append(&name, id, streamed(Body::that_hangs_after(b"abc")));
        let second = async {
            wait_for_offset(&registry, "app", id, 3).await;
            let digest = sha256(b"abcdef");
            registry.finish_upload(&repo("app"), id, &digest, ranged(&b"def"[..], 3, 5)).await.unwrap();
            assert_eq!(read_blob(&registry, "app", &digest).await.unwrap(), b"abcdef");
        };
        let (first, ()) = zip(first, second).await;
        assert!(matches!(first, Err(RegistryError::UploadTakenOver)), "{first:?}");
    });
}

#[test]
fn an_upload_is_taken_over_from_one_that_hangs_behind_its_range() {
    block_on(async {
        let registry = in_memory();
        let id = begin(&registry, "app").await;
        let name = repo("app");
        let first = registry.append(&name, id, ranged(Body::that_hangs_after(b"abc"), 0, 2));
        let second = async {
            wait_for_offset(&registry, "app", id, 3).await;
            registry.append(&repo("app"), id, ranged(&b"def"[..], 3, 5)).await.unwrap()
        };
        let (first, offset) = zip(first, second).await;
        assert!(matches!(first, Err(RegistryError::UploadTakenOver)), "{first:?}");
        assert_eq!(offset, 6);
    });
}

#[test]
fn a_cancelled_upload_leaves_nothing_also_while_a_request_hangs() {
    block_on(async {
        let registry = in_memory();
        let id = begin(&registry, "app").await;
        let name = repo("app");
        let hanging = registry.append(&name, id, streamed(Body::that_hangs_after(b"abc")));
        let cancelling = async {
            wait_for_offset(&registry, "app", id, 3).await;
            registry.cancel_upload(&repo("app"), id).await.unwrap();
        };
        let (hanging, ()) = zip(hanging, cancelling).await;
        hanging.unwrap_err();
        check_gone(&registry, id, &sha256(b"abc")).await;
        let again = registry.cancel_upload(&repo("app"), id).await;
        assert!(matches!(again, Err(RegistryError::UploadUnknown)), "{again:?}");
        assert_eq!(registry.totals().uploads, 0);
    });
}

#[test]
fn an_upload_is_known_to_its_own_repository_only() {
    block_on(async {
        let registry = in_memory();
        let id = begin(&registry, "app").await;
        let other = repo("other");
        let digest = sha256(b"abc");
        let unknown = |result: Result<(), RegistryError>| {
            assert!(matches!(result, Err(RegistryError::UploadUnknown)), "{result:?}");
        };
        unknown(registry.upload_offset(&other, id).await.map(drop));
        unknown(registry.append(&other, id, whole(b"abc")).await.map(drop));
        unknown(registry.finish_upload(&other, id, &digest, whole(b"abc")).await.map(drop));
        unknown(registry.cancel_upload(&other, id).await);
        registry.finish_upload(&repo("app"), id, &digest, whole(b"abc")).await.unwrap();
        registry.blob_size(&other, &digest).await.unwrap_err();
    });
}

#[test]
fn no_more_uploads_begin_than_the_limit_allows() {
    block_on(async {
        let registry = open_on(Arc::new(MemoryDisk::new()), |options| options.upload_sessions_max = 2);
        let ids = [begin(&registry, "app").await, begin(&registry, "app").await];
        let refused = registry.begin_upload(&repo("app"), None).await;
        assert!(matches!(refused, Err(RegistryError::TooMany(_))), "{refused:?}");
        registry.cancel_upload(&repo("app"), ids[0]).await.unwrap();
        begin(&registry, "app").await;
        registry.finish_upload(&repo("app"), ids[1], &sha256(b"x"), whole(b"x")).await.unwrap();
        begin(&registry, "app").await;
        registry.begin_upload(&repo("app"), None).await.unwrap_err();
    });
}

#[test]
fn an_idle_upload_is_given_up_with_all_it_brought() {
    block_on(async {
        let registry = open_on(Arc::new(MemoryDisk::new()), |options| {
            options.upload_idle_max = Duration::from_millis(1);
        });
        let id = begin(&registry, "app").await;
        // The session may be evicted at any time from now on.
        drop(registry.append(&repo("app"), id, whole(b"abc")).await);
        for _ in 0..10_000 {
            if registry.inner.sessions.all(|_| true).is_empty() && registry.totals().uploads == 0 {
                check_gone(&registry, id, &sha256(b"abc")).await;
                return;
            }
            Timer::after(Duration::from_millis(1)).await;
        }
        panic!("it is never given up");
    });
}

#[test]
fn an_upload_that_is_resumed_is_not_idle() {
    block_on(async {
        let registry = in_memory();
        let id = begin(&registry, "app").await;
        let session = registry.inner.sessions.find(&repo("app"), id).unwrap();
        assert!(session.is_idle(Duration::ZERO));
        assert!(!session.is_idle(Duration::from_secs(3600)));
        let turn = session.claim().await;
        assert!(!session.is_idle(Duration::ZERO));
        drop(turn);
        assert!(session.is_idle(Duration::ZERO));
    });
}

#[test]
fn bytes_in_many_small_parts_make_the_same_blob() {
    block_on(async {
        let registry = in_memory();
        let content: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
        let body = Body::new(content.chunks(777).map(|part| Part::Bytes(part.to_vec())));
        let id = begin(&registry, "app").await;
        registry.finish_upload(&repo("app"), id, &sha256(&content), streamed(body)).await.unwrap();
        assert_eq!(read_blob(&registry, "app", &sha256(&content)).await.unwrap(), content);
    });
}

/// C12: arithmetic holds for every length that a client may send.
#[test]
fn a_chunk_that_says_the_greatest_length_is_short_and_nothing_else() {
    block_on(async {
        let registry = in_memory();
        let id = begin(&registry, "app").await;
        registry.append(&repo("app"), id, whole(b"abc")).await.unwrap();
        let endless = Chunk { body: &b"de"[..], length: Some(u64::MAX), range: None };
        let failed = registry.append(&repo("app"), id, endless).await;
        assert!(matches!(failed, Err(RegistryError::SizeInvalid { said: u64::MAX, got: 2 })), "{failed:?}");
        assert_eq!(registry.upload_offset(&repo("app"), id).await.unwrap(), 5);
    });
}

#[test]
fn an_upload_in_one_request_that_broke_off_is_sent_again_from_its_beginning() {
    block_on(async {
        let registry = in_memory();
        let (id, digest) = (begin(&registry, "app").await, sha256(b"abcdefghij"));
        let short = Chunk { body: &b"abcd"[..], length: Some(10), range: None };
        let failed = registry.finish_upload(&repo("app"), id, &digest, short).await;
        assert!(matches!(failed, Err(RegistryError::SizeInvalid { said: 10, got: 4 })), "{failed:?}");
        assert_eq!(registry.upload_offset(&repo("app"), id).await.unwrap(), 0);
        registry.finish_upload(&repo("app"), id, &digest, whole(b"abcdefghij")).await.unwrap();
        assert_eq!(read_blob(&registry, "app", &digest).await.unwrap(), b"abcdefghij");
        // The bytes of an earlier chunk stay; those of the last one are sent again.
        let id = begin(&registry, "app").await;
        registry.append(&repo("app"), id, whole(b"abcd")).await.unwrap();
        let short = Chunk { body: &b"ef"[..], length: Some(6), range: None };
        registry.finish_upload(&repo("app"), id, &digest, short).await.unwrap_err();
        assert_eq!(registry.upload_offset(&repo("app"), id).await.unwrap(), 4);
        registry.finish_upload(&repo("app"), id, &digest, whole(b"efghij")).await.unwrap();
        assert_eq!(read_blob(&registry, "app", &digest).await.unwrap(), b"abcdefghij");
    });
}
