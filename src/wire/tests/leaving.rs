//! Clients that leave before their answer or still send after it, and health checks over the limit.

use std::future::pending;
use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use smol::Timer;
use tide::http::{Request, Response, StatusCode};

use super::server::{Client, TestServer, Told, answer};
use crate::wire::{BodyPlace, OnSent, Places, Terms, WireLimits};

/// How often a condition is checked before a test fails.
const LOOKS_MAX: usize = 3_000;

fn wait_until(done: impl Fn() -> bool) {
    let is_done = (0..LOOKS_MAX).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        done()
    });
    assert!(is_done, "it does not happen");
}

/// Counts down when it is dropped.
struct Worked(Arc<AtomicUsize>);

impl Drop for Worked {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn reset(client: &Client) {
    rustix::net::sockopt::set_socket_linger(&client.socket, Some(Duration::ZERO)).unwrap();
}

/// A server whose every answer takes for ever, and how many are being worked on.
fn serve_forever() -> (TestServer, Arc<AtomicUsize>) {
    let working = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&working);
    let server = TestServer::with_stop_time(
        WireLimits::default(),
        move |_: Request| {
            counted.fetch_add(1, Ordering::SeqCst);
            let worked = Worked(Arc::clone(&counted));
            async move {
                let _worked = worked;
                pending().await
            }
        },
        Duration::from_millis(100),
    );
    (server, working)
}

#[test]
fn what_only_reads_is_given_up_when_its_client_is_reset() {
    let (server, working) = serve_forever();
    for method in ["GET", "HEAD"] {
        let mut client = server.connect();
        client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"));
        wait_until(|| working.load(Ordering::SeqCst) == 1);
        reset(&client);
        drop(client);
        wait_until(|| working.load(Ordering::SeqCst) == 0);
    }
}

#[test]
fn what_changes_something_goes_on_without_its_client() {
    let (server, working) = serve_forever();
    let mut client = server.connect();
    client.send("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_until(|| working.load(Ordering::SeqCst) == 1);
    reset(&client);
    drop(client);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(working.load(Ordering::SeqCst), 1);
}

#[test]
fn a_client_that_has_only_ended_its_own_half_is_answered() {
    let server = TestServer::with(WireLimits::default(), |request: Request| async {
        Timer::after(Duration::from_millis(200)).await;
        answer(request).await
    });
    let mut client = server.connect();
    client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    client.socket.shutdown(Shutdown::Write).unwrap();
    assert!(client.rest().ends_with("\r\n\r\nhello"));
}

/// A client of this kind reads its answer only when all of its layer is sent.
#[test]
fn what_a_client_sends_after_its_answer_is_read_for_as_long_as_it_does() {
    let server = TestServer::start();
    let mut client = server.connect();
    let length = 32 * 1024 * 1024;
    client.send(format!("PUT /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"));
    for _ in 0..length / (1024 * 1024) {
        client.send(vec![b'x'; 1024 * 1024]);
    }
    let answer = client.answer();
    assert_eq!((answer.status, answer.text()), (403, "no"));
    assert!(client.has_ended());
}

#[test]
fn a_client_that_sends_on_after_its_answer_is_cut_off_after_a_while() {
    let drain_time_max = Duration::from_millis(200);
    let server = TestServer::with(WireLimits { drain_time_max, ..WireLimits::default() }, answer);
    let mut client = server.connect();
    client.send("PUT /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n");
    let broken = (0..LOOKS_MAX).find_map(|_| {
        std::thread::sleep(Duration::from_millis(10));
        client.socket.write_all(b"more").err()
    });
    let kind = broken.expect("it is cut off").kind();
    assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{kind}");
}

/// Serves answers of 64 MiB from memory; each has the only place for such ones.
fn serve_large() -> (TestServer, Told, Arc<Places<u8>>) {
    let told = Told::default();
    let telling = told.clone();
    let places = Arc::new(Places::new(Terms {
        places: 1,
        leaving_max: 1,
        idle_min: Duration::ZERO,
        slow_time: Duration::from_millis(100),
        least_bytes_per_second: 10_240,
    }));
    let given = Arc::clone(&places);
    let app = move |_: Request| {
        let place = given.take(1).unwrap();
        place.holder().activity.busy();
        let OnSent(tell) = telling.on_sent();
        async move {
            let mut response = Response::new(StatusCode::Ok);
            response.ext_mut().insert(BodyPlace(Arc::clone(place.holder())));
            response.ext_mut().insert(OnSent(Box::new(move |sent| {
                drop(place);
                tell(sent);
            })));
            response.set_body(vec![b'x'; 64 * 1024 * 1024]);
            response
        }
    };
    (TestServer::with(WireLimits::default(), app), told, places)
}

#[test]
fn a_slow_client_keeps_the_place_of_its_body_only_until_another_one_wants_it() {
    let (server, told, places) = serve_large();
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(client.answer().body.len(), 64 * 1024 * 1024);
    assert!(told.wait(1)[0].complete);

    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.head();
    wait_until(|| places.take(2).is_ok());
    assert!(!told.wait(2).last().expect("a report").complete);
}

#[test]
fn health_checks_are_answered_over_the_limit_of_connections() {
    // The only connection is not displaced.
    let displaced_idle_min = Duration::from_secs(60);
    let limits = WireLimits { connections_max: 1, displaced_idle_min, ..WireLimits::default() };
    let asked = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&asked);
    let server = TestServer::with(limits, move |_: Request| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Response::new(StatusCode::Ok) }
    });
    let mut first = server.connect();
    assert_eq!(first.get("/v2/").status, 200);
    for path in ["/livez", "/readyz", "/healthz"] {
        let all = server.ask(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(all.starts_with("HTTP/1.1 200 ") && all.contains("Connection: close\r\n"), "{all}");
    }
    let before = asked.load(Ordering::SeqCst);
    for start in ["GET /livezx", "GET /v2/", "PUT /livez", "GET /livez/a"] {
        let all = server.ask(format!("{start} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
        assert!(all.starts_with("HTTP/1.1 429 "), "{start}: {all}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), before);
    // A request pipelined after a health check is not answered.
    let all = server.ask("GET /livez HTTP/1.1\r\nHost: a\r\n\r\nGET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(all.matches("HTTP/1.1 ").count(), 1, "{all}");
}
