//! `pulk du`: who uses the space.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::json;

use crate::admin::{Request, TagGroup, TagUsage, TagUsageTotals};
use crate::cli::ask::{Answer, ask};
use crate::cli::repos::print_repositories;
use crate::cli::table::{self, Align};
use crate::cli::units::{count, size};
use crate::cli::{failed, items_of, print_json, printed, typed};
use crate::config::Config;
use crate::spec::RepoName;

/// Says who uses the space.
pub(in crate::cli) fn du(config: &Config, repo: Option<RepoName>, json: bool) -> ExitCode {
    let answer = match ask(config, &Request::Du { repo: repo.clone() }) {
        Ok(answer) => answer,
        Err(why) => return failed(&why),
    };
    let mut out = io::stdout().lock();
    match (repo, json) {
        (None, true) => print_json(&json!({"repositories": answer.items, "totals": answer.result})),
        (Some(repo), true) => {
            print_json(&json!({"repository": repo, "groups": answer.items, "totals": answer.result}))
        }
        (None, false) => printed(print_repositories(&mut out, answer, true)),
        (Some(_), false) => printed(print_groups(&mut out, answer)),
    }
}

fn print_groups(out: &mut impl Write, answer: Answer) -> io::Result<()> {
    let totals: TagUsageTotals = typed(answer.result)?;
    let groups: Vec<TagUsage> = items_of(answer.items)?;
    let cells = |usage: &TagUsage| {
        let name = match &usage.group {
            TagGroup::Tags(tags) => tags.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            TagGroup::Untagged => "(untagged)".to_owned(),
            TagGroup::Unreferenced => "(in no manifest)".to_owned(),
        };
        [name, usage.manifests.to_string(), size(usage.bytes), size(usage.unique_bytes)]
    };
    let rows: Vec<_> = groups.iter().map(cells).collect();
    let columns = [
        ("TAGS", Align::Left),
        ("MANIFESTS", Align::Right),
        ("SIZE", Align::Right),
        ("UNIQUE", Align::Right),
    ];
    table::write(out, columns, &rows)?;
    let unique = size(totals.unique_bytes);
    writeln!(out, "{} together, {unique} of it in no other repository", size(totals.bytes))?;
    if totals.unreadable > 0 {
        let manifests = count(totals.unreadable, "manifest", "manifests");
        writeln!(out, "{manifests} could not be read: what they name counts as if nothing named it")?;
    }
    Ok(())
}
