//! Streams of requests: by the grammar, then bent in places that readers of HTTP are known to differ on.

use super::PacketStream;
use crate::base::Chance;

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

const METHODS: [&str; 12] =
    ["GET", "GET", "HEAD", "POST", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get", "BREW", "TRACE"];

const TARGETS: [&str; 18] = [
    "/",
    "/v2/",
    "/v2/a/b/blobs/uploads/?digest=sha256%3Aab&x",
    "/v2/a/manifests/v1?n=1#f",
    "/unread",
    "/unread?x",
    "http://b.example/v2/",
    "http://b.example",
    "http://b.example:80?x",
    "*",
    "b.example:443",
    "/a/../b",
    "/%2e%2e/b",
    "/a\\b",
    "//a//b",
    "/a b",
    "/\u{e9}",
    "/a?b=c&d=%zz",
];

const VERSIONS: [&str; 8] =
    ["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "http/1.1"];

const LENGTH_LINES: [&str; 10] = [
    "Content-Length: +N",
    "Content-Length: N\r\nContent-Length: N",
    "Content-Length: N\r\nContent-Length: 0",
    "Content-Length: N, N",
    "Content-Length: 0xN",
    "Content-Length:N",
    "content-length:\tN\t",
    "Content-Length: 0N",
    "Content-Length : N",
    "Content-Length: N\r\n ",
];

const CODING_LINES: [&str; 20] = [
    "Transfer-Encoding: Chunked",
    "transfer-encoding:chunked",
    "Transfer-Encoding: \tchunked \t",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, gzip",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: chunked;q=1",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding:\r\n chunked",
    "Transfer-Encoding: chunked\r\nContent-Length: 3",
    "Content-Length: 3\r\nTransfer-Encoding: chunked",
    "X: y\nTransfer-Encoding: chunked",
    "X: y\rTransfer-Encoding: chunked",
    "Transfer_Encoding: chunked",
];

const OTHER_LINES: [&str; 18] = [
    "Accept: application/json",
    "ACCEPT: a, b",
    "X-Empty:",
    "X: \u{e9}",
    "Connection: close",
    "Connection: keep-alive",
    "Connection: TE, upgrade",
    "Expect: 100-continue",
    "Expect: 200-ok",
    "Host: b",
    "TE: trailers",
    "Upgrade: h2c",
    "X: a\r\n folded",
    "X : y",
    ": y",
    "no colon",
    "X: a\0b",
    "Trailer: Content-Length",
];

/// Lines of a chunk's size, with `N` for the size.
const SIZE_LINES: [&str; 14] = [
    "N",
    "N",
    "N",
    "N",
    "0N",
    "N;name=value",
    "N;\"a\r\"",
    "N ",
    " N",
    "+N",
    "0xN",
    "N\n",
    "10000000000000000N",
    "fffffffffffffff7",
];

const TRAILERS: [&str; 6] =
    ["", "", "", "Content-Length: 9\r\n", "Transfer-Encoding: chunked\r\n", "X: y\nZ: w\r\n"];

/// What is put in where a stream is bent.
const TOKENS: [&str; 22] = [
    "\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    "\t",
    "\r\n ",
    "\r\n\r\n",
    ":",
    ";",
    ",",
    "0",
    "0\r\n\r\n",
    "1\r\n",
    "+",
    "\u{b}",
    "\u{7f}",
    "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "HTTP/1.1",
    "\u{85}",
    SMUGGLED,
];

/// Makes a stream and cuts it.
pub(super) fn stream(chance: &mut Chance) -> PacketStream {
    let mut bytes = Vec::new();
    for _ in 0..=chance.place(4) {
        bytes.extend(request(chance));
    }
    if chance.once_in(2) {
        for _ in 0..=chance.place(3) {
            bend(chance, &mut bytes);
        }
    }
    cut(chance, bytes)
}

/// A request that is valid more often than not in each of its parts, or none would go all the way.
fn request(chance: &mut Chance) -> Vec<u8> {
    let rarely = |chance: &mut Chance, usual: &'static str, choices: &[&'static str]| -> String {
        if chance.once_in(4) { chance.one_of(choices).to_owned() } else { usual.to_owned() }
    };
    let usual_method = chance.one_of(&["GET", "POST", "PUT"]).to_owned();
    let method = if chance.once_in(6) { chance.one_of(&METHODS).to_owned() } else { usual_method };
    let target = rarely(chance, "/v2/a/blobs/uploads/", &TARGETS);
    let version = if chance.once_in(10) { chance.one_of(&VERSIONS) } else { "HTTP/1.1" };
    let mut head = format!("{method} {target} {version}\r\nHost: a\r\n");
    if chance.once_in(12) {
        head = head.replace("Host: a\r\n", "");
    }
    while chance.once_in(4) {
        head += chance.one_of(&OTHER_LINES);
        head += "\r\n";
    }
    let content = content(chance);
    match chance.place(3) {
        0 => (head + "\r\n").into_bytes(),
        1 => {
            let length = match chance.place(12) {
                0 => content.len() + 1,
                1 => content.len().saturating_sub(1),
                _ => content.len(),
            };
            let line = rarely(chance, "Content-Length: N", &LENGTH_LINES);
            head += &line.replace('N', &length.to_string());
            [head.as_bytes(), b"\r\n\r\n", &content].concat()
        }
        _ => {
            head += &rarely(chance, "Transfer-Encoding: chunked", &CODING_LINES);
            [head.as_bytes(), b"\r\n\r\n", &chunked(chance, &content)].concat()
        }
    }
}

fn content(chance: &mut Chance) -> Vec<u8> {
    match chance.place(5) {
        0 => Vec::new(),
        1 => SMUGGLED.as_bytes().to_vec(),
        2 => b"0\r\n\r\n".to_vec(),
        3 => vec![b'x'; chance.place(70_000)],
        _ => vec![b'x'; 1 + chance.place(20)],
    }
}

fn chunked(chance: &mut Chance, content: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut left = content;
    while !left.is_empty() {
        let (chunk, rest) = left.split_at(1 + chance.place(left.len()));
        left = rest;
        let line = if chance.once_in(8) { chance.one_of(&SIZE_LINES) } else { "N" };
        wire.extend(line.replace('N', &format!("{:x}", chunk.len())).bytes());
        wire.extend(b"\r\n");
        wire.extend(chunk);
        wire.extend(if chance.once_in(40) { "\n" } else { "\r\n" }.bytes());
    }
    wire.extend(if chance.once_in(20) { "00;last\r\n" } else { "0\r\n" }.bytes());
    wire.extend(chance.one_of(&TRAILERS).bytes());
    wire.extend(b"\r\n");
    wire
}

/// Changes something, mostly near the end of a line or a colon, where the decisions are made.
fn bend(chance: &mut Chance, bytes: &mut Vec<u8>) {
    let near: Vec<usize> =
        (0..bytes.len()).filter(|at| matches!(bytes[*at], b'\r' | b'\n' | b':' | b' ')).take(200).collect();
    let at = if near.is_empty() || chance.once_in(4) {
        chance.place(bytes.len() + 1)
    } else {
        (near[chance.place(near.len())] + chance.place(3)).saturating_sub(1).min(bytes.len())
    };
    let end = (at + 1 + chance.place(3)).min(bytes.len());
    match chance.place(5) {
        0 => drop(bytes.drain(at..end)),
        1 => bytes.truncate(at),
        2 => {
            let again = bytes[at..end].to_vec();
            bytes.splice(at..at, again);
        }
        3 if at < bytes.len() => bytes[at] = chance.place(256) as u8,
        _ => drop(bytes.splice(at..at, chance.one_of(&TOKENS).bytes())),
    }
}

fn cut(chance: &mut Chance, bytes: Vec<u8>) -> PacketStream {
    if bytes.len() < 2_000 && chance.once_in(8) {
        return PacketStream { packets: bytes.into_iter().map(|byte| vec![byte]).collect() };
    }
    let mut packets = Vec::new();
    let mut left = bytes;
    for _ in 0..chance.place(6) {
        let rest = left.split_off(chance.place(left.len() + 1));
        packets.push(left);
        left = rest;
    }
    packets.push(left);
    PacketStream { packets }
}
