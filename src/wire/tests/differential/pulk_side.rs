//! What pulk makes of a stream: a connection of `src/wire` on one end of a stream in memory.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use smol::future::{yield_now, zip};
use tide::http::{Request, Response};

use super::{Outcome, PacketStream, Seen, SeenBody, is_left_unread};
use crate::wire::RawTarget;
use crate::wire::admission::Holder;
use crate::wire::connection::Connection;
use crate::wire::connection::Stop;
use crate::wire::limits::WireLimits;
use crate::wire::stream::{MemoryStream, Stream, read_to_end, write_all};

type Seens = Arc<Mutex<Outcome>>;

pub(super) fn read(stream: &PacketStream) -> Outcome {
    let outcome = Seens::default();
    let answers = smol::block_on(serve(stream, Arc::clone(&outcome)));
    let mut outcome = std::mem::take(&mut *outcome.lock().unwrap());
    let refusals = refusals(&answers, outcome.seen.len());
    outcome.rejection = outcome.rejection.or(refusals);
    outcome
}

/// Runs the connection and its client; returns all that came back.
async fn serve(stream: &PacketStream, outcome: Seens) -> String {
    let (server, client) = MemoryStream::pair();
    let app = move |request: Request| {
        let outcome = Arc::clone(&outcome);
        async move { take(request, &outcome).await }
    };
    let connection = Connection {
        stream: Arc::new(server),
        holder: Holder::new(),
        peer: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)).to_string(),
        app: Arc::new(app),
        limits: Arc::new(WireLimits::default()),
        health_paths: Arc::new([]),
        stop: Stop::new(),
        refusals: Arc::default(),
    };
    let writes = async {
        for packet in &stream.packets {
            // The connection may have ended in a refusal.
            if write_all(&client, packet).await.is_err() {
                break;
            }
            // Lets the connection take it before the next one comes.
            yield_now().await;
        }
        client.shutdown_write().unwrap();
    };
    let (((), answers), ()) = zip(zip(writes, read_to_end(&client)), connection.run()).await;
    String::from_utf8(answers).unwrap()
}

/// The application: notes what it is given, and answers 200.
async fn take(mut request: Request, outcome: &Seens) -> Response {
    let target = request.ext().get::<RawTarget>().unwrap().as_str().to_owned();
    let mut headers = BTreeMap::new();
    for (name, values) in request.iter() {
        headers.insert(name.to_string(), values.iter().map(|value| value.as_str().to_owned()).collect());
    }
    let (body, rejection) = if is_left_unread(&target) {
        (SeenBody::NotRead, None)
    } else {
        match request.body_bytes().await {
            Ok(bytes) => (SeenBody::Whole(bytes), None),
            Err(error) => (SeenBody::Broken, Some(error.to_string())),
        }
    };
    let mut outcome = outcome.lock().unwrap();
    outcome.seen.push(Seen { method: request.method().to_string(), target, headers, body });
    outcome.rejection = outcome.rejection.take().or(rejection);
    Response::new(200)
}

/// Goes through the answers: one for each request that was seen, and at most a refusal after them, whose
/// message is returned.
fn refusals(answers: &str, seen: usize) -> Option<String> {
    let mut left = answers;
    let (mut count, mut rejection) = (0, None);
    while !left.is_empty() {
        let (head, rest) = left.split_once("\r\n\r\n").unwrap();
        left = rest;
        if head.starts_with("HTTP/1.1 100 ") {
            continue;
        }
        count += 1;
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let (body, rest) = left.split_at(length.map_or(0, |length| length.parse().unwrap()));
        left = rest;
        if !head.starts_with("HTTP/1.1 200 ") {
            assert_eq!(count, seen + 1, "a rejection is the last answer: {answers}");
            assert!(left.is_empty(), "{answers}");
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            rejection = body["errors"][0]["message"].as_str().map(str::to_owned);
        }
    }
    assert!(count >= seen, "a request without an answer: {answers}");
    rejection
}
