//! Which file of the crate names what another one defines.

use std::collections::{BTreeMap, BTreeSet};

use crate::lexer::{is_word, line_of};
use crate::sources::{Modules, Source};

/// One name that a `use` brings in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) path: Vec<String>,
    /// The name here; `*` for all.
    pub(crate) name: String,
    /// Whether others see it here, too.
    pub(crate) is_reexport: bool,
    pub(crate) line: usize,
}

/// How deep re-exports of re-exports are followed.
const DEPTH_MAX: usize = 8;

/// Returns what the `use` lines of a source bring in, and its code without them.
pub(crate) fn imports(code: &str) -> (Vec<Import>, String) {
    let (mut imports, mut rest) = (Vec::new(), code.as_bytes().to_vec());
    let mut offset = 0;
    for line in code.split_inclusive('\n') {
        let begin = offset + line.len() - line.trim_start().len();
        offset += line.len();
        let Some(at) = code[begin..].find("use ").filter(|at| is_visibility(&code[begin..begin + at])) else {
            continue;
        };
        let end = code[begin..].find(';').map_or(code.len(), |length| begin + length);
        for (path, name) in expand(&[], &code[begin + at + 4..end]) {
            let is_reexport = at > 0;
            imports.push(Import { path, name, is_reexport, line: line_of(code, begin) });
        }
        rest[begin..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
    }
    (imports, String::from_utf8(rest).unwrap())
}

fn is_visibility(text: &str) -> bool {
    let text = text.trim_end();
    text.is_empty() || text == "pub" || (text.starts_with("pub(") && text.find(')') == Some(text.len() - 1))
}

/// Returns each path of a `use`, with the name that it gets.
fn expand(prefix: &[String], text: &str) -> Vec<(Vec<String>, String)> {
    let text = text.trim();
    if let Some(group) = text.strip_prefix('{') {
        let group = group.trim_end().trim_end_matches('}');
        return split(group).into_iter().flat_map(|item| expand(prefix, item)).collect();
    }
    if let Some((first, rest)) = text.split_once("::") {
        return expand(&[prefix, &[first.trim().to_owned()]].concat(), rest);
    }
    let (last, name) = text.split_once(" as ").unwrap_or((text, text));
    let (last, mut path) = (last.trim(), prefix.to_vec());
    let mut name = name.trim().to_owned();
    if last == "self" && !prefix.is_empty() {
        if name == "self" {
            name.clone_from(&prefix[prefix.len() - 1]);
        }
    } else if last != "*" {
        path.push(last.to_owned());
    }
    if path.is_empty() { Vec::new() } else { vec![(path, name)] }
}

/// Splits a group at its own commas.
fn split(group: &str) -> Vec<&str> {
    let (mut items, mut begin, mut depth) = (Vec::new(), 0, 0_usize);
    for (offset, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                items.push(&group[begin..offset]);
                begin = offset + 1;
            }
            _ => {}
        }
    }
    items.push(&group[begin..]);
    items.into_iter().filter(|item| !item.trim().is_empty()).collect()
}

/// Returns the paths with `::` of code, except of a visibility, with the line of each.
fn paths(code: &str) -> Vec<(Vec<String>, usize)> {
    let mut paths = Vec::new();
    let mut at = 0;
    while let Some(length) = code[at..].find("::") {
        let middle = at + length;
        let begin = code[..middle].rfind(|c| !is_word(c)).map_or(0, |before| before + 1);
        let end = middle + code[middle..].find(|c| !is_word(c) && c != ':').unwrap_or(code.len() - middle);
        at = end.max(middle + 2);
        let is_visibility = code[..begin].ends_with("(in ");
        if begin < middle && !is_visibility {
            let path = code[begin..end].split("::").filter(|part| !part.is_empty()).map(str::to_owned);
            paths.push((path.collect(), line_of(code, begin)));
        }
    }
    paths
}

/// What each module brings in.
pub(crate) struct Names<'a> {
    modules: &'a Modules,
    imports: BTreeMap<String, Vec<Import>>,
}

/// From one file to another: the line of the first reason.
pub(crate) type Edges = BTreeMap<String, BTreeMap<String, usize>>;

/// Returns which file needs which, by what is built into the program.
pub(crate) fn edges(sources: &[Source], modules: &Modules) -> Edges {
    let by_path: BTreeMap<&str, &Source> = sources.iter().map(|source| (&*source.path, source)).collect();
    let product = || modules.iter().filter(|(_, module)| module.is_product);
    let read = |file: &str| by_path.get(file).map(|source| imports(&source.product));
    let all: BTreeMap<_, _> =
        product().filter_map(|(path, it)| Some((path.clone(), read(&it.file)?))).collect();
    let names =
        Names { modules, imports: all.iter().map(|(path, read)| (path.clone(), read.0.clone())).collect() };
    let mut edges = Edges::new();
    for (module, (own, code)) in &all {
        let from = &modules[module].file;
        let needed = edges.entry(from.clone()).or_default();
        let of_uses = own.iter().filter(|import| !import.is_reexport).map(|import| {
            (
                names.resolve(module, &import.path, 0).filter(|(_, whole)| !whole || import.name == "*"),
                import.line,
            )
        });
        let of_code = paths(code).into_iter().map(|(path, line)| (names.resolve(module, &path, 0), line));
        for (found, line) in of_uses.chain(of_code) {
            let Some(to) = found.map(|(module, _)| &modules[&module].file) else { continue };
            if to != from {
                needed.entry(to.clone()).or_insert(line);
            }
        }
    }
    edges
}

impl Names<'_> {
    /// Returns the module whose file defines what a path leads to, and whether that is the module itself.
    fn resolve(&self, module: &str, path: &[String], depth: usize) -> Option<(String, bool)> {
        let (first, mut rest) = path.split_first()?;
        let mut at = match &**first {
            "crate" => "crate".to_owned(),
            "self" => module.to_owned(),
            "super" => module.rsplit_once("::")?.0.to_owned(),
            name if self.modules.contains_key(&format!("{module}::{name}")) => format!("{module}::{name}"),
            name => return self.imported(module, name, rest, depth),
        };
        while let Some((next, others)) = rest.split_first() {
            let child = format!("{at}::{next}");
            if next == "super" {
                at = at.rsplit_once("::")?.0.to_owned();
            } else if self.modules.contains_key(&child) {
                at = child;
            } else {
                return self.imported(&at, next, others, depth).or(Some((at, false)));
            }
            rest = others;
        }
        Some((at, true))
    }

    /// Follows a name that a module has from elsewhere.
    fn imported(&self, module: &str, name: &str, rest: &[String], depth: usize) -> Option<(String, bool)> {
        let import = self.imports.get(module)?.iter().find(|import| import.name == name)?;
        let path = [&*import.path, rest].concat();
        if depth == DEPTH_MAX || import.path[0] == name {
            None
        } else {
            self.resolve(module, &path, depth + 1)
        }
    }
}

/// Returns the groups of nodes that lead to each other.
pub(crate) fn circles<'a>(edges: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<Vec<&'a str>> {
    let reach = |from: &'a str| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(node) = open.pop() {
            open.extend(edges.get(node).into_iter().flatten().filter(|next| seen.insert(**next)));
        }
        seen
    };
    let reached: BTreeMap<&str, BTreeSet<&str>> = edges.keys().map(|node| (*node, reach(node))).collect();
    let mut circles: Vec<Vec<&str>> = Vec::new();
    for (node, seen) in &reached {
        let together = |other: &&&str| reached.get(**other).is_some_and(|back| back.contains(node));
        if seen.contains(node) && circles.iter().all(|circle| !circle.contains(node)) {
            circles.push(seen.iter().filter(together).copied().collect());
        }
    }
    circles.retain(|circle| circle.len() > 1);
    circles
}

mod tests {
    use super::*;
    use crate::sources::modules;

    fn names(code: &str) -> Vec<(String, String, bool)> {
        let all = imports(code).0.into_iter();
        all.map(|import| (import.path.join("::"), import.name, import.is_reexport)).collect()
    }

    #[test]
    fn a_use_brings_in_each_name_of_its_groups() {
        let found =
            names("use a::{b, c::{self, d as e}, f::*};\npub(in crate::x) use g::h;\nlet use_i = j;\n");
        let expected = [
            ("a::b", "b", false),
            ("a::c", "c", false),
            ("a::c::d", "e", false),
            ("a::f", "*", false),
            ("g::h", "h", true),
        ];
        let found: Vec<_> = found.iter().map(|(path, name, public)| (&**path, &**name, *public)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn paths_of_code_are_found_from_their_beginning() {
        let found = paths(
            "fn f() {\n    crate::a::b(c::<D>::e());\n    ::g::h;\n    super::i;\n}\npub(in super::j) k: u8;",
        );
        let found: Vec<_> = found.into_iter().map(|(path, line)| (path.join("::"), line)).collect();
        assert_eq!(found, [("crate::a::b".to_owned(), 2), ("c".to_owned(), 2), ("super::i".to_owned(), 4)]);
    }

    fn example() -> Vec<(String, String)> {
        let sources = [
            Source::new("src/lib.rs", "mod a;\nmod b;\n"),
            Source::new("src/a/mod.rs", "mod c;\nmod d;\npub use c::C;\npub struct A;\n"),
            Source::new(
                "src/a/c.rs",
                "use crate::b;\nuse super::A;\npub struct C;\nfn f() { b::deep::x(); }\n",
            ),
            Source::new("src/a/d.rs", "use super::C;\n#[cfg(test)]\nuse crate::b::B;\n"),
            Source::new("src/b/mod.rs", "pub mod deep;\nuse crate::a::C;\n"),
            Source::new("src/b/deep.rs", "use super::super::a::A;\n"),
        ];
        let modules = modules(&sources, "src/lib.rs");
        let pairs =
            |(from, to): (String, BTreeMap<String, usize>)| to.into_keys().map(move |to| (from.clone(), to));
        edges(&sources, &modules).into_iter().flat_map(pairs).collect()
    }

    #[test]
    fn an_import_leads_to_the_file_that_defines_the_name() {
        let found: Vec<_> =
            example().into_iter().map(|(from, to)| format!("{from} {to}").replace("src/", "")).collect();
        assert_eq!(
            found,
            ["a/c.rs a/mod.rs", "a/c.rs b/deep.rs", "a/d.rs a/c.rs", "b/deep.rs a/mod.rs", "b/mod.rs a/c.rs"]
        );
    }

    #[test]
    fn circles_are_what_leads_to_each_other() {
        let edges = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("d", "e"), ("f", "f")];
        let mut graph: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (from, to) in edges {
            graph.entry(from).or_default().insert(to);
        }
        assert_eq!(circles(&graph), [["a", "b", "c"]]);
    }
}
