//! pulk and hyper read the same streams of requests: random and adversarial ones, cut into packets anywhere.
//!
//! What must hold: pulk never takes two requests for what hyper takes for one, nor another method, target,
//! header or body. Where pulk is stricter, or takes what hyper refuses, it stands in [`listed`] with the
//! reason; whatever does not stand there fails. `PULK_DIFFERENTIAL_STREAMS` sets how many streams are
//! tried; a stream's seed, which a failure names, makes it again.

mod attacks;
mod compare;
mod grammar;
mod hyper_side;
mod listed;
mod pulk_side;

use std::collections::BTreeMap;

use crate::base::Chance;
use compare::Difference;

/// How many streams are tried where nothing else is asked for.
const STREAMS: u64 = 4_000;

/// A request as a server took it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    method: String,
    /// Path and query.
    target: String,
    /// Names in small letters, each with its values in their order; bytes outside of ASCII are `?`.
    headers: BTreeMap<String, Vec<String>>,
    body: SeenBody,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum SeenBody {
    Whole(Vec<u8>),
    Broken,
    /// The application did not ask for it.
    NotRead,
}

/// What a server made of a stream.
#[derive(Debug, Default)]
struct Outcome {
    seen: Vec<Seen>,
    /// Why it took no more, where it said so.
    rejection: Option<String>,
}

/// A stream, and the places where it is cut into packets.
#[derive(Debug, Clone)]
struct PacketStream {
    packets: Vec<Vec<u8>>,
}

impl PacketStream {
    fn of(text: &[u8]) -> Self {
        Self { packets: vec![text.to_vec()] }
    }

    /// The beginning of it: what differs is mostly there, and the seed makes all of it.
    fn text(&self) -> String {
        self.packets.concat().escape_ascii().to_string().chars().take(1_500).collect()
    }
}

/// The application does not ask for the bodies of these.
fn is_left_unread(target: &str) -> bool {
    target.contains("unread")
}

fn check(stream: &PacketStream) -> Result<Vec<Difference>, String> {
    let (pulk, hyper) = (pulk_side::read(stream), hyper_side::read(stream));
    compare::compare(&pulk, &hyper)
        .map_err(|what| format!("{what}\nstream: {}\npulk: {pulk:?}\nhyper: {hyper:?}", stream.text()))
}

fn streams() -> u64 {
    std::env::var("PULK_DIFFERENTIAL_STREAMS").map_or(STREAMS, |text| text.parse().unwrap())
}

#[test]
fn pulk_and_hyper_take_the_same_requests_out_of_any_stream() {
    // One of each kind: the first line says what is wrong.
    let mut failures = BTreeMap::new();
    let (mut whole, mut taken) = (0, 0);
    for seed in 0..streams() {
        let stream = grammar::stream(&mut Chance::of(seed));
        match check(&stream) {
            Ok(differences) => {
                taken += pulk_side::read(&stream).seen.len();
                whole += usize::from(differences.is_empty());
            }
            Err(failure) => {
                let (kind, stream) = failure.split_once('\n').unwrap();
                failures.entry(kind.to_owned()).or_insert_with(|| format!("seed {seed}: {kind}\n{stream}\n"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.into_values().collect::<String>());
    // The streams are worth something only if many of them go all the way on both sides.
    assert!(
        whole as u64 > streams() / 4 && taken as u64 > streams() / 2,
        "{whole} the same, {taken} requests"
    );
}

/// Known attacks, each on both: what one takes for a body the other must not take for a request.
#[test]
fn what_is_known_to_smuggle_is_taken_alike_or_refused_for_a_listed_reason() {
    for text in attacks::KNOWN_ATTACKS {
        for packets in [vec![text.as_bytes().to_vec()], text.bytes().map(|byte| vec![byte]).collect()] {
            let stream = PacketStream { packets };
            if let Err(failure) = check(&stream) {
                panic!("{failure}");
            }
        }
    }
}

/// Each entry of the list is there for something: its example shows the difference, and no other.
#[test]
fn each_listed_difference_is_one() {
    for (listed, reason, example) in listed::STRICTER {
        let found = check(&PacketStream::of(example.as_bytes()));
        assert_eq!(found, Ok(vec![Difference::Stricter(listed)]), "{listed}: {reason}");
    }
    for listed in listed::LIMITS {
        let found = check(&PacketStream::of(listed::example_of_limit(listed).as_bytes()));
        assert_eq!(found, Ok(vec![Difference::Stricter(listed)]), "{listed}");
    }
    for (listed, reason, example) in listed::LAXER {
        let found = check(&PacketStream::of(example.as_bytes()));
        assert_eq!(found, Ok(vec![Difference::Laxer(listed)]), "{listed}: {reason}");
    }
}
