//! `pulk repos`: the repositories.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::admin::{ReposRequest, RepositoryUsage, StoreUsage};
use crate::cli::ask::ask;
use crate::cli::output::table::{self, Align};
use crate::cli::output::units::{count, size};
use crate::cli::output::{CommandError, RunCommand, finish, print_json};
use crate::cli::settings::StoreSettings;

const EXAMPLES: &str = "\
Examples:
  pulk repos                   a table
  pulk repos --json            for programs; sizes are exact bytes

Exit codes:
  0  done
  1  the store or its server could not be asked
  2  wrong command line";

/// List the repositories.
///
/// A repository's SIZE counts each content once. SIZE uses powers of 1024.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct ReposArgs {
    #[command(flatten)]
    settings: StoreSettings,

    /// Print one JSON object: repositories and totals
    #[arg(long)]
    json: bool,
}

impl RunCommand for ReposArgs {
    fn run(self) -> Result<ExitCode, CommandError> {
        let answer = ask(&self.settings.load()?, ReposRequest {})?;
        if self.json {
            let object = json!({"repositories": answer.items, "totals": answer.report});
            return finish(print_json(&object), true);
        }
        let (repositories, totals) = answer.typed()?;
        finish(print_repositories(&mut io::stdout().lock(), &repositories, &totals, false), true)
    }
}

/// Prints a table of repositories and what they have, with or without what no other has.
pub(in crate::cli) fn print_repositories(
    out: &mut impl Write,
    repositories: &[RepositoryUsage],
    totals: &StoreUsage,
    unique: bool,
) -> io::Result<()> {
    let cells = |usage: &RepositoryUsage| {
        let RepositoryUsage { repository, tags, manifests, blobs, bytes, unique_bytes, .. } = usage;
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
    for usage in repositories.iter().filter(|usage| usage.damaged > 0) {
        let lacks = count(usage.damaged, "blob", "blobs");
        writeln!(
            out,
            "{} lacks {lacks}, damaged or missing: `pulk status` names the images",
            usage.repository
        )?;
    }
    writeln!(
        out,
        "{}, {} together, {} stored",
        count(totals.repositories, "repository", "repositories"),
        size(totals.bytes),
        size(totals.distinct_bytes)
    )
}
