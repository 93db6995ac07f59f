//! `pulk rebuild`: makes the index anew, and says what was found and what was lost.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::admin::check_owner;
use crate::cli::progress::Terminal;
use crate::cli::{failed, refused};
use crate::config::Config;
use crate::maintenance::{RECOVERED_REPOSITORY, Rebuilt, rebuild as rebuild_store};
use crate::meta::{Salvage, Start};

/// Rebuilds the store and prints what came of it.
pub(in crate::cli) fn rebuild(config: &Config, from_content: bool) -> ExitCode {
    let mut progress = Terminal::new();
    let rebuilt =
        check_owner(&config.data).and_then(|()| rebuild_store(&config.data, from_content, &mut progress));
    progress.clear();
    match rebuilt {
        Ok(rebuilt) => match print(&mut io::stdout().lock(), &rebuilt) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error),
        },
        Err(error) => refused(&config.data, error),
    }
}

fn print(out: &mut impl Write, rebuilt: &Rebuilt) -> io::Result<()> {
    match (&rebuilt.salvage, rebuilt.start) {
        (Some(salvage), _) => print_salvage(out, salvage)?,
        (None, _) if rebuilt.from_index => writeln!(
            out,
            "the journal or a checkpoint is damaged, and is kept aside; nothing is lost, since the last stop \
             was clean: all was read from its index"
        )?,
        (None, Start::Salvaged) => writeln!(
            out,
            "the journal or a checkpoint is damaged, now or since an earlier start: the log lines say what \
             became of it. `pulk rebuild --from-content` looks through damaged files and content for more"
        )?,
        (None, Start::Clean | Start::Recovered) => writeln!(out, "journal and checkpoints are sound")?,
    }
    writeln!(
        out,
        "made the index anew: {} repositories, {} manifests, {} tags, {} links",
        rebuilt.repositories, rebuilt.manifests, rebuilt.tags, rebuilt.links
    )
}

fn print_salvage(out: &mut impl Write, salvage: &Salvage) -> io::Result<()> {
    if salvage.from_index {
        writeln!(out, "journal and checkpoints are lost; the index of the last clean stop was read instead")?;
    } else if salvage.lines == 0 {
        writeln!(
            out,
            "journal and checkpoints are lost, and with them all tags and the names of repositories"
        )?;
    } else {
        writeln!(
            out,
            "read {} lines of journal and checkpoints, {} could not be",
            salvage.lines, salvage.bad_lines
        )?;
        if salvage.bad_lines > 0 {
            writeln!(out, "lost: what those lines said, tags set by them above all")?;
        }
    }
    for (action, count) in salvage.report.counts() {
        writeln!(out, "{action}: {count}")?;
    }
    let found = &salvage.unattributed;
    let damaged = salvage.damaged + found.damaged;
    let (loose, loose_bytes) = found.loose;
    let lines = [
        (
            found.manifests,
            format!("manifests without a repository, now untagged in `{RECOVERED_REPOSITORY}`"),
        ),
        (found.incomplete, "manifests that lack something they need, left out".to_owned()),
        (found.deleted, "manifests that had been deleted, left out".to_owned()),
        (damaged, "files of content whose bytes are not what their names say".to_owned()),
        (
            loose,
            format!("files of content ({loose_bytes} bytes) that no repository has, left where they are"),
        ),
    ];
    for (count, what) in lines.iter().filter(|(count, _)| *count > 0) {
        writeln!(out, "{count} {what}")?;
    }
    Ok(())
}
