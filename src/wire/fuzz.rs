//! What fuzzers feed with bytes of their own, and what must hold of any.

use crate::wire::limits::WireLimits;
use crate::wire::rejection::Rejection;
use crate::wire::request::{BodyFraming, Framing, HeadScanner, Next, RequestHead};

/// A request's head: it is found, or refused, alike however it is cut, and what is taken is unambiguous.
pub(crate) fn head(bytes: &[u8]) {
    let limits = WireLimits::default();
    let whole = HeadScanner::default().scan(bytes, &limits);
    assert_eq!(whole, scan_in_pieces(bytes, &limits), "a head cut into packets is another one");
    let Ok(Some(length)) = whole else { return };
    let head = bytes.get(..length).unwrap_or_default();
    let Ok(parsed) = RequestHead::parse(head, &limits) else { return };

    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let lines_of = |name: &str| {
        text.split("\r\n").filter(|line| line.split_once(':').is_some_and(|(own, _)| own == name)).count()
    };
    assert!(lines_of("content-length") + lines_of("transfer-encoding") <= 1, "two ways to frame a body");
    assert!(lines_of("host") <= 1 && (lines_of("host") == 1 || !parsed.is_http_1_1), "no one host");
    assert_eq!(lines_of("transfer-encoding") == 1, parsed.framing == BodyFraming::Chunked);
    for (name, values) in parsed.request.iter() {
        let is_plain = |byte: u8| byte == b'\t' || (b' '..0x7f).contains(&byte);
        assert!(values.iter().all(|value| value.as_str().bytes().all(is_plain)), "{name}");
    }
    let target = parsed.request.ext().get::<crate::wire::RawTarget>();
    assert!(target.is_some_and(|target| target.as_str().starts_with('/')));
}

fn scan_in_pieces(bytes: &[u8], limits: &WireLimits) -> Result<Option<usize>, Rejection> {
    let mut scanner = HeadScanner::default();
    for end in 1..=bytes.len() {
        if let Some(length) = scanner.scan(bytes.get(..end).unwrap_or_default(), limits)? {
            return Ok(Some(length));
        }
    }
    Ok(None)
}

/// A chunked body: the same comes out however it is cut, and it is what a plain reading of the grammar gives.
pub(crate) fn chunked(bytes: &[u8]) {
    let whole = decode(bytes, bytes.len().max(1));
    for step in [1, 2, 7] {
        assert_eq!(decode(bytes, step), whole, "a body cut into packets of {step} is another one");
    }
    if let Decoded::Whole { content, length } = &whole {
        let read = by_the_grammar(bytes.get(..*length).unwrap_or_default());
        assert_eq!(read.as_ref(), Some(content), "it is not what the grammar says");
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Decoded {
    Whole { content: Vec<u8>, length: usize },
    CutShort,
    Broken,
}

fn decode(bytes: &[u8], step: usize) -> Decoded {
    let mut framing = Framing::new(BodyFraming::Chunked);
    let (mut content, mut taken, mut shown) = (Vec::new(), 0, step.min(bytes.len()));
    loop {
        let piece = bytes.get(taken..shown).unwrap_or_default();
        match framing.next() {
            Next::End => return Decoded::Whole { content, length: taken },
            _ if piece.is_empty() && shown == bytes.len() => return Decoded::CutShort,
            _ if piece.is_empty() => shown = (shown + step).min(bytes.len()),
            Next::Content(left) => {
                let count = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                content.extend_from_slice(piece.get(..count).unwrap_or_default());
                framing.content_taken(count as u64);
                taken += count;
            }
            Next::Framing => match framing.take_framing(piece) {
                Ok(count) => taken += count,
                Err(_) => return Decoded::Broken,
            },
        }
    }
}

/// RFC 9112, section 7.1, read line by line with all of the body at hand.
fn by_the_grammar(body: &[u8]) -> Option<Vec<u8>> {
    let (mut content, mut left) = (Vec::new(), body);
    loop {
        let (line, rest) = split_line(left)?;
        let digits = line.split(|byte| *byte == b';').next()?;
        let size = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        left = rest;
        if size == 0 {
            break;
        }
        let (chunk, rest) = left.split_at_checked(usize::try_from(size).ok()?)?;
        content.extend_from_slice(chunk);
        left = rest.strip_prefix(b"\r\n")?;
    }
    loop {
        let (line, rest) = split_line(left)?;
        left = rest;
        if line.is_empty() {
            return left.is_empty().then_some(content);
        }
    }
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    Some((bytes.get(..end)?, bytes.get(end + 2..)?))
}
