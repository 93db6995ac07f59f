//! `pulk rebuild`: rebuilds the index, and says what was found and what was lost.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;

use crate::admin::check_owner;
use crate::cli::output::units::{count, size};
use crate::cli::output::{CommandError, RunCommand, Terminal, finish};
use crate::cli::settings::StoreSettings;
use crate::maintenance::{RECOVERED_REPOSITORY, Rebuilt, rebuild as rebuild_store};
use crate::meta::{Salvage, Start};

const EXAMPLES: &str = "\
Examples:
  pulk rebuild --data /srv/pulk    from journal and checkpoints
  pulk rebuild --from-content      also from damaged files and from the content itself

Exit codes:
  0  done
  1  a server uses the store, or it could not be opened
  2  wrong command line";

/// Rebuild the index of a stopped store.
///
/// The index is rebuilt from journal and checkpoints, as after a crash; a start does the same by itself if it
/// has to.
///
/// If journal and checkpoints are lost, or with --from-content, every readable line of them is used, also of
/// damaged and old files, and all content is read. Manifests that belong to no known repository go into the
/// repository `recovered`, untagged and with their blobs. Tags that no readable line names are lost.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct RebuildArgs {
    #[command(flatten)]
    settings: StoreSettings,

    /// Also use damaged and old files, and search all content
    #[arg(long)]
    from_content: bool,
}

impl RunCommand for RebuildArgs {
    fn run(self) -> Result<ExitCode, CommandError> {
        let config = self.settings.load()?;
        let folder = config.data.as_path();
        let mut progress = Terminal::new();
        let rebuilt =
            check_owner(folder).and_then(|()| rebuild_store(folder, self.from_content, &mut progress));
        progress.clear();
        let rebuilt = rebuilt.map_err(|error| CommandError::cannot_open(folder, error))?;
        finish(print(&mut io::stdout().lock(), &rebuilt), true)
    }
}

fn print(out: &mut impl Write, rebuilt: &Rebuilt) -> io::Result<()> {
    match (&rebuilt.salvage, rebuilt.start) {
        (Some(salvage), _) => print_salvage(out, salvage)?,
        (None, _) if rebuilt.from_index => writeln!(
            out,
            "the journal or a checkpoint is damaged and was set aside; nothing is lost: the last stop was \
             clean, and everything was read from its index"
        )?,
        (None, Start::Salvaged) => writeln!(
            out,
            "the journal or a checkpoint is damaged, now or since an earlier start; the log lines say what \
             was done. `pulk rebuild --from-content` searches damaged files and content for more"
        )?,
        (None, Start::Clean | Start::Recovered) => writeln!(out, "journal and checkpoints are sound")?,
    }
    writeln!(
        out,
        "rebuilt the index: {}, {}, {}, {}",
        count(rebuilt.repositories, "repository", "repositories"),
        count(rebuilt.manifests, "manifest", "manifests"),
        count(rebuilt.tags, "tag", "tags"),
        count(rebuilt.links, "link", "links")
    )
}

fn print_salvage(out: &mut impl Write, salvage: &Salvage) -> io::Result<()> {
    if salvage.from_index {
        writeln!(out, "journal and checkpoints are lost; read the index of the last clean stop instead")?;
    } else if salvage.lines == 0 {
        writeln!(
            out,
            "journal and checkpoints are lost, and with them all tags and the names of repositories"
        )?;
    } else {
        writeln!(
            out,
            "read {} of journal and checkpoints, {} unreadable",
            count(salvage.lines, "line", "lines"),
            salvage.bad_lines
        )?;
        if salvage.bad_lines > 0 {
            writeln!(out, "lost: what the unreadable lines said, mainly tags")?;
        }
    }
    for (action, number) in salvage.report.counts() {
        writeln!(out, "{action}: {number}")?;
    }
    let found = &salvage.unattributed;
    let damaged = salvage.damaged + found.damaged;
    let (loose, loose_bytes) = found.loose;
    let manifests = |number| count(number, "manifest", "manifests");
    let files = |number| count(number, "content file", "content files");
    let lines = [
        (found.manifests, format!("of no known repository, now untagged in `{RECOVERED_REPOSITORY}`")),
        (found.incomplete, "left out: something needed is missing".to_owned()),
        (found.deleted, "left out: deleted earlier".to_owned()),
    ];
    for (number, what) in lines.iter().filter(|(number, _)| *number > 0) {
        writeln!(out, "{} {what}", manifests(*number))?;
    }
    if damaged > 0 {
        writeln!(out, "{} with bytes that do not match the digest", files(damaged))?;
    }
    if loose > 0 {
        writeln!(out, "{} ({}) of no repository, left in place", files(loose), size(loose_bytes))?;
    }
    Ok(())
}
