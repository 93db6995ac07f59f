//! `pulk tags`: the tags of a repository.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::admin::{TagEntry, TagsRequest};
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

Exit codes:
  0  done
  1  there is no such repository, or the store or its server could not be asked
  2  wrong command line";

/// List the tags of a repository, with digests and sizes.
///
/// SIZE is what a client pulls at most: the manifest, its blobs, and everything that an index lists.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct TagsArgs {
    /// The repository, for example team/app
    #[arg(value_name = "REPO")]
    repo: RepoName,

    #[command(flatten)]
    settings: StoreSettings,

    /// Print one JSON object: repository and tags
    #[arg(long)]
    json: bool,
}

impl RunCommand for TagsArgs {
    fn run(self) -> Result<ExitCode, CommandError> {
        let answer = ask(&self.settings.load()?, TagsRequest { repo: self.repo.clone() })?;
        if self.json {
            return finish(print_json(&json!({"repository": self.repo, "tags": answer.items})), true);
        }
        let (tags, _) = answer.typed()?;
        finish(print(&mut io::stdout().lock(), &tags), true)
    }
}

fn print(out: &mut impl Write, tags: &[TagEntry]) -> io::Result<()> {
    let rows: Vec<_> = tags
        .iter()
        .map(|entry| [entry.tag.to_string(), entry.digest.to_string(), size(entry.bytes)])
        .collect();
    table::write(out, [("TAG", Align::Left), ("DIGEST", Align::Left), ("SIZE", Align::Right)], &rows)
}
