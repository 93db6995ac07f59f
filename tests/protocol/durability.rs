//! Pushes survive a clean stop, and an end without one.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::support::{Client, Manifest, TestServer, blake3, filler, sha256, sha512, with_query};

/// What a client did before the end.
struct Pushed {
    image: Manifest,
    artifact: Manifest,
    layer: Vec<u8>,
    session: String,
}

fn push_everything(client: &Client) -> Pushed {
    let image = client.push_tagged("a/b", "v1");
    client.push("a/b", "latest", &image).is(201);
    let index = Manifest::index(&[&image]);
    client.push("a/b", "index", &index).is(201);
    let artifact = Manifest::artifact(&image, "application/x", &json!({ "salt": "x" }));
    client.push_artifact("a/b", &artifact);
    let layer = filler(30, 1_000_000);
    client.push_blob("a/b", &layer);
    client.push_blob_as("a/b", &sha512("x"), "x").is(201);
    client.push_blob_as("a/b", &blake3("x"), "x").is(201);
    let mount = format!("/v2/mounted/blobs/uploads/?mount={}&from=a/b", sha256(&layer));
    client.post(mount).body("").send().is(201);

    let gone = client.push_tagged("gone", "v1");
    client.push("a/b", "untagged", &image).is(201);
    client.delete("/v2/a/b/manifests/untagged").send().is(202);
    client.delete(format!("/v2/gone/manifests/{}", gone.digest)).send().is(202);
    client.delete(format!("/v2/gone/blobs/{}", sha256("layer of v1"))).send().is(202);
    let session = client.begin("a/b");
    client.patch(&session).body(&content_of_session()[..BEGUN]).send().is(202);
    Pushed { image, artifact, layer, session }
}

/// How much of its content the session has received.
const BEGUN: usize = 6000;

fn content_of_session() -> Vec<u8> {
    (0..7000_u32).map(|number| (number % 251) as u8).collect()
}

fn check_everything(client: &Client, pushed: &Pushed) {
    let Pushed { image, artifact, layer, .. } = pushed;
    for reference in ["v1", "latest", &image.digest] {
        let answer = client.manifest("a/b", reference).is(200);
        assert_eq!((answer.digest(), &answer.body), (&*image.digest, &image.bytes));
        assert_eq!(answer.header("Content-Type"), image.media_type);
    }
    client.manifest("a/b", "index").is(200);
    assert_eq!(client.tags("a/b", "").texts("tags"), ["index", "latest", "v1"]);
    assert!(client.blob("a/b", &sha256(layer)).is(200).body == *layer);
    assert!(client.blob("mounted", &sha256(layer)).is(200).body == *layer);
    assert_eq!(client.blob("a/b", &sha512("x")).is(200).body, b"x");
    assert_eq!(client.blob("a/b", &blake3("x")).is(200).body, b"x");
    assert_eq!(client.blob("a/b", &sha256("layer of v1")).is(200).body, b"layer of v1");
    let referrers = client.referrers("a/b", &image.digest, "?artifactType=application/x").json();
    assert_eq!(referrers["manifests"][0]["digest"], artifact.digest);
    assert_eq!(referrers["manifests"][0]["annotations"], json!({ "salt": "x" }));

    client.manifest("gone", "v1").is(404);
    client.blob("gone", &sha256("layer of v1")).is(404);
    assert_eq!(client.get("/v2/_catalog").send().texts("repositories"), ["a/b"]);
}

/// W2, B1, D4: after a clean stop everything is unchanged, and an unfinished upload can be resumed.
#[test]
fn everything_survives_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let server = TestServer::over(data.path());
    let pushed = push_everything(&server);
    server.stop();

    let server = TestServer::over(data.path());
    check_everything(&server, &pushed);
    // It stands where a block of its file begins.
    assert_eq!(server.get(&pushed.session).send().is(204).header("Range"), "0-4095");
    let content = content_of_session();
    let end = with_query(&pushed.session, &format!("digest={}", sha256(&content)));
    server.put(end).body(&content[4096..]).send().is(201);
    assert!(server.blob("a/b", &sha256(&content)).is(200).body == content);
    server.stop();

    let server = TestServer::over(data.path());
    check_everything(&server, &pushed);
    server.blob("a/b", &sha256(&content)).is(200);
    server.push_tagged("new", "v1");
}

/// W2, B1, D4: what was acknowledged survives an end without a stop: it was on the disk before the answer.
#[test]
fn everything_survives_an_end_without_a_stop() {
    let data = tempfile::tempdir().unwrap();
    let server = TestServer::over(&data.path().join("running"));
    let pushed = push_everything(&server);
    let copy = data.path().join("copy");
    copy_folder(&data.path().join("running"), &copy);

    let recovered = TestServer::over(&copy);
    check_everything(&recovered, &pushed);
    // The status of an unfinished upload is correct, and the upload can be resumed from there.
    let status = recovered.get(&pushed.session).send();
    if status.status == 204 {
        let last: i64 = status.header("Range").strip_prefix("0-").unwrap().parse().unwrap();
        let content = content_of_session();
        let rest = &content[usize::try_from(last + 1).unwrap()..];
        let end = with_query(&pushed.session, &format!("digest={}", sha256(&content)));
        recovered.put(end).body(rest).send().is(201);
    } else {
        status.fails(404, "BLOB_UPLOAD_UNKNOWN");
    }
    let image = recovered.push_tagged("a/b", "v2");
    recovered.stop();
    let again = TestServer::over(&copy);
    assert_eq!(again.manifest("a/b", "v2").is(200).body, image.bytes);
    check_everything_but_tags(&again, &pushed);
    check_everything(&server, &pushed);
}

fn check_everything_but_tags(client: &Client, pushed: &Pushed) {
    client.delete("/v2/a/b/manifests/v2").send().is(202);
    check_everything(client, pushed);
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy_folder(&entry.path(), &target);
        } else if kind.is_file() {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
