//! What hyper's HTTP/1 server makes of a stream, in memory.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use hyper::body::{Body, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};

use super::{Outcome, PacketStream, Seen, SeenBody};

/// The packets of a stream as hyper reads them, each only after it was waited for.
#[derive(Debug)]
struct Packets {
    left: VecDeque<Vec<u8>>,
    waited: bool,
}

impl Read for Packets {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut target: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(mut packet) = self.left.pop_front() else { return Poll::Ready(Ok(())) };
        if !std::mem::replace(&mut self.waited, true) {
            self.left.push_front(packet);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let rest = packet.split_off(packet.len().min(target.remaining()));
        target.put_slice(&packet);
        if rest.is_empty() {
            self.waited = false;
        } else {
            self.left.push_front(rest);
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for Packets {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

pub(super) fn read(stream: &PacketStream) -> Outcome {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let service = service_fn(move |request| {
        let noted = Arc::clone(&noted);
        async move {
            let taken = take(request).await;
            noted.lock().unwrap().push(taken);
            Ok::<_, Infallible>(Response::new(String::new()))
        }
    });
    let left = stream.packets.iter().filter(|packet| !packet.is_empty()).cloned().collect();
    let packets = Packets { left, waited: false };
    // The end of the stream is no reason to drop requests that came before it.
    let connection = http1::Builder::new().half_close(true).serve_connection(packets, service);
    let rejection = smol::block_on(connection).err().map(|error| describe(&error));
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    Outcome { seen, rejection }
}

fn describe(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {}", describe(cause))).unwrap_or_default();
    format!("{error}{cause}")
}

async fn take(request: Request<Incoming>) -> Seen {
    let (head, mut body) = request.into_parts();
    let mut headers = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in &head.headers {
        let text = value.as_bytes().iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '?' });
        headers.entry(name.to_string()).or_default().push(text.collect());
    }
    if let Some(authority) = head.uri.authority() {
        // RFC 9112, section 3.2.2: it stands above the header.
        headers.insert("host".to_owned(), vec![authority.to_string()]);
    }
    let target = head.uri.path_and_query().map_or_else(|| head.uri.to_string(), ToString::to_string);
    let mut bytes = Vec::new();
    let body = loop {
        match std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            None => break SeenBody::Whole(bytes),
            // A frame of another kind is one of trailers.
            Some(Ok(frame)) => bytes.extend(frame.into_data().unwrap_or_default()),
            Some(Err(_)) => break SeenBody::Broken,
        }
    };
    Seen { method: head.method.to_string(), target, headers, body }
}
