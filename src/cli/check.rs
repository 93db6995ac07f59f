//! `pulk check`: what is wrong with a store, in words or as JSON.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;

use crate::admin::{Failure, Request, Sink, check_owner};
use crate::cli::progress::Terminal;
use crate::cli::{printed as printed_all, refused};
use crate::config::Config;
use crate::control::connect;
use crate::maintenance::{CheckReport, LiveRows, check as check_store, check_live};
use crate::meta::{RowsCopy, Tree};
use crate::registry::OpenError;

/// Checks the store and prints what was found; succeeds only when nothing is wrong.
pub(in crate::cli) fn check(config: &Config, deep: bool, json: bool) -> ExitCode {
    let mut progress = Terminal::new();
    let folder = config.data.as_path();
    let checked = match connect(folder) {
        Ok(Some(_)) => check_live(folder, deep, &mut Server { folder }, &mut progress),
        // Whoever uses the directory then is told of by its lock, which is made where there is none.
        Ok(None) | Err(_) => check_owner(folder).and_then(|()| check_store(folder, deep, &mut progress)),
    };
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
    let shown = printed_all(printed);
    if report.findings.is_empty() { shown } else { ExitCode::FAILURE }
}

/// The server that uses a data directory.
struct Server<'a> {
    folder: &'a Path,
}

impl LiveRows for Server<'_> {
    fn copy(&mut self) -> Result<RowsCopy, OpenError> {
        let copy = RowsCopy::new();
        for tree in Tree::ALL {
            let server = connect(self.folder).map_err(|error| lost(&error))?;
            let server = server.ok_or_else(|| lost(&"nobody answers at its control socket any more"))?;
            let mut rows = Rows { copy: &copy, tree };
            server.ask(&Request::Rows { tree }, &mut rows).map_err(|error| lost(&error))?;
        }
        Ok(copy)
    }
}

fn lost(error: &dyn Display) -> OpenError {
    OpenError::Server(error.to_string())
}

/// Takes the rows of a tree.
struct Rows<'a> {
    copy: &'a RowsCopy,
    tree: Tree,
}

impl Sink for Rows<'_> {
    fn progress(&mut self, _: &str, _: u64, _: u64) {}

    fn item(&mut self, item: Value) -> Result<(), Failure> {
        let rows = serde_json::from_value(item).map_err(Failure::failed)?;
        self.copy.add(self.tree, rows).map_err(Failure::failed)
    }

    fn check_wanted(&self) -> Result<(), Failure> {
        Ok(())
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
