//! `pulk status`, `pulk repos`, `pulk tags`, `pulk du`: what is there, and who uses the space.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::admin::{RepositoryUsage, Request, StoreUsage, TagEntry, TagGroup, TagUsage, TagUsageTotals};
use crate::cli::ask::{Answer, ask};
use crate::cli::table::{self, Align};
use crate::cli::units::{count, size};
use crate::cli::{failed, items_of, print_json, printed, typed};
use crate::config::Config;
use crate::spec::RepoName;

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

/// Lists the tags of a repository.
pub(in crate::cli) fn tags(config: &Config, repo: &RepoName, json: bool) -> ExitCode {
    let answer = match ask(config, &Request::Tags { repo: repo.clone() }) {
        Ok(answer) => answer,
        Err(why) => return failed(&why),
    };
    if json {
        return print_json(&json!({"repository": repo, "tags": answer.items}));
    }
    printed(print_tags(&mut io::stdout().lock(), answer.items))
}

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

fn print_repositories(out: &mut impl Write, answer: Answer, unique: bool) -> io::Result<()> {
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

fn print_tags(out: &mut impl Write, items: Vec<Value>) -> io::Result<()> {
    let tags: Vec<TagEntry> = items_of(items)?;
    let rows: Vec<_> = tags
        .iter()
        .map(|entry| [entry.tag.to_string(), entry.digest.to_string(), size(entry.bytes)])
        .collect();
    table::write(out, [("TAG", Align::Left), ("DIGEST", Align::Left), ("SIZE", Align::Right)], &rows)
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
