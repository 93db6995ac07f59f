//! The access log: one line a request, written when its answer has been sent.

use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use log::Level;
use tide::http::{Method, Request};

use crate::http::api::Resource;
use crate::wire::{RawTarget, Sent};

/// The target of these lines, for log filters.
const LOG_TARGET: &str = "pulk::access";

/// How much of a request target is logged.
const TARGET_LOGGED_MAX_CHARS: usize = 1024;

/// How long an id that a client or a proxy gives may be.
const REQUEST_ID_LENGTH_MAX_CHARS: usize = 64;

/// A short id that a request's answer and its log lines share.
#[derive(Debug, Clone)]
pub(in crate::http) struct RequestId(String);

/// What ids are made from: the requests of this process, counted, under a key that it chose at random.
static REQUESTS: LazyLock<(RandomState, AtomicU64)> = LazyLock::new(Default::default);

impl RequestId {
    /// Takes the one that the client or a proxy gave, if it is well-formed and the only one; else makes one.
    pub(in crate::http) fn of(request: &Request) -> Self {
        let given = request.header("x-request-id").filter(|values| values.iter().count() == 1);
        let given = given.map(|values| values.last().as_str()).filter(|text| is_well_formed(text));
        given.map_or_else(Self::random, |text| Self(text.to_owned()))
    }

    /// Makes a new one, without a call for random bytes each time.
    pub(super) fn random() -> Self {
        let (key, count) = &*REQUESTS;
        Self(format!("{:016x}", key.hash_one(count.fetch_add(1, Ordering::Relaxed))))
    }

    /// Returns it as text.
    pub(in crate::http) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Nothing in it can end a line, quote, or be mistaken for what stands beside it in a log.
fn is_well_formed(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    (1..=REQUEST_ID_LENGTH_MAX_CHARS).contains(&id.len()) && id.bytes().all(is_plain)
}

/// What is known of a request before its answer is sent.
#[derive(Debug)]
pub(in crate::http) struct AccessEntry {
    pub(in crate::http) id: RequestId,
    pub(in crate::http) method: Method,
    pub(in crate::http) target: RawTarget,
    pub(in crate::http) peer: Option<String>,
}

impl AccessEntry {
    /// Writes the line. Health checks and scrapes are frequent, so they are logged at `debug`.
    pub(in crate::http) fn write(&self, resource: Resource, status: u16, time: Duration, sent: Sent) {
        let level = match resource {
            Resource::Live | Resource::Ready | Resource::Metrics => Level::Debug,
            _ => Level::Info,
        };
        if log::log_enabled!(target: LOG_TARGET, level) {
            log::log!(target: LOG_TARGET, level, "{}", self.line(status, time, sent));
        }
    }

    /// Writes the line of a request that ended without an answer: by a stop, or because the client left.
    pub(in crate::http) fn write_cut_off(&self, time: Duration) {
        if log::log_enabled!(target: LOG_TARGET, Level::Info) {
            log::log!(target: LOG_TARGET, Level::Info, "{}", self.cut_off_line(time));
        }
    }

    fn cut_off_line(&self, time: Duration) -> String {
        let mut line = format!("{} ", self.method);
        escape(&mut line, self.target.as_str());
        let milliseconds = time.as_secs_f64() * 1e3;
        let peer = self.peer.as_deref().unwrap_or("-");
        // Writing to a String can't fail.
        let _ = write!(line, " - {milliseconds:.1}ms out=0 id={} peer={peer} cut off", self.id.as_str());
        line
    }

    /// Returns the log line of a panic, with the id that the client got.
    pub(in crate::http) fn panic_line(&self, message: &str) -> String {
        let mut line = format!("panicked while answering {} ", self.method);
        escape(&mut line, self.target.as_str());
        line.push_str(&format!(" id={}: {message}", self.id.as_str()));
        line
    }

    fn line(&self, status: u16, time: Duration, sent: Sent) -> String {
        let mut line = format!("{} ", self.method);
        escape(&mut line, self.target.as_str());
        let milliseconds = time.as_secs_f64() * 1e3;
        // Writing to a String can't fail.
        let _ = write!(
            line,
            " {status} {milliseconds:.1}ms in={} out={} id={} peer={}",
            sent.bytes_in,
            sent.bytes_out,
            self.id.as_str(),
            self.peer.as_deref().unwrap_or("-"),
        );
        if !sent.complete {
            line.push_str(" incomplete");
        }
        line
    }
}

/// Appends what a client sent so that it can neither end the line nor speak to a terminal.
fn escape(line: &mut String, text: &str) {
    for character in text.chars().take(TARGET_LOGGED_MAX_CHARS) {
        if character.is_ascii_graphic() && character != '\\' {
            line.push(character);
        } else if character == ' ' {
            line.extend(character.escape_unicode());
        } else {
            line.extend(character.escape_default());
        }
    }
    if text.chars().nth(TARGET_LOGGED_MAX_CHARS).is_some() {
        line.push_str("...");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(target: &str, complete: bool) -> String {
        let entry = AccessEntry {
            id: RequestId("0123456789abcdef".to_owned()),
            method: Method::Get,
            target: RawTarget::new(target),
            peer: Some("127.0.0.1:40000".to_owned()),
        };
        entry.line(200, Duration::from_micros(1250), Sent { bytes_in: 0, bytes_out: 42, complete })
    }

    #[test]
    fn a_line_has_what_was_sent() {
        let expected =
            "GET /v2/a/tags/list?n=1 200 1.2ms in=0 out=42 id=0123456789abcdef peer=127.0.0.1:40000";
        assert_eq!(line("/v2/a/tags/list?n=1", true), expected);
    }

    #[test]
    fn an_answer_that_broke_off_is_marked() {
        assert!(line("/v2/", false).ends_with(" incomplete"));
    }

    #[test]
    fn a_target_can_neither_end_the_line_nor_speak_to_a_terminal() {
        let logged = line("/v2/a\r\nb\u{1b}[31m\\\u{85} \u{f6}", true);
        assert!(logged.starts_with(r"GET /v2/a\r\nb\u{1b}[31m\\\u{85}\u{20}\u{f6} 200 "), "{logged}");
        assert!(logged.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{logged}");
    }

    #[test]
    fn a_long_target_is_cut() {
        let logged = line(&format!("/{}", "a".repeat(5000)), true);
        assert!(logged.len() < 2 * TARGET_LOGGED_MAX_CHARS);
        assert!(logged.contains("aaa... 200 "));
    }

    #[test]
    fn a_panic_is_logged_with_the_id_of_its_request() {
        let entry = AccessEntry {
            id: RequestId("theirs-1".to_owned()),
            method: Method::Put,
            target: RawTarget::new("/v2/a\n"),
            peer: None,
        };
        let expected = r"panicked while answering PUT /v2/a\n id=theirs-1: as asked";
        assert_eq!(entry.panic_line("as asked"), expected);
    }

    #[test]
    fn an_id_that_a_client_gives_is_taken_only_if_it_is_well_formed() {
        let id = |values: &[&str]| {
            let mut request = Request::new(Method::Get, "http://registry.test/");
            for value in values {
                request.append_header("x-request-id", *value);
            }
            RequestId::of(&request).0
        };
        let longest = "a".repeat(REQUEST_ID_LENGTH_MAX_CHARS);
        for good in ["1", "a-B_c.9:x", "67e55044-10b1-426f-9247-bb680e5fe0c8", longest.as_str()] {
            assert_eq!(id(&[good]), good);
        }
        let too_long = format!("{longest}a");
        for bad in ["", "a b", "a\"", "a=b", "a,b", "a\u{7f}", "a\tb", too_long.as_str()] {
            let made = id(&[bad]);
            assert!(made != bad && made.len() == 16, "{bad:?}: {made}");
        }
        assert_eq!(id(&["one", "two"]).len(), 16);
        assert_eq!(id(&[]).len(), 16);
    }

    #[test]
    fn request_ids_differ() {
        let [one, other] = [RequestId::random(), RequestId::random()];
        assert_ne!(one.as_str(), other.as_str());
        assert_eq!(one.as_str().len(), 16);
    }
}
