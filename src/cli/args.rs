//! The command line's grammar and its help.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, Parser, Subcommand};

use crate::cli::config::key_help;
use crate::cli::target::Target;
use crate::config::{Overrides, values};
use crate::spec::RepoName;

const EXAMPLES: &str = "\
Examples:
  pulk serve                                   a registry on 127.0.0.1:5000, data in ./data
  pulk serve --data /srv/pulk --listen 0.0.0.0:5000
                                               for the whole network; there is no login yet
  pulk serve --ephemeral --listen 127.0.0.1:0  in memory, on a free port, for a test suite
  pulk config --config pulk.toml               check a file and print what would be in force
  pulk status                                  what is stored, and how the server is
  pulk du                                      who uses the space
  pulk gc --dry-run                            what would be taken away, and why all else stays
  pulk check --deep                            every byte, held against its digest

Exit codes:
  0    stopped cleanly (SIGTERM or SIGINT)
  1    could not start, or failed while running
  2    the command line is wrong
  130  stopped at once by SIGINT: by the second one, or before it was ready
  143  stopped at once by SIGTERM: likewise

Flags win over environment variables, these over the configuration file, and it over the defaults.";

const STORE_EXAMPLES: &str = "\
Examples:
  pulk check --data /srv/pulk            what is quick to see
  pulk check --deep --json               every byte as well, for a program to read
  pulk rebuild --data /srv/pulk          the index, from journal and checkpoints
  pulk rebuild --from-content            whatever is left, from damaged files and the content itself

Exit codes:
  0  check: nothing is wrong; rebuild: done
  1  check: something is wrong; rebuild: a server uses the store; both: the store could not be opened
  2  the command line is wrong";

const LOOK_EXAMPLES: &str = "\
Examples:
  pulk status                            what is stored, what sharing saves, how the server is
  pulk repos --json                      the repositories, for a program to read
  pulk tags team/app                     its tags, with digests and sizes
  pulk du                                who uses the space, and what is used by nobody else
  pulk du team/app                       the same for the tags of a repository

A running server is asked through control.sock in the data directory; where none runs, the store is opened,
which only the user may do that it belongs to (sudo -u '#UID' pulk …).
Sizes are in powers of 1024; with --json they are exact bytes.

Exit codes:
  0  done
  1  what was asked for is not there, or it could not be done
  2  the command line is wrong";

const RM_EXAMPLES: &str = "\
Examples:
  pulk rm team/app:v1                    the tag, and its image when nothing else needs that
  pulk rm team/app@sha256:…              the manifest, and all tags that name it
  pulk rm team/app --all                 everything in the repository

It does not ask. The space comes back with the next collection. On a stopped store, name the configuration
file: without it, immutable tags are not known.

Exit codes:
  0  removed
  1  what was to be removed is not there, or it could not be done
  2  the command line is wrong";

const GC_EXAMPLES: &str = "\
Examples:
  pulk gc                                take away what nobody needs
  pulk gc --dry-run                      why each thing stays or would go
  pulk gc --untagged-older-than 7d       untagged manifests as well, when they are a week old
  pulk gc --now                          young things as well

On a stopped store, young is what was written less than `collector.grace` ago (1h), by the times of its files;
name the configuration file, or no policy is known.

Exit codes:
  0  done
  1  it could not be done, not to the end, or something could not be read
  2  the command line is wrong";

const SCRUB_EXAMPLES: &str = "\
Examples:
  pulk scrub                             everything, with progress on a terminal
  pulk scrub --json                      what was found, for a program to read

Exit codes:
  0  everything is what it should be
  1  something is damaged or cannot be read, or the scrub could not be done
  2  the command line is wrong";

const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\nlicence: ",
    env!("CARGO_PKG_LICENSE"),
    "\nminimum Rust to build it: ",
    env!("CARGO_PKG_RUST_VERSION"),
);

/// An OCI container registry for one machine that can lose power at any moment.
#[derive(Debug, Parser)]
#[command(name = "pulk", version, long_version = LONG_VERSION, after_help = EXAMPLES)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub(in crate::cli) struct Cli {
    #[command(subcommand)]
    pub(in crate::cli) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Run the registry until SIGTERM or SIGINT.
    ///
    /// On the first signal pulk takes no new connections, lets requests in flight finish (for 30 seconds at
    /// most, see `limits.stop_time`) and stops cleanly. On the second it stops at once; nothing that it has
    /// acknowledged is lost by that either.
    ///
    /// What clients may ask for is bounded (connections, uploads, sizes, times): `pulk config` prints the
    /// limits in force. Who is over one is told so, and when to come again.
    ///
    /// When less than `limits.reserve_bytes` of the disk are free (64 MiB), pushes are refused; pulls and
    /// deletes go on.
    #[command(after_help = EXAMPLES)]
    Serve(Settings),

    /// Print the configuration that `serve` would run with, as a pulk.toml.
    #[command(after_help = key_help())]
    Config(Settings),

    /// Say what is stored, what sharing saves, and how the server is.
    #[command(after_help = LOOK_EXAMPLES)]
    Status {
        #[command(flatten)]
        settings: StoreSettings,

        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },

    /// List the repositories.
    #[command(after_help = LOOK_EXAMPLES)]
    Repos {
        #[command(flatten)]
        settings: StoreSettings,

        /// Print one JSON object: repositories and totals
        #[arg(long)]
        json: bool,
    },

    /// List the tags of a repository, with digests and sizes.
    #[command(after_help = LOOK_EXAMPLES)]
    Tags {
        /// The repository, such as team/app
        #[arg(value_name = "REPO")]
        repo: RepoName,

        #[command(flatten)]
        settings: StoreSettings,

        /// Print one JSON object: repository and tags
        #[arg(long)]
        json: bool,
    },

    /// Say who uses the space: the repositories, or the tags of one.
    ///
    /// SIZE is what somebody has, UNIQUE what nobody else has: it comes back when that one is removed. Tags
    /// that name one manifest stand together, with its children and what refers to it, such as signatures.
    #[command(after_help = LOOK_EXAMPLES)]
    Du {
        /// The repository, such as team/app; without it, all repositories
        #[arg(value_name = "REPO")]
        repo: Option<RepoName>,

        #[command(flatten)]
        settings: StoreSettings,

        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },

    /// Remove a tag, a manifest, or everything in a repository.
    ///
    /// With a tag goes the manifest that it named, unless another tag names it or an index lists it; and with
    /// a manifest go its children and what refers to it, such as signatures, likewise. What refers to
    /// something that stays, stays with it.
    #[command(after_help = RM_EXAMPLES)]
    Rm {
        /// What to remove: REPO:TAG, REPO@DIGEST, or REPO with --all
        #[arg(value_name = "REPO[:TAG|@DIGEST]")]
        target: Target,

        /// Remove everything in the repository
        #[arg(long)]
        all: bool,

        #[command(flatten)]
        settings: StoreSettings,

        /// Print one JSON object that says what was removed
        #[arg(long)]
        json: bool,
    },

    /// Take away what nobody needs, now.
    ///
    /// A running server does so by itself. Manifests that no tag leads to stay unless a policy or
    /// --untagged-older-than says otherwise; what a client pushed or was told of a moment ago stays, too, and
    /// so does what is young.
    #[command(after_help = GC_EXAMPLES)]
    Gc {
        /// Take nothing away: say of each thing why it stays or would go
        #[arg(long)]
        dry_run: bool,

        /// Manifests that no tag leads to go, too, when they are older than this: 0s, 12h, 30d
        #[arg(long, value_name = "AGE", value_parser = values::period)]
        untagged_older_than: Option<Duration>,

        /// What is younger than `collector.grace` goes, too, when nothing needs it and no client of a running
        /// server was told of it within `collector.lease`
        #[arg(long)]
        now: bool,

        #[command(flatten)]
        settings: StoreSettings,

        /// Print one JSON object: verdicts, of what goes or in a dry run of everything, and report
        #[arg(long)]
        json: bool,
    },

    /// Read all content now, at full speed, and hold it against its digest.
    ///
    /// A running server does so by itself, at the rate of `scrub.rate`, and makes way for this. Damaged
    /// content goes to `quarantine/` in the data directory; it is not there any more for clients, so that the
    /// next push of it heals all repositories that have it. Closed files of the journal and checkpoints are
    /// read as well.
    #[command(after_help = SCRUB_EXAMPLES)]
    Scrub {
        #[command(flatten)]
        settings: StoreSettings,

        /// Print one JSON object: what was read, and what is damaged
        #[arg(long)]
        json: bool,
    },

    /// Check a store: journal, checkpoints, index, and that everything has what it needs.
    ///
    /// A store that a server uses is checked as well: the files are read here, and the server is asked for
    /// its index. What seems wrong is looked at again then, since things change meanwhile.
    ///
    /// Nothing is changed. Findings go to standard output, progress to a terminal on standard error. The exit
    /// code is 0 only when nothing is wrong.
    #[command(after_help = STORE_EXAMPLES)]
    Check {
        #[command(flatten)]
        settings: StoreSettings,

        /// Read every byte of content and hold it against its digest
        #[arg(long)]
        deep: bool,

        /// Print one JSON object: findings, notes (each with kind, where and what) and totals
        #[arg(long)]
        json: bool,
    },

    /// Make the index of a stopped store anew.
    ///
    /// It is made from journal and checkpoints, as after a crash. Where these are lost, or with
    /// --from-content, every line of journal and checkpoints that can still be read is used, damaged and old
    /// files included, and all content is read: manifests that nothing attributes to a repository are put,
    /// untagged and with their blobs, into the repository `recovered`. Tags that no line names can't be
    /// known.
    #[command(after_help = STORE_EXAMPLES)]
    Rebuild {
        #[command(flatten)]
        settings: StoreSettings,

        /// Also use damaged and old files, and look through all content
        #[arg(long)]
        from_content: bool,
    },
}

/// The settings of commands that look after a store.
#[derive(Debug, Args)]
pub(in crate::cli) struct StoreSettings {
    /// The data directory [default: data]
    #[arg(long, value_name = "DIR", env = "PULK_DATA")]
    data: Option<PathBuf>,

    /// Read this configuration file; without one, none is read
    #[arg(long, value_name = "FILE", env = "PULK_CONFIG")]
    pub(in crate::cli) config: Option<PathBuf>,

    /// Log this much: error, warn, info, debug, trace or off, also by module [default: warn]
    #[arg(long, value_name = "FILTER", env = "PULK_LOG", value_parser = values::log)]
    log: Option<String>,
}

impl StoreSettings {
    /// Returns what to log: what a server says on its way is of no use to one who asks something.
    pub(in crate::cli) fn log(&self) -> &str {
        self.log.as_deref().unwrap_or("warn")
    }

    /// Returns what flags and environment say over the file.
    pub(in crate::cli) fn overrides(&self) -> Overrides {
        Overrides { data: self.data.clone(), log: self.log.clone(), ..Overrides::default() }
    }
}

/// The settings that have a flag and an environment variable.
#[derive(Debug, Args)]
pub(in crate::cli) struct Settings {
    /// Keep everything in this directory [default: data]
    ///
    /// It is made if it is not there. One pulk at a time uses it.
    #[arg(long, value_name = "DIR", env = "PULK_DATA")]
    data: Option<PathBuf>,

    /// Listen on this IP address and port; port 0 picks a free one [default: 127.0.0.1:5000]
    ///
    /// The first line that pulk logs when it is ready names the address. Before that, while it recovers from
    /// a crash, it answers 503 there and tells at /readyz how far it has come.
    #[arg(long, value_name = "ADDR", env = "PULK_LISTEN", value_parser = values::listen)]
    listen: Option<SocketAddr>,

    /// Read this configuration file; without one, none is read
    #[arg(long, value_name = "FILE", env = "PULK_CONFIG")]
    pub(in crate::cli) config: Option<PathBuf>,

    /// Keep everything in memory: nothing is written, and all is gone at the end
    #[arg(
        long,
        value_name = "BOOL",
        env = "PULK_EPHEMERAL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new()
    )]
    ephemeral: Option<bool>,

    /// Log this much: error, warn, info, debug, trace or off, also by module [default: info]
    ///
    /// For example `warn,pulk::meta=debug`. Lines go to standard error.
    #[arg(long, value_name = "FILTER", env = "PULK_LOG", value_parser = values::log)]
    log: Option<String>,

    /// Copy the index into new files from this size on, if they are far too large; 0: after each pass
    ///
    /// Not for people: tests would otherwise need a large store.
    #[arg(long, value_name = "BYTES", hide = true)]
    copy_index_from: Option<u64>,
}

impl Settings {
    /// Returns what flags and environment say over the file.
    pub(in crate::cli) fn overrides(&self) -> Overrides {
        Overrides {
            data: self.data.clone(),
            listen: self.listen,
            ephemeral: self.ephemeral,
            log: self.log.clone(),
            copy_index_from_bytes: self.copy_index_from,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn ephemeral_is_a_flag_that_can_also_be_turned_off() {
        let ephemeral = |flags: &[&str]| {
            let words = ["pulk", "serve"].iter().chain(flags);
            let Command::Serve(settings) = Cli::try_parse_from(words).unwrap().command else {
                panic!("not serve");
            };
            settings.ephemeral
        };
        assert_eq!(ephemeral(&["--ephemeral"]), Some(true));
        assert_eq!(ephemeral(&["--ephemeral=false"]), Some(false));
        assert_eq!(ephemeral(&["--ephemeral", "--data", "d"]), Some(true));
        assert_eq!(ephemeral(&[]), None);
    }
}
