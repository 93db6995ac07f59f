//! The one table of errors: the codes of the distribution-spec, section "Error Codes", and their statuses.

use std::fmt;

macro_rules! error_codes {
    ($($variant:ident, $code:literal, $status:literal, $message:literal;)+) => {
        /// A code that tells a client what went wrong (E2).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = concat!("`", $code, "`, ", $status, ": ", $message, ".")] $variant,)+
        }

        impl ErrorCode {
            /// All codes, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the code as it is sent.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)+
                }
            }

            /// Returns the HTTP status that the code usually has (E6).
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$variant => $status,)+
                }
            }
        }
    };
}

// The codes of the specification come first; those from `TagInvalid` on are the ones that the distribution
// registry adds and that clients know from there.
error_codes! {
    BlobUnknown,             "BLOB_UNKNOWN",              404, "blob unknown to registry";
    BlobUploadInvalid,       "BLOB_UPLOAD_INVALID",       400, "blob upload invalid";
    BlobUploadUnknown,       "BLOB_UPLOAD_UNKNOWN",       404, "blob upload unknown to registry";
    DigestInvalid,           "DIGEST_INVALID",            400, "provided digest did not match content";
    ManifestBlobUnknown,     "MANIFEST_BLOB_UNKNOWN",     400, "manifest references unknown content";
    ManifestInvalid,         "MANIFEST_INVALID",          400, "manifest invalid";
    ManifestUnknown,         "MANIFEST_UNKNOWN",          404, "manifest unknown to registry";
    NameInvalid,             "NAME_INVALID",              400, "invalid repository name";
    NameUnknown,             "NAME_UNKNOWN",              404, "repository name not known to registry";
    SizeInvalid,             "SIZE_INVALID",              400, "provided length did not match content";
    Unauthorized,            "UNAUTHORIZED",              401, "authentication required";
    Denied,                  "DENIED",                    403, "requested access to the resource is denied";
    Unsupported,             "UNSUPPORTED",               405, "the operation is unsupported";
    TooManyRequests,         "TOOMANYREQUESTS",           429, "too many requests";
    TagInvalid,              "TAG_INVALID",               400, "invalid tag";
    PaginationNumberInvalid, "PAGINATION_NUMBER_INVALID", 400, "invalid number of results requested";
    RangeInvalid,            "RANGE_INVALID",             416, "invalid content range";
    Unavailable,             "UNAVAILABLE",               503, "service unavailable";
    Unknown,                 "UNKNOWN",                   500, "unknown error";
}

/// What a client gets of an error beside its message: a code, and a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorAnswer {
    /// The code in the body.
    pub code: ErrorCode,
    /// The status of HTTP.
    pub status: u16,
}

macro_rules! answers_of_their_own {
    ($($name:ident, $code:ident, $status:literal, $when:literal;)+) => {
        /// Errors whose status is not the usual one of their code (E6).
        impl ErrorAnswer {
            $(#[doc = concat!($status, ": ", $when, ".")]
            pub const $name: Self = Self { code: ErrorCode::$code, status: $status };)+

            /// All of them, in the order of the table.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)+];
        }
    };
}

answers_of_their_own! {
    UNKNOWN_PATH,         Unsupported,       404, "no resource is at this path";
    BAD_REQUEST,          Unsupported,       400, "the request is malformed or not supported";
    HEAD_TIMEOUT,         Unknown,           408, "the request's head takes too long";
    BODY_TIMEOUT,         SizeInvalid,       408, "the request's body takes too long";
    CONDITION_FAILED,     ManifestInvalid,   412, "a precondition of the request failed";
    MANIFEST_TOO_LARGE,   SizeInvalid,       413, "the manifest is over the limit";
    TARGET_TOO_LONG,      Unsupported,       414, "the request's target is over the limit";
    TOO_MANY_TAGS,        TagInvalid,        414, "the request names more tags than one push may";
    UPLOAD_OUT_OF_ORDER,  BlobUploadInvalid, 416, "a chunk does not begin where the upload ends";
    UNKNOWN_EXPECTATION,  Unsupported,       417, "only `100-continue` can be expected";
    HEAD_TOO_LARGE,       Unsupported,       431, "the request's head is over the limit";
    NOT_IMPLEMENTED,      Unsupported,       501, "the method or the transfer coding is unknown";
    OVERLOADED,           TooManyRequests,   503, "the server, not the client, is over a limit";
    UNKNOWN_VERSION,      Unsupported,       505, "the HTTP version is neither 1.0 nor 1.1";
    NO_SPACE,             Unavailable,       507, "the disk is full, or allows no file of that size";
}

impl From<ErrorCode> for ErrorAnswer {
    fn from(code: ErrorCode) -> Self {
        Self { code, status: code.status() }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// E2
    #[test]
    fn every_code_of_the_specification_is_there() {
        let specified = "BLOB_UNKNOWN BLOB_UPLOAD_INVALID BLOB_UPLOAD_UNKNOWN DIGEST_INVALID \
                         MANIFEST_BLOB_UNKNOWN MANIFEST_INVALID MANIFEST_UNKNOWN NAME_INVALID NAME_UNKNOWN \
                         SIZE_INVALID UNAUTHORIZED DENIED UNSUPPORTED TOOMANYREQUESTS";
        let codes: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).take(14).collect();
        assert_eq!(codes.join(" "), specified);
    }

    /// E2
    #[test]
    fn codes_are_capitals_and_underscores_and_all_different() {
        for code in ErrorCode::ALL {
            assert!(code.as_str().bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'), "{code}");
            assert!((400..600).contains(&code.status()), "{code}");
        }
        let different: BTreeSet<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(different.len(), ErrorCode::ALL.len());
    }

    /// E2: a code is its variant's name in another spelling, so that no two rows can have been swapped.
    #[test]
    fn every_code_is_spelled_like_its_variant() {
        for code in ErrorCode::ALL {
            let spelled = format!("{code:?}").to_uppercase();
            assert_eq!(code.as_str().replace('_', ""), spelled);
        }
    }
}
