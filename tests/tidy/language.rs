//! Comments, log lines, errors, documents and names of functions use plain words.

use std::fs;

use crate::lexer::{is_word, line_of};
use crate::report::{Finding, settle};
use crate::sources::{FOLDERS, Source, files, functions, root, sources};

/// Words that readers have to translate, each with what to write.
const WORDS: &[(&str, &str)] = &[
    ("nobody", "make what acts the subject: `only its owner reads it`"),
    ("somebody", "name it: a client, a caller, a thread"),
    ("whoever", "name it: a client that, a caller that"),
    ("who waits", "name it: a client that waits"),
    ("who wants", "name it: a caller that wants"),
    ("anew", "write: rebuilt, written again"),
    ("is told", "write: returns, reports, gets"),
    ("are told", "write: get, receive"),
    ("told so", "write what is returned"),
    ("gone on with", "write: resumed"),
    ("go on with", "write: resume, continue"),
    ("goes on with", "write: resumes, continues"),
    ("going on with", "write: resuming, continuing"),
    ("for so long", "name the parameter"),
    ("so many", "name the parameter"),
    ("hold against", "write: compare with"),
    ("holds against", "write: compares with"),
    ("held against", "write: compared with"),
];

/// A word that is no subject at the beginning of a sentence or a clause.
const WHO: [&str; 4] = ["Who ", ": who ", "; who ", ". Who "];

/// Returns what is wrong with a text that is on one line.
fn check_line(line: &str) -> Vec<String> {
    let lower = line.to_ascii_lowercase();
    if lower.trim().is_empty() {
        return Vec::new();
    }
    let is_there = |words: &str| {
        lower
            .match_indices(words)
            .any(|(at, _)| !lower[..at].ends_with(is_word) && !lower[at + words.len()..].starts_with(is_word))
    };
    let banned = WORDS.iter().filter(|(words, _)| is_there(words));
    let mut findings: Vec<_> = banned.map(|(words, instead)| format!("\"{words}\": {instead}")).collect();
    let text = line.trim_start_matches(|c: char| !c.is_alphabetic());
    if WHO
        .iter()
        .enumerate()
        .any(|(at, who)| if at == 0 { text.starts_with(who) } else { line.contains(who) })
    {
        findings.push("\"who\" as a noun: name it: a client that, a caller that".to_owned());
    }
    findings
}

/// Checks what a source says to readers and users: the comments, the texts of the program, and the names of
/// functions, which are sentences where they name tests.
fn check_source(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let views = source.views.comments.lines().zip(source.views.strings.lines()).zip(source.product.lines());
    for (number, ((comment, text), product)) in (1..).zip(views) {
        let is_product = source.path.starts_with("src/") && product.contains('"');
        let text = if is_product { text } else { "" };
        for what in check_line(comment).into_iter().chain(check_line(text)) {
            findings.push(Finding::new(source.room(), format!("{}:{number}: {what}", source.path)));
        }
    }
    for (offset, name, _) in functions(&source.views.code) {
        let words = name.replace('_', " ");
        let who = words.split(' ').any(|word| word == "who").then(|| "\"who\" as a noun".to_owned());
        for what in check_line(&words).into_iter().chain(who) {
            let line = line_of(&source.text, offset);
            findings.push(Finding::new(source.room(), format!("{}:{line}: `{name}`: {what}", source.path)));
        }
    }
    findings
}

fn check_document(name: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut is_code = false;
    for (number, line) in (1..).zip(text.lines()) {
        is_code ^= line.trim_start().starts_with("```");
        let found = if is_code { Vec::new() } else { check_line(line) };
        findings.extend(found.into_iter().map(|what| Finding::new(name, format!("{name}:{number}: {what}"))));
    }
    findings
}

/// Returns the names and texts of the documents.
fn documents() -> Vec<(String, String)> {
    let of_docs = files("docs", ".md");
    let others = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "src/spec/rules.md"];
    let all = others.iter().map(|name| root().join(name)).chain(of_docs);
    let name = |path: &std::path::Path| path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
    all.map(|path| (name(&path), fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn what_is_read_is_in_plain_words() {
    let mut findings = Vec::new();
    // The words stand here.
    let sources =
        FOLDERS.into_iter().flat_map(sources).filter(|source| !source.path.starts_with("tests/tidy/"));
    sources.for_each(|source| findings.extend(check_source(source)));
    for (name, text) in documents() {
        findings.extend(check_document(&name, &text));
    }
    settle("none", &[], &findings);
}

mod tests {
    use super::*;

    #[test]
    fn finds_words_but_no_parts_of_them() {
        assert_eq!(check_line("Nobody waits, and is told.").len(), 2);
        assert!(check_line("The busybodynobody is toldX, renewed; a client who pays.").is_empty());
        assert_eq!(check_line("    /// Who asks gets it").len(), 1);
        assert_eq!(check_line("wait: who asks gets it").len(), 1);
    }

    #[test]
    fn finds_them_in_comments_and_in_texts_of_the_program() {
        let text = "// nobody\nlet nobody = \"nobody\";\n#[cfg(test)]\nmod tests {\n    f(\"nobody\");\n}\n";
        assert_eq!(check_source(&Source::new("src/a/b.rs", text)).len(), 2);
        assert_eq!(check_source(&Source::new("tests/b.rs", text)).len(), 1);
    }

    #[test]
    fn finds_them_in_names_of_functions() {
        let text =
            "fn nobody_waits() {}\nfn it_is_made_anew() {}\nfn a_client_who_pays() {}\nfn newly() {}\n";
        assert_eq!(check_source(&Source::new("src/a/b.rs", text)).len(), 3);
    }

    #[test]
    fn finds_them_in_documents_outside_of_code() {
        assert_eq!(check_document("a.md", "nobody\n```\nnobody\n```\nnobody\n").len(), 2);
    }
}
