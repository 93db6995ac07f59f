//! Files, functions and lines are short, and nothing is left behind.

use crate::exceptions::LONG_FUNCTIONS;
use crate::lexer::line_of;
use crate::report::{Finding, settle};
use crate::sources::{FOLDERS, Source, functions, sources};

const FILE_LENGTH_MAX_LINES: usize = 450;
const FUNCTION_LENGTH_MAX_LINES: usize = 60;
const LINE_LENGTH_MAX_CHARS: usize = 110;

/// What must not be left behind; in two pieces, so that this file doesn't hold it.
const LEFTOVERS: [(&str, &str); 5] =
    [("todo", "!("), ("unimplemented", "!("), ("TO", "DO"), ("FIX", "ME"), ("#[ig", "nore")];

fn check_lines(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(source.text.lines()) {
        let length = line.chars().count();
        if length > LINE_LENGTH_MAX_CHARS {
            let what = format!("{length} characters, at most {LINE_LENGTH_MAX_CHARS}: break the line");
            findings.push(Finding::at(&source.path, number, what));
        }
        for (start, end) in LEFTOVERS {
            let leftover = format!("{start}{end}");
            if line.contains(&leftover) {
                findings.push(Finding::at(
                    &source.path,
                    number,
                    format!("`{leftover}` left behind: do it now"),
                ));
            }
        }
    }
    findings
}

fn check_length(source: &Source) -> Option<Finding> {
    let lines = source.text.lines().count();
    let what = format!("{lines} lines, at most {FILE_LENGTH_MAX_LINES}: give a part of it a file of its own");
    (lines > FILE_LENGTH_MAX_LINES).then(|| Finding::at(&source.path, FILE_LENGTH_MAX_LINES, what))
}

fn check_functions(source: &Source) -> Vec<Finding> {
    let long =
        functions(&source.views.code).into_iter().filter(|(_, _, lines)| *lines > FUNCTION_LENGTH_MAX_LINES);
    long.map(|(offset, name, lines)| {
        let line = line_of(&source.text, offset);
        let length = format!("{lines} lines, at most {FUNCTION_LENGTH_MAX_LINES}");
        let what = format!("{}:{line}: `{name}` has {length}: take steps out of it", source.path);
        Finding::new(name, what)
    })
    .collect()
}

#[test]
fn files_are_no_longer_than_one_can_read() {
    let all = ["src", "tests"].into_iter().flat_map(sources);
    settle("none", &[], &all.filter_map(check_length).collect::<Vec<_>>());
}

#[test]
fn functions_fit_a_screen() {
    let all = ["src", "tests"].into_iter().flat_map(sources);
    settle("LONG_FUNCTIONS", LONG_FUNCTIONS, &all.flat_map(check_functions).collect::<Vec<_>>());
}

#[test]
fn lines_are_short_and_nothing_is_left_behind() {
    let all = FOLDERS.into_iter().flat_map(sources);
    settle("none", &[], &all.flat_map(check_lines).collect::<Vec<_>>());
}

mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("src/a.rs", text)
    }

    #[test]
    fn finds_long_lines_and_leftovers() {
        assert!(
            check_lines(&source(&format!("\n{}", "x".repeat(111))))[0].what.starts_with("src/a.rs:2: 111 ")
        );
        assert!(check_lines(&source(&"é".repeat(110))).is_empty());
        for (start, end) in LEFTOVERS {
            assert_eq!(check_lines(&source(&format!("ok\n// {start}{end}"))).len(), 1);
        }
    }

    #[test]
    fn finds_long_files_and_functions() {
        assert!(check_length(&source(&"\n".repeat(451))).is_some());
        assert!(check_length(&source(&"\n".repeat(450))).is_none());
        let function = |lines: usize| source(&format!("fn a() {{\n{}}}\n", "b();\n".repeat(lines - 2)));
        assert_eq!(check_functions(&function(61))[0].key, "a");
        assert!(check_functions(&function(60)).is_empty());
    }
}
