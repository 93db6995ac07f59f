//! What the OCI specifications say, as types: grammar, manifests, digests, error codes, ranges.
//!
//! Everything here is pure: no I/O, no clock, nothing asynchronous. Holding one of these types proves that
//! its text follows the grammar. Ids such as G1 or W6 name rules of the protocol; `rules.md` holds them.
//!
//! | what | where |
//! |---|---|
//! | names of repositories, tags, and what a manifest is asked for by | `name`, `tag`, `reference` |
//! | digests, of content and any; computing them | `digest`, `content_digest`, `algorithm`, `hasher` |
//! | manifests, and what they refer to | `manifest`, `descriptor`, `referrer`, `media_type` |
//! | telling manifests from other content | `recognise`, `json_object` |
//! | ranges of bytes | `byte_range` |
//! | codes of errors, and their statuses | `error_code` |

mod algorithm;
mod byte_range;
mod content_digest;
mod descriptor;
mod digest;
mod error_code;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod hasher;
mod json_object;
mod manifest;
mod media_type;
mod name;
mod recognise;
mod reference;
mod referrer;
mod tag;

#[cfg(test)]
pub(crate) use algorithm::DIGEST_LENGTH_MAX_BYTES;
pub use algorithm::{Algorithm, DigestError};
#[cfg(any(test, fuzzing))]
pub(crate) use byte_range::RANGES_MAX;
pub use byte_range::{ByteRange, ByteSpan, ContentRange};
pub use content_digest::ContentDigest;
pub use descriptor::Descriptor;
pub use digest::Digest;
pub use error_code::{ErrorAnswer, ErrorCode};
pub use hasher::Hasher;
pub use manifest::{MANIFEST_SIZE_LIMIT_BYTES, MANIFEST_SIZE_MAX_BYTES, Manifest, ManifestError};
#[cfg(test)]
pub(crate) use media_type::MEDIA_TYPE_LENGTH_MAX_CHARS;
pub use media_type::{ManifestKind, MediaType};
pub use name::RepoName;
pub use reference::Reference;
pub(crate) use referrer::json_length;
pub use referrer::{Annotations, Referrer, referrers_index};
pub use tag::Tag;
