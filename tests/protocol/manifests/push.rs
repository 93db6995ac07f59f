//! Pushing manifests.

use serde_json::json;

use crate::support::{
    DOCKER_LIST, DOCKER_MANIFEST, Manifest, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, OCTETS, TestServer,
    descriptor, sha256, unknown_digest,
};

/// W1, W2, W3, W15: 201 with a location to pull from and the digest, which for a tag is SHA-256, and the
/// exact bytes.
#[test]
fn a_push_is_answered_with_location_and_digest() {
    let server = TestServer::start();
    let image = server.push_image("a/b", "image");
    for reference in ["v1", &image.digest] {
        let answer = server.push("a/b", reference, &image).is(201);
        assert_eq!(answer.digest(), image.digest);
        assert_eq!(answer.header("Location"), format!("/v2/a/b/manifests/{}", image.digest));
        assert_eq!(answer.header("Content-Length"), "0");
        assert_eq!(server.get(answer.location()).send().is(200).body, image.bytes);
    }
}

/// W4: bytes with another digest are refused, and so is a malformed digest; nothing is stored.
#[test]
fn bytes_with_another_digest_are_refused() {
    let server = TestServer::start();
    let image = server.push_image("a", "image");
    let index = Manifest::index(&[]);
    server.push("a", &index.digest, &image).fails(400, "DIGEST_INVALID");
    server.push("a", "sha256:abc", &index).fails(400, "DIGEST_INVALID");
    server.manifest("a", &index.digest).fails(404, "MANIFEST_UNKNOWN");
}

/// W5: parameters of the request's type are ignored, and not returned.
#[test]
fn parameters_of_the_type_are_ignored() {
    let server = TestServer::start();
    let image = server.push_image("a", "image");
    for parameters in ["; charset=utf-8", ";charset=utf-8", ";v=1; x=\"y z\"", ";"] {
        let put =
            server.put("/v2/a/manifests/v1").header("Content-Type", format!("{OCI_MANIFEST}{parameters}"));
        put.body(&image.bytes).send().is(201);
        assert_eq!(server.manifest("a", "v1").header("Content-Type"), OCI_MANIFEST);
    }
}

/// W6: the types of request and manifest must agree; one of them may be missing, but not both.
#[test]
fn one_type_is_enough_and_two_must_agree() {
    let server = TestServer::start();
    server.push_blob("a", "{}");
    let fields = json!({ "schemaVersion": 2, "config": descriptor(OCI_CONFIG, "{}"), "layers": [] });
    let without = fields.to_string();
    let with = Manifest::json(OCI_MANIFEST, fields);
    let put = |tag: &str| server.put(format!("/v2/a/manifests/{tag}"));

    put("x").header("Content-Type", OCI_INDEX).body(&with.bytes).send().fails(400, "MANIFEST_INVALID");
    put("x").header("Content-Type", DOCKER_MANIFEST).body(&with.bytes).send().fails(400, "MANIFEST_INVALID");
    put("x").body(&without).send().fails(400, "MANIFEST_INVALID");
    put("x").header("Content-Type", "nonsense").body(&with.bytes).send().fails(400, "MANIFEST_INVALID");
    server.manifest("a", "x").is(404);

    put("helm").header("Content-Type", OCI_MANIFEST).body(&without).send().is(201);
    put("untyped").body(&with.bytes).send().is(201);
    put("octets").header("Content-Type", OCTETS).body(&with.bytes).send().is(201);
    for (tag, bytes) in [("helm", without.as_bytes()), ("untyped", &with.bytes), ("octets", &with.bytes)] {
        let pulled = server.manifest("a", tag).is(200);
        assert_eq!((pulled.header("Content-Type"), &*pulled.body), (OCI_MANIFEST, bytes), "{tag}");
    }
}

/// W6: a body that is not a manifest is refused.
#[test]
fn a_body_that_is_no_manifest_is_refused() {
    let server = TestServer::start();
    server.push_blob("a", "{}");
    let put = server.put("/v2/a/manifests/v1").header("Content-Type", OCI_MANIFEST);
    put.send().fails(400, "MANIFEST_INVALID");
    let no_config = json!({ "layers": [] }).to_string();
    let no_digest = json!({ "config": { "mediaType": OCI_CONFIG, "size": 2 }, "layers": [] }).to_string();
    let twice = r#"{"config":{},"config":{}}"#;
    for body in ["", "{", "[]", "null", "7", "\"text\"", &no_config, &no_digest, twice, "{}{}"] {
        server.push("a", "v1", &Manifest::of(OCI_MANIFEST, body)).fails(400, "MANIFEST_INVALID");
    }
    server.push("a", "v1", &Manifest::of(OCI_MANIFEST, [0xff, 0xfe])).fails(400, "MANIFEST_INVALID");
    server.manifest("a", "v1").is(404);
}

/// W7: the subject need not exist.
#[test]
fn a_manifest_may_have_a_missing_subject() {
    let server = TestServer::start();
    let nowhere = Manifest::index(&[]);
    let artifact = Manifest::artifact(&nowhere, "application/x", &json!({}));
    let answer = server.push_artifact("a", &artifact);
    assert_eq!(answer.header("OCI-Subject"), nowhere.digest);
    server.manifest("a", &nowhere.digest).is(404);
}

/// W8: any other reference must exist in this repository; the code shows that the form is not the problem.
#[test]
fn a_manifest_needs_what_it_references() {
    let server = TestServer::start();
    let (config, layer) = (b"{}", b"layer");
    let image = Manifest::image(config, &[layer]);
    server.push_blob("other", config);
    server.push_blob("other", layer);
    server.push("a", "v1", &image).fails(400, "MANIFEST_BLOB_UNKNOWN");
    server.push_blob("a", config);
    let missing = server.push("a", "v1", &image).fails(400, "MANIFEST_BLOB_UNKNOWN");
    assert_eq!(missing.json()["errors"][0]["detail"]["digest"], sha256(layer));
    server.push_blob("a", layer);

    let index = Manifest::index(&[&image]);
    server.push("a", "index", &index).fails(400, "MANIFEST_BLOB_UNKNOWN");
    server.push("a", "v1", &image).is(201);
    server.push("a", "index", &index).is(201);
    server.push("other", "index", &index).fails(400, "MANIFEST_BLOB_UNKNOWN");
}

/// W8: content with foreign URLs need not exist here.
#[test]
fn layers_with_foreign_urls_need_not_exist() {
    let server = TestServer::start();
    server.push_blob("a", "{}");
    let mut foreign = descriptor("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "foreign");
    let fields =
        |layer: &serde_json::Value| json!({ "config": descriptor(OCI_CONFIG, "{}"), "layers": [layer] });
    server.push("a", "typed", &Manifest::json(OCI_MANIFEST, fields(&foreign))).is(201);
    foreign["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar+gzip");
    foreign["urls"] = json!(["https://elsewhere.example/layer"]);
    server.push("a", "urls", &Manifest::json(OCI_MANIFEST, fields(&foreign))).is(201);
}

/// W8: with `sparse_indexes` an image index may list missing manifests; an image still may not.
#[test]
fn a_sparse_index_is_accepted_if_allowed() {
    let server = TestServer::with(|options| options.registry.sparse_indexes = true);
    let image = Manifest::image(b"{}", &[]);
    let index = Manifest::index(&[&image]);
    server.push("a", "index", &index).is(201);
    assert_eq!(server.manifest("a", "index").is(200).body, index.bytes);
    server.manifest("a", &image.digest).is(404);
    server.push("a", "image", &image).fails(400, "MANIFEST_BLOB_UNKNOWN");
}

/// W9: the lists of a manifest may be empty.
#[test]
fn lists_may_be_empty() {
    let server = TestServer::start();
    server.push_blob("a", "{}");
    server.push("a", "image", &Manifest::image(b"{}", &[])).is(201);
    server.push("a", "index", &Manifest::index(&[])).is(201);
    server.manifest("a", "image").is(200);
    server.manifest("a", "index").is(200);
}

/// W10: four megabytes are taken, more than 4 MiB are not, and the answer says so before the end.
#[test]
fn a_manifest_has_4_mebibytes_at_most() {
    let server = TestServer::start();
    let of_size = |size: usize| {
        let empty = Manifest::json(OCI_INDEX, json!({ "manifests": [], "annotations": { "a": "" } }));
        let padding = "x".repeat(size - empty.bytes.len());
        Manifest::json(OCI_INDEX, json!({ "manifests": [], "annotations": { "a": padding } }))
    };
    for size in [4_000_000, 4 * 1024 * 1024] {
        let manifest = of_size(size);
        assert_eq!(manifest.bytes.len(), size);
        server.push("a", "big", &manifest).is(201);
        assert!(server.manifest("a", "big").is(200).body == manifest.bytes);
    }
    let above = of_size(4 * 1024 * 1024 + 1);
    server.push("a", "bigger", &above).fails(413, "SIZE_INVALID");
    let put = server.put("/v2/a/manifests/bigger").header("Content-Type", OCI_INDEX);
    put.chunked(&above.bytes, 100_000).send().fails(413, "SIZE_INVALID");
    server.manifest("a", "bigger").is(404);
}

/// W11: a push by digest sets the tags of `?tag=`, and reports each; G7: so sha512 manifests get
/// tags.
#[test]
fn a_push_by_digest_sets_tags() {
    let server = TestServer::start();
    let image = server.push_image("a", "image");
    let digest = crate::support::sha512(&image.bytes);
    let tags: Vec<_> = (0..100).map(|number| format!("t{number:03}")).collect();
    let query = |tags: &[String]| tags.iter().map(|tag| format!("tag={tag}")).collect::<Vec<_>>().join("&");
    for count in [1, 10, 100] {
        let answer = server.push("a", &format!("{digest}?{}", query(&tags[..count])), &image).is(201);
        assert_eq!(answer.all("OCI-Tag").join(",").split(',').collect::<Vec<_>>(), tags[..count]);
        assert_eq!(answer.digest(), digest);
    }
    assert_eq!(server.tags("a", "").texts("tags"), tags);
    assert_eq!(server.manifest("a", "t042").is(200).digest(), digest);
    assert_eq!(server.push("a", "plain", &image).is(201).all("OCI-Tag"), [""; 0]);
}

/// W11: more than a hundred tags and malformed ones are refused, and then none is set.
#[test]
fn tags_of_a_push_are_set_together_or_not_at_all() {
    let server = TestServer::start();
    let image = server.push_image("a", "image");
    let query: String = (0..101).map(|number| format!("&tag=t{number}")).collect();
    server.push("a", &format!("{}?{}", image.digest, &query[1..]), &image).is(414);
    server.push("a", &format!("{}?tag=good&tag=-bad", image.digest), &image).fails(400, "TAG_INVALID");
    assert_eq!(server.tags("a", "").texts("tags"), [""; 0]);
    let repeated = server.push("a", &format!("{}?tag=same&tag=same", image.digest), &image).is(201);
    assert_eq!(repeated.all("OCI-Tag"), ["same"]);
}

/// W12: this push has no `?digest=`; unknown parameters are ignored.
#[test]
fn a_digest_parameter_of_a_manifest_push_is_ignored() {
    let server = TestServer::start();
    let image = server.push_image("a", "image");
    let answer = server.push("a", &format!("v1?digest={}", unknown_digest()), &image).is(201);
    assert_eq!(answer.digest(), image.digest);
}

/// W13: unknown fields, embedded data, artifact types, parameters and foreign types are accepted, unchanged.
#[test]
fn every_field_of_a_manifest_is_accepted() {
    let server = TestServer::start();
    let image = server.push_image("a", "image");
    let index = Manifest::index(&[&image]);
    server.push("a", &index.digest, &index).is(201);
    let (config, layer) = (descriptor(OCI_CONFIG, "{}"), descriptor("application/x.layer;version=0.2", "{}"));
    server.push_blob("a", "{}");
    let with_data =
        json!({ "mediaType": "a/b", "digest": sha256("{}"), "size": 2, "data": "e30=", "x": [null] });
    let custom = "application/vnd.example.thing.v1+json";
    for (tag, manifest) in [
        (
            "unknown-fields",
            Manifest::json(OCI_MANIFEST, json!({ "config": config, "layers": [], "x": { "y": 1e9 } })),
        ),
        ("data", Manifest::json(OCI_MANIFEST, json!({ "config": config, "layers": [with_data] }))),
        ("parameters", Manifest::json(OCI_MANIFEST, json!({ "config": config, "layers": [layer] }))),
        (
            "artifact-type",
            Manifest::json(
                OCI_MANIFEST,
                json!({ "artifactType": "application/x;version=0.2", "config": config, "layers": [] }),
            ),
        ),
        ("nested", Manifest::index(&[&index, &image])),
        ("docker", Manifest::json(DOCKER_MANIFEST, json!({ "config": config, "layers": [layer] }))),
        ("docker-list", Manifest::json(DOCKER_LIST, json!({ "manifests": [image.descriptor()] }))),
        ("custom", Manifest::json(custom, json!({ "anything": ["at", "all"] }))),
        ("custom-body", Manifest::of(custom, r#"{"schemaVersion":7}"#)),
    ] {
        assert_eq!(server.push("a", tag, &manifest).is(201).digest(), manifest.digest, "{tag}");
        let pulled = server.manifest("a", tag).is(200);
        assert_eq!(pulled.header("Content-Type"), manifest.media_type, "{tag}");
        assert_eq!(pulled.body, manifest.bytes, "{tag}");
    }
}

/// W14: a tag moves to the last push, and the manifest it named before stays.
#[test]
fn a_tag_moves_and_the_manifest_it_named_stays() {
    let server = TestServer::start();
    let (one, other) = (server.push_tagged("a", "one"), server.push_tagged("a", "other"));
    for image in [&one, &other, &one, &one] {
        server.push("a", "latest", image).is(201);
        assert_eq!(server.manifest("a", "latest").is(200).body, image.bytes);
    }
    server.manifest("a", &other.digest).is(200);
    assert_eq!(server.tags("a", "").texts("tags"), ["latest", "one", "other"]);
}

/// Docker's schema 1 is refused under any label: nothing would protect its layers.
#[test]
fn schema_1_is_refused_whatever_its_label() {
    let server = TestServer::start();
    let layer = server.push_blob("a", "layer");
    let body = json!({ "schemaVersion": 1, "name": "a", "tag": "v1", "fsLayers": [{ "blobSum": layer }] });
    for label in ["application/json", "text/plain", OCI_MANIFEST, OCI_INDEX, ""] {
        let put = server.put("/v2/a/manifests/v1").header("Content-Type", label).body(body.to_string());
        put.send().fails(400, "MANIFEST_INVALID");
    }
}
