//! Files as bodies, and the report of how an answer went out.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use smol::io::{AsyncBufRead, AsyncRead};
use tide::http::{Body, Method, Request, Response, StatusCode};

use super::server::{Client, TestServer, Told};
use crate::spec::ByteSpan;
use crate::wire::{BodyFile, FileBody, FileStep, FileStepFuture, RangesBody, Sent, WireLimits};

const FILE_SIZE: usize = 5_000_000;

/// A file that is only read, with or without a descriptor to show.
#[derive(Debug, Clone)]
struct ReadOnly {
    file: Arc<File>,
    shows_descriptor: bool,
}

impl BodyFile for ReadOnly {
    fn run(&self, step: FileStep) -> FileStepFuture<'_> {
        let Self { file, shows_descriptor } = self.clone();
        Box::pin(smol::unblock(move || {
            let descriptor = shows_descriptor.then(|| file.as_fd());
            step.run(descriptor, |buffer, offset| file.read_at(buffer, offset))
        }))
    }

    fn name(&self) -> String {
        "a file of a test".to_owned()
    }
}

fn content() -> Vec<u8> {
    (0..FILE_SIZE).map(|number| (number % 253) as u8).collect()
}

fn body_file(shows_descriptor: bool) -> Arc<dyn BodyFile> {
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, &content()).unwrap();
    Arc::new(ReadOnly { file: Arc::new(file), shows_descriptor })
}

/// Serves one file; the path names the stretch of it, as in `/100/5`, and anything else is a 404.
fn serve_file(shows_descriptor: bool, limits: WireLimits) -> (TestServer, Told) {
    serve_file_until(shows_descriptor, limits, Duration::from_secs(30))
}

fn serve_file_until(
    shows_descriptor: bool,
    limits: WireLimits,
    stop_time_max: Duration,
) -> (TestServer, Told) {
    let told = Told::default();
    let (file, telling) = (body_file(shows_descriptor), told.clone());
    let app = move |request: Request| {
        let mut response = Response::new(StatusCode::Ok);
        let numbers: Vec<u64> =
            request.url().path().split('/').filter_map(|part| part.parse().ok()).collect();
        match numbers[..] {
            // Stretches of the same length: the path has their offsets, and the length at last.
            [ref offsets @ .., length] if offsets.len() > 1 => {
                let spans = offsets.iter().map(|offset| ByteSpan { offset: *offset, length }).collect();
                let body = RangesBody::new(Arc::clone(&file), "a/b", FILE_SIZE as u64, spans);
                response.insert_header("X-Type", body.media_type());
                response.ext_mut().insert(body);
                response.ext_mut().insert(telling.on_sent());
            }
            [offset, length] => {
                response.ext_mut().insert(FileBody { file: Arc::clone(&file), offset, length });
                response.ext_mut().insert(telling.on_sent());
            }
            _ => response.set_status(StatusCode::NotFound),
        }
        async { response }
    };
    (TestServer::with_stop_time(limits, app, stop_time_max), told)
}

#[test]
fn files_and_parts_of_them_arrive_whole() {
    let content = content();
    for shows_descriptor in [true, false] {
        let (server, told) = serve_file(shows_descriptor, WireLimits::default());
        let mut client = server.connect();
        let stretches = [(0, FILE_SIZE), (0, 1), (FILE_SIZE - 1, 1), (1_048_575, 2_097_154), (7, 0)];
        for (offset, length) in stretches {
            let answer = client.get(&format!("/{offset}/{length}"));
            assert_eq!(answer.header("Content-Length"), Some(length.to_string().as_str()));
            assert!(answer.body == content[offset..offset + length], "{offset}/{length}");
        }
        assert_eq!(client.get("/x").status, 404);
        let expected =
            stretches.map(|(_, length)| Sent { bytes_in: 0, bytes_out: length as u64, complete: true });
        assert_eq!(told.wait(expected.len()), expected);
    }
}

/// B7: the announced length is what comes, by `sendfile` and through a buffer.
#[test]
fn several_ranges_of_a_file_arrive_as_parts() {
    let content = content();
    for shows_descriptor in [true, false] {
        let (server, told) = serve_file(shows_descriptor, WireLimits::default());
        let mut client = server.connect();
        for (offsets, length) in [(vec![0, 1], 1), (vec![7, 2_000_000, 4_000_000], 999_999), (vec![9, 3], 5)]
        {
            let path: String = offsets.iter().chain([&length]).map(|number| format!("/{number}")).collect();
            let answer = client.get(&path);
            let boundary = answer.header("X-Type").unwrap().rsplit_once('=').unwrap().1.to_owned();
            let mut expected = Vec::new();
            for offset in offsets {
                let line_end = if expected.is_empty() { "" } else { "\r\n" };
                let range = format!("{offset}-{}/{FILE_SIZE}", offset + length - 1);
                let head = format!("Content-Type: a/b\r\nContent-Range: bytes {range}\r\n\r\n");
                expected.extend(format!("{line_end}--{boundary}\r\n{head}").bytes());
                expected.extend(&content[offset..offset + length]);
            }
            expected.extend(format!("\r\n--{boundary}--\r\n").bytes());
            assert!(answer.body == expected, "{path}");
        }
        assert!(told.wait(3).iter().all(|sent| sent.complete));
    }
}

/// A client that stops reading between two parts is cut off as in a single one.
#[test]
fn a_client_that_takes_no_more_parts_is_given_up() {
    for shows_descriptor in [true, false] {
        let limits =
            WireLimits { body_progress_time_max: Duration::from_millis(200), ..WireLimits::default() };
        let (server, told) = serve_file(shows_descriptor, limits);
        let mut client = server.connect();
        client.send("GET /0/1000000/2000000/3000000/1000000 HTTP/1.1\r\nHost: a\r\n\r\n".repeat(10));
        let reports = wait_for_cut(&told);
        assert!(!reports.last().expect("a report").complete, "{reports:?}");
        client.head();
    }
}

/// H4: HEAD carries the length that GET has.
#[test]
fn head_of_a_file_has_its_length_and_no_body() {
    let (server, told) = serve_file(true, WireLimits::default());
    let mut client = server.connect();
    client.send("HEAD /0/5000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.head().contains("Content-Length: 5000000\r\n"));
    assert_eq!(client.get("/x").status, 404);
    assert_eq!(told.wait(1), [Sent { bytes_in: 0, bytes_out: 0, complete: true }]);
}

#[test]
fn a_slow_reader_gets_the_whole_file() {
    for shows_descriptor in [true, false] {
        let (server, _) = serve_file(shows_descriptor, WireLimits::default());
        let mut client = server.connect();
        client.send("GET /0/5000000 HTTP/1.1\r\nHost: a\r\n\r\n");
        client.head();
        let mut body = Vec::new();
        while body.len() < FILE_SIZE {
            std::thread::sleep(Duration::from_millis(1));
            body.extend(client.bytes(50_000));
        }
        assert!(body == content());
    }
}

#[test]
fn a_file_that_ends_early_aborts_the_connection_and_is_reported() {
    for shows_descriptor in [true, false] {
        let (server, told) = serve_file(shows_descriptor, WireLimits::default());
        let mut client = server.connect();
        client.send(format!("GET /{}/100 HTTP/1.1\r\nHost: a\r\n\r\n", FILE_SIZE - 10));
        let mut all = Vec::new();
        // Reset or ended: the announced length was not reached.
        let ended = client.socket.read_to_end(&mut all);
        assert!(ended.is_err() || all.ends_with(&content()[FILE_SIZE - 10..]), "{all:?}");
        assert_eq!(told.wait(1), [Sent { bytes_in: 0, bytes_out: 10, complete: false }]);
    }
}

/// Ten files are more than the buffers of two sockets take.
fn ask_for_too_much(server: &TestServer) -> Client {
    let mut client = server.connect();
    client.send("GET /0/5000000 HTTP/1.1\r\nHost: a\r\n\r\n".repeat(10));
    client
}

/// Waits for the answer that was cut off: whole ones, which the buffers took, come before it.
fn wait_for_cut(told: &Told) -> Vec<Sent> {
    let mut reports = told.wait(1);
    while reports.last().is_some_and(|sent| sent.complete) && reports.len() < 10 {
        reports = told.wait(reports.len() + 1);
    }
    reports
}

#[test]
fn a_client_that_goes_away_is_reported_once() {
    for shows_descriptor in [true, false] {
        let (server, told) = serve_file(shows_descriptor, WireLimits::default());
        let mut client = ask_for_too_much(&server);
        client.bytes(1000);
        drop(client);
        let reports = wait_for_cut(&told);
        let cut = reports.last().expect("a report");
        assert!(!cut.complete && cut.bytes_out < FILE_SIZE as u64, "{reports:?}");
        assert_eq!(server.connect().get("/0/1").status, 200);
        let after = &told.wait(reports.len() + 1)[reports.len()..];
        assert_eq!(after, [Sent { bytes_in: 0, bytes_out: 1, complete: true }]);
    }
}

#[test]
fn a_client_that_takes_nothing_is_given_up() {
    for shows_descriptor in [true, false] {
        let limits =
            WireLimits { body_progress_time_max: Duration::from_millis(200), ..WireLimits::default() };
        let (server, told) = serve_file(shows_descriptor, limits);
        let _client = ask_for_too_much(&server);
        let reports = wait_for_cut(&told);
        assert!(!reports.last().expect("a report").complete, "{reports:?}");
    }
}

/// The system calls a socket writable only when a third of its buffer is free: at this rate that takes longer
/// than a client may stand still. The client's system says that it has room again only when a sixteenth of
/// its buffer is free, which takes less.
#[test]
fn a_client_that_reads_slowly_and_steadily_is_not_taken_for_one_that_stands_still() {
    for shows_descriptor in [true, false] {
        let limits = WireLimits { body_progress_time_max: Duration::from_secs(4), ..WireLimits::default() };
        let (server, told) = serve_file(shows_descriptor, limits);
        let mut client = ask_for_too_much(&server);
        client.head();
        let mut read = 0;
        for _ in 0..32 {
            std::thread::sleep(Duration::from_millis(250));
            read += client.bytes(64 * 1024).len();
        }
        client.bytes(FILE_SIZE - read);
        for _ in 1..10 {
            assert_eq!(client.answer().body.len(), FILE_SIZE);
        }
        assert!(told.wait(10).iter().all(|sent| sent.complete));
    }
}

/// What lies in memory must not lie there for as long as a client that takes a little now and then likes.
#[test]
fn an_answer_from_memory_is_given_up_after_a_while_and_one_from_a_file_is_not() {
    let limits = WireLimits { memory_body_time_max: Duration::from_millis(200), ..WireLimits::default() };
    let told = Told::default();
    let telling = told.clone();
    let server = TestServer::with(limits.clone(), move |_: Request| {
        let on_sent = telling.on_sent();
        async move {
            let mut response = Response::new(StatusCode::Ok);
            response.ext_mut().insert(on_sent);
            response.set_body(vec![b'x'; 64 * 1024 * 1024]);
            response
        }
    });
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    for _ in 0..3000 {
        // It ends in an error when it was given up.
        let _ = client.socket.read(&mut [0; 100]);
        if !told.all().is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!told.all().last().expect("a report").complete);

    let (server, told) = serve_file(true, limits);
    let mut client = ask_for_too_much(&server);
    client.head();
    client.bytes(FILE_SIZE);
    std::thread::sleep(Duration::from_millis(400));
    for _ in 1..10 {
        assert_eq!(client.answer().body.len(), FILE_SIZE);
    }
    assert!(told.wait(10).iter().all(|sent| sent.complete));
}

#[test]
fn an_answer_that_a_stop_cuts_off_is_reported() {
    for shows_descriptor in [true, false] {
        let (mut server, told) =
            serve_file_until(shows_descriptor, WireLimits::default(), Duration::from_millis(100));
        let mut client = ask_for_too_much(&server);
        client.bytes(1000);
        server.stop.trigger();
        server.join();
        let reports = told.all();
        assert!(!reports.last().expect("a report").complete, "{reports:?}");
    }
}

/// A body that panics when it is read.
struct Panicking;

impl AsyncRead for Panicking {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<std::io::Result<usize>> {
        panic!("as asked")
    }
}

impl AsyncBufRead for Panicking {
    fn poll_fill_buf(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<&[u8]>> {
        panic!("as asked")
    }

    fn consume(self: Pin<&mut Self>, _: usize) {}
}

#[test]
fn every_answer_is_reported_once() {
    let told = Told::default();
    let telling = told.clone();
    let server = TestServer::with(WireLimits::default(), move |mut request: Request| {
        let on_sent = telling.on_sent();
        async move {
            let mut response = Response::new(StatusCode::Ok);
            response.ext_mut().insert(on_sent);
            if request.method() == Method::Put {
                response.set_body(request.body_bytes().await.unwrap());
            } else if request.url().path() == "/bad" {
                response.insert_header("X", "a\nb");
            } else {
                response.set_body(Body::from_reader(Panicking, Some(1)));
            }
            response
        }
    });
    let mut client = server.connect();
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(client.answer().text(), "hello");
    client.send(
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
    );
    assert_eq!(client.answer().text(), "abcd");
    assert_eq!(client.get("/bad").status, 500);
    assert_eq!(server.ask("GET /panic HTTP/1.1\r\nHost: a\r\n\r\n"), "");
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(client.answer().text(), "x");
    let reports: Vec<(u64, u64, bool)> =
        told.wait(5).iter().map(|sent| (sent.bytes_in, sent.bytes_out, sent.complete)).collect();
    assert_eq!(reports, [(5, 5, true), (4, 4, true), (0, 0, false), (0, 0, false), (1, 1, true)]);
}
