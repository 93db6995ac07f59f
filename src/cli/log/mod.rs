//! `pulk log`: what was changed, when, and where it came from.

mod line;
mod since;

pub(in crate::cli) use line::line;
pub(in crate::cli) use since::since;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use crate::admin::{AdminError, AnswerSink, Change, LogRequest};
use crate::cli::ask::{ask_into, typed};
use crate::cli::output::{CommandError, RunCommand, finish};
use crate::cli::settings::StoreSettings;
use crate::spec::RepoName;

const EXAMPLES: &str = "\
Examples:
  pulk log                          everything that the journal still has
  pulk log team/app --since 2h      one repository, the last two hours
  pulk log --follow --json          what changes from now on, too, for programs

The journal keeps old files up to `journal_history` (64MiB). A line says where a change comes from:
address, User-Agent and request id of a client, a command, or the rule of the collector, and why.

Exit codes:
  0  done
  1  the journal could not be read to its end, or the server stopped
  2  wrong command line";

/// Print what was changed, when, and where it came from.
///
/// Reads the journal from its oldest line on. On a stopped store, the command reads the files and changes
/// nothing, and --follow ends where they end.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct LogArgs {
    /// Only this repository
    repo: Option<RepoName>,

    /// Wait for more at the end
    #[arg(long, short)]
    follow: bool,

    /// Only changes since then, by the wall clock: 30m, 12h, 7d, 2026-11-24, 2026-11-24T13:05:00Z
    #[arg(long, value_name = "TIME|DURATION", value_parser = since)]
    since: Option<u64>,

    #[command(flatten)]
    settings: StoreSettings,

    /// Print one JSON object a line for each change: seq, at_ms, change, repo, tag, digest, was, by
    #[arg(long)]
    json: bool,
}

impl RunCommand for LogArgs {
    fn run(self) -> Result<ExitCode, CommandError> {
        let Self { repo, follow, since, settings, json } = self;
        let request = LogRequest { repo, since_ms: since, follow };
        let mut printing = LinePrinter { json, failed: None };
        let asked = ask_into(&settings.load()?, &request.into(), &mut printing);
        match printing.failed {
            Some(failed) => finish(Err(failed), true),
            None => asked.map(|_| ExitCode::SUCCESS),
        }
    }
}

/// Prints each change as it comes.
struct LinePrinter {
    json: bool,
    /// Why nothing more can be printed.
    failed: Option<io::Error>,
}

impl LinePrinter {
    fn print(&self, item: Value) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            return writeln!(out, "{item}");
        }
        writeln!(out, "{}", line(&typed::<Change>(item)?))
    }
}

impl AnswerSink for LinePrinter {
    fn progress(&mut self, _: &str, _: u64, _: u64) {}

    fn item(&mut self, item: Value) -> Result<(), AdminError> {
        self.print(item).map_err(|error| {
            self.failed = Some(error);
            AdminError::gone()
        })
    }

    fn check_wanted(&self) -> Result<(), AdminError> {
        Ok(())
    }
}
