//! The query of a request.

use percent_encoding::percent_decode_str;

use super::errors::Failure;
use crate::spec::ErrorCode;

/// The parameters of a query, decoded, in their order. A parameter may come several times; unknown ones are
/// simply never asked for.
///
/// No value in this protocol may contain a space, while media types and digest algorithms may contain `+`. So
/// a `+` stands for itself, whether it came encoded or raw, and so does a space that was made of one (H9).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::http) struct Query(Vec<(String, String)>);

impl Query {
    /// Parses the part of a request target after its `?`.
    pub(in crate::http) fn parse(raw: &str) -> Self {
        let parameters = raw.split('&').filter(|parameter| !parameter.is_empty()).map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            (decode(name), decode(value))
        });
        Self(parameters.collect())
    }

    /// Returns the first value of a parameter.
    pub(in crate::http) fn first(&self, name: &'static str) -> Option<&str> {
        self.all(name).next()
    }

    /// Returns every value of a parameter.
    pub(in crate::http) fn all<'a>(&'a self, name: &'static str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns how many entries of a list are wanted: what `n` says, but never more than `max` (L7).
    pub(in crate::http) fn limit(&self, max: usize) -> Result<usize, Failure> {
        let Some(text) = self.first("n") else { return Ok(max) };
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            let message = format!("n must be a non-negative number, not {text:?}");
            return Err(Failure::of(ErrorCode::PaginationNumberInvalid, message));
        }
        // A number that is too long to parse is above every cap.
        Ok(text.parse::<usize>().map_or(max, |limit| limit.min(max)))
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().replace(' ', "+")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H8: literal `:` and `/` and their encoded forms are the same.
    #[test]
    fn values_are_decoded_and_raw_ones_taken_as_they_are() {
        let raw = Query::parse("mount=sha256:ab&from=a/b");
        let encoded = Query::parse("from=a%2Fb&mount=sha256%3Aab");
        for query in [raw, encoded] {
            assert_eq!(query.first("mount"), Some("sha256:ab"));
            assert_eq!(query.first("from"), Some("a/b"));
        }
        assert_eq!(Query::parse("digest%2Dalgorithm=sha512").first("digest-algorithm"), Some("sha512"));
    }

    /// H9: `application/x+json` comes encoded, raw, and as the space that form rules make of the plus.
    #[test]
    fn a_plus_in_a_media_type_survives_however_it_was_sent() {
        for raw in ["application/x+json", "application%2Fx%2Bjson", "application%2Fx%20json"] {
            let query = Query::parse(&format!("artifactType={raw}"));
            assert_eq!(query.first("artifactType"), Some("application/x+json"), "{raw}");
        }
    }

    /// R8, W11: parameters repeat, and a present but empty one is there.
    #[test]
    fn parameters_repeat_and_may_be_empty() {
        let query = Query::parse("tag=a&tag=b&&artifactType=&flag");
        assert_eq!(query.all("tag").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(query.first("artifactType"), Some(""));
        assert_eq!(query.first("flag"), Some(""));
        assert_eq!(query.first("none"), None);
    }

    /// T4: unknown parameters change nothing.
    #[test]
    fn unknown_parameters_are_ignored() {
        let query = Query::parse("origin=docker.io&ns=x&mount=sha256:ab");
        assert_eq!(query.first("mount"), Some("sha256:ab"));
    }

    /// L4, L7: zero is valid, values above the cap are clamped.
    #[test]
    fn the_limit_is_clamped_to_the_cap() {
        assert_eq!(Query::parse("").limit(100).unwrap(), 100);
        assert_eq!(Query::parse("n=0").limit(100).unwrap(), 0);
        assert_eq!(Query::parse("n=7").limit(100).unwrap(), 7);
        assert_eq!(Query::parse("n=101").limit(100).unwrap(), 100);
        assert_eq!(Query::parse("n=99999999999999999999999999").limit(100).unwrap(), 100);
    }

    /// L7: garbage is refused.
    #[test]
    fn a_limit_that_is_no_number_is_refused() {
        for bad in ["n=-1", "n=ten", "n=", "n=1.5", "n=%2B1", "n=0x10"] {
            let failure = Query::parse(bad).limit(100).unwrap_err();
            assert_eq!(failure.status() as u16, 400, "{bad}");
            assert_eq!(failure.code(), ErrorCode::PaginationNumberInvalid, "{bad}");
        }
    }
}
