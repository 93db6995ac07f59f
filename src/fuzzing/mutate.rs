//! Inputs made of seeds, the same ones for the same number.

use crate::base::Chance;

/// What is put in: what the grammars here are made of, and what their readers stumble over.
const TOKENS: [&str; 36] = [
    "\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    "\t",
    ":",
    ";",
    ",",
    "/",
    "?",
    "&",
    "=",
    "%",
    "%2F",
    "%00",
    "..",
    "+",
    "-",
    "0",
    "ffffffffffffffff",
    "18446744073709551615",
    "18446744073709551616",
    "sha256:",
    "\"",
    "{",
    "}",
    "[",
    "]",
    "null",
    "\\u0000",
    "\u{e9}",
    "blobs/uploads/",
    "Content-Length: 1\r\n",
    "Transfer-Encoding: chunked\r\n",
    "bytes=",
];

/// Makes an input: a seed, changed in some places.
pub(super) fn input(chance: &mut Chance, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[chance.place(seeds.len())].clone();
    for _ in 0..=chance.place(6) {
        mutate(chance, &mut bytes, seeds);
    }
    bytes
}

fn mutate(chance: &mut Chance, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let at = chance.place(bytes.len() + 1);
    let end = (at + chance.place(8)).min(bytes.len());
    match chance.place(9) {
        0 if at < bytes.len() => bytes[at] ^= 1 << chance.place(8),
        1 if at < bytes.len() => bytes[at] = chance.place(256) as u8,
        2 => drop(bytes.drain(at..end)),
        3 => {
            let again = bytes[at..end].to_vec();
            bytes.splice(at..at, again);
        }
        4 => bytes.truncate(at),
        5 => {
            let other = &seeds[chance.place(seeds.len())];
            bytes.truncate(at);
            bytes.extend(&other[chance.place(other.len() + 1)..]);
        }
        6 => {
            let one = bytes[at..end].to_vec();
            let times = 1 + chance.place(60);
            bytes.splice(at..at, one.repeat(times));
        }
        _ => drop(bytes.splice(at..at, TOKENS[chance.place(TOKENS.len())].bytes())),
    }
}
