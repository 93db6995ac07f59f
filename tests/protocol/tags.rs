//! Listing tags.

use crate::support::{TestServer, follow};

/// Starts a server whose repository `a` has these tags.
fn with_tags(tags: &[&str]) -> TestServer {
    let server = TestServer::start();
    let image = server.push_image("a", "image");
    for tag in tags {
        server.push("a", tag, &image).is(201);
    }
    server
}

/// L1: the list has the repository's name and tags, `[]` if there are none; an unknown repository is 404.
#[test]
fn a_repository_lists_its_tags() {
    let server = with_tags(&[]);
    let answer = server.tags("a", "").is(200);
    assert_eq!(answer.body, br#"{"name":"a","tags":[]}"#);
    assert_eq!(answer.header("Content-Type"), "application/json");
    server.push_tagged("a", "v1");
    assert_eq!(server.tags("a", "").is(200).body, br#"{"name":"a","tags":["v1"]}"#);
    server.push_blob("only/blobs", "content");
    assert_eq!(server.tags("only/blobs", "").is(200).body, br#"{"name":"only/blobs","tags":[]}"#);
    server.tags("none", "").fails(404, "NAME_UNKNOWN");
}

/// L1: without manifests and blobs a repository is gone.
#[test]
fn an_emptied_repository_is_unknown() {
    let server = TestServer::start();
    let blob = server.push_blob("a", "content");
    server.tags("a", "").is(200);
    server.delete(format!("/v2/a/blobs/{blob}")).send().is(202);
    server.tags("a", "").fails(404, "NAME_UNKNOWN");
    server.push_blob("a", "content");
    server.tags("a", "").is(200);
}

/// L2: tags are in the order of their bytes, however they were pushed.
#[test]
fn tags_are_in_the_order_of_their_bytes() {
    let server = with_tags(&["v2", "latest", "v10", "V1", "_x", "0", "v1", "v1.0", "v1-0", "v1_0", "a", "A"]);
    let expected = ["0", "A", "V1", "_x", "a", "latest", "v1", "v1-0", "v1.0", "v10", "v1_0", "v2"];
    assert_eq!(server.tags("a", "").texts("tags"), expected);
}

/// L3: `n` returns exactly that many, unless there are fewer.
#[test]
fn a_page_has_as_many_tags_as_requested() {
    let server = with_tags(&["a", "b", "c", "d", "e"]);
    for (n, count) in [(1, 1), (2, 2), (4, 4), (5, 5), (6, 5), (1000, 5)] {
        assert_eq!(server.tags("a", &format!("?n={n}")).texts("tags").len(), count);
    }
}

/// L4: `n=0` returns no tags and no link.
#[test]
fn a_page_may_be_empty() {
    let server = with_tags(&["a", "b"]);
    for query in ["?n=0", "?n=0&last=a", "?n=00"] {
        let answer = server.tags("a", query).is(200);
        assert_eq!(answer.body, br#"{"name":"a","tags":[]}"#);
        assert_eq!(answer.next(), None);
    }
    server.tags("none", "?n=0").fails(404, "NAME_UNKNOWN");
}

/// L5: links lead through all tags; the last page has none, even if it is full.
#[test]
fn links_lead_through_all_tags() {
    let tags = ["a", "b.c", "d_e-f", "g", "h", "i"];
    let server = with_tags(&tags);
    for (n, parts) in [(1, 6), (2, 3), (4, 2), (6, 1), (7, 1)] {
        let listed = follow(&server, &format!("/v2/a/tags/list?n={n}"));
        assert_eq!(listed.len(), parts, "n={n}");
        let listed: Vec<_> = listed.iter().flat_map(|part| part.texts("tags")).collect();
        assert_eq!(listed, tags);
    }
    let first = server.tags("a", "?n=2").is(200);
    assert_eq!(first.header("Link"), "</v2/a/tags/list?n=2&last=b.c>; rel=\"next\"");
    assert_eq!(server.tags("a", "").next(), None);
}

/// L6: the list begins after `last`, with `n` or without, even if that tag does not exist.
#[test]
fn a_list_continues_after_the_last_tag() {
    let server = with_tags(&["a", "b", "c", "d"]);
    for (query, expected) in [
        ("?last=b", &["c", "d"][..]),
        ("?n=1&last=b", &["c"]),
        ("?last=b&n=1", &["c"]),
        ("?last=d", &[]),
        ("?last=bb", &["c", "d"]),
        ("?last=zzz", &[]),
        ("?last=A", &["a", "b", "c", "d"]),
        ("?last=", &["a", "b", "c", "d"]),
        ("?last=1", &["a", "b", "c", "d"]),
        ("?n=2&last=%61", &["b", "c"]),
    ] {
        let answer = server.tags("a", query).is(200);
        assert_eq!(answer.texts("tags"), expected, "{query}");
    }
    assert_eq!(server.tags("a", "?n=2&last=b").next(), None);
}

/// L6: the list can continue after a tag that was deleted meanwhile.
#[test]
fn a_deleted_tag_is_still_a_position() {
    let server = with_tags(&["a", "b", "c"]);
    let next = server.tags("a", "?n=2").next().unwrap();
    server.delete("/v2/a/manifests/b").send().is(202);
    assert_eq!(server.get(next).send().is(200).texts("tags"), ["c"]);
}

/// L7: anything but a number is refused; a number over the cap is clamped, and a link follows.
#[test]
fn a_number_above_the_cap_is_clamped_and_garbage_refused() {
    let server = TestServer::with(|options| options.http.list_max_names = 2);
    let image = server.push_image("a", "image");
    for tag in ["a", "b", "c"] {
        server.push("a", tag, &image).is(201);
    }
    for n in ["-1", "ten", "", "1.5", "%2B1", "0x10", "1e3"] {
        server.tags("a", &format!("?n={n}")).fails(400, "PAGINATION_NUMBER_INVALID");
    }
    for query in ["", "?n=3", "?n=1000", "?n=99999999999999999999999"] {
        let answer = server.tags("a", query).is(200);
        assert_eq!(answer.texts("tags"), ["a", "b"], "{query}");
        let listed = follow(&server, &answer.next().unwrap());
        assert_eq!(listed.iter().flat_map(|part| part.texts("tags")).collect::<Vec<_>>(), ["c"]);
    }
}
