//! The limits of the transport, each with its default.

use std::time::Duration;

/// How many connections may be open at once.
pub(super) const CONNECTIONS_MAX: usize = 1024;

/// How long a client may be slower than 2 KiB a second before its connection can be another one's.
pub(super) const SLOW_TIME_MAX: Duration = Duration::from_secs(30);

/// How long a connection must be idle before it can be another one's.
pub(super) const DISPLACED_IDLE_MIN: Duration = Duration::from_millis(100);

/// How long a request's head may be, from its first byte to the empty line.
pub(super) const HEAD_SIZE_MAX_BYTES: usize = 32 * 1024;

/// How long a request's target may be.
pub(super) const TARGET_SIZE_MAX_BYTES: usize = 8 * 1024;

/// How many header lines a request may have.
pub(super) const HEADERS_MAX: usize = 100;

/// How long a request's head may take from its first byte on.
pub(super) const HEAD_TIME_MAX: Duration = Duration::from_secs(10);

/// How long a connection may wait for its next request: longer than proxies keep theirs, so that they close
/// first. A server that closes first may do so while a request is on its way.
pub(super) const KEEP_ALIVE_IDLE_MAX: Duration = Duration::from_secs(11 * 60);

/// How long a body, in or out, may go without progress. There is no limit on a whole upload or download.
pub(super) const BODY_PROGRESS_TIME_MAX: Duration = Duration::from_secs(60);

/// How long sending an answer from memory (a manifest, a list) may take in all: it holds memory that other
/// requests wait for. Sending a blob, which is a file, has no such limit.
pub(super) const MEMORY_BODY_TIME_MAX: Duration = Duration::from_secs(10 * 60);

/// How much of an unread request body is read and dropped to keep the connection.
pub(super) const REST_SIZE_MAX_BYTES: u64 = 64 * 1024;

/// How long a connection whose client still sends after its answer is read to its end.
pub(super) const DRAIN_TIME_MAX: Duration = Duration::from_secs(5 * 60);

/// How long such a client may send nothing.
pub(super) const DRAIN_IDLE_MAX: Duration = Duration::from_secs(10);

/// What one listener allows its clients. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireLimits {
    /// How many connections may be open at once. The next one displaces one that is idle, or too slow, of the
    /// address that has most; where there is none, it is answered 503, or 429 when it is of that address.
    pub connections_max: usize,
    /// How long a client may be slower than 2 KiB a second before its connection can be displaced. Only the
    /// time in which it was waited for counts.
    pub slow_time_max: Duration,
    /// How long a connection must be idle before it can be displaced.
    pub displaced_idle_min: Duration,
    /// How long a request's head may be; a longer one is answered 431.
    pub head_size_max_bytes: usize,
    /// How long a request's target may be; a longer one is answered 414.
    pub target_size_max_bytes: usize,
    /// How many header lines a request may have; with more it is answered 431.
    pub headers_max: usize,
    /// How long a request's head may take from its first byte on; a slower one is answered 408.
    pub head_time_max: Duration,
    /// How long a connection may wait for its next request before it is closed.
    pub keep_alive_idle_max: Duration,
    /// How long a body, in or out, may go without progress before its connection is closed.
    pub body_progress_time_max: Duration,
    /// How long sending an answer from memory may take in all.
    pub memory_body_time_max: Duration,
    /// How much of an unread request body is read and dropped to keep the connection.
    pub rest_size_max_bytes: u64,
    /// How long a connection is read on after an answer that came before its request had ended. Many clients
    /// read the answer only after they sent the whole request.
    pub drain_time_max: Duration,
    /// How long such a client may send nothing.
    pub drain_idle_max: Duration,
}

impl Default for WireLimits {
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            slow_time_max: SLOW_TIME_MAX,
            displaced_idle_min: DISPLACED_IDLE_MIN,
            head_size_max_bytes: HEAD_SIZE_MAX_BYTES,
            target_size_max_bytes: TARGET_SIZE_MAX_BYTES,
            headers_max: HEADERS_MAX,
            head_time_max: HEAD_TIME_MAX,
            keep_alive_idle_max: KEEP_ALIVE_IDLE_MAX,
            body_progress_time_max: BODY_PROGRESS_TIME_MAX,
            memory_body_time_max: MEMORY_BODY_TIME_MAX,
            rest_size_max_bytes: REST_SIZE_MAX_BYTES,
            drain_time_max: DRAIN_TIME_MAX,
            drain_idle_max: DRAIN_IDLE_MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The defaults of proxies, in seconds, as docs/wire.md lists them. Envoy's hour must be set lower.
    const PROXIES: [(&str, u64); 8] = [
        ("HAProxy", 5),
        ("nginx", 60),
        ("Varnish", 60),
        ("AWS ALB", 60),
        ("Traefik", 90),
        ("Caddy", 120),
        ("Oracle Cloud", 300),
        ("Google Cloud", 600),
    ];

    #[test]
    fn a_proxy_closes_an_idle_connection_before_pulk_does() {
        for (proxy, seconds) in PROXIES {
            assert!(KEEP_ALIVE_IDLE_MAX > Duration::from_secs(seconds), "{proxy}");
        }
    }
}
