//! The command line: one file for each command, under its name.
//!
//! | | |
//! |---|---|
//! | `command` | the table of commands |
//! | `serve`, `config`, `status` … | a command: its arguments and help, what it does, what it prints |
//! | `settings` | flags that several commands have |
//! | `ask` | putting a request to a running server, or to the store itself |
//! | `signals` | which signals stop the server, and which must not end it |
//! | `output/` | tables, units, progress, log lines |

mod ask;
mod check;
mod command;
mod config;
mod du;
mod gc;
mod output;
#[cfg(test)]
mod readme_tests;
mod rebuild;
mod repos;
mod rm;
mod scrub;
mod serve;
mod settings;
mod signals;
mod status;
mod tags;

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::command::{Cli, RunCommand};
use crate::config::ConfigError;
use crate::registry::OpenError;
use crate::server::StartError;

/// The exit code when the command line is wrong, as the parser's own.
const EXIT_USAGE: u8 = 2;

/// The exit code of any other failure.
const EXIT_FAILURE: u8 = 1;

/// Why a command ends without having done its work: what to write on standard error, and the exit code.
#[derive(Debug, PartialEq, Eq)]
struct CommandError {
    message: String,
    exit_code: u8,
}

/// Runs the program: reads the command line and does what it says.
pub fn main() -> ExitCode {
    let _caught = signals::outlive_file_size_limit();
    match Cli::parse().command.run() {
        Ok(code) => code,
        Err(error) => error.report(),
    }
}

impl CommandError {
    fn failed(message: impl Display) -> Self {
        Self { message: message.to_string(), exit_code: EXIT_FAILURE }
    }

    fn usage(message: String) -> Self {
        Self { message, exit_code: EXIT_USAGE }
    }

    /// Says why a store cannot be used, and what to do about it.
    fn cannot_open(folder: &Path, error: OpenError) -> Self {
        StartError::from_open(folder, error).into()
    }

    /// Writes it on standard error, whatever the log filter says.
    fn report(self) -> ExitCode {
        eprintln!("pulk: {}", self.message);
        ExitCode::from(self.exit_code)
    }
}

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        Self::failed(error)
    }
}

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        Self::failed(error)
    }
}

impl From<StartError> for CommandError {
    fn from(error: StartError) -> Self {
        Self::failed(format_args!("{error}\n      {}", error.advice()))
    }
}
