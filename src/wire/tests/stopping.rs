//! Stopping, the limits of connections, and bodies that the application keeps.

use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;

use smol::channel::{Receiver, Sender, bounded};
use tide::http::{Request, Response};

use super::server::TestServer;
use crate::wire::{BindError, BoundAddress, Listener, WireLimits};

/// An application that reports each request and answers on a signal.
fn held(limits: WireLimits, stop_time_max: Duration) -> (TestServer, Receiver<()>, Sender<()>) {
    let (arrived, arrivals) = bounded(16);
    let (go, gone) = bounded::<()>(16);
    let app = move |_: Request| {
        let (arrived, gone) = (arrived.clone(), gone.clone());
        async move {
            arrived.send(()).await.unwrap();
            gone.recv().await.unwrap();
            Response::from("done")
        }
    };
    (TestServer::with_stop_time(limits, app, stop_time_max), arrivals, go)
}

const LONG: Duration = Duration::from_secs(30);
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_stop_closes_idle_connections_and_finishes_requests_in_flight() {
    let (mut server, arrivals, go) = held(WireLimits::default(), LONG);
    let mut idle = server.connect();
    let mut used = server.connect();
    used.send(GET);
    arrivals.recv_blocking().unwrap();
    go.send_blocking(()).unwrap();
    assert_eq!(used.answer().header("Connection"), None);
    let mut busy = server.connect();
    busy.send(GET);
    arrivals.recv_blocking().unwrap();

    server.stop.trigger();
    assert!(idle.has_ended() && used.has_ended());
    assert!((0..1000).any(|_| TcpStream::connect(server.address).is_err()));
    go.send_blocking(()).unwrap();
    let answer = busy.answer();
    assert_eq!((answer.text(), answer.header("Connection")), ("done", Some("close")));
    assert!(busy.has_ended());
    drop(busy);
    server.join();
}

#[test]
fn a_stop_cuts_off_what_does_not_end() {
    let (mut server, arrivals, _go) = held(WireLimits::default(), Duration::from_millis(100));
    let mut client = server.connect();
    client.send(GET);
    arrivals.recv_blocking().unwrap();
    server.stop.trigger();
    server.join();
    assert!(client.has_ended());
}

/// Clients that keep their connection open, say nothing, or say half a head hold up no stop.
#[test]
fn a_stop_waits_for_requests_in_flight_alone() {
    const HOUR: Duration = Duration::from_secs(60 * 60);
    let limits = WireLimits {
        head_time_max: HOUR,
        keep_alive_idle_max: HOUR,
        body_progress_time_max: HOUR,
        drain_time_max: HOUR,
        drain_idle_max: HOUR,
        ..WireLimits::default()
    };
    let (mut server, arrivals, go) = held(limits, HOUR);
    let mut half = server.connect();
    half.send("GET / HTTP/1.1\r\nHost:");
    let mut lingering = server.connect();
    lingering.send("nonsense\r\n\r\n");
    assert_eq!(lingering.answer().status, 400);
    let mut unread = server.connect();
    unread.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf");
    arrivals.recv_blocking().unwrap();
    go.send_blocking(()).unwrap();
    assert_eq!(unread.answer().text(), "done");
    let mut busy = server.connect();
    busy.send(GET);
    arrivals.recv_blocking().unwrap();

    server.stop.trigger();
    assert!(half.has_ended() && lingering.has_ended() && unread.has_ended());
    go.send_blocking(()).unwrap();
    assert_eq!(busy.answer().text(), "done");
    // It is still connected.
    server.join();
    assert!(busy.has_ended());
}

#[test]
fn a_body_that_is_kept_after_the_answer_ends_with_the_connection() {
    let (kept, bodies) = mpsc::sync_channel(1);
    let limits = WireLimits { drain_time_max: Duration::from_millis(200), ..WireLimits::default() };
    let server = TestServer::with(limits, move |mut request: Request| {
        kept.send(request.take_body()).unwrap();
        async { Response::from("done") }
    });
    let mut client = server.connect();
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab");
    let body = bodies.recv().unwrap();
    let answer = client.answer();
    assert_eq!((answer.text(), answer.header("Connection")), ("done", Some("close")));
    assert!(smol::block_on(body.into_bytes()).is_err());
}

#[test]
fn a_port_that_is_taken_differs_from_other_errors() {
    let bind = |text: &str| Listener::bind(&text.parse().unwrap());
    let listeners = bind("127.0.0.1:0").unwrap();
    let BoundAddress::Tcp(address) = listeners[0].address() else { panic!("no port") };
    let taken = bind(&address.to_string());
    assert!(matches!(taken, Err(BindError::PortTaken { .. })), "{taken:?}");
    let unknown = bind("host.invalid:1");
    assert!(matches!(unknown, Err(BindError::Unresolvable { .. })), "{unknown:?}");
    // An address of the documentation's network is no address of this machine.
    let elsewhere = bind("192.0.2.1:0");
    assert!(matches!(elsewhere, Err(BindError::Other { .. })), "{elsewhere:?}");
}
