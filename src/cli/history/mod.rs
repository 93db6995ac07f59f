//! `pulk history`: what became of tags, when, and by whom.

use std::io::{self, Write};
use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;
use serde_json::json;

use crate::admin::{Change, HistoryEntry, HistoryRequest};
use crate::cli::ask::ask;
use crate::cli::log;
use crate::cli::output::units::count;
use crate::cli::output::{CommandError, RunCommand, finish, print_json};
use crate::cli::settings::StoreSettings;
use crate::spec::{RepoName, Tag};

/// How many changes are printed unless the command line says otherwise.
const LAST: usize = 1000;

const EXAMPLES: &str = "\
Examples:
  pulk history team/app:v1             what v1 named, and who changed it
  pulk history team/app --last 20      the newest changes of all tags of a repository
  pulk history --before 2026-11-24     all repositories, before that day

A line says where a change comes from: address, User-Agent and request id of a client, a command, or the
rule of the collector, and why. A push that leaves a tag as it is changes nothing.

Exit codes:
  0  done
  1  the store or its server could not be asked
  2  wrong command line";

/// Print what became of tags: each set, move and removal, the newest first.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct HistoryArgs {
    /// Only this repository, or this tag of it
    #[arg(value_name = "REPO[:TAG]")]
    target: Option<HistoryTarget>,

    /// How many changes; at most 10000
    #[arg(long, short = 'n', value_name = "NUMBER", default_value_t = LAST)]
    last: usize,

    /// Only changes before then, by the wall clock: 30m, 12h, 7d, 2026-11-24, 2026-11-24T13:05:00Z
    #[arg(long, value_name = "TIME|DURATION", value_parser = log::since)]
    before: Option<u64>,

    #[command(flatten)]
    settings: StoreSettings,

    /// Print one JSON object: changes (order, at_ms, change, repo, tag, digest, was, by) and total
    #[arg(long)]
    json: bool,
}

impl RunCommand for HistoryArgs {
    fn run(self) -> Result<ExitCode, CommandError> {
        let Self { target, last, before, settings, json } = self;
        let (repo, tag) = target.map_or((None, None), |target| (Some(target.repo), target.tag));
        let answer = ask(&settings.load()?, HistoryRequest { repo, tag, before_ms: before, last })?;
        if json {
            let whole = json!({"changes": answer.items, "total": answer.report});
            return finish(print_json(&whole), true);
        }
        let (changes, total) = answer.typed()?;
        finish(print(&mut io::stdout().lock(), changes, total), true)
    }
}

fn print(out: &mut impl Write, changes: Vec<HistoryEntry>, total: u64) -> io::Result<()> {
    let shown = changes.len() as u64;
    for HistoryEntry { order, at_ms, change, repo, tag, digest, was, by } in changes {
        // A removed tag shows what it named.
        let (digest, was) = if digest.is_none() { (was, None) } else { (digest, was) };
        let (repo, tag) = (Some(repo), Some(tag));
        writeln!(out, "{}", log::line(&Change { seq: order, at_ms, change, repo, tag, digest, was, by }))?;
    }
    match total.saturating_sub(shown) {
        0 if total == 0 => writeln!(out, "No changes."),
        0 => Ok(()),
        more => writeln!(
            out,
            "({} not shown: use --last or --before)",
            count(more, "older change", "older changes")
        ),
    }
}

/// `REPO` or `REPO:TAG`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HistoryTarget {
    repo: RepoName,
    tag: Option<Tag>,
}

impl FromStr for HistoryTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (repo, tag) = match text.split_once(':') {
            Some((repo, tag)) => (repo, Some(tag)),
            None => (text, None),
        };
        let repo = repo.parse().map_err(|error| format!("{error}"))?;
        let tag = tag.map(|tag| tag.parse().map_err(|error| format!("{error}"))).transpose()?;
        Ok(Self { repo, tag })
    }
}
