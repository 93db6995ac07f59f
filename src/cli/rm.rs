//! `pulk rm`: removes a tag, a manifest, or everything in a repository.

use std::io::{self, Write};
use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;

use crate::admin::{Removed, RmRequest, RmTarget};
use crate::cli::ask::ask;
use crate::cli::output::units::count;
use crate::cli::output::{CommandError, RunCommand, finish, print_json};
use crate::cli::settings::StoreSettings;
use crate::spec::RepoName;

const EXAMPLES: &str = "\
Examples:
  pulk rm team/app:v1          the tag, and its manifest if nothing else needs that
  pulk rm team/app@sha256:…    the manifest, and all tags that name it
  pulk rm team/app --all       everything in the repository

rm does not ask for confirmation. The next collection frees the space.
On a stopped store, the policies that it was last served with apply, or those of --config.

Exit codes:
  0  removed
  1  there is no such thing, or it could not be removed
  2  wrong command line";

/// Remove a tag, a manifest, or everything in a repository.
///
/// Removing a tag also removes its manifest, unless another tag names it or an index lists it. Removing a
/// manifest also removes its children and its referrers (such as signatures), by the same rule. A referrer of
/// something that stays also stays. A manifest that an index lists is removed by its digest only with
/// --force.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct RmArgs {
    /// What to remove: REPO:TAG, REPO@DIGEST, or REPO with --all
    #[arg(value_name = "REPO[:TAG|@DIGEST]")]
    target: RmArgument,

    /// Remove everything in the repository
    #[arg(long)]
    all: bool,

    /// Remove a manifest although an index lists it; clients can then no longer pull all of that index
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    settings: StoreSettings,

    /// Print one JSON object: what was removed
    #[arg(long)]
    json: bool,
}

impl RunCommand for RmArgs {
    fn run(self) -> Result<ExitCode, CommandError> {
        let RmArgument { repo, what } = self.target;
        let what = match (what, self.all) {
            (Some(what), false) => what,
            (None, true) => RmTarget::All,
            (None, false) => {
                return Err(CommandError::usage(format!(
                    "{repo} names a whole repository: `pulk rm {repo} --all` removes everything in it, \
                     `pulk rm {repo}:TAG` one tag"
                )));
            }
            (Some(_), true) => {
                return Err(CommandError::usage(format!(
                    "--all removes a whole repository: leave out the tag or digest (pulk rm {repo} --all)"
                )));
            }
        };
        let answer = ask(
            &self.settings.load()?,
            RmRequest { repo: repo.clone(), what: what.clone(), force: self.force },
        )?;
        if self.json {
            return finish(print_json(&answer.report), true);
        }
        let (_, removed) = answer.typed()?;
        finish(print(&mut io::stdout().lock(), &repo, &what, &removed), true)
    }
}

/// What to remove: `REPO`, `REPO:TAG` or `REPO@DIGEST`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RmArgument {
    /// The repository.
    repo: RepoName,
    /// What in it; `None` for all of it.
    what: Option<RmTarget>,
}

impl FromStr for RmArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((host, rest)) = host_of(text) {
            return Err(format!(
                "{host} is the address of a registry: rm works on the store in the data directory, and takes \
                 a name without address (pulk rm {rest})"
            ));
        }
        let named = |name: &str| name.parse().map_err(|error| format!("{error}"));
        if let Some((repo, digest)) = text.split_once('@') {
            let digest = digest.parse().map_err(|error| format!("{error}"))?;
            return Ok(Self { repo: named(repo)?, what: Some(RmTarget::Manifest(digest)) });
        }
        match text.split_once(':') {
            Some((repo, tag)) => {
                let tag = tag.parse().map_err(|error| format!("{error}"))?;
                Ok(Self { repo: named(repo)?, what: Some(RmTarget::Tag(tag)) })
            }
            None => Ok(Self { repo: named(text)?, what: None }),
        }
    }
}

/// Splits a reference as clients write it into the address of the registry, which has a port, and the rest.
/// Without a port, `registry.example/app` is a valid name of a repository.
fn host_of(text: &str) -> Option<(&str, &str)> {
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let (host, rest) = text.split_once('/')?;
    host.contains(':').then_some((host, rest))
}

fn print(out: &mut impl Write, repo: &RepoName, what: &RmTarget, removed: &Removed) -> io::Result<()> {
    if *what == RmTarget::All {
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
        writeln!(out, "{repo}@{index} still lists it and can no longer be pulled completely")?;
    }
    if removed.manifest_count + removed.link_count > 0 {
        writeln!(out, "the next collection frees the space")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_repository_a_tag_or_a_digest() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let what = |text: &str| text.parse::<RmArgument>().map(|target| target.what);
        assert_eq!(what("team/app"), Ok(None));
        assert_eq!(what("team/app:v1"), Ok(Some(RmTarget::Tag("v1".parse().unwrap()))));
        let manifest = RmTarget::Manifest(digest.parse().unwrap());
        assert_eq!(what(&format!("team/app@{digest}")), Ok(Some(manifest)));
        for wrong in ["", "App", "app:", "app:a b", "app@sha256:abc", "localhost:5000/app:v1"] {
            assert!(what(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_reference_with_the_address_of_a_registry_is_refused_with_what_to_write() {
        for host in ["localhost:5000", "[::1]:5000", "http://registry.example:443"] {
            let error = format!("{host}/team/app:v1").parse::<RmArgument>().unwrap_err();
            assert!(error.contains("(pulk rm team/app:v1)"), "{error}");
        }
        // Without a port it may be the name of a repository.
        assert!("registry.example/app:v1".parse::<RmArgument>().is_ok());
    }
}
