//! Pulling blobs, whole and in ranges.

use crate::support::{OCTETS, TestServer, filler, sha256, unknown_digest};

/// B1, B2, B3, B9: GET and HEAD return the bytes, length, digest and type, also of an empty blob.
#[test]
fn a_blob_comes_back_as_it_was_pushed() {
    let server = TestServer::start();
    for length in [0, 1, 511, 100_000, 3 * 1024 * 1024 + 1] {
        let bytes = filler(1, length);
        let digest = server.push_blob("a", &bytes);
        let target = format!("/v2/a/blobs/{digest}");
        let get = server.get(&target).send().is(200);
        assert!(get.body == bytes, "{length}");
        for answer in [get, server.head(&target).send().is(200)] {
            assert_eq!(answer.digest(), digest);
            assert_eq!(answer.header("Content-Length"), length.to_string());
            assert_eq!(answer.header("Content-Type"), OCTETS);
        }
    }
}

/// B4: a missing blob is 404, and so is a blob of another repository.
#[test]
fn a_blob_is_one_of_its_repository_only() {
    let server = TestServer::start();
    let digest = server.push_blob("a", "content");
    server.push_blob("b", "other");
    server.blob("b", &digest).fails(404, "BLOB_UNKNOWN");
    server.blob("a", &unknown_digest()).fails(404, "BLOB_UNKNOWN");
    server.blob("none", &digest).fails(404, "NAME_UNKNOWN");
    server.head(format!("/v2/b/blobs/{digest}")).send().is(404);
    server.delete(format!("/v2/b/blobs/{digest}")).send().fails(404, "BLOB_UNKNOWN");
}

/// B5: a range is 206 with exactly its bytes and their position.
#[test]
fn a_range_returns_its_bytes() {
    let server = TestServer::start();
    let bytes = filler(2, 2048);
    let target = format!("/v2/a/blobs/{}", server.push_blob("a", &bytes));
    for (range, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=5-99", 5, 99),
        ("bytes=2047-", 2047, 2047),
        ("bytes=1000-", 1000, 2047),
        ("bytes=-48", 2000, 2047),
        ("bytes=-9999", 0, 2047),
        ("bytes=100-9999", 100, 2047),
        ("bytes=0-2047", 0, 2047),
        ("BYTES=1-2", 1, 2),
    ] {
        let answer = server.get(&target).header("Range", range).send().is(206);
        assert_eq!(answer.header("Content-Range"), format!("bytes {first}-{last}/2048"), "{range}");
        assert_eq!(answer.header("Content-Length"), (last - first + 1).to_string(), "{range}");
        assert!(answer.body == bytes[first..=last], "{range}");
    }
}

/// B6: a range outside the blob is 416 with the length; so is an inverted one.
#[test]
fn a_range_outside_is_refused_with_the_length() {
    let server = TestServer::start();
    let target = format!("/v2/a/blobs/{}", server.push_blob("a", filler(3, 2048)));
    for range in ["bytes=5000-", "bytes=2048-", "bytes=2048-3000", "bytes=500-0", "bytes=-0"] {
        let answer = server.get(&target).header("Range", range).send().fails(416, "RANGE_INVALID");
        assert_eq!(answer.header("Content-Range"), "bytes */2048", "{range}");
    }
    for range in ["bytes=a-b", "bytes", "lines=1-2", "bytes=--1", "bytes=1", ""] {
        let answer = server.get(&target).header("Range", range).send().is(200);
        assert_eq!((answer.body.len(), answer.maybe("Content-Range")), (2048, None), "{range}");
    }
}

/// B7: several ranges are the parts of one body, in the order that was asked for.
#[test]
fn several_ranges_return_the_parts() {
    let server = TestServer::start();
    let length = 3 * 1024 * 1024;
    let bytes = filler(4, length);
    let digest = server.push_blob("a", &bytes);
    let target = format!("/v2/a/blobs/{digest}");
    let end = length - 1;
    for (range, expected) in [
        ("bytes=0-9,20-29", vec![(0, 9), (20, 29)]),
        ("bytes=0-0, -1", vec![(0, 0), (end, end)]),
        ("bytes=-1,0-0", vec![(end, end), (0, 0)]),
        // Parts that touch, and that meet the steps in which a file is sent.
        ("bytes=0-1048575,1048576-1048576", vec![(0, 1_048_575), (1_048_576, 1_048_576)]),
        ("bytes=5-1048581,1048583-2097159,-7", vec![(5, 1_048_581), (1_048_583, 2_097_159), (end - 6, end)]),
        ("bytes=0-1,99999999-,7-7", vec![(0, 1), (7, 7)]),
    ] {
        let answer = server.get(&target).header("Range", range).send().is(206);
        let parts = answer.parts(length);
        assert_eq!(parts.iter().map(|(first, last, _)| (*first, *last)).collect::<Vec<_>>(), expected);
        assert!(parts.iter().all(|(first, last, part)| **part == bytes[*first..=*last]), "{range}");
        assert_eq!(answer.digest(), digest);
        assert_eq!(answer.header("ETag"), format!("\"{digest}\""));
        assert_eq!(answer.header("Accept-Ranges"), "bytes");
    }
    let most = (0..1024).map(|part| format!("{0}-{0}", part * 3000)).collect::<Vec<_>>().join(",");
    let answer = server.get(&target).header("Range", format!("bytes={most}")).send().is(206);
    assert_eq!(answer.parts(length).len(), 1024);
}

/// B7, B5, B6: where one range remains it is a single one, and where none does 416.
#[test]
fn of_several_ranges_those_without_bytes_are_left_out() {
    let server = TestServer::start();
    let bytes = filler(4, 2048);
    let target = format!("/v2/a/blobs/{}", server.push_blob("a", &bytes));
    let ask = |range: &str| server.get(&target).header("Range", range).send();
    let one = ask("bytes=0-1,5000-6000").is(206);
    assert_eq!((one.header("Content-Range"), &*one.body), ("bytes 0-1/2048", &bytes[..2]));
    let none = ask("bytes=5000-,6000-7000,9-8").fails(416, "RANGE_INVALID");
    assert_eq!(none.header("Content-Range"), "bytes */2048");
}

/// B7: what asks for bytes twice, for too many parts, or for more than the blob gets the blob once.
#[test]
fn abusive_sets_of_ranges_return_the_whole_blob() {
    let server = TestServer::start();
    let bytes = filler(4, 200_000);
    let target = format!("/v2/a/blobs/{}", server.push_blob("a", &bytes));
    let list = |ranges: &mut dyn Iterator<Item = usize>| {
        ranges.map(|at| format!("{0}-{0}", at * 2)).collect::<Vec<_>>().join(",")
    };
    for range in [
        "0-9,9-19".to_owned(),
        "0-,0-,0-".to_owned(),
        "0-1,a-b".to_owned(),
        "0-199998,199999-".to_owned(),
        list(&mut (0..1025)),
        list(&mut (0..100).rev()),
    ] {
        let answer = server.get(&target).header("Range", format!("bytes={range}")).send().is(200);
        assert!(answer.body == bytes, "{range}");
        assert_eq!((answer.maybe("Content-Range"), answer.header("Content-Type")), (None, OCTETS));
    }
}

/// B7: `If-Range` and HEAD are as with one range, and a client may leave between two parts.
#[test]
fn several_ranges_have_the_conditions_of_one() {
    let server = TestServer::start();
    let bytes = filler(6, 8 * 1024 * 1024);
    let digest = server.push_blob("a", &bytes);
    let target = format!("/v2/a/blobs/{digest}");
    let range = "bytes=0-9,4194304-8388607";
    let ask = |tag: &str| server.get(&target).header("Range", range).header("If-Range", tag).send();
    assert_eq!(ask(&format!("\"{digest}\"")).is(206).parts(bytes.len()).len(), 2);
    assert!(ask(&format!("\"{}\"", unknown_digest())).is(200).body == bytes);
    let head = server.head(&target).header("Range", range).send().is(200);
    assert_eq!(head.header("Content-Length"), bytes.len().to_string());
    let mut connection = server.connect();
    connection.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\nRange: {range}\r\n\r\n").as_bytes());
    connection.answer_head().is(206);
    connection.cut();
    server.get(&target).header("Range", range).send().is(206);
}

/// B8: `bytes=0-` is 206, clients that close early do no harm, and ranges are offered on GET and HEAD.
#[test]
fn a_client_may_ask_for_everything_and_close_early() {
    let server = TestServer::start();
    let bytes = filler(5, 8 * 1024 * 1024);
    let target = format!("/v2/a/blobs/{}", server.push_blob("a", &bytes));
    for _ in 0..4 {
        let mut connection = server.connect();
        connection.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\nRange: bytes=0-\r\n\r\n").as_bytes());
        let head = connection.answer_head().is(206);
        assert_eq!(head.header("Content-Range"), "bytes 0-8388607/8388608");
        connection.cut();
    }
    for answer in [server.get(&target).send().is(200), server.head(&target).send().is(200)] {
        assert_eq!(answer.header("Accept-Ranges"), "bytes");
        assert_eq!(answer.header("Content-Length"), "8388608");
    }
    // Ranges apply to GET only (RFC 9110, section 14.2).
    server.head(&target).header("Range", "bytes=0-1").send().is(200);
}

/// B10: a manifest is not a blob; containerd, which tries both, finds it as a manifest.
#[test]
fn a_manifest_is_no_blob() {
    let server = TestServer::start();
    let image = server.push_image("a", "image");
    server.head(format!("/v2/a/blobs/{}", image.digest)).send().is(404);
    server.blob("a", &image.digest).fails(404, "BLOB_UNKNOWN");
    server.head(format!("/v2/a/manifests/{}", image.digest)).send().is(200);
    let layer = sha256("layer of image");
    server.manifest("a", &layer).fails(404, "MANIFEST_UNKNOWN");
}
