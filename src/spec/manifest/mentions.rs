//! Digests anywhere in a document whose fields are not known.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::spec::content_digest::{ContentDigest, TEXT_LENGTH_MAX_BYTES};
use crate::spec::digest::Digest;

/// How long a digest is at most with each of its characters escaped, as in `\u0061`.
const ESCAPED_LENGTH_MAX_BYTES: usize = 6 * TEXT_LENGTH_MAX_BYTES;

/// Returns the digests that are strings of a JSON text, keys included, each once and in order.
///
/// `known` are those that were read from known fields, once for each field: such a digest is returned only if
/// the text has it more often. The text must be JSON; nothing here depends on how deep it is nested.
pub(super) fn mentions<'a>(text: &str, known: impl Iterator<Item = &'a Digest>) -> Vec<ContentDigest> {
    let mut found: BTreeMap<ContentDigest, usize> = BTreeMap::new();
    for digest in Strings(text).filter_map(digest) {
        *found.entry(digest).or_default() += 1;
    }
    for digest in known.filter_map(Digest::content) {
        found.entry(digest).and_modify(|count| *count = count.saturating_sub(1));
    }
    found.into_iter().filter(|(_, count)| *count > 0).map(|(digest, _)| digest).collect()
}

/// Reads a string as it is written between its quotes.
fn digest(written: &str) -> Option<ContentDigest> {
    if written.len() > ESCAPED_LENGTH_MAX_BYTES {
        return None;
    }
    let text = match written.contains('\\') {
        true => Cow::from(serde_json::from_str::<String>(&format!("\"{written}\"")).ok()?),
        false => Cow::from(written),
    };
    text.parse().ok()
}

/// The strings of the rest of a JSON text, as they are written between their quotes.
struct Strings<'a>(&'a str);

impl<'a> Iterator for Strings<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (_, begun) = self.0.split_once('"')?;
        let mut is_escaped = false;
        let end = begun.bytes().position(|byte| {
            let ends = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            ends
        })?;
        let (string, rest) = begun.split_at_checked(end)?;
        self.0 = rest.strip_prefix('"')?;
        Some(string)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest_of(text: &str) -> ContentDigest {
        ContentDigest::sha256_of(text.as_bytes())
    }

    #[test]
    fn digests_are_found_wherever_they_are() {
        let [a, b, c, d, e] = ["a", "b", "c", "d", "e"].map(digest_of);
        let escaped = e.to_string().replace(':', "\\u003a");
        let deep = "[".repeat(10_000) + &format!("\"{d}\"") + &"]".repeat(10_000);
        let text = format!(
            r#"{{"x \" \\":"{a}","n":[1,{{"{b}":null}}],"é":["{c}","{c}"],"deep":{deep},"u":"{escaped}",
                "no":["sha256:abc","{}0","x{0}","a@{0}","other:1"]}}"#,
            digest_of("none"),
        );
        let mut expected = vec![a, b, c, d, e];
        expected.sort_unstable();
        assert_eq!(mentions(&text, [].iter()), expected);
    }

    #[test]
    fn what_known_fields_name_is_found_only_where_it_is_named_again() {
        let [a, b] = ["a", "b"].map(digest_of);
        let text = format!(r#"{{"subject":{{"digest":"{a}"}},"config":{{"digest":"{b}"}},"other":"{b}"}}"#);
        let known = [Digest::from(a), Digest::from(b)];
        assert_eq!(mentions(&text, known.iter()), [b]);
    }
}
