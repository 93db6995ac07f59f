//! Inputs made of seeds, the same ones for the same number.

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

/// Numbers that look random and come again with their seed (SplitMix64).
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn of(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// Makes an input: a seed, changed in some places.
pub(super) fn input(chance: &mut Chance, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[chance.below(seeds.len())].clone();
    for _ in 0..=chance.below(6) {
        mutate(chance, &mut bytes, seeds);
    }
    bytes
}

fn mutate(chance: &mut Chance, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let at = chance.below(bytes.len() + 1);
    let end = (at + chance.below(8)).min(bytes.len());
    match chance.below(9) {
        0 if at < bytes.len() => bytes[at] ^= 1 << chance.below(8),
        1 if at < bytes.len() => bytes[at] = chance.below(256) as u8,
        2 => drop(bytes.drain(at..end)),
        3 => {
            let again = bytes[at..end].to_vec();
            bytes.splice(at..at, again);
        }
        4 => bytes.truncate(at),
        5 => {
            let other = &seeds[chance.below(seeds.len())];
            bytes.truncate(at);
            bytes.extend(&other[chance.below(other.len() + 1)..]);
        }
        6 => {
            let one = bytes[at..end].to_vec();
            let times = 1 + chance.below(60);
            bytes.splice(at..at, one.repeat(times));
        }
        _ => drop(bytes.splice(at..at, TOKENS[chance.below(TOKENS.len())].bytes())),
    }
}
