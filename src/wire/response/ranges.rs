//! Several ranges of a file as one body: `multipart/byteranges` (RFC 9110 section 14.6).

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use super::file::send_file;
use super::output::Output;
use crate::spec::ByteSpan;
use crate::wire::contract::{BodyFile, FileBody};

/// What boundaries are made from: those of this process, counted, under a key that it chose at random.
/// Content that contains the boundary would be taken apart wrongly, so its author must not know it before.
static BOUNDARIES: LazyLock<(RandomState, AtomicU64)> = LazyLock::new(Default::default);

/// Ranges of a file that the transport sends as the parts of one body, by `sendfile` where possible.
///
/// Only the ranges are held in memory: what stands between them is made when it is sent.
#[derive(Debug, Clone)]
pub struct RangesBody {
    file: Arc<dyn BodyFile>,
    media_type: &'static str,
    file_length: u64,
    spans: Arc<[ByteSpan]>,
    boundary: Arc<str>,
}

impl RangesBody {
    /// Makes a body of ranges of a file of `file_length` bytes; each part has `media_type`.
    pub fn new(
        file: Arc<dyn BodyFile>,
        media_type: &'static str,
        file_length: u64,
        spans: Vec<ByteSpan>,
    ) -> Self {
        let (key, count) = &*BOUNDARIES;
        let number = count.fetch_add(1, Ordering::Relaxed);
        let boundary = format!("{:016x}{:016x}", key.hash_one((number, 0)), key.hash_one((number, 1)));
        Self { file, media_type, file_length, spans: spans.into(), boundary: boundary.into() }
    }

    /// Returns the media type of the whole body.
    pub fn media_type(&self) -> String {
        format!("multipart/byteranges; boundary={}", self.boundary)
    }

    /// Returns how many bytes the body has.
    pub fn length(&self) -> u64 {
        let parts = self.parts().map(|(head, span)| (head.len() as u64).saturating_add(span.length));
        parts.fold(self.end().len() as u64, u64::saturating_add)
    }

    /// Returns each range after what introduces it.
    fn parts(&self) -> impl Iterator<Item = (String, ByteSpan)> {
        let Self { media_type, file_length, boundary, .. } = self;
        let mut line_end = "";
        self.spans.iter().map(move |span| {
            let (offset, last) = (span.offset, span.last());
            let head = format!(
                "{line_end}--{boundary}\r\nContent-Type: {media_type}\r\n\
                 Content-Range: bytes {offset}-{last}/{file_length}\r\n\r\n"
            );
            line_end = "\r\n";
            (head, *span)
        })
    }

    fn end(&self) -> String {
        format!("\r\n--{}--\r\n", self.boundary)
    }
}

/// Sends all parts; `sent` counts the bytes that the socket took.
pub(super) async fn send_ranges(body: &RangesBody, output: Output<'_>, sent: &mut u64) -> io::Result<()> {
    for (head, ByteSpan { offset, length }) in body.parts() {
        output.write_all(head.as_bytes(), true, sent).await?;
        let part = FileBody { file: Arc::clone(&body.file), offset, length };
        send_file(&part, output, sent).await?;
    }
    output.write_all(body.end().as_bytes(), false, sent).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{FileStep, FileStepFuture};

    #[derive(Debug)]
    struct NoFile;

    impl BodyFile for NoFile {
        fn run(&self, _: FileStep) -> FileStepFuture<'_> {
            Box::pin(async { Err(io::ErrorKind::NotFound.into()) })
        }

        fn name(&self) -> String {
            "none".to_owned()
        }
    }

    fn body() -> RangesBody {
        let spans = vec![ByteSpan { offset: 0, length: 10 }, ByteSpan { offset: 90, length: 10 }];
        RangesBody::new(Arc::new(NoFile), "a/b", 100, spans)
    }

    #[test]
    fn no_two_bodies_have_the_same_boundary() {
        let (one, other) = (body(), body());
        assert_ne!(one.boundary, other.boundary);
        assert_eq!((one.boundary.len(), one.length()), (32, other.length()));
    }

    #[test]
    fn each_part_says_where_it_belongs() {
        let body = body();
        let boundary = &body.boundary;
        let heads: Vec<_> = body.parts().map(|(head, _)| head).collect();
        let head =
            |range: &str| format!("--{boundary}\r\nContent-Type: a/b\r\nContent-Range: {range}\r\n\r\n");
        assert_eq!(heads, [head("bytes 0-9/100"), "\r\n".to_owned() + &head("bytes 90-99/100")]);
        assert_eq!(body.media_type(), format!("multipart/byteranges; boundary={boundary}"));
        let length = heads[0].len() + 10 + heads[1].len() + 10 + body.end().len();
        assert_eq!(body.length(), length as u64);
    }
}
