//! Where the bytes of a request's body lie in what the client sends (RFC 9112 sections 6 and 7).

use super::head::BodyFraming;

/// How many bytes of chunk extensions one body may have in all.
const CHUNK_EXTENSIONS_SIZE_MAX_BYTES: usize = 16 * 1024;

/// How many bytes of trailers one body may have.
const TRAILERS_SIZE_MAX_BYTES: usize = 8 * 1024;

/// How many digits the size of a chunk may have: 64 bits of them.
const CHUNK_SIZE_DIGITS_MAX: u8 = 16;

/// The framing of a chunked body breaks the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the chunks of the body are broken: {0}")]
pub(in crate::wire) struct BrokenChunks(&'static str);

/// What comes next of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::wire) enum Next {
    /// At least this many bytes of content.
    Content(u64),
    /// Bytes for [`Framing::take_framing`].
    Framing,
    /// Nothing: the body has ended.
    End,
}

/// Follows a body from its first byte to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::wire) enum Framing {
    /// A body of known length, of which this much is still to come.
    Length(u64),
    /// A chunked body.
    Chunked(ChunkDecoder),
}

impl Framing {
    /// Stands at the start of a body.
    pub(in crate::wire) fn new(framing: BodyFraming) -> Self {
        match framing {
            BodyFraming::None => Self::Length(0),
            BodyFraming::Length(length) => Self::Length(length),
            BodyFraming::Chunked => Self::Chunked(ChunkDecoder::default()),
        }
    }

    /// Tells what comes next.
    pub(in crate::wire) fn next(&self) -> Next {
        match self {
            Self::Length(0) => Next::End,
            Self::Length(left) => Next::Content(*left),
            Self::Chunked(decoder) => match decoder.state {
                ChunkState::Content { left } => Next::Content(left),
                ChunkState::End => Next::End,
                _ => Next::Framing,
            },
        }
    }

    /// Notes that `count` bytes of content were taken; never more than [`Next::Content`] said.
    pub(in crate::wire) fn content_taken(&mut self, count: u64) {
        match self {
            Self::Length(left) => *left = left.saturating_sub(count),
            Self::Chunked(decoder) => decoder.content_taken(count),
        }
    }

    /// Takes bytes of framing up to the next content, the body's end or the end of `bytes`; returns how many.
    pub(in crate::wire) fn take_framing(&mut self, bytes: &[u8]) -> Result<usize, BrokenChunks> {
        match self {
            Self::Length(_) => Ok(0),
            Self::Chunked(decoder) => decoder.take_framing(bytes),
        }
    }
}

/// Reads the framing of a chunked body, however it is cut into packets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::wire) struct ChunkDecoder {
    state: ChunkState,
    extension_bytes: usize,
    trailer_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChunkState {
    Size { value: u64, digits: u8 },
    Extension { size: u64 },
    SizeLineFeed { size: u64 },
    Content { left: u64 },
    ContentReturn,
    ContentLineFeed,
    Trailer(TrailerPart),
    TrailerLineFeed { line_is_empty: bool },
    End,
}

/// Where in a line of the trailers the decoder stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TrailerPart {
    Start,
    Name,
    Value,
}

impl Default for ChunkState {
    fn default() -> Self {
        Self::Size { value: 0, digits: 0 }
    }
}

impl ChunkDecoder {
    fn content_taken(&mut self, count: u64) {
        if let ChunkState::Content { left } = self.state {
            let left = left.saturating_sub(count);
            self.state = if left == 0 { ChunkState::ContentReturn } else { ChunkState::Content { left } };
        }
    }

    fn take_framing(&mut self, bytes: &[u8]) -> Result<usize, BrokenChunks> {
        let mut taken = 0;
        for byte in bytes {
            if matches!(self.state, ChunkState::Content { .. } | ChunkState::End) {
                break;
            }
            self.state = self.after(*byte)?;
            taken += 1;
        }
        Ok(taken)
    }

    /// Returns the state after one byte of framing.
    fn after(&mut self, byte: u8) -> Result<ChunkState, BrokenChunks> {
        match (self.state, byte) {
            (ChunkState::Size { digits: 1.., value }, b'\r') => Ok(ChunkState::SizeLineFeed { size: value }),
            (ChunkState::Size { digits: 1.., value }, b';') => self.in_extension(value, byte),
            (ChunkState::Size { value, digits }, byte) => size_digit(value, digits, byte),
            (ChunkState::Extension { size }, b'\r') => Ok(ChunkState::SizeLineFeed { size }),
            (ChunkState::Extension { size }, byte) => self.in_extension(size, byte),
            (ChunkState::SizeLineFeed { size: 0 }, b'\n') => Ok(ChunkState::Trailer(TrailerPart::Start)),
            (ChunkState::SizeLineFeed { size }, b'\n') => Ok(ChunkState::Content { left: size }),
            (ChunkState::ContentReturn, b'\r') => Ok(ChunkState::ContentLineFeed),
            (ChunkState::ContentLineFeed, b'\n') => Ok(ChunkState::default()),
            (ChunkState::Trailer(TrailerPart::Start), b'\r') => {
                Ok(ChunkState::TrailerLineFeed { line_is_empty: true })
            }
            (ChunkState::Trailer(TrailerPart::Value), b'\r') => {
                Ok(ChunkState::TrailerLineFeed { line_is_empty: false })
            }
            (ChunkState::Trailer(part), byte) => self.in_trailer(part, byte),
            (ChunkState::TrailerLineFeed { line_is_empty: true }, b'\n') => Ok(ChunkState::End),
            (ChunkState::TrailerLineFeed { line_is_empty: false }, b'\n') => {
                Ok(ChunkState::Trailer(TrailerPart::Start))
            }
            (ChunkState::ContentReturn, _) => Err(BrokenChunks("a chunk is longer than its size")),
            (
                ChunkState::SizeLineFeed { .. }
                | ChunkState::ContentLineFeed
                | ChunkState::TrailerLineFeed { .. },
                _,
            ) => Err(BrokenChunks("a carriage return without a line feed")),
            // `take_framing` stops at these two.
            (ChunkState::Content { .. } | ChunkState::End, _) => Ok(self.state),
        }
    }

    fn in_extension(&mut self, size: u64, byte: u8) -> Result<ChunkState, BrokenChunks> {
        self.extension_bytes += 1;
        if self.extension_bytes > CHUNK_EXTENSIONS_SIZE_MAX_BYTES {
            return Err(BrokenChunks("there are too many chunk extensions"));
        }
        check_text(byte)?;
        Ok(ChunkState::Extension { size })
    }

    /// Trailers are read over: nothing in the registry's protocol has a use for them. But each line must be
    /// one, or a request that follows a body without its last empty line would be read over as well.
    fn in_trailer(&mut self, part: TrailerPart, byte: u8) -> Result<ChunkState, BrokenChunks> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > TRAILERS_SIZE_MAX_BYTES {
            return Err(BrokenChunks("the trailers are too large"));
        }
        match part {
            TrailerPart::Name if byte == b':' => Ok(ChunkState::Trailer(TrailerPart::Value)),
            TrailerPart::Start | TrailerPart::Name if is_name_byte(byte) => {
                Ok(ChunkState::Trailer(TrailerPart::Name))
            }
            TrailerPart::Start | TrailerPart::Name => Err(BrokenChunks("a trailer's name is not valid")),
            TrailerPart::Value => {
                check_text(byte)?;
                Ok(ChunkState::Trailer(TrailerPart::Value))
            }
        }
    }
}

fn size_digit(value: u64, digits: u8, byte: u8) -> Result<ChunkState, BrokenChunks> {
    let digit = char::from(byte).to_digit(16).ok_or(BrokenChunks("the size of a chunk is not a number"))?;
    if digits == CHUNK_SIZE_DIGITS_MAX {
        return Err(BrokenChunks("the size of a chunk is too long"));
    }
    Ok(ChunkState::Size { value: value << 4 | u64::from(digit), digits: digits + 1 })
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn check_text(byte: u8) -> Result<(), BrokenChunks> {
    if byte.is_ascii_control() && byte != b'\t' {
        return Err(BrokenChunks("there is a control character between chunks"));
    }
    Ok(())
}
