//! `pulk tags`: the tags of a repository.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::admin::{Request, TagEntry};
use crate::cli::ask::ask;
use crate::cli::table::{self, Align};
use crate::cli::units::size;
use crate::cli::{failed, items_of, print_json, printed};
use crate::config::Config;
use crate::spec::RepoName;

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

fn print_tags(out: &mut impl Write, items: Vec<Value>) -> io::Result<()> {
    let tags: Vec<TagEntry> = items_of(items)?;
    let rows: Vec<_> = tags
        .iter()
        .map(|entry| [entry.tag.to_string(), entry.digest.to_string(), size(entry.bytes)])
        .collect();
    table::write(out, [("TAG", Align::Left), ("DIGEST", Align::Left), ("SIZE", Align::Right)], &rows)
}
