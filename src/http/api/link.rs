//! The `Link` header that leads to the next part of a list (RFC 8288).

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Renders the header. The target is relative to the server's root: some clients refuse another origin, and a
/// registry behind a proxy can't know its own.
pub(in crate::http) fn next(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut link = format!("<{path}");
    let mut separator = '?';
    for (name, value) in parameters {
        // Writing to a String can't fail.
        let _ = write!(link, "{separator}{name}={}", utf8_percent_encode(value, RESERVED));
        separator = '&';
    }
    link.push_str(">; rel=\"next\"");
    link
}

#[cfg(test)]
mod tests {
    use super::*;

    /// L5: relative, with `n` and `last`, and of the form that clients parse.
    #[test]
    fn the_link_is_relative_and_keeps_its_parameters() {
        let link = next("/v2/a/b/tags/list", &[("n", "2"), ("last", "v1.0_x-y")]);
        assert_eq!(link, "</v2/a/b/tags/list?n=2&last=v1.0_x-y>; rel=\"next\"");
    }

    /// R9: the filter comes back the way it was, so values are encoded.
    #[test]
    fn values_are_percent_encoded() {
        let link =
            next("/v2/a/referrers/x", &[("artifactType", "application/x+json;v=1"), ("last", "sha256:ab")]);
        let expected = "</v2/a/referrers/x?artifactType=application%2Fx%2Bjson%3Bv%3D1&last=sha256%3Aab>";
        assert_eq!(link, format!("{expected}; rel=\"next\""));
        assert_eq!(next("/x", &[("last", "><\"&\r\n ")]), "</x?last=%3E%3C%22%26%0D%0A%20>; rel=\"next\"");
    }
}
