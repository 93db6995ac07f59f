//! `pulk check`: what is wrong with a store.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use crate::admin::{AdminError, AnswerSink, RowsRequest, check_owner};
use crate::cli::output::units::{count, size};
use crate::cli::output::{CommandError, RunCommand, Terminal, finish, print_damage};
use crate::cli::settings::StoreSettings;
use crate::cli::signals::EndingSignals;
use crate::config::Config;
use crate::control::connect;
use crate::maintenance::{CheckReport, Kind, LiveRows, VisitRow, check as check_store, check_live};
use crate::meta::{TemporaryFolder, Tree};
use crate::registry::{DAMAGED_LISTED_MAX, OpenError};

const EXAMPLES: &str = "\
Examples:
  pulk check --data /srv/pulk      quick: everything but the bytes of content
  pulk check --deep                read every byte and the index as well
  pulk check --deep --json         for programs

Exit codes:
  0  nothing is wrong
  1  something is wrong, or the store could not be opened
  2  wrong command line";

/// Check a store for damage, without changing it.
///
/// Checks journal and checkpoints, what the last stop noted of the index, and that every manifest, tag and
/// blob has what it needs. Beside a running server, the command reads the files itself, asks the server for
/// its index, and looks again at what seems wrong, because the store changes meanwhile.
///
/// It needs temporary space (TMPDIR) of about the size of index/, with --deep twice as much.
///
/// Findings go to standard output, progress to a terminal on standard error.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct CheckArgs {
    #[command(flatten)]
    settings: StoreSettings,

    /// Also read every byte of content and verify its digest, and read the index
    #[arg(long)]
    deep: bool,

    /// List all damaged images, not only the first ones
    #[arg(long)]
    all: bool,

    /// Print one JSON object: findings, notes (each with kind, where and what) and totals
    #[arg(long)]
    json: bool,
}

impl RunCommand for CheckArgs {
    fn run(self) -> Result<ExitCode, CommandError> {
        let config = self.settings.load()?;
        let checked = check(&config, self.deep)?;
        let mut out = io::stdout().lock();
        let printed = match self.json {
            true => print_report(&mut out, &checked),
            false => print_words(&mut out, &checked, self.deep, self.all),
        };
        finish(printed, checked.findings.is_empty())
    }
}

fn check(config: &Config, deep: bool) -> Result<CheckReport, CommandError> {
    let mut progress = Terminal::new();
    let folder = config.data.as_path();
    let socket = config.control_socket();
    // Without it, the check says what it keeps in memory, and what it leaves out.
    let signals = EndingSignals::catch();
    let temporary = TemporaryFolder::create().ok();
    signals.remove(temporary.as_ref());
    let files = temporary.as_ref();
    let checked = match connect(folder, &socket) {
        Ok(Some(_)) => {
            let mut rows = ServerRows { folder, socket: &socket };
            check_live(folder, deep, &mut rows, files, &mut progress)
        }
        // A process that uses the directory without answering is found by its lock.
        Ok(None) | Err(_) => {
            check_owner(folder).and_then(|()| check_store(folder, deep, files, &mut progress))
        }
    };
    drop(temporary);
    progress.clear();
    checked.map_err(|error| CommandError::cannot_open(folder, error))
}

/// The server that uses a data directory.
struct ServerRows<'a> {
    folder: &'a Path,
    socket: &'a Path,
}

impl LiveRows for ServerRows<'_> {
    fn each(&mut self, tree: Tree, visit: &mut VisitRow<'_>) -> Result<(), OpenError> {
        let server = connect(self.folder, self.socket).map_err(|error| lost(&error))?;
        let server = server.ok_or_else(|| lost(&"it no longer answers at its control socket"))?;
        let asked = server.ask(&RowsRequest { tree }.into(), &mut TreeRows { visit });
        asked.map(drop).map_err(|error| lost(&error))
    }
}

fn lost(error: &dyn Display) -> OpenError {
    OpenError::Server(error.to_string())
}

/// Takes the rows of a tree.
struct TreeRows<'a, 'b> {
    visit: &'a mut VisitRow<'b>,
}

impl AnswerSink for TreeRows<'_, '_> {
    fn progress(&mut self, _: &str, _: u64, _: u64) {}

    fn item(&mut self, item: Value) -> Result<(), AdminError> {
        let rows: Vec<(String, String)> = serde_json::from_value(item).map_err(AdminError::failed)?;
        let mut rows = rows.iter();
        rows.try_for_each(|(key, value)| (self.visit)(key.as_bytes(), value.as_bytes()))
            .map_err(AdminError::failed)
    }

    fn check_wanted(&self) -> Result<(), AdminError> {
        Ok(())
    }
}

fn print_report(out: &mut impl Write, report: &CheckReport) -> io::Result<()> {
    serde_json::to_writer(&mut *out, report)?;
    writeln!(out)
}

fn print_words(out: &mut impl Write, report: &CheckReport, deep: bool, all: bool) -> io::Result<()> {
    for finding in &report.findings {
        writeln!(out, "{finding}")?;
    }
    for note in &report.notes {
        writeln!(out, "note: {note}")?;
    }
    let totals = &report.totals;
    let counts = [
        count(totals.transactions, "transaction", "transactions"),
        count(totals.repositories, "repository", "repositories"),
        count(totals.manifests, "manifest", "manifests"),
        count(totals.tags, "tag", "tags"),
        count(totals.links, "link", "links"),
        count(totals.uploads, "upload", "uploads"),
        count(totals.content, "content file", "content files"),
    ];
    writeln!(out, "checked {} ({})", counts.join(", "), size(totals.content_bytes))?;
    let hint = if deep { "" } else { "; --deep also reads every byte of content" };
    match report.findings.len() {
        0 => return writeln!(out, "nothing is wrong{hint}"),
        1 => writeln!(out, "1 thing is wrong")?,
        many => writeln!(out, "{many} things are wrong")?,
    }
    let found = |kinds: &[Kind]| report.findings.iter().any(|finding| kinds.contains(&finding.kind));
    if found(&[Kind::Journal, Kind::Checkpoint, Kind::Index]) {
        writeln!(out, "the next start repairs journal, checkpoints and index, as far as the rest allows")?;
    }
    if found(&[Kind::ContentMissing, Kind::ContentLength, Kind::ContentDigest]) {
        writeln!(
            out,
            "`pulk scrub` takes damaged content out of use; until then, clients do not push it again"
        )?;
    }
    let listed_max = if all { usize::MAX } else { DAMAGED_LISTED_MAX };
    print_damage(out, &report.damage, listed_max, "`pulk check --all`")
}
