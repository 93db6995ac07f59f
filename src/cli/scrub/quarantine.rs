//! `pulk quarantine`: the damaged files that were set aside.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::admin::{QuarantineRequest, QuarantineTotals, QuarantinedFile};
use crate::cli::ask::ask;
use crate::cli::output::table::{self, Align};
use crate::cli::output::units::{count, size};
use crate::cli::output::{CommandError, RunCommand, finish, print_json};
use crate::cli::settings::StoreSettings;

const EXAMPLES: &str = "\
Examples:
  pulk quarantine              list the files
  pulk quarantine --empty      remove them
  pulk quarantine --json       for programs

Exit codes:
  0  done
  1  the store or its server could not be asked, or a file could not be removed
  2  wrong command line";

/// List the damaged files that were set aside, or remove them.
///
/// The scrub moves damaged content to quarantine/ in the data directory, where nothing reads it: what is left
/// of it may still be of use. STORED AGAIN says whether a push has stored this content since. `pulk log` says
/// when it was taken out of use.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct QuarantineArgs {
    /// Remove the files
    #[arg(long)]
    empty: bool,

    #[command(flatten)]
    settings: StoreSettings,

    /// Print one JSON object: files and totals
    #[arg(long)]
    json: bool,
}

impl RunCommand for QuarantineArgs {
    fn run(self) -> Result<ExitCode, CommandError> {
        let answer = ask(&self.settings.load()?, QuarantineRequest { empty: self.empty })?;
        if self.json {
            return finish(print_json(&json!({"files": answer.items, "totals": answer.report})), true);
        }
        let (files, totals) = answer.typed()?;
        finish(print(&mut io::stdout().lock(), &files, totals, self.empty), true)
    }
}

fn print(
    out: &mut impl Write,
    files: &[QuarantinedFile],
    totals: QuarantineTotals,
    empty: bool,
) -> io::Result<()> {
    if files.is_empty() {
        return writeln!(out, "nothing is in quarantine");
    }
    let rows: Vec<_> = files
        .iter()
        .map(|file| {
            let healed = if file.is_healed { "yes" } else { "no" };
            [file.digest.to_string(), size(file.bytes), healed.to_owned(), file.path.clone()]
        })
        .collect();
    let columns = [
        ("DIGEST", Align::Left),
        ("SIZE", Align::Right),
        ("STORED AGAIN", Align::Left),
        ("FILE", Align::Left),
    ];
    table::write(out, columns, &rows)?;
    let (files, bytes) = (count(totals.files, "file", "files"), size(totals.bytes));
    if empty {
        writeln!(out, "{files}, {bytes}; {} removed", totals.removed)
    } else {
        writeln!(out, "{files}, {bytes}; `pulk quarantine --empty` removes them")
    }
}
