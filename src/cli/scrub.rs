//! `pulk scrub`: reads all content now, and says what is damaged.

mod quarantine;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::admin::{ScrubAnswer, ScrubRequest};
use crate::cli::ask::{ask, typed};
use crate::cli::output::units::{count, size};
use crate::cli::output::{CommandError, RunCommand, finish, print_damage, print_json};
use crate::cli::settings::StoreSettings;
use crate::maintenance::ScrubReport;

pub(in crate::cli) use quarantine::QuarantineArgs;

const EXAMPLES: &str = "\
Examples:
  pulk scrub                   with progress on a terminal
  pulk scrub --json            for programs

Exit codes:
  0  nothing is damaged
  1  something is damaged or unreadable, also since an earlier scrub, or the scrub could not run
  2  wrong command line";

/// Read all content now, at full speed, and verify its digests.
///
/// A running server does this in the background, at `scrub.rate`, and pauses for this command. Damaged
/// content is moved to quarantine/ in the data directory. Clients then get 404 for it, and the next push of
/// it, to any repository, repairs all repositories that had it. Closed journal files and checkpoints are
/// verified as well.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct ScrubArgs {
    #[command(flatten)]
    settings: StoreSettings,

    /// List all damaged images, not only the first ones
    #[arg(long)]
    all: bool,

    /// Print one JSON object: what was read, and what is damaged
    #[arg(long)]
    json: bool,
}

impl RunCommand for ScrubArgs {
    fn run(self) -> Result<ExitCode, CommandError> {
        let answer = ask(&self.settings.load()?, ScrubRequest { all: self.all })?;
        let report: ScrubAnswer = typed(answer.report.clone())?;
        let printed = match self.json {
            true => print_json(&answer.report),
            false => print(&mut io::stdout().lock(), &report),
        };
        finish(printed, report.report.is_sound() && report.damage.is_sound())
    }
}

fn print(out: &mut impl Write, ScrubAnswer { report, damage }: &ScrubAnswer) -> io::Result<()> {
    for finding in &report.findings {
        writeln!(out, "{finding}")?;
    }
    let time = Duration::from_millis(report.ended_ms.saturating_sub(report.began_ms));
    writeln!(
        out,
        "read {} in {} and {} of the journal in {:.1} s: {}/s",
        size(report.bytes),
        count(report.blobs, "blob", "blobs"),
        size(report.journal_bytes),
        time.as_secs_f64(),
        size(per_second(report.bytes + report.journal_bytes, time))
    )?;
    match (report.is_sound(), damage.is_sound()) {
        (true, true) => return writeln!(out, "nothing is damaged"),
        (true, false) => writeln!(out, "nothing more was found damaged")?,
        (false, _) => print_found(out, report)?,
    }
    print_damage(out, damage, usize::MAX, "`pulk status --all`")
}

fn print_found(out: &mut impl Write, report: &ScrubReport) -> io::Result<()> {
    writeln!(
        out,
        "{} damaged or missing, {} unreadable, {} of the journal damaged",
        count(report.damaged, "blob", "blobs"),
        report.unreadable,
        count(report.journal_damaged, "line", "lines")
    )
}

/// Returns the speed in bytes per second.
fn per_second(bytes: u64, time: Duration) -> u64 {
    let millis = time.as_millis().max(1);
    u64::try_from(u128::from(bytes) * 1000 / millis).unwrap_or(u64::MAX)
}
