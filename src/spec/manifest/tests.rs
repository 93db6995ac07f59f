use proptest::prelude::*;

use super::*;

const CONFIG: &str =
    r#"{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"x:config","size":1}"#;

fn media_type(text: &str) -> MediaType {
    text.parse().expect(text)
}

fn parse(body: &str, content_type: &str) -> Result<Manifest, ManifestError> {
    Manifest::parse(body.as_bytes(), Some(&media_type(content_type)))
}

fn encoded<'a>(descriptors: impl Iterator<Item = &'a Descriptor>) -> Vec<&'a str> {
    descriptors.map(|descriptor| descriptor.digest.encoded()).collect()
}

#[test]
fn an_image_has_a_config_and_layers() {
    let body = format!(
        r#"{{"schemaVersion":2,"config":{CONFIG},
            "layers":[{{"digest":"x:one","size":2}},{{"digest":"x:two","size":3}}],
            "annotations":{{"k":"v"}}}}"#
    );
    let manifest = parse(&body, MediaType::OCI_MANIFEST).unwrap();
    assert_eq!(manifest.size(), body.len() as u64);
    assert_eq!(encoded(manifest.blobs()), ["config", "one", "two"]);
    assert_eq!(encoded(manifest.children()), [""; 0]);
    assert_eq!(manifest.annotations().unwrap()["k"], "v");
    assert_eq!(manifest.subject(), None);
}

#[test]
fn an_index_has_children() {
    let body =
        r#"{"manifests":[{"digest":"x:one","size":2},{"digest":"x:two","size":3,"urls":["https://a/"]}]}"#;
    let manifest = parse(body, MediaType::OCI_INDEX).unwrap();
    assert_eq!(encoded(manifest.children()), ["one"]);
    assert_eq!(encoded(manifest.blobs()), [""; 0]);
}

/// W5
#[test]
fn parameters_of_the_content_type_do_not_matter() {
    let body = format!(r#"{{"mediaType":"{}","config":{CONFIG}}}"#, MediaType::OCI_MANIFEST);
    let manifest = parse(&body, &format!("{}; charset=utf-8", MediaType::OCI_MANIFEST)).unwrap();
    assert_eq!(manifest.media_type().as_str(), MediaType::OCI_MANIFEST);
}

/// W6
#[test]
fn the_media_types_of_request_and_manifest_must_agree() {
    let body = format!(r#"{{"mediaType":"{}"}}"#, MediaType::OCI_INDEX);
    let mismatch = ManifestError::MediaTypeMismatch {
        media_type: media_type(MediaType::OCI_INDEX),
        content_type: media_type(MediaType::DOCKER_LIST),
    };
    assert_eq!(parse(&body, MediaType::DOCKER_LIST), Err(mismatch));
    let manifest = Manifest::parse(body.as_bytes(), None).unwrap();
    assert_eq!(manifest.media_type().as_str(), MediaType::OCI_INDEX);
    assert_eq!(parse(r#"{"mediaType":null}"#, "a/b").unwrap().media_type().as_str(), "a/b");
    for body in ["{}", r#"{"mediaType":null}"#, r#"{"mediaType":""}"#] {
        assert_eq!(Manifest::parse(body.as_bytes(), None), Err(ManifestError::MediaTypeMissing));
    }
    let malformed = ManifestError::MediaTypeMalformed(MediaTypeError::Malformed("json".to_owned()));
    assert_eq!(Manifest::parse(br#"{"mediaType":"json"}"#, None), Err(malformed));
}

/// W8
#[test]
fn layers_from_elsewhere_are_referenced_but_need_not_exist() {
    let body = format!(
        r#"{{"config":{CONFIG},"layers":[
            {{"digest":"x:urls","size":2,"urls":["https://example.com/"]}},
            {{"digest":"x:foreign","size":2,
              "mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"}},
            {{"digest":"x:own","size":2}}]}}"#
    );
    let manifest = parse(&body, MediaType::DOCKER_MANIFEST).unwrap();
    assert_eq!(encoded(manifest.blobs()), ["config", "own"]);
}

/// W9
#[test]
fn lists_may_be_empty_absent_or_null() {
    for list in ["", r#","layers":[]"#, r#","layers":null"#] {
        let body =
            format!(r#"{{"config":{CONFIG}{list},"manifests":null,"annotations":null,"subject":null}}"#);
        assert_eq!(encoded(parse(&body, MediaType::OCI_MANIFEST).unwrap().blobs()), ["config"]);
    }
    for body in ["{}", r#"{"manifests":[]}"#, r#"{"manifests":null,"config":null,"layers":null}"#] {
        assert_eq!(parse(body, MediaType::OCI_INDEX).unwrap().children().count(), 0);
    }
}

/// W13
#[test]
fn unknown_fields_are_passed_over() {
    let nested = "[".repeat(10_000) + &"]".repeat(10_000);
    let body =
        format!(r#"{{"config":{CONFIG},"blobs":5,"new":{{"x":[1e9,null]}},"Layers":7,"deep":{nested}}}"#);
    let manifest = parse(&body, MediaType::OCI_MANIFEST).unwrap();
    assert_eq!(encoded(manifest.blobs()), ["config"]);
}

/// W13: of a type that pulk doesn't know, the fields it does know count.
#[test]
fn an_unknown_type_is_taken_with_the_references_it_has() {
    let body = r#"{"config":{"digest":"x:config","size":1},"layers":[{"digest":"x:layer","size":1}],
        "blobs":[{"digest":"x:blob","size":1}],"manifests":[{"digest":"x:child","size":1}],
        "subject":{"digest":"x:subject","size":1},"artifactType":"c/d"}"#;
    let manifest = parse(body, "application/vnd.oci.artifact.manifest.v1+json").unwrap();
    assert_eq!(encoded(manifest.blobs()), ["config", "layer", "blob"]);
    assert_eq!(encoded(manifest.children()), ["child"]);
    assert_eq!(manifest.artifact_type(), Some("c/d"));
    assert!(parse(r#"{"blobs":5}"#, "a/b").is_err());
    assert!(parse("{}", "a/b").is_ok());
}

/// W13: what an unknown type says in a way of its own is kept, what its subject is not.
#[test]
fn an_unknown_type_mentions_any_digest() {
    let [blob, layer, subject] =
        ["blob", "layer", "subject"].map(|text| ContentDigest::sha256_of(text.as_bytes()));
    let body = format!(
        r#"{{"parts":[{{"blobSum":"{blob}"}}],"layers":[{{"digest":"{layer}","size":1}}],
            "subject":{{"digest":"{subject}","size":1}}}}"#
    );
    let unknown = parse(&body, "application/vnd.example+json").unwrap();
    assert_eq!(unknown.kept_children().collect::<Vec<_>>(), [blob]);
    assert_eq!(unknown.kept_blobs().collect::<Vec<_>>(), [layer]);
    assert_eq!(unknown.all_references().collect::<Vec<_>>(), [layer.into(), Digest::from(blob)]);
    assert_eq!(unknown.children().count(), 0, "what is mentioned need not exist");
    let known =
        parse(&format!(r#"{{"config":{CONFIG},"parts":"{blob}"}}"#), MediaType::OCI_MANIFEST).unwrap();
    assert_eq!(known.kept_children().count(), 0);
}

/// A client may send schema 1 under any type.
#[test]
fn docker_schema_1_is_refused_by_its_content() {
    let plain = r#"{"schemaVersion":1,"name":"a","fsLayers":[{"blobSum":"sha256:00"}]"#;
    let bodies = [
        format!("{plain}}}"),
        format!(r#"{plain},"signatures":[{{"protected":"x"}}]}}"#),
        r#"{"payload":"eyJ9","signatures":[{"protected":"x"}]}"#.to_owned(),
    ];
    for body in bodies {
        for label in ["application/json", "text/plain", MediaType::OCI_INDEX, MediaType::OCI_MANIFEST] {
            assert_eq!(parse(&body, label), Err(ManifestError::Schema1), "{label}: {body}");
        }
    }
    for body in [
        r#"{"schemaVersion":2}"#,
        r#"{"schemaVersion":"1"}"#,
        r#"{"schemaVersion":[1]}"#,
        r#"{"payloadType":"a/b","payload":"eyJ9","signatures":[]}"#,
        r#"{"a":{"schemaVersion":1}}"#,
    ] {
        assert!(parse(body, "application/json").is_ok(), "{body}");
    }
}

#[test]
fn docker_schema_1_is_refused() {
    for text in SCHEMA_1_TYPES {
        assert_eq!(parse("{}", text), Err(ManifestError::MediaTypeUnsupported(media_type(text))));
    }
}

/// One client must not run as an image what another one reads as an index.
#[test]
fn a_manifest_that_could_be_two_things_is_refused() {
    for (body, content_type, field) in [
        (format!(r#"{{"config":{CONFIG},"manifests":[]}}"#), MediaType::OCI_MANIFEST, "manifests"),
        (format!(r#"{{"config":{CONFIG}}}"#), MediaType::OCI_INDEX, "config"),
        (r#"{"layers":[]}"#.to_owned(), MediaType::DOCKER_LIST, "layers"),
    ] {
        let expected = ManifestError::FieldAmbiguous { media_type: media_type(content_type), field };
        assert_eq!(parse(&body, content_type), Err(expected));
    }
    let twice = format!(r#"{{"config":{CONFIG},"config":{CONFIG}}}"#);
    assert!(matches!(parse(&twice, MediaType::OCI_MANIFEST), Err(ManifestError::Malformed(_))));
}

#[test]
fn an_image_without_a_config_is_refused() {
    for body in ["{}", r#"{"layers":[],"config":null}"#] {
        let media_type = media_type(MediaType::OCI_MANIFEST);
        let expected = ManifestError::FieldMissing { media_type, field: "config" };
        assert_eq!(parse(body, MediaType::OCI_MANIFEST), Err(expected));
    }
}

#[test]
fn what_is_not_a_json_object_of_the_right_shape_is_malformed() {
    let bodies: [&[u8]; 14] = [
        b"",
        b"null",
        b"[]",
        b"5",
        b"{",
        b"{}x",
        b"\xef\xbb\xbf{}",
        b"{\"a\":\"\xff\"}",
        br#"[null,null,null,null,null,null,null]"#,
        br#"{"manifests":{}}"#,
        br#"{"manifests":[null]}"#,
        br#"{"manifests":[{"digest":"x:y","size":-1}]}"#,
        br#"{"annotations":{"k":1}}"#,
        br#"{"subject":{}}"#,
    ];
    for body in bodies {
        let result = Manifest::parse(body, Some(&media_type(MediaType::OCI_INDEX)));
        assert!(matches!(result, Err(ManifestError::Malformed(_))), "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn an_error_does_not_repeat_the_manifest() {
    let body = format!(r#"{{"manifests":"{}"}}"#, "x".repeat(100_000));
    assert!(parse(&body, MediaType::OCI_INDEX).unwrap_err().to_string().len() < 1000);
}

/// G9, W7
#[test]
fn a_subject_may_have_any_digest() {
    let body = r#"{"subject":{"mediaType":"a/b","digest":"sha999:Zz=","size":1}}"#;
    let manifest = parse(body, MediaType::OCI_INDEX).unwrap();
    assert_eq!(manifest.subject().unwrap().digest.as_str(), "sha999:Zz=");
}

/// R6
#[test]
fn the_artifact_type_is_the_manifests_own_or_that_of_an_images_config() {
    let artifact_type =
        |body: &str, content_type| parse(body, content_type).unwrap().artifact_type().map(str::to_owned);
    let image = |own: &str| artifact_type(&format!(r#"{{{own}"config":{CONFIG}}}"#), MediaType::OCI_MANIFEST);
    assert_eq!(image(r#""artifactType":"c/d","#).as_deref(), Some("c/d"));
    assert_eq!(image("").as_deref(), Some(MediaType::OCI_CONFIG));
    assert_eq!(image(r#""artifactType":"","#).as_deref(), Some(MediaType::OCI_CONFIG));
    let untyped = r#"{"config":{"digest":"x:config","size":1}}"#;
    assert_eq!(artifact_type(untyped, MediaType::OCI_MANIFEST), None);
    assert_eq!(artifact_type("{}", MediaType::OCI_INDEX), None);
    assert_eq!(artifact_type(r#"{"artifactType":"c/d"}"#, MediaType::OCI_INDEX).as_deref(), Some("c/d"));
    assert_eq!(artifact_type(&format!(r#"{{"config":{CONFIG}}}"#), "a/b"), None);
}

#[test]
fn an_artifact_type_is_no_longer_than_a_media_type() {
    let body = |text: &str| serde_json::json!({"artifactType": text}).to_string();
    assert!(parse(&body(&"a".repeat(255)), MediaType::OCI_INDEX).is_ok());
    for text in ["a".repeat(256), "a\nb".to_owned()] {
        let result = parse(&body(&text), MediaType::OCI_INDEX);
        assert!(matches!(result, Err(ManifestError::ArtifactTypeMalformed(_))), "{text:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes: Vec<u8>, text in r#"[\[\]{}",:a-z0-9]{0,60}"#) {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            let parsed = Manifest::parse(bytes, Some(&media_type(MediaType::OCI_INDEX)));
            let is_object = bytes.trim_ascii_start().first() == Some(&b'{');
            prop_assert!(parsed.is_err() || is_object);
        }
    }

    #[test]
    fn all_layers_are_found_in_their_order(names in prop::collection::vec("[a-zA-Z0-9=_-]{1,9}", 0..20)) {
        let layers: Vec<_> =
            names.iter().map(|name| serde_json::json!({"digest": format!("x:{name}"), "size": 1})).collect();
        let config = serde_json::json!({"digest": "x:config", "size": 1});
        let body = serde_json::json!({"config": config, "layers": layers}).to_string();
        let manifest = parse(&body, MediaType::OCI_MANIFEST).unwrap();
        prop_assert_eq!(encoded(manifest.blobs().skip(1)), names);
    }
}
