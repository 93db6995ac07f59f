//! `pulk gc`: takes away what nobody needs, or says what that would be.

use std::io::{self, BufWriter, StdoutLock, Write};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use crate::cli::ask::ask_into;
use crate::cli::progress::Terminal;
use crate::cli::units::{count, size};
use crate::cli::{failed, printed, typed};
use crate::config::Config;
use crate::control::{Failure, Request, Sink};
use crate::maintenance::{CollectReport, Count, Progress, Thing, Verdict};

/// Has the collector make a pass, and prints what it says as it comes: there may be much of it.
pub(in crate::cli) fn gc(
    config: &Config,
    dry_run: bool,
    untagged_older_than: Option<Duration>,
    json: bool,
) -> ExitCode {
    let untagged_older_than = untagged_older_than.map(|age| age.as_secs());
    let request = Request::Gc { dry_run, untagged_older_than };
    let out = BufWriter::new(io::stdout().lock());
    let mut printer = Printer { out, terminal: Terminal::new(), json, items: 0, lost: None };
    let asked = ask_into(config, &request, &mut printer);
    printer.terminal.clear();
    if let Some(error) = printer.lost.take() {
        return printed(Err(error));
    }
    let ended = asked.map_err(|why| failed(&why)).and_then(|result| {
        let complete = typed::<CollectReport>(result.clone()).map(|report| report.complete);
        match complete.and_then(|complete| printer.end(result).map(|()| complete)) {
            Ok(true) => Ok(ExitCode::SUCCESS),
            Ok(false) => Ok(ExitCode::FAILURE),
            Err(error) => Err(printed(Err(error))),
        }
    });
    ended.unwrap_or_else(|code| code)
}

/// Prints verdicts as they come.
struct Printer {
    out: BufWriter<StdoutLock<'static>>,
    terminal: Terminal,
    json: bool,
    items: u64,
    /// Why nothing more can be printed.
    lost: Option<io::Error>,
}

impl Printer {
    fn verdict(&mut self, item: Value) -> io::Result<()> {
        self.terminal.clear();
        self.items += 1;
        if self.json {
            let before = if self.items == 1 { "{\"verdicts\":[" } else { "," };
            return write!(self.out, "{before}{item}");
        }
        let verdict: Verdict = typed(item)?;
        if verdict.stays && verdict.what == Thing::Content {
            // What repositories have was told of already.
            return Ok(());
        }
        let size = if verdict.bytes > 0 { format!(" ({})", size(verdict.bytes)) } else { String::new() };
        writeln!(self.out, "{}{size}: {}", name(&verdict), verdict.why)
    }

    fn end(&mut self, result: Value) -> io::Result<()> {
        if self.json {
            let before = if self.items == 0 { "{\"verdicts\":[" } else { "" };
            writeln!(self.out, "{before}],\"report\":{result}}}")?;
            return self.out.flush();
        }
        let report: CollectReport = typed(result)?;
        summary(&mut self.out, &report)?;
        self.out.flush()
    }
}

impl Sink for Printer {
    fn progress(&mut self, what: &str, done: u64, total: u64) {
        self.terminal.at(what, done, total);
    }

    fn item(&mut self, item: Value) -> Result<(), Failure> {
        self.verdict(item).map_err(|error| {
            let failure = Failure::failed(&error);
            self.lost = Some(error);
            failure
        })
    }

    fn check_wanted(&self) -> Result<(), Failure> {
        Ok(())
    }
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
    if !report.complete {
        writeln!(out, "the pass did not come to its end")?;
    }
    Ok(())
}

fn held(counts: &[Count]) -> u64 {
    counts.iter().map(|count| count.held.count).sum()
}
