//! `pulk check`: what is wrong with a stopped store, in words or as JSON.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::cli::progress::Terminal;
use crate::cli::{failed, refused};
use crate::config::Config;
use crate::maintenance::{CheckReport, check as check_store};

/// Checks the store and prints what was found; succeeds only when nothing is wrong.
pub(in crate::cli) fn check(config: &Config, deep: bool, json: bool) -> ExitCode {
    let mut progress = Terminal::new();
    let checked = check_store(&config.data, deep, &mut progress);
    progress.clear();
    let report = match checked {
        Ok(report) => report,
        Err(error) => return refused(&config.data, error),
    };
    let mut out = io::stdout().lock();
    let printed = match json {
        true => print_json(&mut out, &report),
        false => print_words(&mut out, &report, deep),
    };
    match printed {
        Err(error) => failed(&error),
        Ok(()) if report.findings.is_empty() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
    }
}

fn print_json(out: &mut impl Write, report: &CheckReport) -> io::Result<()> {
    serde_json::to_writer(&mut *out, report)?;
    writeln!(out)
}

fn print_words(out: &mut impl Write, report: &CheckReport, deep: bool) -> io::Result<()> {
    for finding in &report.findings {
        writeln!(out, "{finding}")?;
    }
    for note in &report.notes {
        writeln!(out, "note: {note}")?;
    }
    let totals = &report.totals;
    writeln!(
        out,
        "looked at {} transactions, {} repositories, {} manifests, {} tags, {} links, {} uploads, {} \
         files of content ({} bytes)",
        totals.transactions,
        totals.repositories,
        totals.manifests,
        totals.tags,
        totals.links,
        totals.uploads,
        totals.content,
        totals.content_bytes
    )?;
    let hint = if deep { "" } else { "; --deep reads every byte of content as well" };
    match report.findings.len() {
        0 => writeln!(out, "nothing is wrong{hint}"),
        1 => {
            writeln!(out, "1 thing is wrong; the next start, or `pulk rebuild`, repairs what can be repaired")
        }
        many => {
            writeln!(
                out,
                "{many} things are wrong; the next start, or `pulk rebuild`, repairs what can be repaired"
            )
        }
    }
}
