//! What of a source is code, what is comment, and what is text between quotes.

use std::iter;

/// A source three times, each as long as the source, with spaces in place of the rest.
pub(crate) struct Views {
    pub(crate) code: String,
    pub(crate) comments: String,
    pub(crate) strings: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Text,
}

/// Separates a source.
pub(crate) fn views(source: &str) -> Views {
    let kinds = kinds(source.as_bytes());
    let view = |wanted: Kind| {
        let mut view = String::with_capacity(source.len());
        for (offset, character) in source.char_indices() {
            if character == '\n' || kinds[offset] == wanted {
                view.push(character);
            } else {
                view.extend(iter::repeat_n(' ', character.len_utf8()));
            }
        }
        view
    };
    Views { code: view(Kind::Code), comments: view(Kind::Comment), strings: view(Kind::Text) }
}

fn kinds(source: &[u8]) -> Vec<Kind> {
    let mut kinds = vec![Kind::Code; source.len()];
    let mut at = 0;
    while at < source.len() {
        let rest = &source[at..];
        let hashes = raw_hashes(source, at);
        if rest.starts_with(b"//") || rest.starts_with(b"/*") {
            let length = if rest[1] == b'/' { length_to(rest, b"\n") } else { length_to(rest, b"*/") + 2 };
            let end = source.len().min(at + length);
            kinds[at..end].fill(Kind::Comment);
            at = end;
        } else if rest[0] == b'"' || hashes.is_some() {
            // Quotes are code; what they hold is text.
            let begin = at + hashes.map_or(1, |hashes| hashes + 2);
            let end = begin + text_length(&source[begin..], hashes);
            kinds[begin..end].fill(Kind::Text);
            at = end + 1 + hashes.unwrap_or(0);
        } else if rest[0] == b'\'' {
            let length = character_length(rest);
            kinds[at + 1..at + length.max(2) - 1].fill(Kind::Text);
            at += length;
        } else {
            at += 1;
        }
    }
    kinds
}

fn length_to(text: &[u8], end: &[u8]) -> usize {
    text.windows(end.len()).position(|window| window == end).unwrap_or(text.len())
}

/// Returns how many `#` the raw string has that begins here, if one does.
fn raw_hashes(source: &[u8], at: usize) -> Option<usize> {
    let inside_word = at > 0 && (source[at - 1].is_ascii_alphanumeric() || source[at - 1] == b'_');
    // `br"…"` begins at its `r`, inside of a word.
    let after_byte = at > 0 && source[at - 1] == b'b' && !(at > 1 && source[at - 2].is_ascii_alphanumeric());
    if source[at] != b'r' || (inside_word && !after_byte) {
        return None;
    }
    let hashes = source[at + 1..].iter().take_while(|byte| **byte == b'#').count();
    (source.get(at + 1 + hashes) == Some(&b'"')).then_some(hashes)
}

fn text_length(text: &[u8], hashes: Option<usize>) -> usize {
    if let Some(hashes) = hashes {
        return length_to(text, &[b"\"".as_slice(), &b"#".repeat(hashes)].concat());
    }
    let mut escaped = false;
    let ends = |byte: &u8| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    };
    text.iter().position(ends).unwrap_or(text.len())
}

/// Returns the length of a literal such as `'a'` or `'\''`, or of the first character of a lifetime.
fn character_length(text: &[u8]) -> usize {
    if text.get(1) == Some(&b'\\') {
        return text.len().min(4 + length_to(&text[3.min(text.len())..], b"'"));
    }
    let wide = text.iter().skip(1).take(5).position(|byte| *byte == b'\'');
    match wide {
        Some(length) if length == 1 || (length > 1 && !text[1].is_ascii()) => length + 2,
        _ => 1,
    }
}

/// Blanks items that only tests and fuzzers are built with.
pub(crate) fn product(code: &str) -> String {
    let mut kept = code.as_bytes().to_vec();
    for attribute in ["#[cfg(test)]", "#[cfg(any(test", "#[cfg(fuzzing)]", "#[test]"] {
        for (begin, _) in code.match_indices(attribute) {
            let end = item_end(code, begin);
            kept[begin..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        }
    }
    String::from_utf8(kept).unwrap()
}

/// Returns where the item that begins with attributes ends.
fn item_end(code: &str, begin: usize) -> usize {
    let mut at = begin;
    while code[at..].starts_with("#[") {
        at += 1 + closing(&code[at + 1..]);
        at += code[at..].len() - code[at..].trim_start().len();
    }
    let item = code[at..].trim_start_matches("pub").trim_start();
    let item = if item.starts_with('(') { item[closing(item)..].trim_start() } else { item };
    let first = item.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
    let is_statement = ["use", "const", "static", "let", "type"].contains(&first);
    let has_body = ["fn", "mod", "impl", "struct", "enum", "trait", "async", "if", "for", "macro_rules"];
    let mut end = at;
    while let Some(character) = code[end..].chars().next() {
        match character {
            ';' => return end + 1,
            '{' if has_body.contains(&first) => return end + closing(&code[end..]),
            ',' if !is_statement && !has_body.contains(&first) => return end + 1,
            '{' | '(' | '[' => end += closing(&code[end..]),
            '}' | ')' | ']' => return end,
            _ => end += character.len_utf8(),
        }
    }
    end
}

/// Returns the length of the group that the code begins with, its brackets included.
pub(crate) fn closing(code: &str) -> usize {
    let mut depth = 0_usize;
    for (offset, character) in code.char_indices() {
        match character {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return offset + character.len_utf8();
        }
    }
    code.len()
}

pub(crate) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Returns the number of the line at an offset, counted from 1.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count()
}

mod tests {
    use super::*;

    #[test]
    fn code_comments_and_text_are_separated() {
        let source =
            "let a = \"x // \\\" y\"; // it's \"b\"\nlet c = 'd'; /* e */ f(r#\"g\"h\"#, '\\'', '\"', b'\"')";
        let views = views(source);
        assert_eq!(
            views.code.split_whitespace().collect::<String>(),
            "leta=\"\";letc='';f(r#\"\"#,'','',b'')"
        );
        assert_eq!(views.comments.trim(), "// it's \"b\"\n             /* e */");
        assert_eq!(
            views.strings.split_whitespace().collect::<Vec<_>>(),
            ["x", "//", "\\\"", "y", "d", "g\"h", "\\'", "\"", "\""]
        );
        assert!([&views.code, &views.comments, &views.strings].iter().all(|view| view.len() == source.len()));
    }

    #[test]
    fn lifetimes_are_no_literals_and_letters_of_any_width_are() {
        assert_eq!(views("fn f<'a>(b: &'a str) -> &'a str { \"c\" }").strings.trim(), "c");
        assert_eq!(views("['·', '…', '}'] \"b\"").code.replace(' ', ""), "['','','']\"\"");
    }

    #[test]
    fn what_only_tests_are_built_with_is_no_product() {
        let code = "#[cfg(test)]\nmod tests;\nstruct A {\n    #[cfg(test)]\n    b: [u8; 2],\n    c: u8,\n}\n\
                    #[cfg(any(test, fuzzing))]\n#[doc(hidden)]\npub(crate) mod d { fn e() {} }\nfn f() {}\n\
                    #[cfg(test)]\npub use g::{h, i};\n#[cfg(test)]\nconst J: (u8, u8) = (1, 2);\nfn k() {}";
        let product = product(code);
        assert_eq!(product.split_whitespace().collect::<String>(), "structA{c:u8,}fnf(){}fnk(){}");
        assert_eq!(product.len(), code.len());
    }
}
