//! Files that need each other, and folders of a room that do.

use std::collections::{BTreeMap, BTreeSet};

use crate::exceptions::{CIRCLES_OF_FILES, CIRCLES_OF_FOLDERS};
use crate::imports::{Edges, circles, edges};
use crate::report::{Finding, settle};
use crate::sources::{modules, sources};

type Graph<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

fn graph(edges: &Edges) -> Graph<'_> {
    let mut graph = Graph::new();
    for (from, needed) in edges {
        graph.entry(from).or_default().extend(needed.keys().map(String::as_str));
    }
    graph
}

/// Returns the part of a room that a file belongs to: a folder with the file of its name, or a file.
fn part(file: &str) -> Option<(&str, &str)> {
    let (room, inner) = file.strip_prefix("src/")?.split_once('/')?;
    let part = inner.split('/').next()?.trim_end_matches(".rs");
    Some((room, part))
}

/// Returns the rooms, each with which of its parts needs which.
fn rooms(edges: &Edges) -> BTreeMap<&str, Graph<'_>> {
    let mut rooms: BTreeMap<&str, Graph<'_>> = BTreeMap::new();
    for (from, needed) in edges {
        let Some((room, from)) = part(from) else { continue };
        for to in needed.keys().filter_map(|to| part(to)).filter(|(other, to)| *other == room && *to != from)
        {
            rooms.entry(room).or_default().entry(from).or_default().insert(to.1);
        }
    }
    rooms
}

/// Names a circle by its ends and its length, so that no more may join it.
fn key(place: &str, circle: &[&str]) -> String {
    let [first, last] = [circle.first(), circle.last()].map(|end| end.copied().unwrap_or_default());
    format!("{} of {place}{first} to {last}", circle.len())
}

/// Says which imports make a circle.
fn explain(edges: &Edges, circle: &[&str]) -> String {
    let mut lines = String::new();
    for from in circle {
        for (to, line) in edges.get(*from).into_iter().flatten().filter(|(to, _)| circle.contains(&&***to)) {
            lines += &format!("\n    {from}:{line} needs {to}");
        }
    }
    lines
}

#[test]
fn no_files_need_each_other() {
    let edges = edges(sources("src"), &modules(sources("src"), "src/lib.rs"));
    let findings: Vec<_> = circles(&graph(&edges))
        .into_iter()
        .map(|circle| {
            let key = key("", &circle);
            let what = format!(
                "these files need each other: move what both need to one of them, or to a third: {}",
                explain(&edges, &circle)
            );
            Finding::new(key, what)
        })
        .collect();
    settle("CIRCLES_OF_FILES", CIRCLES_OF_FILES, &findings);
}

#[test]
fn no_parts_of_a_room_need_each_other() {
    let edges = edges(sources("src"), &modules(sources("src"), "src/lib.rs"));
    let mut findings = Vec::new();
    for (room, graph) in rooms(&edges) {
        for circle in circles(&graph) {
            let of_circle =
                |file: &&String| part(file).is_some_and(|(r, p)| r == room && circle.contains(&p));
            let files: Vec<&str> = edges.keys().filter(of_circle).map(String::as_str).collect();
            let crossing: Edges = edges
                .iter()
                .map(|(from, to)| {
                    let crosses = |to: &&String| part(to) != part(from);
                    (
                        from.clone(),
                        to.iter().filter(|(to, _)| crosses(to)).map(|(to, l)| (to.clone(), *l)).collect(),
                    )
                })
                .collect();
            let parts = circle.join(" ");
            let what = format!(
                "`{room}`: {parts} need each other: decide which is below, and move what goes up: {}",
                explain(&crossing, &files)
            );
            findings.push(Finding::new(key(&format!("{room}: "), &circle), what));
        }
    }
    settle("CIRCLES_OF_FOLDERS", CIRCLES_OF_FOLDERS, &findings);
}

mod tests {
    use super::*;

    fn example() -> Edges {
        let pairs = [
            ("src/a/b/x.rs", "src/a/c.rs"),
            ("src/a/c/y.rs", "src/a/b/z.rs"),
            ("src/a/b/x.rs", "src/a/b/z.rs"),
            ("src/d/e.rs", "src/a/b/x.rs"),
        ];
        let mut edges = Edges::new();
        for (line, (from, to)) in (1..).zip(pairs) {
            edges.entry(from.to_owned()).or_default().insert(to.to_owned(), line);
        }
        edges
    }

    #[test]
    fn a_folder_and_the_file_of_its_name_are_one_part() {
        let edges = example();
        let rooms = rooms(&edges);
        assert_eq!(rooms.keys().copied().collect::<Vec<_>>(), ["a"]);
        assert_eq!(circles(&rooms["a"]), [["b", "c"]]);
        assert!(circles(&graph(&edges)).is_empty());
    }

    #[test]
    fn a_circle_is_explained_by_its_imports() {
        let circle = ["src/a/b/x.rs", "src/a/c.rs"];
        assert_eq!(explain(&example(), &circle), "\n    src/a/b/x.rs:1 needs src/a/c.rs");
    }
}
