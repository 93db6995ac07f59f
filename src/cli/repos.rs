//! `pulk repos`: the repositories.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::json;

use crate::admin::{RepositoryUsage, Request, StoreUsage};
use crate::cli::ask::{Answer, ask};
use crate::cli::table::{self, Align};
use crate::cli::units::{count, size};
use crate::cli::{failed, items_of, print_json, printed, typed};
use crate::config::Config;

/// Lists the repositories.
pub(in crate::cli) fn repos(config: &Config, json: bool) -> ExitCode {
    let answer = match ask(config, &Request::Repos) {
        Ok(answer) => answer,
        Err(why) => return failed(&why),
    };
    if json {
        return print_json(&json!({"repositories": answer.items, "totals": answer.result}));
    }
    printed(print_repositories(&mut io::stdout().lock(), answer, false))
}

/// Prints a table of repositories and what they have, with or without what no other has.
pub(in crate::cli) fn print_repositories(
    out: &mut impl Write,
    answer: Answer,
    unique: bool,
) -> io::Result<()> {
    let totals: StoreUsage = typed(answer.result)?;
    let repositories: Vec<RepositoryUsage> = items_of(answer.items)?;
    let cells = |usage: &RepositoryUsage| {
        let RepositoryUsage { repository, tags, manifests, blobs, bytes, unique_bytes } = usage;
        let unique = unique_bytes.map(size).unwrap_or_default();
        let [tags, manifests, blobs] = [tags, manifests, blobs].map(ToString::to_string);
        [repository.to_string(), tags, manifests, blobs, size(*bytes), unique]
    };
    let rows: Vec<_> = repositories.iter().map(cells).collect();
    let last = if unique { "UNIQUE" } else { "" };
    let columns = [
        ("REPOSITORY", Align::Left),
        ("TAGS", Align::Right),
        ("MANIFESTS", Align::Right),
        ("BLOBS", Align::Right),
        ("SIZE", Align::Right),
        (last, Align::Right),
    ];
    table::write(out, columns, &rows)?;
    writeln!(
        out,
        "{}, {} together, {} stored",
        count(totals.repositories, "repository", "repositories"),
        size(totals.bytes),
        size(totals.distinct_bytes)
    )
}
