//! `pulk gc`: removes unneeded content, or says what it would remove.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use crate::admin::{AdminError, AnswerSink, GcRequest};
use crate::base::lock;
use crate::cli::ask::{ask_into, typed};
use crate::cli::output::units::{count, size};
use crate::cli::output::{CommandError, RunCommand, Terminal, finish, print_damage};
use crate::cli::settings::StoreSettings;
use crate::config::{Config, values};
use crate::maintenance::{CollectReport, Count, Progress, Thing, Verdict};

/// How many lines may wait to be printed, so that a pager that shows one page does not stall the collection.
const LINES_WAITING_MAX: usize = 100_000;

/// How the JSON object begins.
const VERDICTS: &str = "{\"verdicts\":[";

const EXAMPLES: &str = "\
Examples:
  pulk gc                              remove what is not needed
  pulk gc --dry-run                    print for each thing why it stays or would be removed
  pulk gc --untagged-older-than 7d     also remove untagged manifests older than a week
  pulk gc --now                        also remove young content

On a stopped store, the policies that it was last served with apply, or those of --config. Leases are
not known there; what was written within `collector.grace` (1h) stays, by the times of the files.

Exit codes:
  0  done
  1  the collection failed or did not finish, or something could not be read
  2  wrong command line";

/// Remove unneeded content now.
///
/// A running server does this by itself. Untagged manifests stay unless a policy or --untagged-older-than
/// says otherwise. Content stays if a client pushed it or asked for it within `collector.lease`, or if it is
/// younger than `collector.grace`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct GcArgs {
    /// Remove nothing: print for each thing why it stays or would be removed
    #[arg(long)]
    dry_run: bool,

    /// Also remove manifests that no tag leads to and that are older than this: 0s, 12h, 30d
    #[arg(long, value_name = "AGE", value_parser = values::period)]
    untagged_older_than: Option<Duration>,

    /// Also remove what is younger than `collector.grace`; a running server still keeps what a client pushed
    /// or asked for within `collector.lease`
    #[arg(long)]
    now: bool,

    #[command(flatten)]
    settings: StoreSettings,

    /// Print one JSON object: verdicts (on what is removed; in a dry run on everything) and report
    #[arg(long)]
    json: bool,
}

impl RunCommand for GcArgs {
    fn run(self) -> Result<ExitCode, CommandError> {
        let request = GcRequest {
            dry_run: self.dry_run,
            untagged_older_than: self.untagged_older_than.map(|age| age.as_secs()),
            now: self.now,
        };
        gc(&self.settings.load()?, request, self.json)
    }
}

/// Has the collector make a pass, and prints verdicts as they come: there may be many.
fn gc(config: &Config, request: GcRequest, json: bool) -> Result<ExitCode, CommandError> {
    let terminal = Mutex::new(Terminal::new());
    let (lines, waiting) = sync_channel(LINES_WAITING_MAX);
    let (asked, printing) = thread::scope(|scope| {
        let printing = scope.spawn(|| print_lines(waiting, &terminal, json));
        let asked = ask_into(config, &request.into(), &mut LineSender { lines, terminal: &terminal, json });
        (asked, printing.join())
    });
    lock(&terminal).clear();
    let count = match printing {
        Ok(Ok(count)) => count,
        Ok(Err(error)) => return finish(Err(error), true),
        Err(_) => return Ok(ExitCode::FAILURE),
    };
    let mut out = io::stdout().lock();
    match asked {
        Ok(result) => {
            let report: CollectReport = typed(result.clone())?;
            let printed = match json {
                true => end_json(&mut out, &result, count),
                false => summary(&mut out, &report).and_then(|()| out.flush()),
            };
            finish(printed, report.complete)
        }
        Err(why) => {
            let code = why.report();
            let printed = if json { end_json(&mut out, &Value::Null, count) } else { Ok(()) };
            finish(printed, true).map(|_| code)
        }
    }
}

/// Hands lines to the thread that prints them.
struct LineSender<'a> {
    lines: SyncSender<String>,
    terminal: &'a Mutex<Terminal>,
    json: bool,
}

impl AnswerSink for LineSender<'_> {
    fn progress(&mut self, what: &str, done: u64, total: u64) {
        lock(self.terminal).at(what, done, total);
    }

    fn item(&mut self, item: Value) -> Result<(), AdminError> {
        let line = if self.json { Some(item.to_string()) } else { line(item).map_err(AdminError::failed)? };
        match line {
            // The thread that prints returns why it ended.
            Some(line) => self.lines.send(line).map_err(|_| AdminError::failed("cannot print")),
            None => Ok(()),
        }
    }

    fn check_wanted(&self) -> Result<(), AdminError> {
        Ok(())
    }
}

/// Renders a verdict, unless it repeats others.
fn line(item: Value) -> io::Result<Option<String>> {
    let verdict: Verdict = typed(item)?;
    if verdict.stays && verdict.what == Thing::Content {
        // The verdicts on repositories have said so.
        return Ok(None);
    }
    let size = if verdict.bytes > 0 { format!(" ({})", size(verdict.bytes)) } else { String::new() };
    Ok(Some(format!("{}{size}: {}", name(&verdict), verdict.why)))
}

/// Prints verdicts as they come, and returns how many there were.
fn print_lines(lines: Receiver<String>, terminal: &Mutex<Terminal>, json: bool) -> io::Result<u64> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut count = 0;
    for line in lines {
        lock(terminal).clear();
        match (json, count) {
            (false, _) => writeln!(out, "{line}")?,
            (true, 0) => write!(out, "{VERDICTS}{line}")?,
            (true, _) => write!(out, ",{line}")?,
        }
        count += 1;
    }
    out.flush()?;
    Ok(count)
}

/// Ends the JSON object, with or without a report, so that programs can read what came.
fn end_json(out: &mut impl Write, report: &Value, count: u64) -> io::Result<()> {
    let before = if count == 0 { VERDICTS } else { "" };
    writeln!(out, "{before}],\"report\":{report}}}")?;
    out.flush()
}

/// Names what a verdict is about: `manifest app@sha256:…`, `tag app:v1`, `content sha256:…`.
fn name(verdict: &Verdict) -> String {
    let Verdict { what, repo, tag, digest, .. } = verdict;
    let of = repo.as_deref().unwrap_or_default();
    match (tag, digest) {
        (Some(tag), _) => format!("{what} {of}:{tag}"),
        (None, Some(digest)) if of.is_empty() => format!("{what} {digest}"),
        (None, Some(digest)) => format!("{what} {of}@{digest}"),
        (None, None) => format!("{what} {of}"),
    }
}

fn summary(out: &mut impl Write, report: &CollectReport) -> io::Result<()> {
    for note in report.unreadable.iter().chain(&report.notes) {
        writeln!(out, "{note}")?;
    }
    let word = if report.dry_run { "would remove" } else { "removed" };
    let freed = if report.dry_run { "which would free" } else { "which freed" };
    let CollectReport { tags, manifests, links, content, files, .. } = report;
    writeln!(
        out,
        "{word} {}, {}, {}; {} of content and {}, {freed} {}",
        count(tags.removed.count, "tag", "tags"),
        count(manifests.removed.count, "manifest", "manifests"),
        count(links.removed.count, "blob", "blobs"),
        count(content.removed.count, "piece", "pieces"),
        count(files.removed.count, "stray file", "stray files"),
        size(content.removed.bytes + files.removed.bytes)
    )?;
    let held = held(&[*tags, *manifests, *links, *content, *files]);
    if held > 0 {
        writeln!(out, "{} for now: recently pushed or asked for", count(held, "thing stays", "things stay"))?;
    }
    if report.untagged.count > 0 {
        let untagged = count(report.untagged.count, "untagged manifest stays", "untagged manifests stay");
        writeln!(out, "{untagged}, with {}", size(report.untagged.bytes))?;
        if let Some(advice) = &report.untagged_advice {
            writeln!(out, "to free them, add to pulk.toml: {advice}")?;
        }
    }
    if !report.unreadable.is_empty() {
        writeln!(
            out,
            "nothing was removed from repositories with an unreadable manifest; `pulk scrub` moves damaged \
             content to quarantine/"
        )?;
    } else if !report.complete {
        writeln!(out, "the pass did not finish")?;
    }
    match &report.damage {
        Some(damage) => print_damage(out, damage, usize::MAX, "`pulk status --all`"),
        None => Ok(()),
    }
}

fn held(counts: &[Count]) -> u64 {
    counts.iter().map(|count| count.held.count).sum()
}
