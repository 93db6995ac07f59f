//! Bodies that are large, and places for those that lie in memory.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use smol::{Executor, Timer};
use tide::http::{Body, Method, Request, Response, StatusCode};

use super::*;
use crate::http::{App, HttpOptions};
use crate::registry::{Registry, RegistryOptions, Storage};
use crate::spec::ContentDigest;
use crate::wire::{BodyPlace, FileBody, RawTarget};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn app() -> App {
    let registry = Registry::open(RegistryOptions::new(Storage::Memory)).unwrap();
    App::new(registry, HttpOptions::default(), Arc::default())
}

async fn send(app: &App, method: Method, target: &str, body: impl Into<Body>) -> Response {
    send_from("192.0.2.1:9", app, method, target, body).await
}

async fn send_from(peer: &str, app: &App, method: Method, target: &str, body: impl Into<Body>) -> Response {
    let mut request = Request::new(method, format!("http://registry.test{target}").as_str());
    let body: Body = body.into();
    if let Some(length) = body.len() {
        request.insert_header("content-length", length.to_string());
    }
    request.set_body(body);
    request.insert_header("content-type", MANIFEST);
    request.ext_mut().insert(RawTarget::new(target));
    request.set_peer_addr(Some(peer));
    app.respond(request).await
}

/// A manifest of about `length` bytes.
fn manifest(number: usize, length: usize) -> String {
    let config = ContentDigest::sha256_of(b"{}");
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"a/b","digest":"{config}",
           "size":2}},"layers":[],"annotations":{{"a{number}":"{}"}}}}"#,
        "x".repeat(length)
    )
}

async fn push_config(app: &App) {
    let target = format!("/v2/a/blobs/uploads/?digest={}", ContentDigest::sha256_of(b"{}"));
    assert_eq!(send(app, Method::Post, &target, "{}").await.status(), StatusCode::Created);
}

#[test]
fn a_large_manifest_goes_out_from_its_file_and_a_small_one_and_head_from_memory() {
    let app = app();
    smol::block_on(async {
        push_config(&app).await;
        for (number, (length, is_file)) in
            [(10, false), (60_000, false), (200_000, true)].into_iter().enumerate()
        {
            let content = manifest(number, length);
            let target = format!("/v2/a/manifests/v{number}");
            assert_eq!(
                send(&app, Method::Put, &target, content.as_str()).await.status(),
                StatusCode::Created
            );
            let mut response = send(&app, Method::Get, &target, Body::empty()).await;
            assert_eq!(response.header("content-length").unwrap().as_str(), content.len().to_string());
            assert_eq!(response.content_type().unwrap().essence(), MANIFEST);
            match response.ext().get::<FileBody>() {
                Some(file) => {
                    assert_eq!((is_file, file.offset, file.length), (true, 0, content.len() as u64));
                    assert_eq!(file.file.name(), ContentDigest::sha256_of(content.as_bytes()).to_string());
                }
                None => {
                    assert!(!is_file);
                    assert_eq!(response.body_string().await.unwrap(), content);
                }
            }
            let head = send(&app, Method::Head, &target, Body::empty()).await;
            assert_eq!(head.header("content-length").unwrap().as_str(), content.len().to_string());
            assert!(head.ext().get::<FileBody>().is_none());
        }
    });
}

/// Pushes two subjects with referrers, one with a short list, one with a long one, and returns the lists'
/// paths.
async fn push_referrers(app: &App) -> [String; 2] {
    push_config(app).await;
    let [few, many] = ["few", "many"].map(|subject| ContentDigest::sha256_of(subject.as_bytes()));
    // Each is smaller than the step, and so are ten of them together.
    for (subject, count) in [(few, 10), (many, 12)] {
        for number in 0..count {
            let to =
                format!(r#""subject":{{"mediaType":"{MANIFEST}","digest":"{subject}","size":9}},"layers""#);
            let content = manifest(number, 6000).replace(r#""layers""#, &to);
            let target = format!("/v2/a/manifests/{}", ContentDigest::sha256_of(content.as_bytes()));
            let pushed = send(app, Method::Put, &target, content.as_str()).await;
            assert_eq!(pushed.status(), StatusCode::Created);
        }
    }
    [few, many].map(|subject| format!("/v2/a/referrers/{subject}"))
}

/// Takes all places of long lists, and keeps the answers.
async fn take_all_places(app: &App, target: &str) -> Vec<Response> {
    let mut going_out = Vec::new();
    for _ in 0..PLACES {
        let response = send(app, Method::Get, target, Body::empty()).await;
        assert_eq!(response.status(), StatusCode::Ok);
        assert!(response.ext().get::<BodyPlace>().is_some());
        going_out.push(response);
    }
    going_out
}

#[test]
fn a_long_list_of_referrers_has_a_place_until_it_has_gone_out_and_a_short_one_needs_none() {
    let (app, executor) = (app(), Executor::new());
    smol::block_on(executor.run(async {
        let [few, many] = push_referrers(&app).await;
        let mut going_out = take_all_places(&app, &many).await;
        let response = send(&app, Method::Get, &few, Body::empty()).await;
        assert!(response.status() == StatusCode::Ok && response.ext().get::<BodyPlace>().is_none());
        let next = executor.spawn({
            let (app, many) = (app.clone(), many.clone());
            async move { send(&app, Method::Get, &many, Body::empty()).await }
        });
        Timer::after(Duration::from_millis(300)).await;
        assert!(!next.is_finished());
        going_out.pop();
        let mut response = next.await;
        let list: serde_json::Value = response.body_json().await.unwrap();
        assert_eq!(list["manifests"].as_array().unwrap().len(), 12);
    }));
}

#[test]
fn a_slow_reader_of_a_long_list_loses_its_place_to_another_address() {
    let app = app();
    smol::block_on(async {
        let [_, many] = push_referrers(&app).await;
        let going_out = take_all_places(&app, &many).await;
        let holders: Vec<BodyPlace> =
            going_out.iter().map(|response| response.ext().get::<BodyPlace>().unwrap().clone()).collect();
        // What the transport would note of a client that reads nothing.
        holders[1].0.activity.waited(Duration::from_secs(2));
        let other = send_from("192.0.2.2:9", &app, Method::Get, &many, Body::empty()).await;
        assert_eq!(other.status(), StatusCode::Ok);
        let displaced: Vec<bool> = holders.iter().map(|place| place.0.is_displaced()).collect();
        assert!(displaced[1] && displaced.iter().filter(|displaced| **displaced).count() == 1);
        assert!(Arc::strong_count(&holders[1].0) > 1, "it is on its way out");
    });
}

/// A list that takes no place is never long.
#[test]
fn tags_are_listed_in_parts_that_are_short() {
    let app = app();
    smol::block_on(async {
        push_config(&app).await;
        let content = manifest(1, 1);
        for part in 0..6 {
            let digest = ContentDigest::sha256_of(content.as_bytes());
            let tags: Vec<String> = (0..100).map(|tag| format!("tag={part}-{tag:0>120}")).collect();
            let target = format!("/v2/a/manifests/{digest}?{}", tags.join("&"));
            let pushed = send(&app, Method::Put, &target, content.as_str()).await;
            assert_eq!(pushed.status(), StatusCode::Created);
        }
        let (mut next, mut listed) = (Some("/v2/a/tags/list".to_owned()), 0);
        while let Some(target) = next {
            let mut response = send(&app, Method::Get, &target, Body::empty()).await;
            let text = response.body_string().await.unwrap();
            assert!(text.len() <= 64 * 1024 && response.ext().get::<BodyPlace>().is_none());
            listed += text.matches("0000").count() / 29;
            next = response.header("link").map(|link| {
                let link = link.as_str().strip_prefix('<').unwrap();
                link.split_once(">; rel=\"next\"").unwrap().0.to_owned()
            });
        }
        assert_eq!(listed, 600);
    });
}

#[test]
fn a_place_that_was_just_taken_is_not_displaced_as_idle() {
    let answers = LargeAnswers::new();
    let address = |last| Some(ClientAddress::of(IpAddr::from([192, 0, 2, last])));
    let taken: Vec<AnswerPlace> = (0..PLACES).map(|_| answers.places.take(address(1)).unwrap()).collect();
    assert!(answers.places.take(address(2)).is_err());
    assert!(taken.iter().all(|place| !place.holder().is_displaced()));
}

#[test]
fn no_more_requests_wait_for_a_place_than_connections_can_be_spared() {
    use smol::future::poll_once;
    smol::block_on(async {
        let answers = LargeAnswers::new();
        let mut taken = Vec::new();
        for _ in 0..PLACES {
            taken.extend(answers.place(None).await);
        }
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(answers.place(None))).collect();
        for wait in &mut waiting {
            assert!(poll_once(wait).await.is_none());
        }
        let mut one_more = Box::pin(answers.place(None));
        assert!(poll_once(&mut one_more).await.is_none());
        let mut refused = 0;
        for wait in &mut waiting {
            let done = poll_once(wait).await;
            refused += done.into_iter().filter(Result::is_err).count();
        }
        assert_eq!(refused, 1, "one of those that waited");
        drop((one_more, taken.pop()));
        assert!(answers.place(None).await.is_ok(), "a free place needs no wait");
    });
}

#[test]
fn an_address_that_has_all_waiting_places_keeps_no_other_from_waiting() {
    use smol::future::poll_once;
    smol::block_on(async {
        let answers = LargeAnswers::new();
        let peer = |last: u8| Some(SocketAddr::from(([192, 0, 2, last], 9)));
        let mut taken = Vec::new();
        for _ in 0..PLACES {
            taken.extend(answers.place(peer(1)).await);
        }
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(answers.place(peer(1)))).collect();
        for wait in &mut waiting {
            assert!(poll_once(wait).await.is_none());
        }
        let mut others: Vec<_> = (2..10).map(|last| Box::pin(answers.place(peer(last)))).collect();
        for other in &mut others {
            assert!(poll_once(other).await.is_none(), "it waits");
        }
        // Those of the first address come and go, and displace none of another.
        for _ in 0..WAITING_MAX {
            let mut more = Box::pin(answers.place(peer(1)));
            drop(poll_once(&mut more).await);
        }
        for wait in &mut waiting {
            drop(poll_once(wait).await);
        }
        taken.pop();
        assert!(poll_once(&mut others[0]).await.is_some_and(|place| place.is_ok()));
    });
}
