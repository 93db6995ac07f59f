//! A stop waits for no client, however slow.

use std::thread;

use smol::block_on;
use tempfile::TempDir;

use super::*;
use crate::maintenance::{Collector, CollectorOptions, Scrub, ScrubOptions};
use crate::registry::{Chunk, Registry, RegistryOptions, Storage};
use crate::spec::ContentDigest;

/// Longer than any test takes: a stop that waits for a client fails instead.
const STOP_WAIT_MAX: Duration = Duration::from_secs(60);

/// For ever, but once the server stops.
const ENDLESS: ClientTimeouts = ClientTimeouts {
    request: Duration::from_secs(86_400),
    write: Duration::from_secs(86_400),
    stopping: Duration::from_millis(1),
};

/// So much content that to say what becomes of it fills every buffer on the way to a client.
const CONTENT: usize = 3000;

/// A control server of a registry in memory, and what drives it.
struct RunningServer {
    folder: TempDir,
    server: ControlServer,
    driver: thread::JoinHandle<()>,
    _ends: Sender<()>,
}

impl RunningServer {
    fn start(registry: Registry) -> Self {
        let folder = TempDir::new().unwrap();
        let executor = Arc::new(Executor::new());
        let (ends, ended) = bounded::<()>(1);
        let driven = Arc::clone(&executor);
        let driver = thread::spawn(move || assert!(block_on(driven.run(ended.recv())).is_err()));
        let collector = Collector::new(&registry, CollectorOptions::default());
        let scrub = Scrub::new(&registry, ScrubOptions::default());
        let (data, socket) = (folder.path(), folder.path().join("control.sock"));
        let place = (data, socket.as_path());
        let store = OpenStore { registry, collector, scrub, serving: None };
        let server = ControlServer::with(ENDLESS, place, store, &executor).unwrap();
        Self { folder, server, driver, _ends: ends }
    }

    fn connect(&self) -> UnixStream {
        UnixStream::connect(self.folder.path().join("control.sock")).unwrap()
    }

    /// Waits until this returns true.
    fn wait_until(mut is_so: impl FnMut() -> bool) {
        for _ in 0..10_000 {
            if is_so() {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
        panic!("it never came to be so");
    }

    /// Returns how many clients are connected.
    fn clients(&self) -> usize {
        held(&self.server.shared.clients)
    }

    /// Returns how many requests are carried out.
    fn served(&self) -> usize {
        held(&self.server.shared.requests)
    }

    fn stop(self) {
        let Self { server, driver, _ends: ends, .. } = self;
        let stopped = async {
            server.stop().await;
            true
        };
        let late = async {
            Timer::after(STOP_WAIT_MAX).await;
            false
        };
        assert!(block_on(or(stopped, late)), "the stop waits for a client");
        drop(ends);
        driver.join().unwrap();
    }
}

/// Counts permits without taking any, so that a client that wants one finds it.
fn held(permits: &Arc<Semaphore>) -> usize {
    Arc::strong_count(permits) - 1
}

fn ask(client: &mut UnixStream) -> String {
    io::Write::write_all(client, b"{\"pulk\":1,\"command\":\"repos\"}\n").unwrap();
    let mut answer = String::new();
    io::Read::read_to_string(client, &mut answer).unwrap();
    answer
}

fn in_memory() -> Registry {
    Registry::open(RegistryOptions::new(Storage::Memory)).unwrap()
}

#[test]
fn a_stop_waits_for_no_client_that_says_nothing() {
    let serving = RunningServer::start(in_memory());
    let silent: Vec<UnixStream> = (0..3).map(|_| serving.connect()).collect();
    RunningServer::wait_until(|| serving.clients() == silent.len());
    serving.stop();
}

#[test]
fn clients_that_say_nothing_keep_no_other_out() {
    let serving = RunningServer::start(in_memory());
    let mut silent: VecDeque<UnixStream> = (0..CLIENTS_MAX).map(|_| serving.connect()).collect();
    RunningServer::wait_until(|| serving.clients() == CLIENTS_MAX);
    for _ in 0..3 {
        let answer = ask(&mut serving.connect());
        assert!(answer.contains("result"), "{answer}");
        // Another silent one has the place that this leaves, once it has: the answer is read a moment before.
        RunningServer::wait_until(|| serving.clients() == CLIENTS_MAX - 1);
        silent.push_back(serving.connect());
        RunningServer::wait_until(|| serving.clients() == CLIENTS_MAX);
    }
    // Those that were silent for longest had to go, and no others.
    for mut gone in silent.drain(..3) {
        assert_eq!(io::Read::read(&mut gone, &mut [0]).unwrap(), 0);
    }
    for mut client in silent {
        let answer = ask(&mut client);
        assert!(answer.contains("result"), "{answer}");
    }
    serving.stop();
}

#[test]
fn a_request_that_waits_for_room_is_not_carried_out_once_the_server_stops() {
    let serving = RunningServer::start(in_memory());
    let held: Vec<_> = std::iter::from_fn(|| serving.server.shared.requests.try_acquire_arc()).collect();
    assert_eq!(held.len(), REQUESTS_AT_ONCE_MAX);
    let mut client = serving.connect();
    io::Write::write_all(&mut client, b"{\"pulk\":1,\"command\":\"repos\"}\n").unwrap();
    RunningServer::wait_until(|| serving.clients() == 1);
    let shared = Arc::clone(&serving.server.shared);
    let answered = thread::spawn(move || {
        let mut answer = String::new();
        io::Read::read_to_string(&mut client, &mut answer).unwrap();
        // The requests in progress have ended by now.
        drop(held);
        answer
    });
    serving.stop();
    assert!(shared.stopping.load(Ordering::SeqCst));
    let answer = answered.join().unwrap();
    assert!(answer.contains("stopping"), "{answer}");
    // Also where a permit is free again, and the client has not yet learned of the stop.
    assert!(block_on(shared.permit()).is_err());
}

#[test]
fn a_client_that_leaves_while_its_request_waits_for_room_takes_the_request_along() {
    let serving = RunningServer::start(in_memory());
    let held: Vec<_> = std::iter::from_fn(|| serving.server.shared.requests.try_acquire_arc()).collect();
    let mut client = serving.connect();
    io::Write::write_all(&mut client, b"{\"pulk\":1,\"command\":\"repos\"}\n").unwrap();
    RunningServer::wait_until(|| serving.clients() == 1);
    drop(client);
    RunningServer::wait_until(|| serving.clients() == 0);
    drop(held);
    serving.stop();
}

#[test]
fn a_stop_waits_for_no_client_that_reads_nothing() {
    let registry = in_memory();
    let name = "app".parse().unwrap();
    for number in 0..CONTENT {
        let content = number.to_string().into_bytes();
        let chunk = Chunk { body: &content[..], length: Some(content.len() as u64), range: None };
        let digest = ContentDigest::sha256_of(&content).into();
        let id = block_on(registry.begin_upload(&name, None)).unwrap();
        block_on(registry.finish_upload(&name, id, &digest, chunk)).unwrap();
    }
    let serving = RunningServer::start(registry);
    let mut client = serving.connect();
    let request = b"{\"pulk\":1,\"command\":\"gc\",\"dry_run\":true}\n";
    io::Write::write_all(&mut client, request).unwrap();
    // What has come stays as much when nothing more finds room.
    let (mut before, mut unchanged) = (0, 0);
    RunningServer::wait_until(|| {
        let now = rustix::io::ioctl_fionread(&client).unwrap();
        unchanged = if now == before { unchanged + 1 } else { 0 };
        before = now;
        now > 0 && unchanged >= 200
    });
    assert_eq!(serving.served(), 1, "the answer is longer than all buffers");
    serving.stop();
}

const FOLLOW: &[u8] = b"{\"pulk\":1,\"command\":\"log\",\"follow\":true}\n";

fn push_contents(registry: &Registry, contents: std::ops::Range<usize>) {
    let name = "app".parse().unwrap();
    for number in contents {
        let content = number.to_string().into_bytes();
        let chunk = Chunk { body: &content[..], length: Some(content.len() as u64), range: None };
        let digest = ContentDigest::sha256_of(&content).into();
        let id = block_on(registry.begin_upload(&name, None)).unwrap();
        block_on(registry.finish_upload(&name, id, &digest, chunk)).unwrap();
    }
}

#[test]
fn a_client_that_follows_the_log_gets_each_change_and_leaves_nothing_when_it_goes() {
    let registry = in_memory();
    let serving = RunningServer::start(registry.clone());
    let mut clients: Vec<_> =
        (0..LOG_READERS_AT_ONCE_MAX).map(|_| io::BufReader::new(serving.connect())).collect();
    for client in &mut clients {
        io::Write::write_all(client.get_mut(), FOLLOW).unwrap();
    }
    for number in 0..3 {
        push_contents(&registry, number..number + 1);
        for client in &mut clients {
            let mut line = String::new();
            io::BufRead::read_line(client, &mut line).unwrap();
            assert!(line.contains("blob-added"), "{line}");
        }
    }
    // They take no place from others, but each one more is refused.
    assert!(ask(&mut serving.connect()).contains("result"));
    let mut refused = serving.connect();
    io::Write::write_all(&mut refused, FOLLOW).unwrap();
    let mut answer = String::new();
    io::Read::read_to_string(&mut refused, &mut answer).unwrap();
    assert!(answer.contains("busy"), "{answer}");
    drop(clients);
    RunningServer::wait_until(|| held(&serving.server.shared.log_readers) == 0);
    serving.stop();
}

#[test]
fn a_client_that_follows_the_log_and_reads_nothing_holds_up_no_other_and_no_stop() {
    let registry = in_memory();
    push_contents(&registry, 0..CONTENT);
    let serving = RunningServer::start(registry.clone());
    let mut client = serving.connect();
    io::Write::write_all(&mut client, FOLLOW).unwrap();
    // What has come stays as much when nothing more finds room.
    let (mut before, mut unchanged) = (0, 0);
    RunningServer::wait_until(|| {
        let now = rustix::io::ioctl_fionread(&client).unwrap();
        unchanged = if now == before { unchanged + 1 } else { 0 };
        before = now;
        now > 0 && unchanged >= 200
    });
    assert_eq!(serving.served(), 0, "it holds no place of a request");
    push_contents(&registry, CONTENT..CONTENT + 10);
    assert!(ask(&mut serving.connect()).contains("result"));
    serving.stop();
}

#[test]
fn a_stop_ends_a_client_that_waits_for_changes() {
    let serving = RunningServer::start(in_memory());
    let mut client = serving.connect();
    io::Write::write_all(&mut client, FOLLOW).unwrap();
    RunningServer::wait_until(|| held(&serving.server.shared.log_readers) == 1);
    let ended = thread::spawn(move || {
        let mut answer = String::new();
        io::Read::read_to_string(&mut client, &mut answer).map(|_| answer)
    });
    serving.stop();
    assert!(ended.join().unwrap().is_ok());
}
