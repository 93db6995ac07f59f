//! How the real binary starts and stops, and how it says why it doesn't.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use pulk::{Registry, RegistryOptions, Storage};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::serving::{Serving, serve};

/// Starts a server that must refuse; returns its exit code and what it said.
fn refusal(data: &Path, listen: &str) -> (Option<i32>, String) {
    let mut serving = Serving::spawn(serve(data, listen));
    let first_line = std::mem::take(&mut serving.line);
    assert!(!first_line.contains("listening"), "it started: {first_line}");
    let (code, rest) = serving.end();
    (code, first_line + &rest)
}

#[test]
fn the_first_line_names_the_address_with_the_port_that_was_picked() {
    let folder = TempDir::new().unwrap();
    let serving = Serving::start(folder.path());
    let (_, address) = serving.line.trim_end().split_once("pulk listening on http://127.0.0.1:").unwrap();
    assert_ne!(address.parse::<u16>().unwrap(), 0);
}

#[test]
fn sigterm_and_sigint_stop_it_cleanly_with_exit_code_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = TempDir::new().unwrap();
        let serving = Serving::start(folder.path());
        serving.signal(signal);
        let (code, log) = serving.end();
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("stopped cleanly"), "{log}");
    }
}

#[test]
fn a_second_signal_stops_it_at_once_though_a_request_is_in_flight() {
    let folder = TempDir::new().unwrap();
    let mut serving = Serving::start(folder.path());
    let mut connection = TcpStream::connect(serving.address()).unwrap();
    let digest = "0".repeat(64);
    let head = format!(
        "POST /v2/a/blobs/uploads/?digest=sha256:{digest} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\
         Expect: 100-continue\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).unwrap();
    // The interim answer shows that the server has the head and waits for the body.
    let mut answer = String::new();
    BufReader::new(&connection).read_line(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 100"), "{answer}");

    serving.signal(Signal::TERM);
    serving.read_until("SIGTERM received");
    serving.signal(Signal::INT);
    let (code, log) = serving.end();
    assert_eq!(code, Some(130), "{log}");
    assert!(log.contains("stopping at once"), "{log}");
}

/// Has a shell start the server under one of its limits.
fn limited(limit: &str, pulk: &Command) -> Command {
    let mut limited = Command::new("sh");
    limited.arg("-c").arg(format!("{limit} && exec \"$0\" \"$@\""));
    limited.arg(pulk.get_program()).args(pulk.get_args());
    limited.env_remove("PULK_CONFIG").env_remove("PULK_EPHEMERAL");
    limited.stdin(Stdio::null()).stderr(Stdio::piped());
    limited
}

/// Pushes a blob in one request and returns the head of the answer.
fn push(address: &str, content: &[u8]) -> String {
    let digest = pulk::ContentDigest::sha256_of(content);
    let mut connection = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        content.len()
    );
    connection.write_all(head.as_bytes()).unwrap();
    // A refusal may come before all is sent.
    let _ = connection.write_all(content);
    let mut answer = String::new();
    let _ = connection.read_to_string(&mut answer);
    answer
}

#[test]
fn content_over_the_limit_of_file_sizes_is_refused_and_the_server_lives() {
    let folder = TempDir::new().unwrap();
    // Blocks of 512 bytes, or of 1024 in some shells.
    let mut serving = Serving::spawn(limited("ulimit -f 8192", &serve(folder.path(), "127.0.0.1:0")));
    serving.wait_until_listening();
    let answer = push(serving.address(), &vec![7; 12 << 20]);
    assert!(answer.starts_with("HTTP/1.1 507 ") && answer.contains("limit of file sizes"), "{answer}");
    let answer = push(serving.address(), b"hello");
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    serving.signal(Signal::TERM);
    let (code, log) = serving.end();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn signals_that_mean_nothing_to_it_do_not_end_it() {
    let folder = TempDir::new().unwrap();
    let mut serving = Serving::start(folder.path());
    for (signal, name) in [(Signal::USR1, "SIGUSR1"), (Signal::USR2, "SIGUSR2")] {
        serving.signal(signal);
        serving.read_until(&format!("{name} received"));
    }
    assert!(get(serving.address(), "/readyz").starts_with("HTTP/1.1 200"));
}

/// Tells whether processes that this one starts ignore SIGHUP, as under `nohup`. A shell cannot undo that.
fn hangups_are_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() & 1 == 1)
}

#[test]
fn a_terminal_that_closes_stops_it_cleanly() {
    if hangups_are_ignored() {
        eprintln!("SIGHUP is ignored here, so its handling is not tested");
        return;
    }
    let folder = TempDir::new().unwrap();
    let mut serving = Serving::start(folder.path());
    let mut pushing = BufReader::new(TcpStream::connect(serving.address()).unwrap());
    let digest = pulk::ContentDigest::sha256_of(b"hello");
    let head = format!(
        "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\
         Expect: 100-continue\r\n\r\n"
    );
    assert!(exchange(&mut pushing, &head).unwrap().starts_with("HTTP/1.1 100 "));
    // Its shell and the system send one each.
    serving.signal(Signal::HUP);
    serving.read_until("SIGHUP received: no new connections");
    serving.signal(Signal::HUP);
    serving.read_until("SIGHUP received: the stop goes on");
    assert!(exchange(&mut pushing, "hello").unwrap().starts_with("HTTP/1.1 201 "));
    let (code, log) = serving.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("stopped cleanly"), "{log}");
}

#[test]
fn a_terminal_that_closes_is_nothing_to_a_server_that_ignores_it() {
    let folder = TempDir::new().unwrap();
    let mut serving = Serving::spawn(limited("trap '' HUP", &serve(folder.path(), "127.0.0.1:0")));
    serving.wait_until_listening();
    serving.signal(Signal::HUP);
    serving.signal(Signal::USR1);
    serving.read_until("SIGUSR1 received");
    assert!(get(serving.address(), "/readyz").starts_with("HTTP/1.1 200"));
}

/// Lists a folder and everything in it, with modes.
fn modes(folder: &Path, found: &mut Vec<(std::path::PathBuf, u32)>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let status = std::fs::symlink_metadata(entry.path()).unwrap();
        found.push((entry.path(), status.permissions().mode() & 0o777));
        if status.is_dir() {
            modes(&entry.path(), found);
        }
    }
}

#[test]
fn everything_in_the_data_directory_is_for_its_owner_alone_whatever_the_umask() {
    for umask in ["000", "277"] {
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("data");
        let mut serving = Serving::spawn(limited(&format!("umask {umask}"), &serve(&data, "127.0.0.1:0")));
        serving.wait_until_listening();
        assert!(push(serving.address(), b"hello").starts_with("HTTP/1.1 201 "));
        serving.signal(Signal::TERM);
        assert_eq!(serving.end().0, Some(0));
        let mut found = vec![(data.clone(), std::fs::metadata(&data).unwrap().permissions().mode() & 0o777)];
        modes(&data, &mut found);
        assert!(found.iter().any(|(path, _)| path.starts_with(data.join("index")) && path.is_file()));
        for (path, mode) in found {
            let expected = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode, expected, "{mode:o} {} with umask {umask}", path.display());
        }
    }
}

#[test]
fn a_taken_port_is_refused_with_what_to_do_about_it() {
    let folder = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, said) = refusal(folder.path(), &address);
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("pulk: {address} is already in use")), "{said}");
    assert!(said.contains("--listen 127.0.0.1:PORT"), "{said}");
}

#[test]
fn a_second_server_on_one_data_directory_is_refused_and_names_the_first_ones_pid() {
    let folder = TempDir::new().unwrap();
    let first = Serving::start(folder.path());
    let (code, said) = refusal(folder.path(), "127.0.0.1:0");
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("is in use by pid {}", first.child.id())), "{said}");
}

#[test]
fn a_data_directory_that_is_a_file_is_refused_with_what_to_do_about_it() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (code, said) = refusal(&file, "127.0.0.1:0");
    assert_eq!(code, Some(1));
    assert!(said.contains("cannot write to the data directory"), "{said}");
    assert!(said.contains("in the place of a directory"), "{said}");
}

#[test]
fn a_data_directory_whose_parent_is_missing_is_refused_with_the_folder_to_create() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("missing");
    let (code, said) = refusal(&missing.join("data"), "127.0.0.1:0");
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("the folder {} does not exist", missing.display())), "{said}");
    assert!(said.contains(&format!("mkdir -p {}", missing.display())), "{said}");
}

#[test]
fn a_disk_with_less_than_the_reserve_is_warned_about_before_the_server_listens() {
    let folder = TempDir::new().unwrap();
    let disk = rustix::fs::statvfs(folder.path()).unwrap();
    if disk.f_bavail.saturating_mul(disk.f_frsize) >= 1 << 40 {
        // No reserve can be larger than what is free here.
        return;
    }
    let config = folder.path().join("pulk.toml");
    std::fs::write(&config, "[limits]\nreserve_bytes = 1099511627776\n").unwrap();
    let mut command = serve(&folder.path().join("data"), "127.0.0.1:0");
    command.arg("--config").arg(&config);
    let mut serving = Serving::spawn(command);
    let mut before = String::new();
    while !serving.line.contains("pulk listening on ") {
        before += &serving.line;
        serving.line.clear();
        assert_ne!(serving.log.read_line(&mut serving.line).unwrap(), 0, "{before}");
    }
    assert!(before.contains("pushes are refused"), "{before}");
    assert!(before.contains("`limits.reserve_bytes` keeps 1048576.0 MiB free"), "{before}");
}

/// Sends a request and returns the head of its answer, or `None` if the server closed the connection.
fn exchange(connection: &mut BufReader<TcpStream>, request: &str) -> Option<String> {
    connection.get_mut().write_all(request.as_bytes()).ok()?;
    let (mut answer, mut length) = (String::new(), 0);
    while !answer.ends_with("\r\n\r\n") {
        let start = answer.len();
        connection.read_line(&mut answer).ok().filter(|read| *read > 0)?;
        if let Some(("content-length", value)) = answer[start..].to_lowercase().split_once(": ") {
            length = value.trim().parse().unwrap();
        }
    }
    connection.read_exact(&mut vec![0; length]).ok()?;
    Some(answer)
}

/// Clients that do nothing but connect must not take what a push needs.
#[test]
fn a_push_goes_on_while_connections_use_up_all_descriptors_that_they_may() {
    let folder = TempDir::new().unwrap();
    let mut serving = Serving::spawn(limited("ulimit -n 300", &serve(folder.path(), "127.0.0.1:0")));
    assert!(serving.line.contains("open files"), "{}", serving.line);
    serving.wait_until_listening();

    let connect = || TcpStream::connect(serving.address()).unwrap();
    let mut pushing = BufReader::new(connect());
    // Its connection can be idle long enough to be displaced: then it connects again, as clients do.
    let mut ask = |request: &str| {
        let answer = (0..100).find_map(|_| {
            let answer = exchange(&mut pushing, request);
            if answer.is_none() {
                pushing = BufReader::new(connect());
            }
            answer
        });
        answer.expect("the request is never answered")
    };
    assert!(ask("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 200"));
    let idle: Vec<TcpStream> = (0..300).map(|_| connect()).collect();
    // The last of them is answered or closed: then the server has seen them all. One that says nothing could
    // take the place of another one, and keep it.
    let mut last = idle.last().unwrap();
    let _ = last.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    let _ = last.read(&mut [0]);
    let hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let post = format!(
        "POST /v2/a/blobs/uploads/?digest=sha256:{hello} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n\
         hello"
    );
    let answer = ask(&post);
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

/// Asks the server and returns the head and the body of its answer.
fn get(address: &str, path: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    connection.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn while_the_registry_is_being_opened_it_is_alive_not_ready_and_tells_clients_to_come_again() {
    let folder = TempDir::new().unwrap();
    // Opening a pipe waits for its writer.
    let pipe = folder.path().join("pulk.json");
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600));
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).unwrap();
    let mut serving = Serving::spawn(serve(folder.path(), "127.0.0.1:0"));
    assert!(serving.line.contains("the registry is starting"), "{}", serving.line);
    let address = serving.address().split_once(' ').unwrap().0.to_owned();

    assert!(get(&address, "/livez").starts_with("HTTP/1.1 200"));
    let ready = get(&address, "/readyz");
    assert!(ready.starts_with("HTTP/1.1 503") && ready.ends_with("the registry is starting\n"), "{ready}");
    let version = get(&address, "/v2/").to_ascii_lowercase();
    assert!(version.starts_with("http/1.1 503") && version.contains("retry-after: 5"), "{version}");
    assert!(version.contains("\"unavailable\""), "{version}");

    // What is then found is no file, and so the start fails as it would have without all that.
    drop(std::fs::OpenOptions::new().write(true).open(&pipe).unwrap());
    serving.line.clear();
    let (code, said) = serving.end();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("pulk.json"), "{said}");
}

/// A store that another process than the server has open: this one.
fn held(folder: &Path) -> Registry {
    Registry::open(RegistryOptions::new(Storage::Folder(folder.to_owned()))).unwrap()
}

#[test]
fn a_start_waits_until_a_command_is_done_with_the_store_and_says_so_meanwhile() {
    let folder = TempDir::new().unwrap();
    let registry = held(folder.path());
    let mut serving = Serving::spawn(serve(folder.path(), "127.0.0.1:0"));
    let waits = format!("waiting for another pulk (pid {})", std::process::id());
    assert!(serving.line.contains(&waits), "{}", serving.line);
    // The next line names the address, and is logged when a start takes its time.
    serving.line.clear();
    serving.log.read_line(&mut serving.line).unwrap();
    let address = serving.address().split_once(' ').unwrap().0.to_owned();
    // Between two waits it tries again, and just says that it starts.
    let says = (0..1000).any(|_| {
        let ready = get(&address, "/readyz");
        assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
        ready.contains(&waits)
    });
    assert!(says);

    smol::block_on(registry.close()).unwrap();
    drop(registry);
    serving.wait_until_listening();
    assert!(get(&address, "/readyz").starts_with("HTTP/1.1 200"));
    serving.signal(Signal::TERM);
    let (code, log) = serving.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("waiting until"), "it is said once: {log}");
}

#[test]
fn a_signal_ends_a_start_that_waits_for_the_store() {
    let folder = TempDir::new().unwrap();
    let _registry = held(folder.path());
    let serving = Serving::spawn(serve(folder.path(), "127.0.0.1:0"));
    assert!(serving.line.contains("waiting for another pulk"), "{}", serving.line);
    serving.signal(Signal::TERM);
    let (code, log) = serving.end();
    assert_eq!(code, Some(143), "{log}");
}
