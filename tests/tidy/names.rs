//! A type's name stands for one thing.

use std::collections::{BTreeMap, BTreeSet};

use crate::exceptions::SHARED_NAMES;
use crate::lexer::is_word;
use crate::report::{Finding, settle};
use crate::sources::{Source, product_sources};

/// Returns the types that a source defines for the program.
fn types(source: &Source) -> Vec<&str> {
    let mut types = Vec::new();
    for line in source.product.lines() {
        let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub"));
        let mut next = words.next();
        while next.is_some_and(|word| word.ends_with(')')) {
            next = words.next();
        }
        if next.is_some_and(|word| ["struct", "enum", "trait", "union"].contains(&word)) {
            types.extend(words.next().map(|name| name.split(|c| !is_word(c)).next().unwrap_or_default()));
        }
    }
    types
}

fn check<'a>(sources: impl IntoIterator<Item = &'a Source>) -> Vec<Finding> {
    let mut places: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    for source in sources {
        for name in types(source) {
            places.entry(name).or_default().insert(source.room(), &source.path);
        }
    }
    let shared = places.into_iter().filter(|(_, rooms)| rooms.len() > 1);
    shared
        .map(|(name, rooms)| {
            let files: BTreeSet<_> = rooms.into_values().collect();
            let what = format!("`{name}` stands for something else in each of {files:?}: rename all but one");
            Finding::new(name, what)
        })
        .collect()
}

#[test]
fn a_name_of_a_type_stands_for_one_thing() {
    settle("SHARED_NAMES", SHARED_NAMES, &check(product_sources()));
}

mod tests {
    use super::*;

    #[test]
    fn finds_types_of_the_program_wherever_they_can_be_seen() {
        let text = "struct A;\npub struct B<T>(T);\npub(in crate::a) enum C {}\n  pub(super) trait D: E {}\n\
                    #[cfg(test)]\nstruct F;\n\nfn f(struct_: u8) {}\n";
        assert_eq!(types(&Source::new("src/a.rs", text)), ["A", "B", "C", "D"]);
    }

    #[test]
    fn finds_names_that_two_rooms_use() {
        let sources = [
            Source::new("src/a/x.rs", "struct State;\nstruct One;"),
            Source::new("src/a/y.rs", "struct Two;\nstruct One;"),
            Source::new("src/b/z.rs", "struct State;"),
        ];
        let found = check(&sources);
        assert_eq!(found.len(), 1);
        assert!(found[0].what.contains("\"src/a/x.rs\", \"src/b/z.rs\""), "{found:?}");
    }
}
