//! From a place in a TOML document to its line and its key.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// Returns the line, counted from 1, that holds the byte at `offset`.
pub(in crate::config) fn line_at(document: &str, offset: usize) -> usize {
    let before = document.bytes().take(offset);
    1 + before.filter(|byte| *byte == b'\n').count()
}

/// Returns the full key, such as `limits.head_bytes`, whose name or value lies at `span`.
/// A document that is no TOML has no keys.
pub(in crate::config) fn key_at(document: &str, span: &Range<usize>) -> Option<String> {
    let table = DeTable::parse(document).ok()?;
    search(table.get_ref(), span)
}

fn search(table: &DeTable<'_>, span: &Range<usize>) -> Option<String> {
    for (name, value) in table {
        if name.span() == *span || value.span() == *span {
            return Some(name.get_ref().to_string());
        }
        if let DeValue::Table(inner) = value.get_ref()
            && let Some(rest) = search(inner, span)
        {
            return Some(format!("{}.{rest}", name.get_ref()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "data = \"d\"\n\n[limits]\nhead_bytes = 9\n";

    fn span_of(text: &str) -> Range<usize> {
        let start = DOCUMENT.find(text).unwrap();
        start..start + text.len()
    }

    #[test]
    fn lines_are_counted_from_one() {
        assert_eq!(line_at(DOCUMENT, 0), 1);
        assert_eq!(line_at(DOCUMENT, span_of("head_bytes").start), 4);
    }

    #[test]
    fn a_key_is_found_by_its_name_and_by_its_value() {
        assert_eq!(key_at(DOCUMENT, &span_of("head_bytes")).as_deref(), Some("limits.head_bytes"));
        assert_eq!(key_at(DOCUMENT, &span_of("9")).as_deref(), Some("limits.head_bytes"));
        assert_eq!(key_at(DOCUMENT, &span_of("\"d\"")).as_deref(), Some("data"));
    }

    #[test]
    fn a_place_without_a_key_has_none() {
        assert_eq!(key_at(DOCUMENT, &(0..0)), None);
        assert_eq!(key_at("no toml at all", &(0..2)), None);
    }
}
