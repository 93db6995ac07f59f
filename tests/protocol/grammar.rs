//! Names, tags, references and digests.

use crate::support::{Manifest, OCI_INDEX, TestServer, blake3, sha256, sha512, unknown_digest, with_query};

/// G1: names follow the grammar; others are `NAME_INVALID`.
#[test]
fn repository_names_follow_the_grammar() {
    let server = TestServer::start();
    for name in ["a", "0", "a/b/c/d/e", "a.b", "a_b", "a__b", "a-b", "a---b", "0a.1-2__3/x", "library/alpine"]
    {
        server.push_blob(name, "content");
        server.blob(name, &sha256("content")).is(200);
    }
    for name in [
        "",
        "A",
        "a/B",
        "-a",
        "a-",
        ".a",
        "a.",
        "_a",
        "a_",
        "a..b",
        "a___b",
        "a._b",
        "a-.b",
        "a//b",
        "a/",
        "%2Fa",
        "a%20b",
        "a:b",
        "%C3%A9",
        "_catalog/x",
        "a%00b",
        "a@b",
    ] {
        let target = format!("/v2/{name}/blobs/uploads/");
        server.post(target).body("").send().fails(400, "NAME_INVALID");
        server.manifest(name, "v1").fails(400, "NAME_INVALID");
        server.tags(name, "").fails(400, "NAME_INVALID");
    }
    // A path with a segment of dots is refused before it is parsed as a name: proxies may read it
    // differently.
    for name in ["a/../b", "..", "./a", "a/%2e%2E/b"] {
        server.tags(name, "").is(400);
    }
}

/// G2: names may have 255 characters and no more.
#[test]
fn repository_names_have_255_characters_at_most() {
    let server = TestServer::start();
    let longest = "a".repeat(255);
    server.push_blob(&longest, "content");
    server.post(format!("/v2/{longest}a/blobs/uploads/")).body("").send().fails(400, "NAME_INVALID");
}

/// G3: tags have up to 128 characters of their grammar.
#[test]
fn tags_follow_the_grammar() {
    let server = TestServer::start();
    let image = server.push_image("a", "image");
    let longest = "t".repeat(128);
    for tag in ["v1", "_", "0", "A.b-c_D", "sha256-0123.sig", "latest..", "a--", &longest] {
        server.push("a", tag, &image).is(201);
        assert_eq!(server.manifest("a", tag).is(200).body, image.bytes);
    }
    let too_long = "t".repeat(129);
    for tag in [".a", "-a", "a%2Bb", "a%20b", "%C3%A9", "a%40b", &too_long] {
        server.push("a", tag, &image).fails(400, "TAG_INVALID");
        server.manifest("a", tag).fails(404, "MANIFEST_UNKNOWN");
        server.delete(format!("/v2/a/manifests/{tag}")).send().fails(404, "MANIFEST_UNKNOWN");
    }
    assert_eq!(server.tags("a", "").texts("tags").len(), 8);
}

/// G4: a reference is a tag or a digest; a colon makes it a digest.
#[test]
fn a_reference_with_a_colon_is_a_digest() {
    let server = TestServer::start();
    let image = server.push_image("a", "image");
    for reference in ["sha256:", ":v1", &format!("v1@{}", image.digest)] {
        server.push("a", reference, &image).fails(400, "DIGEST_INVALID");
        server.manifest("a", reference).fails(400, "DIGEST_INVALID");
    }
    // By the grammar these are digests of unknown algorithms (G9).
    for reference in ["a:b", "v1:latest"] {
        server.push("a", reference, &image).fails(400, "DIGEST_INVALID");
        server.manifest("a", reference).fails(404, "MANIFEST_UNKNOWN");
    }
    server.push("a", "sha256", &image).is(201);
    server.manifest("a", "sha256").is(200);
}

/// G5: digests follow the grammar wherever they occur.
#[test]
fn digests_follow_the_grammar() {
    let server = TestServer::start();
    server.push_blob("a", "content");
    for digest in ["sha256", "sha256:", ":abc", "Sha256:abc", "sha256:a*c", "a+:b", "+a:b", "a..b:c", "a:b:c"]
    {
        for target in ["manifests", "blobs", "referrers"] {
            if digest.contains(':') || target != "manifests" {
                server.get(format!("/v2/a/{target}/{digest}")).send().fails(400, "DIGEST_INVALID");
            }
        }
        let location = with_query(&server.begin("a"), &format!("digest={digest}"));
        server.put(location).body("content").send().fails(400, "DIGEST_INVALID");
    }
}

/// G6: SHA-256 is supported, in 64 lower-case digits and no other spelling.
#[test]
fn sha256_has_one_spelling() {
    let server = TestServer::start();
    let digest = server.push_blob("a", "content");
    server.blob("a", &digest).is(200);
    let hex = digest.strip_prefix("sha256:").unwrap();
    for wrong in [hex.to_uppercase(), hex[1..].to_owned(), format!("{hex}0"), "g".repeat(64)] {
        server.blob("a", &format!("sha256:{wrong}")).fails(400, "DIGEST_INVALID");
        server.push_blob_as("a", &format!("sha256:{wrong}"), "content").fails(400, "DIGEST_INVALID");
    }
}

/// G7, G8, U4: SHA-512 and BLAKE3 are verified at the end of an upload, whether or not they were announced.
#[test]
fn other_algorithms_are_verified_without_and_with_announcement() {
    let server = TestServer::start();
    let content: &[u8] = b"the content";
    for (algorithm, digest, wrong) in [
        ("sha512", sha512(content), sha512("other")),
        ("blake3", blake3(content), blake3("other")),
        ("sha256", sha256(content), sha256("other")),
    ] {
        let upload = |query: &str, repo: &str, digest: &str| {
            let post = server.post(format!("/v2/{repo}/blobs/uploads/{query}")).body("").send().is(202);
            let location = server.patch(post.location()).body(&content[..4]).send().is(202).location();
            let end = with_query(&location, &format!("digest={digest}"));
            server.put(end).body(&content[4..]).send()
        };
        let others = ["", "?digest-algorithm=sha256", "?digest-algorithm=sha512", "?digest-algorithm=blake3"];
        for (at, announced) in others.into_iter().enumerate() {
            let repo = format!("{algorithm}/{at}");
            upload(announced, &repo, &wrong).fails(400, "DIGEST_INVALID");
            server.blob(&repo, &digest).is(404);
            let answer = upload(announced, &repo, &digest).is(201);
            assert_eq!(answer.digest(), digest);
            let pulled = server.get(answer.location()).send().is(200);
            assert_eq!((pulled.digest(), &*pulled.body), (&*digest, content));
            // Content is known only by the digest it was pushed with.
            let other = if algorithm == "sha256" { sha512(content) } else { sha256(content) };
            server.blob(&repo, &other).is(404);
        }
        server.post(format!("/v2/one/blobs/uploads/?digest={digest}")).body(content).send().is(201);
        server.head(format!("/v2/one/blobs/{digest}")).send().is(200);
    }
}

/// G7, G8, M3: manifests are pushed and pulled by any algorithm, and the answer uses the requested one.
#[test]
fn manifests_have_the_requested_digest() {
    let server = TestServer::start();
    let image = server.push_image("a", "image");
    for digest in [sha512(&image.bytes), blake3(&image.bytes), image.digest.clone()] {
        assert_eq!(server.push("a", &digest, &image).is(201).digest(), digest);
        let pulled = server.manifest("a", &digest).is(200);
        assert_eq!(pulled.digest(), digest);
        assert_eq!(pulled.body, image.bytes);
    }
    server.push("a", &sha512("other"), &image).fails(400, "DIGEST_INVALID");
    server.push("a", &blake3("other"), &image).fails(400, "DIGEST_INVALID");
}

/// G9: a digest of an unknown algorithm can be referred to, and not pushed.
#[test]
fn unknown_algorithms_are_valid_and_cannot_be_pushed() {
    let server = TestServer::start();
    server.push_blob("a", "{}");
    let strange = "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8";
    server.blob("a", strange).fails(404, "BLOB_UNKNOWN");
    server.manifest("a", strange).fails(404, "MANIFEST_UNKNOWN");
    server.referrers("a", strange, "");
    server.push_blob_as("a", strange, "content").fails(400, "DIGEST_INVALID");
    let post = format!("/v2/a/blobs/uploads/?digest={}", strange.replace('+', "%2B"));
    server.post(post).body("content").send().fails(400, "DIGEST_INVALID");
    server.push("a", strange, &Manifest::index(&[])).fails(400, "DIGEST_INVALID");

    let subject = serde_json::json!({ "mediaType": OCI_INDEX, "digest": strange, "size": 7 });
    let about = Manifest::json(OCI_INDEX, serde_json::json!({ "manifests": [], "subject": subject }));
    assert_eq!(server.push("a", &about.digest, &about).is(201).header("OCI-Subject"), strange);
    let found = server.referrers("a", strange, "").json();
    assert_eq!(found["manifests"][0]["digest"], about.digest);
}

/// G10: names may have the API's words as components.
#[test]
fn names_may_contain_the_words_of_the_api() {
    let server = TestServer::start();
    for name in [
        "a/manifests/b",
        "x/blobs/uploads",
        "blobs",
        "manifests",
        "tags",
        "uploads",
        "referrers",
        "tags/list",
        "a/tags/list",
        "blobs/uploads/manifests/tags/referrers",
        "a/referrers/b",
        "v2/v2",
    ] {
        let image = server.push_tagged(name, "latest");
        assert_eq!(server.manifest(name, "latest").is(200).body, image.bytes);
        assert_eq!(server.manifest(name, &image.digest).is(200).body, image.bytes);
        let blob = server.push_blob(name, name);
        assert_eq!(server.blob(name, &blob).is(200).body, name.as_bytes());
        assert_eq!(server.tags(name, "").is(200).json()["name"], name);
        server.referrers(name, &image.digest, "");
        let session = server.begin(name);
        server.get(&session).send().is(204);
        server.delete(session).send().is(204);
        // So may tags.
        for tag in ["list", "uploads", "manifests", "tags"] {
            server.push(name, tag, &image).is(201);
            server.manifest(name, tag).is(200);
        }
        server.blob(name, &unknown_digest()).fails(404, "BLOB_UNKNOWN");
        server.delete(format!("/v2/{name}/manifests/{}", image.digest)).send().is(202);
    }
}
