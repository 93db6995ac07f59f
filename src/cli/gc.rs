//! `pulk gc`: takes away what nobody needs, or says what that would be.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use serde_json::Value;

use crate::admin::{Failure, Request, Sink};
use crate::base::lock;
use crate::cli::ask::ask_into;
use crate::cli::progress::Terminal;
use crate::cli::units::{count, size};
use crate::cli::{failed, printed, typed};
use crate::config::Config;
use crate::maintenance::{CollectReport, Count, Progress, Thing, Verdict};

/// How many lines may wait to be printed, so that a pager that shows one page at a time holds up nobody.
const LINES_WAITING_MAX: usize = 100_000;

/// How the JSON object begins.
const VERDICTS: &str = "{\"verdicts\":[";

/// Has the collector make a pass, and prints what it says as it comes: there may be much of it.
pub(in crate::cli) fn gc(config: &Config, request: &Request, json: bool) -> ExitCode {
    let terminal = Mutex::new(Terminal::new());
    let (lines, waiting) = sync_channel(LINES_WAITING_MAX);
    let (asked, printing) = thread::scope(|scope| {
        let printing = scope.spawn(|| print_lines(waiting, &terminal, json));
        let asked = ask_into(config, request, &mut Sender { lines, terminal: &terminal, json });
        (asked, printing.join())
    });
    lock(&terminal).clear();
    let count = match printing {
        Ok(Ok(count)) => count,
        Ok(Err(error)) => return printed(Err(error)),
        Err(_) => return ExitCode::FAILURE,
    };
    let mut out = io::stdout().lock();
    match asked {
        Ok(result) => end(&mut out, &result, count, json).unwrap_or_else(|error| printed(Err(error))),
        Err(why) => {
            let code = failed(&why);
            if json && let Err(error) = end_json(&mut out, &Value::Null, count) {
                return printed(Err(error));
            }
            code
        }
    }
}

/// Hands over what is to be printed.
struct Sender<'a> {
    lines: SyncSender<String>,
    terminal: &'a Mutex<Terminal>,
    json: bool,
}

impl Sink for Sender<'_> {
    fn progress(&mut self, what: &str, done: u64, total: u64) {
        lock(self.terminal).at(what, done, total);
    }

    fn item(&mut self, item: Value) -> Result<(), Failure> {
        let line = if self.json { Some(item.to_string()) } else { line(item).map_err(Failure::failed)? };
        match line {
            // Where nothing can be printed any more, the printer says why.
            Some(line) => self.lines.send(line).map_err(|_| Failure::failed("nothing can be printed")),
            None => Ok(()),
        }
    }

    fn check_wanted(&self) -> Result<(), Failure> {
        Ok(())
    }
}

/// Renders a verdict, unless nobody wants to read it.
fn line(item: Value) -> io::Result<Option<String>> {
    let verdict: Verdict = typed(item)?;
    if verdict.stays && verdict.what == Thing::Content {
        // What repositories have was told of already.
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

/// Prints what the pass came to behind its verdicts.
fn end(out: &mut impl Write, result: &Value, count: u64, json: bool) -> io::Result<ExitCode> {
    let report: CollectReport = typed(result.clone())?;
    if json {
        end_json(out, result, count)?;
    } else {
        summary(out, &report)?;
        out.flush()?;
    }
    Ok(if report.complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Ends the object, also where there is no report, so that programs can read what came.
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
        writeln!(
            out,
            "{} for now: pushed, or asked for, a moment ago",
            count(held, "thing stays", "things stay")
        )?;
    }
    if report.untagged.count > 0 {
        let untagged = count(report.untagged.count, "untagged manifest stays", "untagged manifests stay");
        writeln!(out, "{untagged}, with {}", size(report.untagged.bytes))?;
        if let Some(advice) = &report.untagged_advice {
            writeln!(out, "this line of pulk.toml would free them: {advice}")?;
        }
    }
    if !report.unreadable.is_empty() {
        writeln!(
            out,
            "nothing was removed from repositories with a manifest that cannot be read; `pulk scrub` sets \
             aside what is damaged"
        )?;
    } else if !report.complete {
        writeln!(out, "the pass did not come to its end")?;
    }
    Ok(())
}

fn held(counts: &[Count]) -> u64 {
    counts.iter().map(|count| count.held.count).sum()
}
