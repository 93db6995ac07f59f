//! The requests of real clients, in their order and spelling, as seen on the wire.

use serde_json::json;

use crate::support::{
    DOCKER_LIST, DOCKER_MANIFEST, Manifest, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, OCTETS, TestServer,
    descriptor, empty_config, filler, sha256, unknown_digest, with_query,
};

/// Encodes a digest as clients do that rebuild a query.
fn encoded(digest: &str) -> String {
    digest.replace(':', "%3A")
}

/// Parses a range as docker does: `fmt.Sscanf(range, "%d-%d")`, the end not before the beginning.
#[track_caller]
fn docker_reads(range: &str) -> u64 {
    let (first, last) = range.split_once('-').unwrap();
    let (first, last): (u64, u64) = (first.parse().unwrap(), last.parse().unwrap());
    assert!(first <= last);
    last
}

/// C1, C5, C6, U16, W3: docker 20.10: a stream without type and length, an empty PUT, and HEAD of each
/// blob.
#[test]
fn docker_pushes_and_pulls() {
    let server = TestServer::start();
    let (config, layer) = (br#"{"architecture":"amd64","os":"linux"}"#.to_vec(), filler(40, 500_000));
    server.get("/v2/").header("Docker-Distribution-Api-Version", "registry/2.0").send().is(200);
    for bytes in [&layer, &config] {
        let digest = sha256(bytes);
        server.head(format!("/v2/wire/docker/blobs/{digest}")).send().is(404);
        let post = server.post("/v2/wire/docker/blobs/uploads/").body("").send().is(202);
        assert!(!post.header("Docker-Upload-UUID").is_empty());
        docker_reads(post.header("Range"));
        let patch = server.patch(post.location()).chunked(bytes, 32 * 1024).send().is(202);
        assert_eq!(docker_reads(patch.header("Range")), bytes.len() as u64 - 1);
        let put = with_query(&patch.location(), &format!("digest={}", encoded(&digest)));
        let put = server.put(put).header("Content-Length", "0").send().is(201);
        assert_eq!(put.digest(), digest);
        let head = server.head(format!("/v2/wire/docker/blobs/{digest}")).send().is(200);
        assert_eq!(head.header("Content-Length"), bytes.len().to_string());
    }
    let layer_type = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    let config_type = "application/vnd.docker.container.image.v1+json";
    let fields =
        json!({ "config": descriptor(config_type, &config), "layers": [descriptor(layer_type, &layer)] });
    let image = Manifest::json(DOCKER_MANIFEST, fields);
    assert_eq!(server.push("wire/docker", "latest", &image).is(201).digest(), image.digest);

    let accept = [DOCKER_LIST, OCI_INDEX, DOCKER_MANIFEST, OCI_MANIFEST, "application/json"];
    let ask = |method: &str, reference: &str| {
        let request = server.request(method, format!("/v2/wire/docker/manifests/{reference}"));
        accept.iter().fold(request, |request, kind| request.header("Accept", *kind)).send().is(200)
    };
    let head = ask("HEAD", "latest");
    assert_eq!(head.header("Content-Type"), DOCKER_MANIFEST);
    assert_eq!(ask("GET", head.digest()).body, image.bytes);
    let resumed =
        server.get(format!("/v2/wire/docker/blobs/{}", sha256(&layer))).header("Range", "bytes=400000-");
    let resumed = resumed.send().is(206);
    assert_eq!(resumed.header("Content-Range"), "bytes 400000-499999/500000");
    assert!(resumed.body == layer[400_000..]);
}

/// U10, U16, M7, B8, B10: containerd: no ping, HEAD, POST and everything in one PUT; ranges that it closes
/// early.
#[test]
fn containerd_pushes_and_pulls() {
    let server = TestServer::start();
    let bytes = filler(41, 300_000);
    let digest = sha256(&bytes);
    let accept = format!("{DOCKER_MANIFEST}, {DOCKER_LIST}, {OCI_MANIFEST}, {OCI_INDEX}, */*");
    server.head(format!("/v2/wire/ctr/blobs/{digest}")).header("Accept", &*accept).send().is(404);
    let location = server.post("/v2/wire/ctr/blobs/uploads/").body("").send().is(202).location();
    let put = server.put(with_query(&location, &format!("digest={}", encoded(&digest))));
    let put = put.header("Content-Type", OCTETS).body(&bytes).send().is(201);
    assert_eq!(put.digest(), digest);
    server.push_blob("wire/ctr", "{}");
    let fields = json!({ "config": descriptor(OCI_CONFIG, "{}"), "layers": [descriptor(OCTETS, &bytes)] });
    let image = Manifest::json(OCI_MANIFEST, fields);
    server.head("/v2/wire/ctr/manifests/v1").header("Accept", &*accept).send().is(404);
    assert_eq!(server.push("wire/ctr", "v1", &image).is(201).digest(), image.digest);

    let head = server.head("/v2/wire/ctr/manifests/v1?ns=registry.example").header("Accept", &*accept);
    let head = head.send().is(200);
    assert_eq!((head.digest(), head.header("Content-Type")), (&*image.digest, OCI_MANIFEST));
    // A digest of unknown kind: manifests are tried first, then blobs.
    server.head(format!("/v2/wire/ctr/manifests/{digest}")).send().is(404);
    server.head(format!("/v2/wire/ctr/blobs/{digest}")).send().is(200);
    let blob = server.get(format!("/v2/wire/ctr/blobs/{digest}")).header("Range", "bytes=0-");
    assert!(
        blob.header("Accept-Encoding", "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5").send().is(206).body == bytes
    );
    let referrers = "?artifactType=application%2Fvnd.a%2Bjson&artifactType=application%2Fvnd.b";
    server.referrers("wire/ctr", &image.digest, referrers);
}

/// T3, C5, X1, D2: skopeo: a failed mount whose session it deletes; a stream with a length; a tag deleted by
/// digest.
#[test]
fn skopeo_copies_and_deletes() {
    let server = TestServer::start();
    let bytes = filler(42, 100_000);
    let digest = sha256(&bytes);
    let mount = format!("/v2/wire/skopeo/blobs/uploads/?from=other%2Frepo&mount={}", encoded(&digest));
    let unwanted = server.post(mount).body("").send().is(202).location();
    server.delete(unwanted).send().is(204);
    let location = server.begin("wire/skopeo");
    let patch = server.patch(location).header("Content-Type", OCTETS).body(&bytes).send().is(202);
    let end = with_query(&patch.location(), &format!("digest={}", encoded(&digest)));
    server.put(end).header("Content-Type", OCTETS).body("").send().is(201);
    server.push_blob("wire/skopeo", "{}");
    let fields = json!({ "config": descriptor(OCI_CONFIG, "{}"), "layers": [descriptor(OCTETS, &bytes)] });
    let image = Manifest::json(OCI_MANIFEST, fields);
    for tag in ["v1", "v2"] {
        server.push("wire/skopeo", tag, &image).is(201);
    }
    assert_eq!(server.tags("wire/skopeo", "").texts("tags"), ["v1", "v2"]);
    let found = server.get("/v2/wire/skopeo/manifests/v1").header("Accept", OCI_MANIFEST).send().is(200);
    server.delete(format!("/v2/wire/skopeo/manifests/{}", found.digest())).send().is(202);
    assert_eq!(server.tags("wire/skopeo", "").is(200).texts("tags"), [""; 0]);
}

/// C5, C7: buildah: a chunked stream with a type, and the digest first in a rebuilt query.
#[test]
fn buildah_pushes() {
    let server = TestServer::start();
    let bytes = filler(43, 200_000);
    let patch = server.patch(server.begin("wire/buildah")).header("Content-Type", OCTETS);
    let patch = patch.chunked(&bytes, 8 * 1024).send().is(202);
    assert_eq!(docker_reads(patch.header("Range")), 199_999);
    let query = format!("digest={}", encoded(&sha256(&bytes)));
    server.put(with_query(&patch.location(), &query)).header("Content-Type", OCTETS).body("").send().is(201);
}

/// T1, T4, U5, M2, M4, L5, R5: crane: a ping every time, mounts with `origin`, POST with a type, digests by
/// HEAD.
#[test]
fn crane_copies_lists_and_inspects() {
    let server = TestServer::start();
    let digest = server.push_blob("wire/source", "layer");
    let ping = || server.get("/v2/").send().is(200);
    ping();
    let query = format!("from=wire%2Fsource&mount={}&origin=127.0.0.1%3A5000", encoded(&digest));
    let post = server.post(format!("/v2/wire/crane/blobs/uploads/?{query}"));
    post.header("Content-Type", "application/json").body("").send().is(201);
    let post = server.post("/v2/wire/crane/blobs/uploads/").header("Content-Type", "application/json");
    let patch = server.patch(post.body("").send().is(202).location()).body("{}").send().is(202);
    let end = with_query(&patch.location(), &format!("digest={}", encoded(&sha256("{}"))));
    server.put(end).header("Content-Type", OCTETS).body("").send().is(201);
    let fields = json!({ "config": descriptor(OCI_CONFIG, "{}"), "layers": [descriptor(OCTETS, "layer")] });
    let image = Manifest::json(OCI_MANIFEST, fields);
    server.push("wire/crane", "v1", &image).is(201);
    ping();
    let head = server.head("/v2/wire/crane/manifests/v1").send().is(200);
    assert_eq!(head.digest(), image.digest);
    assert_eq!(head.header("Content-Type"), OCI_MANIFEST);
    assert_eq!(head.header("Content-Length"), image.bytes.len().to_string());
    assert_eq!(server.tags("wire/crane", "?n=1000").texts("tags"), ["v1"]);
    assert_eq!(server.get("/v2/_catalog?n=1000").send().texts("repositories"), ["wire/crane"]);
    let referrers = server.referrers("wire/crane", &image.digest, "");
    assert_eq!(referrers.header("Content-Type"), OCI_INDEX);
}

/// R1, R2, R5, T3, H8: oras: first requests the referrers of a missing digest, sends `:` and `/` raw, trusts
/// `OCI-Subject`.
#[test]
fn oras_attaches_and_discovers() {
    let server = TestServer::start();
    let subject = server.push_tagged("wire/oras", "v1");
    let nothing = format!("sha256:{}", "0".repeat(64));
    let ping = server.referrers("wire/oras", &nothing, "");
    assert_eq!(ping.header("Content-Type"), OCI_INDEX);
    let mount = format!("/v2/wire/oras/blobs/uploads/?mount={}&from=wire/none", sha256("{}"));
    let location = server.post(mount).body("").send().is(202).location();
    let put = with_query(&location, &format!("digest={}", encoded(&sha256("{}"))));
    server.put(put).header("Content-Type", OCTETS).body("{}").send().is(201);
    let artifact = Manifest::artifact(&subject, "application/vnd.example.sbom", &json!({ "a": "b" }));
    let answer = server.push("wire/oras", &artifact.digest, &artifact).is(201);
    assert_eq!(answer.header("OCI-Subject"), subject.digest);
    let query = "?artifactType=application%2Fvnd.example.sbom";
    let found = server.referrers("wire/oras", &subject.digest, query);
    assert_eq!(found.json()["manifests"][0]["digest"], artifact.digest);
}

/// C2, C9, C11, T2, D1: regctl: an anonymous mount, chunks with a range, and resuming after a 416 or by the
/// status.
#[test]
fn regctl_pushes_in_chunks_and_resumes() {
    let server = TestServer::start();
    let bytes = filler(44, 2_500_000);
    let digest = sha256(&bytes);
    let mount = format!("/v2/wire/regctl/blobs/uploads/?mount={}", encoded(&digest));
    let mut location = server.post(mount).body("").send().is(202).location();
    let size = 1024 * 1024;
    let mut offset = 0;
    // It begins with the chunk it believes to be the next, and the answer has the offset.
    let patch = |location: &str, first: usize, part: &[u8]| {
        let range = format!("{first}-{}", first + part.len() - 1);
        server.patch(location).header("Content-Type", OCTETS).header("Content-Range", range).body(part).send()
    };
    let next = |answer: &crate::support::Answer| {
        let (_, last) = answer.header("Range").split_once('-').unwrap();
        usize::try_from(last.parse::<i64>().unwrap() + 1).unwrap()
    };
    let refused = patch(&location, size, &bytes[size..2 * size]).is(416);
    assert_eq!(next(&refused), 0);
    while offset < bytes.len() {
        let end = bytes.len().min(offset + size);
        let answer = patch(&location, offset, &bytes[offset..end]).is(202);
        (location, offset) = (answer.location(), next(&answer));
        assert_eq!(offset, end);
    }
    assert_eq!(next(&server.get(&location).send().is(204)), bytes.len());
    let end =
        format!("{location}{}digest={}", if location.contains('?') { "&" } else { "?" }, encoded(&digest));
    server.put(end).header("Content-Length", "0").send().is(201);
    assert!(server.blob("wire/regctl", &digest).is(200).body == bytes);
    let again = format!("/v2/wire/elsewhere/blobs/uploads/?mount={}", encoded(&digest));
    server.post(again).body("").send().is(201);
}

/// U5, X1: kaniko checks whether it may push: POST, then DELETE of the session.
#[test]
fn kaniko_checks_whether_it_may_push() {
    let server = TestServer::start();
    let post = server.post("/v2/wire/kaniko/blobs/uploads/").header("Content-Type", "application/json");
    server.delete(post.body("").send().is(202).location()).send().is(204);
    server.tags("wire/kaniko", "").fails(404, "NAME_UNKNOWN");
}

/// W6, G3: helm sends a manifest without `mediaType`, and tags whose `+` is a `_`.
#[test]
fn helm_pushes_a_chart() {
    let server = TestServer::start();
    let (config, chart) = ("{\"name\":\"chart\"}", filler(45, 3000));
    server.push_blob("charts/web", config);
    server.push_blob("charts/web", &chart);
    let fields = json!({
        "schemaVersion": 2,
        "config": descriptor("application/vnd.cncf.helm.config.v1+json", config),
        "layers": [descriptor("application/vnd.cncf.helm.chart.content.v1.tar+gzip", &chart)],
        "annotations": { "org.opencontainers.image.title": "web" },
    });
    let manifest = Manifest::of(OCI_MANIFEST, fields.to_string());
    server.push("charts/web", "1.2.3_build.4", &manifest).is(201);
    let pulled = server.manifest("charts/web", "1.2.3_build.4").is(200);
    assert_eq!((pulled.header("Content-Type"), &pulled.body), (OCI_MANIFEST, &manifest.bytes));
}

/// R6, R8, R12, W13: cosign: a tag derived from the digest, and referrers whose type has parameters.
#[test]
fn cosign_signs_in_both_ways() {
    let server = TestServer::start();
    let image = server.push_tagged("wire/cosign", "v1");
    server.push_blob("wire/cosign", "{}");
    let layer = descriptor("application/vnd.dev.cosign.simplesigning.v1+json", "{}");
    let signature =
        Manifest::json(OCI_MANIFEST, json!({ "config": descriptor(OCI_CONFIG, "{}"), "layers": [layer] }));
    let tag = format!("{}.sig", image.digest.replace(':', "-"));
    server.manifest("wire/cosign", &tag).is(404);
    server.push("wire/cosign", &tag, &signature).is(201);
    server.manifest("wire/cosign", &tag).is(200);

    let kind = "application/vnd.dev.sigstore.bundle+json;version=\"0.3\"";
    let bundle = Manifest::artifact(&image, kind, &json!({ "dev.sigstore.bundle.content": "dsse-envelope" }));
    server.push_artifact("wire/cosign", &bundle);
    let query = "?artifactType=application%2Fvnd.dev.sigstore.bundle%2Bjson%3Bversion%3D%220.3%22";
    let found = server.referrers("wire/cosign", &image.digest, query).json();
    assert_eq!(found["manifests"][0]["artifactType"], kind);
}

/// W8, W13: buildkit: attestations beside the image, and cache manifests that list layers with its own
/// types.
#[test]
fn buildkit_pushes_attestations_and_caches() {
    let server = TestServer::start();
    let image = server.push_image("wire/buildkit", "image");
    server.push_blob("wire/buildkit", "{}");
    let statement = descriptor("application/vnd.in-toto+json", "{}");
    let fields = json!({ "config": descriptor(OCI_CONFIG, "{}"), "layers": [statement] });
    let attestation = Manifest::json(OCI_MANIFEST, fields);
    server.push("wire/buildkit", &attestation.digest, &attestation).is(201);
    let mut unknown = attestation.descriptor();
    unknown["platform"] = json!({ "architecture": "unknown", "os": "unknown" });
    unknown["annotations"] = json!({ "vnd.docker.reference.digest": image.digest });
    let index = Manifest::json(OCI_INDEX, json!({ "manifests": [image.descriptor(), unknown] }));
    server.push("wire/buildkit", "v1", &index).is(201);

    let cache_config = descriptor("application/vnd.buildkit.cacheconfig.v0", "{}");
    server.push_blob("wire/buildkit", "cached layer");
    let layer = descriptor("application/vnd.oci.image.layer.v1.tar+gzip", "cached layer");
    let cache = Manifest::json(OCI_INDEX, json!({ "manifests": [layer, cache_config] }));
    server.push("wire/buildkit", "cache", &cache).is(201);
    let image_cache = Manifest::json(OCI_MANIFEST, json!({ "config": cache_config, "layers": [layer] }));
    server.push("wire/buildkit", "image-cache", &image_cache).is(201);
    for (tag, manifest) in [("v1", &index), ("cache", &cache), ("image-cache", &image_cache)] {
        assert_eq!(server.manifest("wire/buildkit", tag).is(200).body, manifest.bytes);
    }
}

/// B5, B7: podman resumes where it stopped and requests many ranges; stargz requests two bytes to learn the
/// size.
#[test]
fn lazy_pullers_request_ranges() {
    let server = TestServer::start();
    let bytes = filler(46, 100_000);
    let target = format!("/v2/wire/lazy/blobs/{}", server.push_blob("wire/lazy", &bytes));
    let ask = |range: &str| server.get(&target).header("Range", range).send();
    let resumed = ask("bytes=60000-").is(206);
    assert_eq!(resumed.header("Content-Range"), "bytes 60000-99999/100000");
    assert!(resumed.body == bytes[60_000..]);
    assert_eq!(ask("bytes=0-1").is(206).header("Content-Range"), "bytes 0-1/100000");
    let many = (0..50).map(|at| format!("{}-{}", at * 2000, at * 2000 + 99)).collect::<Vec<_>>().join(",");
    let parts = ask(&format!("bytes={many}")).is(206);
    for (number, (first, last, part)) in parts.parts(bytes.len()).into_iter().enumerate() {
        assert_eq!((first, last), (number * 2000, number * 2000 + 99));
        assert!(*part == bytes[first..=last]);
    }
    assert!(ask("bytes=99900-").is(206).body == bytes[99_900..]);
}

/// H2: curl waits for `100 Continue` before it sends a large body, and gets none if it is refused at once.
#[test]
fn curl_waits_before_it_sends() {
    let server = TestServer::start();
    let bytes = filler(47, 2_000_000);
    let head = |target: &str| {
        let length = bytes.len();
        format!(
            "PUT {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    let mut connection = server.connect();
    let target = with_query(&server.begin("wire/curl"), &format!("digest={}", sha256(&bytes)));
    connection.send(head(&target).as_bytes());
    connection.answer_head().is(100);
    connection.send(&bytes);
    connection.answer("PUT").is(201);

    let mut connection = server.connect();
    let unknown = format!("/v2/wire/curl/blobs/uploads/none?digest={}", unknown_digest());
    connection.send(head(&unknown).as_bytes());
    connection.answer("PUT").fails(404, "BLOB_UPLOAD_UNKNOWN");
}

/// D1, D2: crane and regctl delete by tag first; an image index and its children are deleted one by one.
#[test]
fn deleters_take_tags_first() {
    let server = TestServer::start();
    let child = server.push_image("wire/rm", "child");
    let index = Manifest::index(&[&child]);
    server.push("wire/rm", "latest", &index).is(201);
    server.delete("/v2/wire/rm/manifests/latest").send().is(202);
    for digest in [&index.digest, &child.digest] {
        server.head(format!("/v2/wire/rm/manifests/{digest}")).send().is(200);
        server.delete(format!("/v2/wire/rm/manifests/{digest}")).send().is(202);
    }
}

/// H6, U10: every Go client but one parses, sorts and rewrites the query of a location.
#[test]
fn sorted_and_rewritten_queries_are_understood() {
    let server = TestServer::start();
    let digest = encoded(&sha256("content"));
    // The registry may add its own query to the location; clients treat it like these.
    for query in [
        format!("?digest={digest}&_state=abc%3D%3D"),
        format!("?_state=abc%3D%3D&digest={digest}"),
        format!("?_state=abc==&digest={digest}&"),
        format!("?&digest={digest}"),
        format!("?digest={digest}&digest={digest}"),
    ] {
        let location = server.begin("wire/query");
        let location = match location.split_once('?') {
            Some((path, own)) => format!("{path}{query}&{own}"),
            None => format!("{location}{query}"),
        };
        server.put(location).body("content").send().is(201);
        server.delete(format!("/v2/wire/query/blobs/{}", sha256("content"))).send().is(202);
    }
}

/// W9, R1: artifacts with the empty config and without layers are images like others.
#[test]
fn artifacts_with_the_empty_config_are_accepted() {
    let server = TestServer::start();
    server.push_blob("wire/empty", "{}");
    let fields =
        json!({ "artifactType": "application/x", "config": empty_config(), "layers": [empty_config()] });
    let artifact = Manifest::json(OCI_MANIFEST, fields);
    let answer = server.push("wire/empty", "v1", &artifact).is(201);
    assert_eq!(answer.maybe("OCI-Subject"), None);
}
