//! `pulk du`: what uses the space.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::admin::{DuRepoRequest, DuRequest, TagGroup, TagUsage, TagUsageTotals};
use crate::cli::ask::ask;
use crate::cli::output::table::{self, Align};
use crate::cli::output::units::{count, size};
use crate::cli::output::{CommandError, RunCommand, finish, print_json};
use crate::cli::repos::print_repositories;
use crate::cli::settings::StoreSettings;
use crate::config::Config;
use crate::spec::RepoName;

const EXAMPLES: &str = "\
Examples:
  pulk du                      which repositories use the space
  pulk du team/app             which tags of one repository do
  pulk du --json               for programs; sizes are exact bytes

Exit codes:
  0  done
  1  there is no such repository, or the store or its server could not be asked
  2  wrong command line";

/// Show what uses the space: the repositories, or the tags of one.
///
/// SIZE is everything that a repository or tag needs. UNIQUE is the part that nothing else needs: removing
/// this one frees it. Tags of the same manifest share a line, which includes the manifest's children and
/// referrers (such as signatures).
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct DuArgs {
    /// The repository, for example team/app; without it, all repositories
    #[arg(value_name = "REPO")]
    repo: Option<RepoName>,

    #[command(flatten)]
    settings: StoreSettings,

    /// Print one JSON object: repositories, or groups of tags, and totals
    #[arg(long)]
    json: bool,
}

impl RunCommand for DuArgs {
    fn run(self) -> Result<ExitCode, CommandError> {
        let config = self.settings.load()?;
        match self.repo {
            None => show_repositories(&config, self.json),
            Some(repo) => show_tags(&config, &repo, self.json),
        }
    }
}

fn show_repositories(config: &Config, json: bool) -> Result<ExitCode, CommandError> {
    let answer = ask(config, DuRequest {})?;
    if json {
        let object = json!({"repositories": answer.items, "totals": answer.report});
        return finish(print_json(&object), true);
    }
    let (repositories, totals) = answer.typed()?;
    finish(print_repositories(&mut io::stdout().lock(), &repositories, &totals, true), true)
}

fn show_tags(config: &Config, repo: &RepoName, json: bool) -> Result<ExitCode, CommandError> {
    let answer = ask(config, DuRepoRequest { repo: repo.clone() })?;
    if json {
        let object = json!({"repository": repo, "groups": answer.items, "totals": answer.report});
        return finish(print_json(&object), true);
    }
    let (groups, totals) = answer.typed()?;
    finish(print_tags(&mut io::stdout().lock(), &groups, &totals), true)
}

fn print_tags(out: &mut impl Write, groups: &[TagUsage], totals: &TagUsageTotals) -> io::Result<()> {
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
        writeln!(out, "{manifests} could not be read: what they reference is counted as unreferenced")?;
    }
    Ok(())
}
