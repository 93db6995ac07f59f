//! Referrers.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{
    Answer, Manifest, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, TestServer, blake3, descriptor, empty_config,
    follow, sha512, unknown_digest,
};

fn digests(answer: &Answer) -> BTreeSet<String> {
    let body = answer.json();
    let listed = body["manifests"].as_array().unwrap();
    let digests: BTreeSet<_> =
        listed.iter().map(|item| item["digest"].as_str().unwrap().to_owned()).collect();
    assert_eq!(digests.len(), listed.len(), "each digest once");
    digests
}

fn set(manifests: &[&Manifest]) -> BTreeSet<String> {
    manifests.iter().map(|manifest| manifest.digest.clone()).collect()
}

/// R1: the answer to a push of a manifest with a subject has `OCI-Subject`; others do not.
#[test]
fn a_push_with_a_subject_is_answered_with_oci_subject() {
    let server = TestServer::start();
    let subject = server.push_image("a", "subject");
    server.push_blob("a", "{}");
    let image = Manifest::artifact(&subject, "application/x", &json!({}));
    let index = Manifest::json(OCI_INDEX, json!({ "manifests": [], "subject": subject.descriptor() }));
    for manifest in [&image, &index] {
        for reference in [&*manifest.digest, "tag", &*manifest.digest] {
            let answer = server.push("a", reference, manifest).is(201);
            assert_eq!(answer.header("OCI-Subject"), subject.digest);
        }
    }
    assert_eq!(server.push("a", "subject", &subject).is(201).maybe("OCI-Subject"), None);
    assert_eq!(digests(&server.referrers("a", &subject.digest, "")), set(&[&image, &index]));
}

/// R2, R4, R5, R7: without referrers the list is empty, in the exact form, also in an unknown repository.
#[test]
fn without_referrers_the_list_is_empty() {
    let server = TestServer::start();
    let subject = server.push_image("a", "subject");
    for (repo, digest) in [
        ("a", &subject.digest),
        ("a", &unknown_digest()),
        ("none", &unknown_digest()),
        ("a", &sha512("x")),
        ("a", &blake3("x")),
    ] {
        for query in ["", "?artifactType=application/x"] {
            let answer = server.referrers(repo, digest, query);
            assert_eq!(answer.header("Content-Type"), OCI_INDEX);
            assert_eq!(answer.json(), json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [] }));
        }
    }
}

/// R3: a malformed digest is refused.
#[test]
fn a_malformed_subject_is_refused() {
    let server = TestServer::start();
    server.push_image("a", "image");
    for digest in ["sha256:abc", "sha256:", "tag", "sha512:abc", "a*b:c"] {
        server.get(format!("/v2/a/referrers/{digest}")).send().fails(400, "DIGEST_INVALID");
    }
}

/// R6: descriptors have type, size, digest and annotations; the artifact type is the manifest's, else its
/// config's, and an index without one has none.
#[test]
fn descriptors_have_what_the_specification_requires() {
    let server = TestServer::start();
    let subject = server.push_image("a", "subject");
    server.push_blob("a", "{}");
    let about = json!({ "org.example.key": "value \u{e9} \"quoted\"", "empty": "" });
    let typed = Manifest::artifact(&subject, "application/vnd.example+json;v=1", &about);
    let by_config = Manifest::json(
        OCI_MANIFEST,
        json!({ "config": descriptor(OCI_CONFIG, "{}"), "layers": [], "subject": subject.descriptor() }),
    );
    let index = Manifest::json(
        OCI_INDEX,
        json!({ "manifests": [], "subject": subject.descriptor(), "annotations": about }),
    );
    let typed_index = Manifest::json(
        OCI_INDEX,
        json!({ "manifests": [], "artifactType": "application/x", "subject": subject.descriptor() }),
    );
    let expected: [(&Manifest, Option<&str>, Option<&Value>); 4] = [
        (&typed, Some("application/vnd.example+json;v=1"), Some(&about)),
        (&by_config, Some(OCI_CONFIG), None),
        (&index, None, Some(&about)),
        (&typed_index, Some("application/x"), None),
    ];
    for (manifest, ..) in expected {
        server.push("a", &manifest.digest, manifest).is(201);
    }
    let answer = server.referrers("a", &subject.digest, "").json();
    let listed = answer["manifests"].as_array().unwrap();
    assert_eq!(listed.len(), expected.len());
    for (manifest, artifact_type, annotations) in expected {
        let mut wanted = manifest.descriptor();
        if let Some(artifact_type) = artifact_type {
            wanted["artifactType"] = json!(artifact_type);
        }
        if let Some(annotations) = annotations {
            wanted["annotations"] = annotations.clone();
        }
        assert!(listed.contains(&wanted), "{wanted} is not in {answer}");
    }
}

/// R7, R8: the filter is applied and said to be; a repeated one accepts any of its values, and an empty one
/// is a filter, too.
#[test]
fn referrers_are_filtered_by_artifact_type() {
    let server = TestServer::start();
    let subject = server.push_image("a", "subject");
    let artifact = |kind: &str, salt: &str| {
        let artifact = Manifest::artifact(&subject, kind, &json!({ "salt": salt }));
        server.push_artifact("a", &artifact);
        artifact
    };
    let (one, two) = (artifact("application/one", "1"), artifact("application/one", "2"));
    let other = artifact("application/other", "3");
    let bare = Manifest::json(OCI_INDEX, json!({ "manifests": [], "subject": subject.descriptor() }));
    server.push("a", "bare", &bare).is(201);
    for (query, expected) in [
        ("?artifactType=application/one", set(&[&one, &two])),
        ("?artifactType=application%2Fother", set(&[&other])),
        ("?artifactType=application/one&artifactType=application/other", set(&[&one, &two, &other])),
        ("?artifactType=application/none", set(&[])),
        ("?artifactType=application/on", set(&[])),
        ("?artifactType=", set(&[&bare])),
    ] {
        let answer = server.referrers("a", &subject.digest, query);
        assert_eq!(digests(&answer), expected, "{query}");
        assert_eq!(answer.header("OCI-Filters-Applied"), "artifactType", "{query}");
    }
    let all = server.referrers("a", &subject.digest, "?unknown=filter");
    assert_eq!(digests(&all), set(&[&one, &two, &other, &bare]));
    assert_eq!(all.maybe("OCI-Filters-Applied"), None);
}

/// R9: a list longer than a manifest may be continues at a link, which keeps the filter; a shorter one has
/// none.
#[test]
fn a_long_list_continues_at_a_link() {
    let server = TestServer::start();
    let subject = server.push_image("a", "subject");
    let big = |kind: &str, number: usize| {
        let padding = format!("{number}{}", "x".repeat(900_000));
        let artifact = Manifest::artifact(&subject, kind, &json!({ "padding": padding }));
        server.push_artifact("a", &artifact);
        artifact
    };
    let wanted: Vec<_> = (0..4).map(|number| big("application/wanted+json", number)).collect();
    assert_eq!(server.referrers("a", &subject.digest, "").next(), None, "page as late as possible");
    let others: Vec<_> = (4..10).map(|number| big("application/other", number)).collect();
    let target = format!("/v2/a/referrers/{}", subject.digest);
    let query = "?artifactType=application/wanted%2Bjson&artifactType=none";

    let all: BTreeSet<_> = wanted.iter().chain(&others).map(|artifact| artifact.digest.clone()).collect();
    let parts = follow(&server, &target);
    assert_eq!(parts.len(), 3);
    assert!(parts.iter().all(|part| part.body.len() <= 4 * 1024 * 1024));
    assert!(parts.iter().all(|part| part.header("Content-Type") == OCI_INDEX));
    let listed: Vec<_> = parts.iter().flat_map(digests).collect();
    assert_eq!(listed.len(), 10);
    assert_eq!(BTreeSet::from_iter(listed), all);

    let more = big("application/wanted+json", 10);
    let parts = follow(&server, &format!("{target}{query}"));
    assert_eq!(parts.len(), 2);
    assert!(parts.iter().all(|part| part.header("OCI-Filters-Applied") == "artifactType"));
    let listed: BTreeSet<_> = parts.iter().flat_map(digests).collect();
    assert_eq!(listed, set(&[&wanted[0], &wanted[1], &wanted[2], &wanted[3], &more]));
}

/// R10, R12: a client without the API keeps a list under a tag derived from the subject's digest. It is a tag
/// like any other, and the API finds what it lists as well.
#[test]
fn referrers_listed_by_a_fallback_tag_are_found() {
    let server = TestServer::start();
    let subject = server.push_image("a", "subject");
    let artifact = Manifest::artifact(&subject, "application/x", &json!({}));
    server.push_artifact("a", &artifact);
    let fallback = Manifest::index(&[&artifact]);
    let tag = subject.digest.replace(':', "-");
    server.push("a", &tag, &fallback).is(201);
    assert_eq!(server.manifest("a", &tag).is(200).body, fallback.bytes);
    assert_eq!(digests(&server.referrers("a", &subject.digest, "")), set(&[&artifact]));
    assert_eq!(server.tags("a", "").texts("tags"), [tag]);
    // It may list missing artifacts: it is just a tag.
    let cut = format!("sha512-{}", &sha512(&subject.bytes)[7..71]);
    server.push("a", &cut, &fallback).is(201);
    server.delete(format!("/v2/a/manifests/{cut}")).send().is(202);
    assert_eq!(digests(&server.referrers("a", &subject.digest, "")), set(&[&artifact]));
}

/// R11: each referrer is listed once, until it is deleted; the subject may come and go.
#[test]
fn referrers_are_listed_once_until_they_are_deleted() {
    let server = TestServer::start();
    let subject = server.push_image("a", "subject");
    let artifact = |salt: &str| Manifest::artifact(&subject, "application/x", &json!({ "salt": salt }));
    let (one, other) = (artifact("one"), artifact("other"));
    for manifest in [&one, &other, &one] {
        server.push_artifact("a", manifest);
    }
    server.push("a", "tagged", &one).is(201);
    assert_eq!(digests(&server.referrers("a", &subject.digest, "")), set(&[&one, &other]));

    server.delete(format!("/v2/a/manifests/{}", subject.digest)).send().is(202);
    assert_eq!(digests(&server.referrers("a", &subject.digest, "")), set(&[&one, &other]));
    server.push("a", "again", &subject).is(201);
    assert_eq!(digests(&server.referrers("a", &subject.digest, "")), set(&[&one, &other]));

    server.delete("/v2/a/manifests/tagged").send().is(202);
    assert_eq!(digests(&server.referrers("a", &subject.digest, "")), set(&[&one, &other]));
    server.delete(format!("/v2/a/manifests/{}", one.digest)).send().is(202);
    assert_eq!(digests(&server.referrers("a", &subject.digest, "")), set(&[&other]));
    server.push_artifact("a", &one);
    assert_eq!(digests(&server.referrers("a", &subject.digest, "")), set(&[&one, &other]));
}

/// R6, R11: referrers belong to one repository, and a subject is identified by the given digest.
#[test]
fn referrers_are_those_of_their_repository_and_digest() {
    let server = TestServer::start();
    let subject = server.push_image("a", "subject");
    let by_sha512 = sha512(&subject.bytes);
    server.push_blob("a", "{}");
    let about = json!({ "mediaType": OCI_MANIFEST, "digest": by_sha512, "size": subject.bytes.len() });
    let artifact = Manifest::json(
        OCI_MANIFEST,
        json!({ "artifactType": "a/b", "config": empty_config(), "layers": [], "subject": about }),
    );
    assert_eq!(server.push_artifact("a", &artifact).header("OCI-Subject"), by_sha512);
    assert_eq!(digests(&server.referrers("a", &by_sha512, "")), set(&[&artifact]));
    assert_eq!(digests(&server.referrers("a", &subject.digest, "")), set(&[]));
    assert_eq!(digests(&server.referrers("b", &by_sha512, "")), set(&[]));
}
