//! `pulk status`: what is stored, and how the server is doing.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::admin::{StatusReport, StatusRequest};
use crate::base::in_units;
use crate::cli::ask::{ask, typed};
use crate::cli::output::units::{count, since, size, time};
use crate::cli::output::{CommandError, RunCommand, finish, print_damage, print_json};
use crate::cli::settings::StoreSettings;
use crate::config::Config;
use crate::maintenance::{CollectorStatus, ScrubReport, ScrubStatus};

const EXAMPLES: &str = "\
Examples:
  pulk status                      of the store in ./data
  pulk status --data /srv/pulk     of another one
  pulk status --json               for programs; sizes are exact bytes

Exit codes:
  0  done, and nothing is known to be damaged, whether the server is ready or not
  1  images are damaged, or the store or its server could not be asked
  2  wrong command line";

/// Show what is stored, what sharing saves, and how the server is doing.
///
/// A running server answers through its control socket (`control_socket`). If none runs, the command opens
/// the store itself, which only the store's user may do (sudo -u '#UID' pulk …). Sizes use powers of 1024.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct StatusArgs {
    #[command(flatten)]
    settings: StoreSettings,

    /// List all damaged images, not only the first ones
    #[arg(long)]
    all: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl RunCommand for StatusArgs {
    fn run(self) -> Result<ExitCode, CommandError> {
        let config = self.settings.load()?;
        let answer = ask(&config, StatusRequest { all: self.all })?;
        let report: StatusReport = typed(answer.report.clone())?;
        let printed = match self.json {
            true => print_json(&answer.report),
            false => print(&mut io::stdout().lock(), &config, &report),
        };
        finish(printed, report.damage.is_sound())
    }
}

fn print(out: &mut impl Write, config: &Config, report: &StatusReport) -> io::Result<()> {
    let mut line = |name: &str, value: String| writeln!(out, "{name:<12}{value}");
    let server = match &report.server {
        Some(server) => format!(
            "pulk {}, {}, pid {}, up for {} (since {})",
            report.version,
            server.addresses.join(", "),
            server.pid,
            in_units(since(server.since)),
            time(server.since)
        ),
        None if report.read_only => {
            "none that answers: a read-only data directory has no control.sock".to_owned()
        }
        None => "not running".to_owned(),
    };
    line("server", server)?;
    line("data", config.data.display().to_string())?;
    let health = match (report.ready, report.damage.is_sound()) {
        (true, true) => "ready",
        (true, false) => "ready, but images are damaged (below)",
        (false, true) => "not ready",
        (false, false) => "not ready, and images are damaged (below)",
    };
    line("health", health.to_owned())?;
    for reason in &report.reasons {
        line("", reason.clone())?;
    }
    let usage = &report.repositories;
    line("stored", format!("{} in {}", size(report.blob_bytes), count(report.blobs, "blob", "blobs")))?;
    let counts = [
        count(usage.repositories, "repository", "repositories"),
        count(usage.tags, "tag", "tags"),
        count(usage.manifests, "manifest", "manifests"),
    ];
    line("", counts.join(", "))?;
    let saved = format!(
        "the repositories have {} together; sharing saves {}",
        size(usage.bytes),
        size(report.saved_bytes)
    );
    line("shared", saved)?;
    line("unlinked", format!("{} that no repository has", size(report.unlinked_bytes)))?;
    line("index", format!("{} on the disk", size(report.index_bytes)))?;
    line("uploads", format!("{} unfinished", report.uploads))?;
    print_collector(&mut line, &report.collector)?;
    print_scrub(&mut line, &report.scrub)?;
    if let Some(free) = report.free_bytes {
        let inodes = report.free_files.map(|files| format!("; {files} free inodes")).unwrap_or_default();
        let reserved = size(report.reserve_bytes);
        line("disk", format!("{} free, {reserved} of them reserved{inodes}", size(free)))?;
    }
    print_damage(out, &report.damage, usize::MAX, "`pulk status --all`")
}

fn print_collector(
    line: &mut impl FnMut(&str, String) -> io::Result<()>,
    collector: &CollectorStatus,
) -> io::Result<()> {
    let doing = match (&collector.doing, &collector.waits, collector.next_seconds) {
        (Some(doing), _, _) => doing.clone(),
        (None, _, _) if !collector.enabled => "runs only while a server runs".to_owned(),
        (None, Some(waits), _) => format!("waiting: {waits}"),
        (None, None, Some(next)) => format!("next pass in {}", in_units(Duration::from_secs(next))),
        (None, None, None) => "idle".to_owned(),
    };
    line("collector", doing)?;
    if let Some(why) = &collector.ages {
        line("", format!("ages leave out the time that pulk was stopped before this start: {why}"))?;
    }
    if let Some(last) = &collector.last {
        line("", format!("last pass {}: {} removed", time(last.began_ms), size(last.content.removed.bytes)))?;
        if last.untagged.count > 0 {
            let manifests = count(last.untagged.count, "untagged manifest", "untagged manifests");
            line("", format!("{} in {manifests}", size(last.untagged.bytes)))?;
            if let Some(advice) = &last.untagged_advice {
                line("", format!("to free them, add to pulk.toml: {advice}"))?;
            }
        }
    }
    Ok(())
}

fn print_scrub(line: &mut impl FnMut(&str, String) -> io::Result<()>, scrub: &ScrubStatus) -> io::Result<()> {
    let last = match &scrub.last {
        Some(last) => format!(
            "last full pass {} ({} in {}): {}",
            time(last.ended_ms),
            size(last.bytes),
            in_units(Duration::from_millis(last.ended_ms.saturating_sub(last.began_ms))),
            if last.is_sound() { "nothing damaged".to_owned() } else { damage(last) }
        ),
        None => "no full pass yet".to_owned(),
    };
    line("scrub", last)?;
    if let Some(pass) = &scrub.pass {
        let found = if pass.is_sound() { "nothing damaged so far".to_owned() } else { damage(pass) };
        line("", format!("reading since {}: {} so far, {found}", time(pass.began_ms), size(pass.bytes)))?;
    }
    if let Some(next) = scrub.next_ms {
        line("", format!("next pass {}, at {}/s", time(next), size(scrub.rate_bytes)))?;
    }
    if let Some(failed) = &scrub.failed {
        line("", format!("paused: {failed}"))?;
    }
    if scrub.quarantined > 0 {
        let files = count(scrub.quarantined, "damaged file", "damaged files");
        line("", format!("{files} ({}) in quarantine/", size(scrub.quarantined_bytes)))?;
    }
    Ok(())
}

fn damage(report: &ScrubReport) -> String {
    format!(
        "{} damaged, {} unreadable, {} of the journal damaged",
        report.damaged,
        report.unreadable,
        count(report.journal_damaged, "line", "lines")
    )
}
