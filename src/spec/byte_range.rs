//! Ranges of bytes: what a download asks for (RFC 9110, section 14) and what a chunk of an upload is.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::base::excerpt;

/// How many ranges one request may ask for. Podman asks for up to 1024 parts of a zstd:chunked layer, and
/// after a refusal for half as many.
pub const RANGES_MAX: usize = 1024;

/// How many ranges may be out of order: reading back and forth costs the disk more than all of the content.
pub const UNORDERED_RANGES_MAX: usize = 16;

/// A stretch of content: at least one byte, and all of it within the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSpan {
    /// The first byte.
    pub offset: u64,
    /// The number of bytes.
    pub length: u64,
}

/// What a `Range` header means for content of a certain length (B5 to B8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ByteRange {
    /// All of the content, as if there were no header: it is malformed, or asks for ranges that overlap or
    /// are too many (B7), or the content is empty and so has no range at all.
    Whole,
    /// The only range that has bytes of the content.
    Part(ByteSpan),
    /// Two ranges or more, up to [`RANGES_MAX`], in the order of the header (B7). No two overlap.
    Parts(Vec<ByteSpan>),
    /// No range has a byte of the content (B6).
    Unsatisfiable,
}

impl ByteSpan {
    /// Returns the offset of the last byte.
    pub fn last(&self) -> u64 {
        self.offset.saturating_add(self.length).saturating_sub(1)
    }

    fn last_bytes(count: u64, content_length: u64) -> Option<Self> {
        let length = count.min(content_length);
        (length > 0).then_some(Self { offset: content_length - length, length })
    }

    fn between(first: u64, last: u64, content_length: u64) -> Option<Self> {
        // INVARIANT: the content is not empty.
        let last = last.min(content_length - 1);
        (first <= last).then(|| Self { offset: first, length: last - first + 1 })
    }
}

impl ByteRange {
    /// Reads a `Range` header for content of `content_length` bytes.
    ///
    /// A range that ends before it begins is unsatisfiable, not malformed (B6). Of several ranges those that
    /// are unsatisfiable are left out.
    pub fn parse(header: &str, content_length: u64) -> Self {
        if content_length == 0 {
            return Self::Whole;
        }
        let Some(spans) = spans(header, content_length) else { return Self::Whole };
        match spans[..] {
            [] => Self::Unsatisfiable,
            [span] => Self::Part(span),
            _ if are_sparing(&spans) => Self::Parts(spans),
            _ => Self::Whole,
        }
    }
}

/// Returns the satisfiable ranges of a header in the unit `bytes`, or `None` if it is malformed or has more
/// than [`RANGES_MAX`].
fn spans(header: &str, content_length: u64) -> Option<Vec<ByteSpan>> {
    let (unit, ranges) = header.split_once('=')?;
    if !unit.trim_ascii_start().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let ranges = ranges.split(',').map(str::trim_ascii).filter(|range| !range.is_empty());
    let (mut spans, mut count) = (Vec::new(), 0);
    for range in ranges {
        count += 1;
        if count > RANGES_MAX {
            return None;
        }
        spans.extend(match range.split_once('-')? {
            ("", last) => ByteSpan::last_bytes(read_number(last)?, content_length),
            (first, "") => ByteSpan::between(read_number(first)?, u64::MAX, content_length),
            (first, last) => ByteSpan::between(read_number(first)?, read_number(last)?, content_length),
        });
    }
    (count > 0).then_some(spans)
}

/// Returns whether no two of several ranges overlap, and whether they are in order unless they are few.
fn are_sparing(spans: &[ByteSpan]) -> bool {
    let mut sorted = spans.to_vec();
    sorted.sort_unstable();
    let are_apart = sorted.is_sorted_by(|one, next| one.last() < next.offset);
    are_apart && (spans.len() <= UNORDERED_RANGES_MAX || sorted == spans)
}

/// Reads digits; a number that is too large for 64 bits is past the end of any content.
fn read_number(text: &str) -> Option<u64> {
    is_number(text).then(|| text.parse().unwrap_or(u64::MAX))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The `Content-Range` of a chunk, `<first>-<last>` (C2): the place of its bytes in the blob, both ends
/// included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange {
    /// The offset of the first byte.
    pub first: u64,
    /// The offset of the last byte; not before the first.
    pub last: u64,
}

/// Why a text is not the range of a chunk.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ContentRangeError {
    /// The text is not two numbers with a dash between them.
    #[error("malformed content range {0:?}")]
    Malformed(String),
    /// The last byte is before the first.
    #[error("the content range {0:?} ends before it begins")]
    Inverted(String),
    /// The range ends past all that can be counted.
    #[error("the content range {0:?} is too large")]
    TooLarge(String),
}

impl ContentRange {
    /// Returns the number of bytes.
    pub fn length(&self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }
}

impl FromStr for ContentRange {
    type Err = ContentRangeError;

    fn from_str(text: &str) -> Result<Self, ContentRangeError> {
        let (first, last) = text
            .split_once('-')
            .filter(|(first, last)| is_number(first) && is_number(last))
            .ok_or_else(|| ContentRangeError::Malformed(excerpt(text)))?;
        let (Ok(first), Ok(last)) = (first.parse::<u64>(), last.parse::<u64>()) else {
            return Err(ContentRangeError::TooLarge(excerpt(text)));
        };
        if last < first {
            return Err(ContentRangeError::Inverted(excerpt(text)));
        }
        // The offset after the last byte must be a number, too.
        if last == u64::MAX {
            return Err(ContentRangeError::TooLarge(excerpt(text)));
        }
        Ok(Self { first, last })
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(offset: u64, length: u64) -> ByteRange {
        ByteRange::Part(ByteSpan { offset, length })
    }

    fn parts(parts: &[(u64, u64)]) -> ByteRange {
        ByteRange::Parts(
            parts.iter().map(|(offset, length)| ByteSpan { offset: *offset, length: *length }).collect(),
        )
    }

    /// B5, B8
    #[test]
    fn one_range_is_a_part() {
        for (header, expected) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=10-19", part(10, 10)),
            ("bytes=0-", part(0, 2048)),
            ("bytes=2047-", part(2047, 1)),
            ("bytes=-1", part(2047, 1)),
            ("bytes=-5000", part(0, 2048)),
            ("bytes=2000-5000", part(2000, 48)),
            ("bytes=0-99999999999999999999999", part(0, 2048)),
            ("Bytes= 10-19 ,", part(10, 10)),
        ] {
            assert_eq!(ByteRange::parse(header, 2048), expected, "{header}");
        }
    }

    /// B6
    #[test]
    fn a_range_without_bytes_is_unsatisfiable() {
        for header in
            ["bytes=5000-", "bytes=2048-2048", "bytes=500-0", "bytes=-0", "bytes=99999999999999999999999-"]
        {
            assert_eq!(ByteRange::parse(header, 2048), ByteRange::Unsatisfiable, "{header}");
        }
    }

    /// B7: each is a part, in the order of the header; those without bytes are left out.
    #[test]
    fn several_ranges_are_parts() {
        for (header, expected) in [
            ("bytes=0-1,5-6", parts(&[(0, 2), (5, 2)])),
            ("bytes=0-0, -1", parts(&[(0, 1), (2047, 1)])),
            ("bytes=-1,0-0", parts(&[(2047, 1), (0, 1)])),
            ("bytes=0-9,10-19", parts(&[(0, 10), (10, 10)])),
            ("bytes=0-1,5000-,7-7,", parts(&[(0, 2), (7, 1)])),
            ("bytes=0-1, 5000-", part(0, 2)),
            ("bytes=5000-,6000-,9-8", ByteRange::Unsatisfiable),
        ] {
            assert_eq!(ByteRange::parse(header, 2048), expected, "{header}");
        }
    }

    /// B7: what asks for a byte twice, or for too much to do, gets everything once.
    #[test]
    fn ranges_that_overlap_or_are_too_many_are_the_whole() {
        let list = |ranges: &mut dyn Iterator<Item = usize>| {
            let ranges = ranges.map(|number| format!("{0}-{0}", 2 * number)).collect::<Vec<_>>();
            format!("bytes={}", ranges.join(","))
        };
        let count = |header: String| match ByteRange::parse(&header, 1 << 20) {
            ByteRange::Parts(parts) => parts.len(),
            ByteRange::Whole => 0,
            other => panic!("{other:?}"),
        };
        assert_eq!(count(list(&mut (0..RANGES_MAX))), RANGES_MAX);
        assert_eq!(count(list(&mut (0..=RANGES_MAX))), 0);
        assert_eq!(count(list(&mut (0..UNORDERED_RANGES_MAX).rev())), UNORDERED_RANGES_MAX);
        assert_eq!(count(list(&mut (0..=UNORDERED_RANGES_MAX).rev())), 0);
        for header in ["bytes=0-9,9-19", "bytes=0-,-1", "bytes=5-5,5-5", "bytes=10-20,0-10", "bytes=0-1,x"] {
            assert_eq!(ByteRange::parse(header, 2048), ByteRange::Whole, "{header}");
        }
        // Also the unsatisfiable ones are work.
        let header = format!("bytes=0-0,2-2{}", ",9-8".repeat(RANGES_MAX));
        assert_eq!(ByteRange::parse(&header, 2048), ByteRange::Whole);
    }

    #[test]
    fn a_malformed_header_or_another_unit_is_the_whole() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=,",
            "bytes=a-b",
            "bytes=+1-2",
            "bytes=1-+2",
            "bytes=1--2",
            "bytes=1",
            "bytes=1 - 2",
            "bytes 0-1",
            "bytes =0-1",
            "lines=0-1",
            "=0-1",
            "bytes=0x1-2",
            "bytes=１-2",
        ] {
            assert_eq!(ByteRange::parse(header, 2048), ByteRange::Whole, "{header}");
        }
    }

    #[test]
    fn empty_content_has_no_ranges() {
        for header in ["bytes=0-", "bytes=0-0", "bytes=-1", "bytes=5-"] {
            assert_eq!(ByteRange::parse(header, 0), ByteRange::Whole, "{header}");
        }
    }

    /// C2
    #[test]
    fn a_content_range_is_two_numbers() {
        let range: ContentRange = "5-9".parse().unwrap();
        assert_eq!((range, range.length()), (ContentRange { first: 5, last: 9 }, 5));
        assert_eq!("0-0".parse::<ContentRange>().unwrap().length(), 1);
        for text in [
            "",
            "-",
            "5",
            "5-",
            "-9",
            "bytes 5-9",
            "bytes=5-9",
            "5-9/20",
            " 5-9",
            "5 -9",
            "+5-9",
            "0--1",
            "5-9-",
        ] {
            assert_eq!(text.parse::<ContentRange>(), Err(ContentRangeError::Malformed(text.to_owned())));
        }
    }

    /// C2
    #[test]
    fn a_content_range_does_not_end_before_it_begins_nor_behind_all_numbers() {
        assert_eq!("9-5".parse::<ContentRange>(), Err(ContentRangeError::Inverted("9-5".to_owned())));
        assert!("0-18446744073709551614".parse::<ContentRange>().is_ok());
        for text in ["0-18446744073709551615", "0-18446744073709551616", "18446744073709551616-0"] {
            assert_eq!(text.parse::<ContentRange>(), Err(ContentRangeError::TooLarge(text.to_owned())));
        }
    }

    /// The bytes that a range has, found by asking about each.
    fn slow_part(first: Option<u64>, last: Option<u64>, content_length: u64) -> ByteRange {
        let wanted = |byte: &u64| match (first, last) {
            (None, last) => content_length - byte <= last.unwrap_or(0),
            (Some(first), None) => *byte >= first,
            (Some(first), Some(last)) => (first..=last).contains(byte),
        };
        let bytes: Vec<u64> = (0..content_length).filter(wanted).collect();
        match bytes.first() {
            Some(offset) => part(*offset, bytes.len() as u64),
            None => ByteRange::Unsatisfiable,
        }
    }

    proptest! {
        /// B5, B6
        #[test]
        fn a_range_has_the_bytes_that_a_slow_model_finds(
            first in prop::option::of(0..40u64),
            last in prop::option::of(0..40u64),
            content_length in 1..30u64,
        ) {
            prop_assume!(first.is_some() || last.is_some());
            let text = |end: Option<u64>| end.map(|number| number.to_string()).unwrap_or_default();
            let header = format!("bytes={}-{}", text(first), text(last));
            let expected = slow_part(first, last, content_length);
            prop_assert_eq!(ByteRange::parse(&header, content_length), expected);
        }

        #[test]
        fn a_part_lies_within_the_content(header in "bytes=[0-9]{0,21}-[0-9]{0,21}", content_length: u64) {
            if let ByteRange::Part(ByteSpan { offset, length }) = ByteRange::parse(&header, content_length) {
                prop_assert!(length > 0);
                prop_assert!(offset.checked_add(length).is_some_and(|end| end <= content_length));
            }
        }

        /// C2
        #[test]
        fn a_content_range_is_written_as_it_was_read(one: u64, other: u64) {
            let range = ContentRange { first: one.min(other), last: one.max(other).min(u64::MAX - 1) };
            prop_assume!(range.first <= range.last);
            prop_assert_eq!(range.to_string().parse(), Ok(range));
        }
    }
}
