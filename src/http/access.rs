//! The access log: one line a request, written when its answer has gone out.

use std::fmt::Write;
use std::time::Duration;

use log::Level;
use tide::http::Method;
use uuid::Uuid;

use crate::http::outgoing::Sent;
use crate::http::route::Resource;

/// What log filters know these lines by.
const LOG_TARGET: &str = "pulk::access";

/// How much of a request target is logged.
const TARGET_LOGGED_MAX_CHARS: usize = 1024;

/// A short id that a request's answer and its log line share. Clients can't choose it.
#[derive(Debug, Clone)]
pub(super) struct RequestId(String);

impl RequestId {
    /// Makes a new one: the random half of a UUID is enough to find a line by.
    pub(super) fn random() -> Self {
        let (_, low) = Uuid::new_v4().as_u64_pair();
        Self(format!("{low:016x}"))
    }

    /// Returns it as text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is known of a request before its answer goes out.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: RequestId,
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) peer: Option<String>,
}

impl Entry {
    /// Writes the line. Whoever watches asks often, so health checks and scrapes are logged at `debug`.
    pub(super) fn write(&self, resource: Resource, status: u16, time: Duration, sent: Sent) {
        let level = match resource {
            Resource::Live | Resource::Ready | Resource::Metrics => Level::Debug,
            _ => Level::Info,
        };
        if log::log_enabled!(target: LOG_TARGET, level) {
            log::log!(target: LOG_TARGET, level, "{}", self.line(status, time, sent));
        }
    }

    fn line(&self, status: u16, time: Duration, sent: Sent) -> String {
        let mut line = format!("{} ", self.method);
        escape(&mut line, &self.target);
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
        let entry = Entry {
            id: RequestId("0123456789abcdef".to_owned()),
            method: Method::Get,
            target: target.to_owned(),
            peer: Some("127.0.0.1:40000".to_owned()),
        };
        entry.line(200, Duration::from_micros(1250), Sent { bytes_in: 0, bytes_out: 42, complete })
    }

    #[test]
    fn a_line_tells_what_went_out() {
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
    fn request_ids_differ() {
        let [one, other] = [RequestId::random(), RequestId::random()];
        assert_ne!(one.as_str(), other.as_str());
        assert_eq!(one.as_str().len(), 16);
    }
}
