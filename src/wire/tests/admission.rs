//! Connections that take each other's places.

use std::future::pending;
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use smol::io::{AsyncBufRead, AsyncRead, AsyncReadExt, BufReader};
use tide::http::{Body, Method, Request, Response, StatusCode};

use super::server::{Client, TestServer, answer};
use crate::wire::WireLimits;

const GET: &str = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";

/// Nothing is too young to be idle.
fn limits(connections_max: usize) -> WireLimits {
    WireLimits { connections_max, displaced_idle_min: Duration::ZERO, ..WireLimits::default() }
}

/// Answers how many bytes a body had, or 429 when its connection was displaced.
async fn count(mut request: Request) -> Response {
    let mut bytes = Vec::new();
    match request.take_body().into_reader().read_to_end(&mut bytes).await {
        Ok(_) => {
            let mut response = Response::new(StatusCode::Ok);
            response.set_body(bytes.len().to_string());
            response
        }
        Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {
            let mut response = Response::new(StatusCode::TooManyRequests);
            response.set_body(error.to_string());
            response
        }
        Err(_) => Response::new(StatusCode::BadRequest),
    }
}

/// Connects from another address of the loopback network.
fn connect_from(last: u8, server: SocketAddr) -> Client {
    let other = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&other, &SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
    connect(&other, &server).unwrap();
    Client::over(TcpStream::from(other))
}

/// Sends the head of an upload, and waits until the server reads its body.
fn upload(client: &mut Client) {
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n");
    assert!(client.head().starts_with("HTTP/1.1 100 "));
}

#[test]
fn silent_connections_in_all_places_keep_no_client_out() {
    let server = TestServer::with(limits(4), answer);
    let mut silent: Vec<Client> = (0..4).map(|_| server.connect()).collect();
    for _ in 0..50 {
        let mut honest = server.connect();
        assert_eq!(honest.get("/hello").text(), "hello");
        silent.push(server.connect());
    }
    assert!(silent[0].has_ended());
}

#[test]
fn the_longest_idle_connection_goes_first_without_a_word() {
    let server = TestServer::with(limits(3), answer);
    let mut clients: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for client in clients.iter_mut().rev() {
        assert_eq!(client.get("/hello").text(), "hello");
    }
    assert_eq!(server.connect().get("/hello").text(), "hello");
    assert!(clients[2].has_ended());
    assert_eq!(clients[0].get("/hello").text(), "hello");
    assert_eq!(clients[1].get("/hello").text(), "hello");
}

#[test]
fn a_client_over_the_limit_is_refused_while_all_others_are_busy_and_let_in_later() {
    let server = TestServer::with(limits(1), count);
    let mut first = server.connect();
    upload(&mut first);
    let refused = server.ask(GET);
    assert!(refused.starts_with("HTTP/1.1 429 ") && refused.contains("Retry-After: 1\r\n"), "{refused}");
    assert!(refused.contains("TOOMANYREQUESTS") && refused.contains("Connection: close\r\n"), "{refused}");
    #[cfg(target_os = "linux")]
    {
        let mut other = connect_from(2, server.address);
        other.send(GET);
        let refused = other.rest();
        assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("Retry-After: 1\r\n"), "{refused}");
    }
    first.send(vec![0; 1_000_000]);
    assert_eq!(first.answer().text(), "1000000");
    drop(first);
    let let_in = (0..1000).any(|_| server.connect().get("/hello").status == 200);
    assert!(let_in);
}

#[cfg(target_os = "linux")]
#[test]
fn an_address_that_has_less_gets_in_at_the_cost_of_the_one_that_has_most() {
    let server = TestServer::with(limits(4), answer);
    let mut most: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    let mut other = connect_from(2, server.address);
    assert_eq!(other.get("/hello").text(), "hello");
    let mut third = connect_from(3, server.address);
    assert_eq!(third.get("/hello").text(), "hello");
    assert!(most[0].has_ended());
    // It may have no more than what it has already but by its own.
    let mut more = server.connect();
    assert_eq!(more.get("/hello").text(), "hello");
    assert!(most[1].has_ended());
    for client in [&mut other, &mut third, &mut more] {
        assert_eq!(client.get("/hello").text(), "hello");
    }
}

/// A body that counts the bytes that the server has read of it.
#[cfg(target_os = "linux")]
struct CountedBody {
    body: Box<dyn AsyncBufRead + Unpin + Send + Sync>,
    counted: Arc<AtomicUsize>,
}

#[cfg(target_os = "linux")]
impl AsyncRead for CountedBody {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        target: &mut [u8],
    ) -> Poll<std::io::Result<usize>> {
        let read = Pin::new(&mut self.body).poll_read(context, target);
        if let Poll::Ready(Ok(count)) = read {
            self.counted.fetch_add(count, Ordering::SeqCst);
        }
        read
    }
}

#[cfg(target_os = "linux")]
#[test]
fn uploads_that_trickle_give_way_and_one_that_is_fast_enough_never_does() {
    const PIECE_SIZE_BYTES: usize = 20_000;
    let limits = WireLimits { slow_time_max: Duration::from_millis(50), ..limits(4) };
    let read = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&read);
    let server = TestServer::with(limits, move |mut request: Request| {
        let counted = Arc::clone(&counted);
        let body = request.take_body().into_reader();
        request.set_body(Body::from_reader(BufReader::new(CountedBody { body, counted }), None));
        count(request)
    });
    let mut steady = server.connect();
    upload(&mut steady);
    let mut trickling: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for client in &mut trickling {
        upload(client);
        client.send("x");
    }
    // Each newcomer stays, and is of an address of its own.
    let (mut newcomers, mut left) = (Vec::new(), 1_000_000);
    for last in 2..5 {
        let let_in = std::iter::from_fn(|| {
            // The server has read a part of the fast one before it compares it with the others, however busy
            // the machine is.
            let before = read.load(Ordering::SeqCst);
            steady.send([0; PIECE_SIZE_BYTES]);
            left -= PIECE_SIZE_BYTES;
            let has_read = (0..30_000).any(|_| {
                std::thread::sleep(Duration::from_millis(1));
                read.load(Ordering::SeqCst) >= before + PIECE_SIZE_BYTES
            });
            assert!(has_read, "the server reads the fast one no more");
            let mut client = connect_from(last, server.address);
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
            let is_in = client.answer().status == 200;
            std::thread::sleep(Duration::from_millis(20));
            Some(is_in.then_some(client))
        });
        newcomers.extend(let_in.flatten().next());
    }
    steady.send(vec![0; left]);
    assert_eq!(steady.answer().text(), "1000000");
    for client in &mut trickling {
        let all = client.rest();
        assert!(all.starts_with("HTTP/1.1 429 ") && all.contains("Connection: close"), "{all}");
        assert!(all.ends_with("too slowly while others waited"), "{all}");
    }
}

#[test]
fn health_checks_are_answered_while_all_are_busy_and_silent_clients_keep_coming() {
    let server = TestServer::with(limits(2), |request: Request| async move {
        if request.url().path() == "/livez" { Response::new(StatusCode::Ok) } else { count(request).await }
    });
    let mut busy: Vec<Client> = (0..2).map(|_| server.connect()).collect();
    busy.iter_mut().for_each(upload);
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.extend((0..10).map(|_| server.connect()));
        assert_eq!(server.connect().get("/livez").status, 200);
    }
}

/// Requests that came slowly, and on which the server then works without end.
#[test]
fn displaced_connections_that_do_not_leave_keep_no_client_out() {
    const HELD: usize = 40;
    let limits = WireLimits { slow_time_max: Duration::from_millis(20), ..limits(HELD) };
    let (working, begun) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let (works, begins) = (Arc::clone(&working), Arc::clone(&begun));
    let app = move |request: Request| {
        let counted = Arc::clone(if request.method() == Method::Post { &works } else { &begins });
        async move {
            if count(request).await.status() == StatusCode::Ok {
                counted.fetch_add(1, Ordering::SeqCst);
                pending::<()>().await;
            }
            Response::new(StatusCode::TooManyRequests)
        }
    };
    let server = TestServer::with_stop_time(limits, app, Duration::from_millis(100));
    let has = |counter: &AtomicUsize, count| {
        (0..300).any(|_| {
            std::thread::sleep(Duration::from_millis(1));
            counter.load(Ordering::SeqCst) >= count
        })
    };
    let mut held: Vec<Client> = (0..HELD).map(|_| server.connect()).collect();
    for client in &mut held {
        client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
        assert!(client.head().starts_with("HTTP/1.1 100 "));
    }
    std::thread::sleep(Duration::from_millis(50));
    held.iter_mut().for_each(|client| client.send("x"));
    assert!((0..100).any(|_| has(&working, HELD)), "the server works on all");
    let mut newcomers = Vec::new();
    for number in 1..=HELD {
        let is_in = (0..100).any(|_| {
            let mut client = server.connect();
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            newcomers.push(client);
            has(&begun, number)
        });
        assert!(is_in, "newcomer {number} is kept out");
    }
}
