//! A log that is not read, and output that nothing takes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::common::command;
use crate::serving::Serving;

/// Far longer than anything here takes.
const HANG_TIME: Duration = Duration::from_secs(60);

/// More log lines than the pipe and the server's queue hold.
const REQUESTS: usize = 6000;

/// Has the server answer, and log, many requests.
fn ask_often(serving: &Serving) -> BufReader<TcpStream> {
    let socket = TcpStream::connect(serving.address()).unwrap();
    socket.set_read_timeout(Some(HANG_TIME)).unwrap();
    let mut client = BufReader::new(socket);
    for number in 0..REQUESTS {
        ask(&mut client, &format!("/v2/?{number}"));
    }
    client
}

fn ask(client: &mut BufReader<TcpStream>, path: &str) -> String {
    client.get_mut().write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let start = head.len();
        assert_ne!(client.read_line(&mut head).unwrap(), 0, "{head}");
        if let Some(("content-length", value)) = head[start..].to_lowercase().split_once(": ") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    client.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

#[test]
fn a_log_that_is_not_read_stops_nothing_and_says_later_what_is_missing() {
    let folder = TempDir::new().unwrap();
    let mut serving = Serving::start(folder.path());
    let mut client = ask_often(&serving);
    let metrics = ask(&mut client, "/metrics");
    let dropped = metrics.lines().find_map(|line| line.strip_prefix("pulk_log_lines_dropped_total "));
    assert!(dropped.unwrap().parse::<u64>().unwrap() > 0, "{metrics}");
    serving.read_until(" log lines were dropped");
    ask(&mut client, "/v2/?after");
    serving.read_until("/v2/?after 200");
    serving.signal(Signal::TERM);
    let (code, log) = serving.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.ends_with("stopped cleanly\n"), "the last line is written: {log}");
}

#[test]
fn lines_that_are_missing_are_reported_whatever_the_level_of_the_log() {
    let folder = TempDir::new().unwrap();
    let mut command = command(&["serve", "--listen", "127.0.0.1:0"], &folder.path().join("data"));
    command.args(["--log", "info,pulk::cli::output=off"]).stderr(Stdio::piped());
    let mut serving = Serving::spawn(command);
    serving.wait_until_listening();
    let mut client = ask_often(&serving);
    let is_read = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_read.load(Ordering::SeqCst) {
                ask(&mut client, "/v2/?after");
            }
        });
        let lines = (&mut serving.log).lines().map(Result::unwrap);
        // It stands about where the lines are missing.
        let reported = lines.filter(|line| line.contains("dropped") || line.contains("?after")).take(1000);
        let is_reported = reported.into_iter().any(|line| line.contains(" log lines were dropped"));
        is_read.store(true, Ordering::SeqCst);
        assert!(is_reported);
    });
}

#[test]
fn a_log_that_is_not_read_holds_up_no_stop() {
    let folder = TempDir::new().unwrap();
    let mut serving = Serving::start(folder.path());
    drop(ask_often(&serving));
    serving.signal(Signal::TERM);
    let began = Instant::now();
    let ended = loop {
        match serving.child.try_wait().unwrap() {
            None if began.elapsed() < HANG_TIME => std::thread::sleep(Duration::from_millis(20)),
            ended => break ended,
        }
    };
    assert_eq!(ended.expect("it hangs").code(), Some(0));
}

#[test]
fn a_log_whose_reader_is_gone_stops_nothing() {
    let folder = TempDir::new().unwrap();
    let mut serving = Serving::start(folder.path());
    serving.log = BufReader::new(Box::new(std::io::empty()));
    let mut client = ask_often(&serving);
    assert_eq!(ask(&mut client, "/v2/"), "{}");
}

#[test]
fn what_the_transport_refuses_and_what_a_stop_cuts_off_has_a_line() {
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("pulk.toml");
    std::fs::write(&config, "[limits]\nstop_time = \"0s\"\n").unwrap();
    let mut command = command(&["serve", "--listen", "127.0.0.1:0"], &folder.path().join("data"));
    command.arg("--config").arg(&config).stderr(Stdio::piped());
    let mut serving = Serving::spawn(command);
    serving.wait_until_listening();
    let mut client = BufReader::new(TcpStream::connect(serving.address()).unwrap());
    client.get_mut().write_all(b"nonsense\r\n\r\n").unwrap();
    serving.read_until("WARN  refused a request of 127.0.0.1:");
    let mut client = BufReader::new(TcpStream::connect(serving.address()).unwrap());
    let digest = "0".repeat(64);
    let head = format!(
        "POST /v2/a/blobs/uploads/?digest=sha256:{digest} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\
         X-Request-Id: cut-1\r\nExpect: 100-continue\r\n\r\n"
    );
    client.get_mut().write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_line(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 100"), "{answer}");
    serving.signal(Signal::TERM);
    let (code, log) = serving.end();
    assert_eq!(code, Some(0), "{log}");
    let line = log.lines().find(|line| line.contains("id=cut-1")).expect(&log);
    assert!(line.contains(" POST /v2/a/blobs/uploads/") && line.ends_with(" cut off"), "{line}");
}

#[test]
fn output_that_nothing_takes_is_no_failure() {
    let folder = TempDir::new().unwrap();
    let commands: [&[&str]; 10] = [
        &["config"],
        &["status"],
        &["repos"],
        &["du"],
        &["gc", "--dry-run"],
        &["gc"],
        &["scrub"],
        &["check"],
        &["rebuild"],
        &["status", "--json"],
    ];
    drop(Serving::start(folder.path()));
    for arguments in commands {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output =
            command(arguments, folder.path()).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        assert!(!said.contains("panicked") && !said.contains("pipe"), "{arguments:?}: {said}");

        // And without a reader of standard error.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = command(arguments, folder.path()).stdout(Stdio::null()).stderr(writer).status().unwrap();
        assert_eq!(status.code(), Some(0), "{arguments:?}");
    }
}
