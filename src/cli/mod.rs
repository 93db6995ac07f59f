//! The command line: one file for each command, under its name.
//!
//! | | |
//! |---|---|
//! | `command` | the table of commands |
//! | `serve`, `config`, `status` | commands |
//! | `repos`, `tags`, `du`, `rm`, `gc`, `scrub` | commands that a running server can carry out |
//! | `log/`, `history/` | the same: what was changed |
//! | `check`, `rebuild` | commands that read the files themselves |
//! | `settings` | flags that several commands have |
//! | `ask` | putting a request to a running server, or to the store itself |
//! | `signals` | which signals stop the server, and which must not end it |
//! | `output/` | tables, units, progress, log lines; how a command ends |
//!
//! The file of a command has its arguments and help, what it does, and what it prints.

mod ask;
mod check;
mod command;
mod config;
mod du;
mod gc;
mod history;
mod log;
mod output;
mod rebuild;
mod repos;
mod rm;
mod scrub;
mod serve;
mod settings;
mod signals;
mod status;
mod tags;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::cli::command::Cli;
use crate::cli::output::{RunCommand, logging, name_source};
use crate::disk::restrict_new_files;

/// Runs the program: reads the command line and does what it says.
pub fn main() -> ExitCode {
    restrict_new_files();
    let _caught = signals::outlive_file_size_limit();
    let cli = Cli::try_parse().unwrap_or_else(|error| name_source(error, &Cli::command()).exit());
    let code = match cli.command.run() {
        Ok(code) => code,
        Err(error) => error.report(),
    };
    logging::finish();
    code
}
