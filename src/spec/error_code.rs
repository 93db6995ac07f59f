//! The codes in the body of an error: distribution-spec, section "Error Codes".

use std::fmt;

macro_rules! error_codes {
    ($($variant:ident, $code:literal, $message:literal;)+) => {
        /// A code that tells a client what went wrong (E2). Which status goes with it is the caller's affair.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = concat!("`", $code, "`: ", $message, ".")] $variant,)+
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

            /// Returns the message that is sent when there is nothing better to say.
            pub fn default_message(self) -> &'static str {
                match self {
                    $(Self::$variant => $message,)+
                }
            }
        }
    };
}

// The codes of the specification come first; those from `TagInvalid` on are the ones that the distribution
// registry adds and that clients know from there.
error_codes! {
    BlobUnknown,             "BLOB_UNKNOWN",              "blob unknown to registry";
    BlobUploadInvalid,       "BLOB_UPLOAD_INVALID",       "blob upload invalid";
    BlobUploadUnknown,       "BLOB_UPLOAD_UNKNOWN",       "blob upload unknown to registry";
    DigestInvalid,           "DIGEST_INVALID",            "provided digest did not match uploaded content";
    ManifestBlobUnknown,     "MANIFEST_BLOB_UNKNOWN",     "manifest references content unknown to registry";
    ManifestInvalid,         "MANIFEST_INVALID",          "manifest invalid";
    ManifestUnknown,         "MANIFEST_UNKNOWN",          "manifest unknown to registry";
    NameInvalid,             "NAME_INVALID",              "invalid repository name";
    NameUnknown,             "NAME_UNKNOWN",              "repository name not known to registry";
    SizeInvalid,             "SIZE_INVALID",              "provided length did not match content length";
    Unauthorized,            "UNAUTHORIZED",              "authentication required";
    Denied,                  "DENIED",                    "requested access to the resource is denied";
    Unsupported,             "UNSUPPORTED",               "the operation is unsupported";
    TooManyRequests,         "TOOMANYREQUESTS",           "too many requests";
    TagInvalid,              "TAG_INVALID",               "invalid tag";
    PaginationNumberInvalid, "PAGINATION_NUMBER_INVALID", "invalid number of results requested";
    RangeInvalid,            "RANGE_INVALID",             "invalid content range";
    Unavailable,             "UNAVAILABLE",               "service unavailable";
    Unknown,                 "UNKNOWN",                   "unknown error";
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
            assert!(!code.default_message().is_empty());
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
