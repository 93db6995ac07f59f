//! Many clients at once.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Client, Manifest, TestServer, filler, sha256, with_query};

const CLIENTS: usize = 16;

/// Runs `work` in one thread for each client, all starting at once.
fn at_once(client: &Client, work: impl Fn(&Client, usize) + Sync) {
    let barrier = Barrier::new(CLIENTS);
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (barrier, work) = (&barrier, &work);
            scope.spawn(move || {
                barrier.wait();
                work(client, number);
            });
        }
    });
}

/// Pushes an image as docker does, and pulls it.
fn push_and_pull(client: &Client, repo: &str, tag: &str, layers: &[Vec<u8>]) -> Manifest {
    let config = format!(r#"{{"author":"{tag}"}}"#);
    client.push_blob(repo, &config);
    for layer in layers {
        let digest = sha256(layer);
        let location = client.patch(client.begin(repo)).chunked(layer, 32 * 1024).send().is(202).location();
        client.put(with_query(&location, &format!("digest={digest}"))).body("").send().is(201);
        client.head(format!("/v2/{repo}/blobs/{digest}")).send().is(200);
    }
    let parts: Vec<_> = layers.iter().map(Vec::as_slice).collect();
    let image = Manifest::image(config.as_bytes(), &parts);
    client.push(repo, tag, &image).is(201);
    pull(client, repo, tag, &image, layers);
    image
}

fn pull(client: &Client, repo: &str, tag: &str, image: &Manifest, layers: &[Vec<u8>]) {
    assert_eq!(client.manifest(repo, tag).is(200).body, image.bytes);
    for layer in layers {
        assert!(client.blob(repo, &sha256(layer)).is(200).body == *layer);
    }
}

/// W14, U16: sixteen clients push the same image at once; all succeed, and all can pull it.
#[test]
fn the_same_image_can_be_pushed_by_many_at_once() {
    let server = TestServer::start();
    let layers = [filler(20, 300_000), filler(21, 10_000), Vec::new()];
    at_once(&server, |client, _| {
        push_and_pull(client, "same", "latest", &layers);
    });
    assert_eq!(server.tags("same", "").texts("tags"), ["latest"]);
}

/// W14, U16: sixteen clients push different images with a common layer at once, to one repository and to
/// many.
#[test]
fn different_images_can_be_pushed_by_many_at_once() {
    let server = TestServer::start();
    let common = filler(22, 200_000);
    let layers = |number: usize| [common.clone(), filler(100 + number as u64, 50_000)];
    at_once(&server, |client, number| {
        push_and_pull(client, "shared", &format!("v{number:02}"), &layers(number));
        push_and_pull(client, &format!("own/{number}"), "latest", &layers(number));
    });
    let expected: Vec<_> = (0..CLIENTS).map(|number| format!("v{number:02}")).collect();
    assert_eq!(server.tags("shared", "").texts("tags"), expected);
    assert_eq!(server.get("/v2/_catalog").send().texts("repositories").len(), CLIENTS + 1);
    for number in 0..CLIENTS {
        let tag = format!("v{number:02}");
        let layers = layers(number);
        let parts: Vec<_> = layers.iter().map(Vec::as_slice).collect();
        let image = Manifest::image(format!(r#"{{"author":"{tag}"}}"#).as_bytes(), &parts);
        pull(&server, "shared", &tag, &image, &layers);
    }
}

/// W14: a read of a moving tag returns one of the images as a whole, and in the end the last.
#[test]
fn a_moving_tag_is_never_torn() {
    let server = TestServer::start();
    let images: Vec<_> = (0..4).map(|number| server.push_image("a", &number.to_string())).collect();
    server.push("a", "moving", &images[0]).is(201);
    let done = AtomicBool::new(false);
    let client: &Client = &server;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let answer = client.manifest("a", "moving").is(200);
                    assert_eq!(answer.digest(), sha256(&answer.body));
                    assert!(images.iter().any(|image| image.digest == answer.digest()));
                    let head = client.head("/v2/a/manifests/moving").send().is(200);
                    let named = images.iter().find(|image| image.digest == head.digest()).unwrap();
                    assert_eq!(head.header("Content-Length"), named.bytes.len().to_string());
                }
            });
        }
        let pushers: Vec<_> = images
            .iter()
            .map(|image| {
                scope.spawn(move || (0..25).for_each(|_| drop(client.push("a", "moving", image).is(201))))
            })
            .collect();
        let pushed: Vec<_> = pushers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        client.push("a", "moving", &images[3]).is(201);
        done.store(true, Ordering::SeqCst);
        pushed.into_iter().for_each(Result::unwrap);
    });
    assert_eq!(server.manifest("a", "moving").is(200).body, images[3].bytes);
}

/// D4, D7: of many equal deletions one succeeds, and other pushes are unaffected.
#[test]
fn of_many_deletions_one_succeeds() {
    let server = TestServer::start();
    server.push_blob("a", "kept");
    let digest = server.push_blob("a", "deleted");
    let deleted = std::sync::atomic::AtomicUsize::new(0);
    at_once(&server, |client, number| {
        match client.delete(format!("/v2/a/blobs/{digest}")).send().status {
            202 => drop(deleted.fetch_add(1, Ordering::SeqCst)),
            status => assert_eq!(status, 404),
        }
        client.push_tagged("a", &format!("v{number}"));
    });
    assert_eq!(deleted.load(Ordering::SeqCst), 1);
    assert_eq!(server.tags("a", "").texts("tags").len(), CLIENTS);
}
