//! Bodies that are large, and clients that take their time with them.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use smol::Executor;
use smol::io::{AsyncBufRead, AsyncRead};
use tide::http::{Body, Method, Request, Response, StatusCode};

use super::{App, HttpOptions};
use crate::registry::{Registry, RegistryOptions, Storage};
use crate::spec::ContentDigest;
use crate::wire::{FileBody, Pace, RawTarget};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A body of which so much has come, and nothing more does.
struct Stalled(Vec<u8>);

impl AsyncRead for Stalled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        target: &mut [u8],
    ) -> Poll<std::io::Result<usize>> {
        let count = target.len().min(self.0.len());
        target.iter_mut().zip(self.0.drain(..count)).for_each(|(to, from)| *to = from);
        if count == 0 { Poll::Pending } else { Poll::Ready(Ok(count)) }
    }
}

impl AsyncBufRead for Stalled {
    fn poll_fill_buf(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<&[u8]>> {
        let bytes = &self.get_mut().0;
        if bytes.is_empty() { Poll::Pending } else { Poll::Ready(Ok(bytes)) }
    }

    fn consume(mut self: Pin<&mut Self>, count: usize) {
        self.0.drain(..count);
    }
}

fn app(options: HttpOptions) -> App {
    App::new(Registry::open(RegistryOptions::new(Storage::Memory)).unwrap(), options)
}

async fn send(app: &App, method: Method, target: &str, body: impl Into<Body>) -> Response {
    let mut request = Request::new(method, format!("http://registry.test{target}").as_str());
    let body: Body = body.into();
    if let Some(length) = body.len() {
        request.insert_header("content-length", length.to_string());
    }
    request.set_body(body);
    request.insert_header("content-type", MANIFEST);
    request.ext_mut().insert(RawTarget::new(target));
    request.set_peer_addr(Some("192.0.2.1:9"));
    app.respond(request).await
}

fn stalled(length: usize) -> Body {
    Body::from_reader(Stalled(vec![b' '; length]), None)
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
fn a_manifest_takes_no_longer_than_it_may_however_little_of_it_has_come() {
    let options = HttpOptions { manifest_time_max: Duration::from_millis(50), ..HttpOptions::default() };
    let app = app(options);
    for length in [1, 100_000] {
        let response = smol::block_on(send(&app, Method::Put, "/v2/a/manifests/v1", stalled(length)));
        assert_eq!(response.status(), StatusCode::RequestTimeout, "{length}");
    }
}

#[test]
fn slow_pushes_of_large_manifests_make_room_for_others() {
    let app = app(HttpOptions { pace_window: Duration::from_millis(50), ..HttpOptions::default() });
    let executor = Executor::new();
    smol::block_on(executor.run(async {
        push_config(&app).await;
        let slow: Vec<_> = (0..32)
            .map(|_| executor.spawn(send(&app, Method::Put, "/v2/a/manifests/slow", stalled(100_000))))
            .collect();
        for _ in 0..100 {
            smol::future::yield_now().await;
        }
        let pushed = send(&app, Method::Put, "/v2/a/manifests/v1", manifest(1, 200_000)).await;
        assert_eq!(pushed.status(), StatusCode::Created);
        drop(slow);
    }));
}

#[test]
fn one_address_takes_only_a_quarter_of_the_places_of_uploads() {
    let app = app(HttpOptions {
        uploads_max: 8,
        // What is let in ends then.
        manifest_time_max: Duration::from_secs(1),
        ..HttpOptions::default()
    });
    let executor = Executor::new();
    smol::block_on(executor.run(async {
        let slow: Vec<_> = (0..2)
            .map(|_| executor.spawn(send(&app, Method::Put, "/v2/a/manifests/slow", stalled(10))))
            .collect();
        for _ in 0..100 {
            smol::future::yield_now().await;
        }
        let third = send(&app, Method::Put, "/v2/a/manifests/v1", stalled(10)).await;
        assert_eq!(third.status(), StatusCode::TooManyRequests);
        drop(slow);
    }));
}

#[test]
fn an_upload_that_is_waited_for_gives_its_place_to_the_next_one_and_keeps_what_it_brought() {
    let slow_upload_time_max = Duration::from_millis(50);
    let app = app(HttpOptions { uploads_max: 4, slow_upload_time_max, ..HttpOptions::default() });
    let executor = Executor::new();
    smol::block_on(executor.run(async {
        let begun = send(&app, Method::Post, "/v2/a/blobs/uploads/", Body::empty()).await;
        let location = begun.header("location").unwrap().as_str().to_owned();
        let slow = executor.spawn({
            let (app, location) = (app.clone(), location.clone());
            async move { send(&app, Method::Patch, &location, stalled(10)).await }
        });
        let mut pushed = None;
        for _ in 0..1000 {
            smol::Timer::after(Duration::from_millis(10)).await;
            let target = format!("/v2/a/blobs/uploads/?digest={}", ContentDigest::sha256_of(b"{}"));
            pushed = Some(send(&app, Method::Post, &target, "{}").await.status());
            if pushed == Some(StatusCode::Created) {
                break;
            }
        }
        assert_eq!(pushed, Some(StatusCode::Created));
        let slow = slow.await;
        assert_eq!(slow.status(), StatusCode::TooManyRequests);
        assert!(slow.header("retry-after").is_some());
        let status = send(&app, Method::Get, &location, Body::empty()).await;
        assert_eq!(status.header("range").unwrap().as_str(), "0-9");
    }));
}

/// What takes memory for as long as its client likes has room of its own; nothing else has.
#[test]
fn a_large_manifest_goes_out_from_its_file_and_a_small_one_and_head_from_memory() {
    let app = app(HttpOptions::default());
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
            assert!(response.ext().get::<Pace>().is_none());
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

/// Asks for a list until there is no room for one more, and keeps the answers. Each has `count` entries.
async fn as_many_as_there_is_room_for(app: &App, target: &str, (key, count): (&str, usize)) -> Vec<Response> {
    let mut going_out = Vec::new();
    loop {
        let mut response = send(app, Method::Get, target, Body::empty()).await;
        if response.status() != StatusCode::Ok {
            assert_eq!(response.status(), StatusCode::ServiceUnavailable);
            return going_out;
        }
        assert!(response.ext().get::<Pace>().is_some());
        let text = response.body_string().await.unwrap();
        let list: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(list[key].as_array().unwrap().len(), count);
        going_out.push(response);
        assert!(going_out.len() < 100, "there is room for any number");
    }
}

#[test]
fn a_long_list_holds_room_until_it_has_gone_out_and_a_short_one_needs_none() {
    let app = app(HttpOptions { waiting_max: 0, ..HttpOptions::default() });
    smol::block_on(async {
        push_config(&app).await;
        let content = manifest(1, 1);
        for repo in 0..3 {
            let digest = ContentDigest::sha256_of(content.as_bytes());
            let tags: Vec<String> = (0..100).map(|tag| format!("tag=t{repo}-{tag}")).collect();
            let target = format!("/v2/a/manifests/{digest}?{}", tags.join("&"));
            let pushed = send(&app, Method::Put, &target, content.as_str()).await;
            assert_eq!(pushed.status(), StatusCode::Created);
        }
        let list = "/v2/a/tags/list";
        let mut going_out = as_many_as_there_is_room_for(&app, list, ("tags", 300)).await;
        // What is short, and what is no list, waits for none of them.
        for target in [format!("{list}?n=200"), "/v2/_catalog".to_owned(), "/v2/a/manifests/t0-0".to_owned()]
        {
            let response = send(&app, Method::Get, &target, Body::empty()).await;
            assert_eq!(response.status(), StatusCode::Ok, "{target}");
            assert!(response.ext().get::<Pace>().is_none());
        }
        going_out.pop();
        assert_eq!(send(&app, Method::Get, list, Body::empty()).await.status(), StatusCode::Ok);
    });
}

#[test]
fn a_long_list_of_referrers_holds_room_until_it_has_gone_out_and_a_short_one_needs_none() {
    let app = app(HttpOptions { waiting_max: 0, ..HttpOptions::default() });
    smol::block_on(async {
        push_config(&app).await;
        let [few, many] = ["few", "many"].map(|subject| ContentDigest::sha256_of(subject.as_bytes()));
        // Each is smaller than the step, and so are ten of them together.
        for (subject, count) in [(few, 10), (many, 12)] {
            for number in 0..count {
                let to = format!(
                    r#""subject":{{"mediaType":"{MANIFEST}","digest":"{subject}","size":9}},"layers""#
                );
                let content = manifest(number, 6000).replace(r#""layers""#, &to);
                let target = format!("/v2/a/manifests/{}", ContentDigest::sha256_of(content.as_bytes()));
                let pushed = send(&app, Method::Put, &target, content.as_str()).await;
                assert_eq!(pushed.status(), StatusCode::Created);
            }
        }
        let [few, many] = [few, many].map(|subject| format!("/v2/a/referrers/{subject}"));
        let mut going_out = as_many_as_there_is_room_for(&app, &many, ("manifests", 12)).await;
        let response = send(&app, Method::Get, &few, Body::empty()).await;
        assert!(response.status() == StatusCode::Ok && response.ext().get::<Pace>().is_none());
        going_out.pop();
        assert_eq!(send(&app, Method::Get, &many, Body::empty()).await.status(), StatusCode::Ok);
    });
}
