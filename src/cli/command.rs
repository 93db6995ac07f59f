//! The table of commands.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cli::check::CheckArgs;
use crate::cli::config::ConfigArgs;
use crate::cli::du::DuArgs;
use crate::cli::gc::GcArgs;
use crate::cli::history::HistoryArgs;
use crate::cli::log::LogArgs;
use crate::cli::output::{CommandError, RunCommand};
use crate::cli::rebuild::RebuildArgs;
use crate::cli::repos::ReposArgs;
use crate::cli::rm::RmArgs;
use crate::cli::scrub::{QuarantineArgs, ScrubArgs};
use crate::cli::serve::ServeArgs;
use crate::cli::status::StatusArgs;
use crate::cli::tags::TagsArgs;

const EXAMPLES: &str = "\
Examples:
  pulk serve                         run a registry on 127.0.0.1:5000, data in ./data
  pulk serve --data /srv/pulk --listen 0.0.0.0:5000
                                     serve the whole network; there is no login yet
  pulk config --config pulk.toml     check a file and print the effective configuration
  pulk status                        is it healthy, and how full is it?
  pulk du                            what uses the space?
  pulk log --since 1d                who changed what since yesterday?
  pulk gc --dry-run                  what would be removed, and why does the rest stay?
  pulk check --deep                  is anything damaged?

`pulk COMMAND --help` explains a command, its flags and its exit codes.
Flags override environment variables; these override the configuration file.";

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
    pub(in crate::cli) command: CliCommand,
}

/// Declares [`CliCommand`]: a command has its name here in lower case.
macro_rules! commands {
    ($($name:ident($arguments:ty),)*) => {
        /// What to do.
        #[derive(Debug, Subcommand)]
        pub(in crate::cli) enum CliCommand {
            $($name($arguments),)*
        }

        impl RunCommand for CliCommand {
            fn run(self) -> Result<ExitCode, CommandError> {
                match self {
                    $(Self::$name(arguments) => arguments.run(),)*
                }
            }
        }
    };
}

commands! {
    Serve(ServeArgs),
    Config(ConfigArgs),
    Status(StatusArgs),
    Repos(ReposArgs),
    Tags(TagsArgs),
    Du(DuArgs),
    Log(LogArgs),
    History(HistoryArgs),
    Rm(RmArgs),
    Gc(GcArgs),
    Scrub(ScrubArgs),
    Quarantine(QuarantineArgs),
    Check(CheckArgs),
    Rebuild(RebuildArgs),
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
    fn every_command_says_what_it_is_for_gives_examples_and_its_exit_codes() {
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            assert!(command.get_about().is_some_and(|about| about.to_string().len() > 10), "{name}");
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("pulk {name}")), "{name} has no examples");
            assert!(help.contains("Exit codes:"), "{name} has no exit codes");
        }
    }
}
