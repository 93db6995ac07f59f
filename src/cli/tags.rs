//! `pulk tags`: the tags of a repository.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::admin::{TagEntry, TagsRequest, UntaggedEntry, UntaggedRequest};
use crate::base::in_units;
use crate::cli::ask::ask;
use crate::cli::output::table::{self, Align};
use crate::cli::output::units::size;
use crate::cli::output::{CommandError, RunCommand, finish, print_json};
use crate::cli::settings::StoreSettings;
use crate::spec::RepoName;

const EXAMPLES: &str = "\
Examples:
  pulk tags team/app           a table
  pulk tags team/app --json    for programs; sizes are exact bytes
  pulk tags team/app --untagged
                               the manifests that no tag names

Exit codes:
  0  done
  1  there is no such repository, or the store or its server could not be asked
  2  wrong command line";

/// List the tags of a repository, with digests, sizes and ages.
///
/// SIZE is what a client pulls at most: the manifest, its blobs, and everything that an index lists. SET and
/// PULLED say how long ago the tag was set and pulled last, without the time that pulk was stopped and cannot
/// tell; pulls are noted once a day. The tag that was set last comes first. With --untagged, FOR is how long
/// no tag has named a manifest, and RELATIONS what lists it, and what it refers to.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct TagsArgs {
    /// The repository, for example team/app
    #[arg(value_name = "REPO")]
    repo: RepoName,

    /// List the manifests that no tag names instead
    #[arg(long)]
    untagged: bool,

    #[command(flatten)]
    settings: StoreSettings,

    /// Print one JSON object: repository and tags, or untagged
    #[arg(long)]
    json: bool,
}

impl RunCommand for TagsArgs {
    fn run(self) -> Result<ExitCode, CommandError> {
        if self.untagged {
            return self.list_untagged();
        }
        let answer = ask(&self.settings.load()?, TagsRequest { repo: self.repo.clone() })?;
        if self.json {
            return finish(print_json(&json!({"repository": self.repo, "tags": answer.items})), true);
        }
        let (tags, _) = answer.typed()?;
        finish(print(&mut io::stdout().lock(), &tags), true)
    }
}

impl TagsArgs {
    fn list_untagged(self) -> Result<ExitCode, CommandError> {
        let answer = ask(&self.settings.load()?, UntaggedRequest { repo: self.repo.clone() })?;
        if self.json {
            return finish(print_json(&json!({"repository": self.repo, "untagged": answer.items})), true);
        }
        let (untagged, _) = answer.typed()?;
        finish(print_untagged(&mut io::stdout().lock(), &untagged), true)
    }
}

fn print_untagged(out: &mut impl Write, untagged: &[UntaggedEntry]) -> io::Result<()> {
    let rows: Vec<_> = untagged
        .iter()
        .map(|entry| {
            let age = in_units(Duration::from_millis(entry.age_ms));
            [entry.digest.to_string(), size(entry.bytes), age, relations(entry)]
        })
        .collect();
    let columns =
        [("DIGEST", Align::Left), ("SIZE", Align::Right), ("FOR", Align::Right), ("RELATIONS", Align::Left)];
    table::write(out, columns, &rows)
}

/// Says what lists a manifest, what it refers to, and whether anything refers to it.
fn relations(entry: &UntaggedEntry) -> String {
    let mut relations = Vec::new();
    if let Some(index) = entry.listed_by.first() {
        let more = entry.listed_by.len() - 1;
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        relations.push(format!("listed by {index}{more}"));
    }
    relations.extend(entry.refers_to.as_ref().map(|subject| format!("refers to {subject}")));
    if entry.has_referrers {
        relations.push("has referrers".to_owned());
    }
    relations.join("; ")
}

fn print(out: &mut impl Write, tags: &[TagEntry]) -> io::Result<()> {
    let mut tags: Vec<&TagEntry> = tags.iter().collect();
    tags.sort_by_key(|entry| entry.set_seconds);
    let rows: Vec<_> = tags
        .iter()
        .map(|entry| {
            let pulled = entry.pulled_seconds.map_or_else(|| "-".to_owned(), ago);
            let (digest, size) = (entry.digest.to_string(), size(entry.bytes));
            [entry.tag.to_string(), digest, size, ago(entry.set_seconds), pulled]
        })
        .collect();
    let right = |name| (name, Align::Right);
    let columns =
        [("TAG", Align::Left), ("DIGEST", Align::Left), right("SIZE"), right("SET"), right("PULLED")];
    table::write(out, columns, &rows)
}

/// Writes how long ago something was in its largest unit: `3d`.
fn ago(seconds: u64) -> String {
    let units = [(24 * 60 * 60, "d"), (60 * 60, "h"), (60, "min")];
    let unit = units.into_iter().find(|(length, _)| seconds >= *length).unwrap_or((1, "s"));
    format!("{}{}", seconds / unit.0, unit.1)
}
