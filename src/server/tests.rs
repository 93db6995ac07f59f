//! Panics in handlers, over sockets; and a stop while a client waits for a collection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::*;

/// One persistent connection.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self(BufReader::new(socket))
    }

    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// Returns the next answer, its head in lower case.
    fn answer(&mut self) -> String {
        let (mut answer, mut length) = (String::new(), 0);
        while !answer.ends_with("\r\n\r\n") {
            let mut line = String::new();
            assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "the connection ended: {answer}");
            line.make_ascii_lowercase();
            if let Some(said) = line.strip_prefix("content-length: ") {
                length = said.trim_end().parse().unwrap();
            }
            answer += &line;
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        answer + std::str::from_utf8(&body).unwrap()
    }

    fn has_ended(&mut self) -> bool {
        self.0.fill_buf().unwrap().is_empty()
    }
}

#[test]
fn one_server_listens_on_ports_names_and_unix_sockets() {
    let folder = tempfile::TempDir::new().unwrap();
    let socket = folder.path().join("http.sock");
    let texts = ["127.0.0.1:0", ":0", "localhost:0", &format!("unix:{}", socket.display())];
    let listen = texts.iter().map(|text| text.parse().unwrap()).collect();
    let options = ServerOptions { listen, ..ServerOptions::ephemeral() };
    let server = smol::block_on(Server::start(options)).unwrap();
    let head = b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let mut answers = Vec::new();
    for address in server.addresses() {
        let mut answer = String::new();
        match address {
            BoundAddress::Tcp(address) => {
                let host = if address.is_ipv4() { "127.0.0.1" } else { "::1" };
                let mut stream = TcpStream::connect((host, address.port())).unwrap();
                stream.write_all(head).unwrap();
                stream.read_to_string(&mut answer).unwrap();
            }
            BoundAddress::Unix(path) => {
                let mut stream = std::os::unix::net::UnixStream::connect(path).unwrap();
                stream.write_all(head).unwrap();
                stream.read_to_string(&mut answer).unwrap();
            }
        }
        answers.push(answer);
    }
    assert!(
        answers.len() >= texts.len() && answers.iter().all(|answer| answer.contains(" 200 ")),
        "{answers:?}"
    );
    smol::block_on(server.stop()).unwrap();
    assert!(!socket.exists(), "the socket's file goes with the server");
}

#[test]
fn a_panic_in_a_handler_is_answered_500_with_the_requests_id_and_harms_no_other_connection() {
    let server = smol::block_on(Server::start(ServerOptions::ephemeral())).unwrap();
    let address = server.local_addr().unwrap();
    let digest = crate::spec::ContentDigest::sha256_of(b"hello");
    let mut pushing = Client::new(address);
    pushing.send(&format!(
        "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\
         Expect: 100-continue\r\n\r\n"
    ));
    assert!(pushing.answer().starts_with("http/1.1 100 "));
    pushing.send("hel");

    // More often than any kind of permit is available.
    for number in 0..600 {
        let mut client = Client::new(address);
        client.send(&format!(
            "PUT /panic HTTP/1.1\r\nHost: a\r\nX-Request-Id: request-{number}\r\n\
             Content-Length: 9\r\n\r\nhalf"
        ));
        let answer = client.answer();
        assert!(answer.starts_with("http/1.1 500 ") && answer.contains("connection: close"), "{answer}");
        assert!(answer.contains(&format!("x-request-id: request-{number}\r\n")), "{answer}");
        assert!(answer.contains(&format!(r#""detail":{{"request":"request-{number}"}}"#)), "{answer}");
        client.send("the rest");
        assert!(client.has_ended());
    }

    pushing.send("lo");
    let pushed = pushing.answer();
    assert!(pushed.starts_with("http/1.1 201 "), "{pushed}");
    pushing.send("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    let metrics = pushing.answer();
    assert!(metrics.contains("\npulk_http_panics_total 600\n"), "{metrics}");
    smol::block_on(server.stop()).unwrap();
}

#[test]
fn what_the_transport_refuses_is_counted() {
    let mut options = ServerOptions::ephemeral();
    options.wire.connections_max = 2;
    options.wire.head_time_max = Duration::from_secs(2);
    let server = smol::block_on(Server::start(options)).unwrap();
    let ask = |request: &str| {
        let mut client = Client::new(server.local_addr().unwrap());
        client.send(request);
        client.answer()
    };
    let long = "a".repeat(64 * 1024);
    let refused = [
        ("GET / HTTP/1.1\r\n\r\n", 400, "bad_request"),
        ("GET / HTTP/1.1\r\nHost:", 408, "head_too_slow"),
        (&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), 431, "head_too_large"),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505, "unknown_version"),
    ];
    for (request, status, _) in refused {
        let answer = ask(request);
        assert!(answer.starts_with(&format!("http/1.1 {status} ")), "{answer}");
    }
    // Bodies that are being read: connections that no newcomer displaces.
    let busy = (0..2).map(|_| {
        let clients = (0..1000).map(|_| Client::new(server.local_addr().unwrap()));
        // The connections of refused requests keep their places until they are read to the end.
        let mut clients = clients.filter_map(|mut client| begins_half_a_body(&mut client).then_some(client));
        clients.next().expect("their places are never free")
    });
    let busy: Vec<Client> = busy.collect();
    let answer = ask("GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(answer.starts_with("http/1.1 429 "), "{answer}");
    assert!(
        Client::new(server.local_addr().unwrap()).has_ended(),
        "a silent client over the limit gets no answer"
    );
    drop(busy);
    let get = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let metrics = (0..1000).map(|_| ask(get)).find(|answer| answer.starts_with("http/1.1 200 "));
    let metrics = metrics.expect("their places are never free");
    for (_, status, reason) in refused {
        let line = format!("\npulk_http_refused_total{{reason=\"{reason}\",status=\"{status}\"}} 1\n");
        assert!(metrics.contains(&line), "{line} is not in {metrics}");
    }
    let most = "pulk_http_refused_total{reason=\"too_many_of_address\",status=\"429\"} ";
    assert!(metrics.contains(most), "{metrics}");
    let silent = "pulk_http_refused_total{reason=\"too_many_of_address\",status=\"none\"} ";
    assert!(metrics.contains(silent), "{metrics}");
    stop_soon(server);
}

/// Begins a push in one request whose body does not come to its end.
fn half_a_body(client: &mut Client) {
    assert!(begins_half_a_body(client));
}

/// Does so, and returns whether the server reads the body.
fn begins_half_a_body(client: &mut Client) -> bool {
    let digest = crate::spec::ContentDigest::sha256_of(b"hello");
    client.send(&format!(
        "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\
         Expect: 100-continue\r\n\r\n"
    ));
    client.answer().starts_with("http/1.1 100 ")
}

/// Begins an upload, and a chunk of it that never comes to its end.
fn half_a_chunk(client: &mut Client) -> String {
    client.send("POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    let begun = client.answer();
    let place = begun.lines().find_map(|line| line.strip_prefix("location: ")).unwrap().to_owned();
    client.send(&format!(
        "PATCH {place} HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\nExpect: 100-continue\r\n\r\n"
    ));
    assert!(client.answer().starts_with("http/1.1 100 "));
    client.send(&"half".repeat(1250));
    place
}

#[test]
fn a_stop_waits_for_no_upload_that_can_be_resumed_and_the_next_start_has_its_bytes() {
    let folder = tempfile::TempDir::new().unwrap();
    let options = || ServerOptions { stop_time_max: STOP_WAIT_MAX * 60, ..ServerOptions::new(folder.path()) };
    let server = smol::block_on(Server::start(options())).unwrap();
    let mut client = Client::new(server.local_addr().unwrap());
    let place = half_a_chunk(&mut client);
    let mut asking = Client::new(server.local_addr().unwrap());
    let get = format!("GET {place} HTTP/1.1\r\nHost: a\r\n\r\n");
    let has_come = |client: &mut Client, last: u32| {
        client.send(&get);
        client.answer().contains(&format!("range: 0-{last}\r\n"))
    };
    let came = (0..10_000).any(|_| {
        std::thread::sleep(Duration::from_millis(1));
        has_come(&mut asking, 4999)
    });
    assert!(came, "its first bytes never came");
    stop_soon(server);
    let answer = client.answer();
    assert!(answer.starts_with("http/1.1 503 ") && answer.contains("retry-after: "), "{answer}");

    let server = smol::block_on(Server::start(options())).unwrap();
    assert!(has_come(&mut Client::new(server.local_addr().unwrap()), 4095), "it stands where a block begins");
    stop_soon(server);
}

#[test]
fn a_stop_ends_background_work_before_the_requests_in_flight_have_ended() {
    let folder = tempfile::TempDir::new().unwrap();
    let options = ServerOptions { stop_time_max: STOP_WAIT_MAX * 60, ..ServerOptions::new(folder.path()) };
    let server = smol::block_on(Server::start(options)).unwrap();
    let collector = server.collector().clone();
    let mut client = Client::new(server.local_addr().unwrap());
    half_a_body(&mut client);
    let stopped = std::thread::spawn(move || stop_soon(server));
    let ended = (0..10_000).any(|_| {
        std::thread::sleep(Duration::from_millis(1));
        collector.is_stopped()
    });
    client.send("hello");
    let answer = client.answer();
    assert!(answer.starts_with("http/1.1 201 "), "{answer}");
    stopped.join().unwrap();
    assert!(ended, "the collector works until the last request has ended");
}

fn stop_soon(server: Server) {
    let stopped = smol::block_on(future::or(async { Some(server.stop().await) }, async {
        Timer::after(STOP_WAIT_MAX).await;
        None
    }));
    stopped.expect("the stop waits for a client").unwrap();
}

/// Longer than a stop takes: a stop that waits for what only the stop itself would end fails instead.
const STOP_WAIT_MAX: Duration = Duration::from_secs(60);

#[test]
fn a_stop_ends_the_pass_that_a_command_waits_for() {
    let folder = tempfile::TempDir::new().unwrap();
    let server = smol::block_on(Server::start(ServerOptions::new(folder.path()))).unwrap();
    let app = "app".parse().unwrap();
    smol::block_on(async {
        let digest = crate::spec::ContentDigest::sha256_of(b"layer").into();
        let id = server.registry().begin_upload(&app, None).await.unwrap();
        let chunk = crate::registry::Chunk { body: &b"layer"[..], length: Some(5), range: None };
        server.registry().finish_upload(&app, id, &digest, chunk).await.unwrap();
    });
    let collector = server.collector().clone();
    let (begun, has_begun) = std::sync::mpsc::channel();
    let endless = std::thread::spawn(move || {
        let dry = crate::maintenance::CollectOptions { dry_run: true, ..Default::default() };
        // A pass that ends only when the collector is stopped.
        let passed = collector.run(&dry, &mut |_| {
            begun.send(()).unwrap();
            while !collector.is_stopped() {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        passed.is_err()
    });
    has_begun.recv().unwrap();
    let mut waiting = std::os::unix::net::UnixStream::connect(folder.path().join("control.sock")).unwrap();
    waiting.write_all(b"{\"pulk\":1,\"command\":\"gc\",\"dry_run\":true}\n").unwrap();
    for _ in 0..10_000 {
        if server.collector().is_awaited() {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(server.collector().is_awaited(), "the command never came so far");
    let stopped = smol::block_on(future::or(async { Some(server.stop().await) }, async {
        Timer::after(STOP_WAIT_MAX).await;
        None
    }));
    stopped.expect("the stop waits for the pass").unwrap();
    assert!(endless.join().unwrap(), "the pass was ended");
    let mut said = String::new();
    waiting.read_to_string(&mut said).unwrap();
    assert!(said.contains("failure"), "{said}");
}
