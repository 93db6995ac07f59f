//! Chunks, table by table.

use crate::wire::request::{BodyFraming, Framing, Next};

/// Decodes `wire` in pieces of `step` bytes; gives the content and what was left over after the body's end.
fn decode(wire: &[u8], step: usize) -> Result<(Vec<u8>, usize), &'static str> {
    let mut framing = Framing::new(BodyFraming::Chunked);
    let mut content = Vec::new();
    let mut left = wire;
    let mut shown = step.min(left.len());
    loop {
        match framing.next() {
            Next::End => return Ok((content, left.len())),
            _ if shown == 0 && left.is_empty() => return Err("cut short"),
            _ if shown == 0 => shown = step.min(left.len()),
            Next::Content(count) => {
                let count = shown.min(usize::try_from(count).unwrap_or(usize::MAX));
                content.extend_from_slice(&left[..count]);
                framing.content_taken(count as u64);
                (left, shown) = (&left[count..], shown - count);
            }
            Next::Framing => {
                let count = framing.take_framing(&left[..shown]).map_err(|_| "broken")?;
                (left, shown) = (&left[count..], shown - count);
            }
        }
    }
}

#[test]
fn chunks_are_put_together_wherever_packets_are_cut() {
    for (wire, content, rest) in [
        ("0\r\n\r\n", "", 0),
        ("5\r\nhello\r\n0\r\n\r\n", "hello", 0),
        ("5\r\nhello\r\nA\r\n0123456789\r\n000\r\n\r\nGET /", "hello0123456789", 5),
        ("0000000000000005\r\nhello\r\n0\r\n\r\n", "hello", 0),
        ("5;name=value;\"a b\"\r\nhello\r\n0;x\r\n\r\n", "hello", 0),
        ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n", 0),
        ("1\r\na\r\n0\r\nTrailer: value\r\nOther: \t\r\n\r\nX", "a", 1),
        ("b\r\n0\r\n\r\nGET / \r\n0\r\n\r\n", "0\r\n\r\nGET / ", 0),
    ] {
        for step in 1..=wire.len() {
            assert_eq!(decode(wire.as_bytes(), step), Ok((content.as_bytes().to_vec(), rest)), "{wire:?}");
        }
    }
}

#[test]
fn broken_chunks_are_refused() {
    for wire in [
        "\r\n\r\n",
        ";x\r\n\r\n",
        "-1\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5;a\0\r\nhello\r\n0\r\n\r\n",
        "10000000000000000\r\n",
        "00000000000000005\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n",
        "0\r\nTrailer: a\n\r\n",
        "0\r\nTrailer: a\r\r\n\r\n",
        "0\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n",
        "0\r\nTrailer\r\n\r\n",
        "0\r\nTrailer : a\r\n\r\n",
        "0\r\n: a\r\n\r\n",
        "0\r\nTrailer: a\r\n folded\r\n\r\n",
        "0\r\n\n",
        "0\n\n",
        "0\r\n\rX",
    ] {
        assert_eq!(decode(wire.as_bytes(), wire.len()), Err("broken"), "{wire:?}");
        assert_eq!(decode(wire.as_bytes(), 1), Err("broken"), "{wire:?}");
    }
}

#[test]
fn chunks_cut_short_are_not_an_end() {
    let wire = b"5;x\r\nhello\r\n0\r\nTrailer: a\r\n\r\n";
    for length in 0..wire.len() {
        assert_eq!(decode(&wire[..length], length.max(1)), Err("cut short"), "{length}");
    }
}

#[test]
fn the_largest_chunk_is_that_of_64_bits() {
    let mut framing = Framing::new(BodyFraming::Chunked);
    assert_eq!(framing.take_framing(b"ffffffffffffffff\r\nab"), Ok(18));
    assert_eq!(framing.next(), Next::Content(u64::MAX));
}

#[test]
fn extensions_and_trailers_are_bounded() {
    let extension = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(16 * 1024));
    assert_eq!(decode(extension.as_bytes(), 4096), Err("broken"));
    let many = format!("{}0\r\n\r\n", "1;xxxxxxxxxxxxxxx\r\na\r\n".repeat(1025));
    assert_eq!(decode(many.as_bytes(), 4096), Err("broken"));
    let trailers = format!("0\r\n{}\r\n", "A: b\r\n".repeat(3000));
    assert_eq!(decode(trailers.as_bytes(), 4096), Err("broken"));
}

#[test]
fn a_length_is_counted_in_64_bits() {
    let mut framing = Framing::new(BodyFraming::Length(1 << 40));
    framing.content_taken((1 << 40) - 1);
    assert_eq!(framing.next(), Next::Content(1));
    framing.content_taken(1);
    assert_eq!(framing.next(), Next::End);
    assert_eq!(Framing::new(BodyFraming::None).next(), Next::End);
}
