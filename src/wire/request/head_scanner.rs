//! Finds where a request's head ends, and refuses the bytes that no head may have.

use crate::wire::limits::WireLimits;
use crate::wire::rejection::Rejection;

/// What a request line may hold beside its target: the longest method, spaces, the version.
const REQUEST_LINE_REST_MAX_BYTES: usize = 64;

/// The first byte of a TLS connection (RFC 8446 section 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// Goes over a head once, however it is cut into packets.
///
/// Readers of HTTP differ in what ends a line; a head is therefore refused unless each line ends in CR LF,
/// and neither stands anywhere else.
#[derive(Debug, Default)]
pub(in crate::wire) struct HeadScanner {
    scanned: usize,
    line_length: usize,
    lines: usize,
    after_cr: bool,
    skipped_empty_line: bool,
}

impl HeadScanner {
    /// Scans the bytes since the last call, and returns the head's length once it is complete.
    ///
    /// `buffered` always starts with the head's first byte.
    pub(in crate::wire) fn scan(
        &mut self,
        buffered: &[u8],
        limits: &WireLimits,
    ) -> Result<Option<usize>, Rejection> {
        for byte in buffered.get(self.scanned..).unwrap_or_default() {
            self.scanned += 1;
            if self.scanned > limits.head_size_max_bytes {
                return Err(Rejection::HeadTooLarge);
            }
            if self.take(*byte)? {
                return Ok(Some(self.scanned));
            }
            if self.lines == 0
                && self.line_length > limits.target_size_max_bytes + REQUEST_LINE_REST_MAX_BYTES
            {
                return Err(Rejection::TargetTooLong);
            }
            // The request line is one of them.
            if self.lines > limits.headers_max + 1 {
                return Err(Rejection::HeadTooLarge);
            }
        }
        Ok(None)
    }

    /// Takes one byte, and returns whether the head ends with it.
    fn take(&mut self, byte: u8) -> Result<bool, Rejection> {
        match (self.after_cr, byte) {
            (true, b'\n') => {
                self.after_cr = false;
                self.end_line()
            }
            (true, _) => {
                Err(Rejection::BadRequest("a line of the request's head has a carriage return alone"))
            }
            (false, b'\n') => {
                Err(Rejection::BadRequest("a line of the request's head ends in a line feed alone"))
            }
            (false, b'\r') => {
                self.after_cr = true;
                Ok(false)
            }
            (false, b' ' | b'\t') if self.line_length == 0 => {
                Err(Rejection::BadRequest("a line of the request's head starts with a space"))
            }
            (false, TLS_HANDSHAKE) if self.line_length == 0 && self.lines == 0 => {
                Err(Rejection::BadRequest("the client speaks TLS, and this port takes plain HTTP"))
            }
            (false, byte) if byte.is_ascii_control() && byte != b'\t' => {
                Err(Rejection::BadRequest("the request's head has a control character"))
            }
            (false, _) => {
                self.line_length += 1;
                Ok(false)
            }
        }
    }

    fn end_line(&mut self) -> Result<bool, Rejection> {
        let is_empty = self.line_length == 0;
        if is_empty && self.lines == 0 {
            // RFC 9112 section 2.2: old clients send an empty line after a body.
            if self.skipped_empty_line {
                return Err(Rejection::BadRequest("the request starts with empty lines"));
            }
            self.skipped_empty_line = true;
            return Ok(false);
        }
        self.lines += 1;
        self.line_length = 0;
        Ok(is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(head: &[u8]) -> Result<Option<usize>, Rejection> {
        HeadScanner::default().scan(head, &WireLimits::default())
    }

    #[test]
    fn the_end_of_a_head_is_found_wherever_it_is_cut() {
        let head = b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nGET / next";
        let end = head.len() - "GET / next".len();
        assert_eq!(scan(head), Ok(Some(end)));
        for cut in 0..head.len() {
            let mut scanner = HeadScanner::default();
            let first = scanner.scan(&head[..cut], &WireLimits::default()).unwrap();
            assert_eq!(first, (cut >= end).then_some(end), "cut at {cut}");
            if first.is_none() {
                assert_eq!(scanner.scan(head, &WireLimits::default()), Ok(Some(end)), "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_client_that_speaks_tls_is_named_as_such() {
        let why = |head: &[u8]| format!("{:?}", scan(head).unwrap_err());
        assert!(why(b"\x16\x03\x01\x02\0\x01").contains("TLS"));
        assert!(!why(b"G\x16").contains("TLS"));
        assert!(!why(b"GET / HTTP/1.1\r\n\x16").contains("TLS"));
    }

    #[test]
    fn bytes_that_readers_disagree_on_are_refused() {
        for head in [
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\n\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
            "GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\r\n\tfolded\r\n\r\n",
            "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
            " GET / HTTP/1.1\r\n\r\n",
            "GET /\0 HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nA: \x0bb\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\x7f\r\n\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            "\x16\x03\x01",
        ] {
            assert!(matches!(scan(head.as_bytes()), Err(Rejection::BadRequest(_))), "{head:?}");
        }
    }

    #[test]
    fn a_head_over_a_limit_is_refused_before_it_has_ended() {
        let limits = WireLimits::default();
        let long_target = format!("GET /{}", "a".repeat(limits.target_size_max_bytes + 64));
        assert_eq!(scan(long_target.as_bytes()), Err(Rejection::TargetTooLong));
        let large = format!("GET / HTTP/1.1\r\nA: {}", "a".repeat(limits.head_size_max_bytes));
        assert_eq!(scan(large.as_bytes()), Err(Rejection::HeadTooLarge));
        let many = format!("GET / HTTP/1.1\r\n{}", "A: b\r\n".repeat(limits.headers_max + 1));
        assert_eq!(scan(many.as_bytes()), Err(Rejection::HeadTooLarge));
        let as_many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(limits.headers_max));
        assert_eq!(scan(as_many.as_bytes()), Ok(Some(as_many.len())));
    }
}
