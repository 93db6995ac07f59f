//! `pulk rm`: removes a tag, a manifest, or everything in a repository.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::admin::{Removal, Removed, Request};
use crate::cli::ask::ask;
use crate::cli::target::Target;
use crate::cli::units::count;
use crate::cli::{EXIT_USAGE, failed, print_json, printed, typed};
use crate::config::Config;
use crate::spec::RepoName;

/// Removes what was named.
pub(in crate::cli) fn rm(config: &Config, target: Target, all: bool, json: bool) -> ExitCode {
    let Target { repo, what } = target;
    let what = match (what, all) {
        (Some(what), false) => what,
        (None, true) => Removal::All,
        (None, false) => {
            eprintln!(
                "pulk: {repo} is a whole repository: `pulk rm {repo} --all` removes everything in it, and \
                 `pulk rm {repo}:TAG` one tag"
            );
            return ExitCode::from(EXIT_USAGE);
        }
        (Some(_), true) => {
            eprintln!(
                "pulk: --all removes a whole repository: leave tag or digest out (pulk rm {repo} --all)"
            );
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let answer = match ask(config, &Request::Rm { repo: repo.clone(), what: what.clone() }) {
        Ok(answer) => answer,
        Err(why) => return failed(&why),
    };
    if json {
        return print_json(&answer.result);
    }
    printed(typed(answer.result).and_then(|removed| print(&mut io::stdout().lock(), &repo, &what, &removed)))
}

fn print(out: &mut impl Write, repo: &RepoName, what: &Removal, removed: &Removed) -> io::Result<()> {
    if *what == Removal::All {
        writeln!(
            out,
            "removed {repo}: {}, {}, {}",
            count(removed.tag_count, "tag", "tags"),
            count(removed.manifest_count, "manifest", "manifests"),
            count(removed.link_count, "blob", "blobs")
        )?;
    }
    for tag in &removed.tags {
        writeln!(out, "removed tag {repo}:{tag}")?;
    }
    for manifest in &removed.manifests {
        writeln!(out, "removed {repo}@{} ({})", manifest.digest, manifest.why)?;
    }
    if let Some(kept) = &removed.kept {
        writeln!(out, "{kept}")?;
    }
    for index in &removed.lacking {
        writeln!(out, "{repo}@{index} still lists it, and can't be pulled whole any more")?;
    }
    if removed.manifest_count + removed.link_count > 0 {
        writeln!(out, "the space comes back with the next collection")?;
    }
    Ok(())
}
