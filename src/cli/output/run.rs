//! What a command does, and how it fails.

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use crate::cli::output::logging;
use crate::config::ConfigError;
use crate::registry::OpenError;
use crate::server::StartError;

/// The exit code when the command line is wrong, as the parser's own.
const EXIT_USAGE: u8 = 2;

/// The exit code of any other failure.
const EXIT_FAILURE: u8 = 1;

/// The arguments of a command. Their documentation is the command's help.
pub(in crate::cli) trait RunCommand {
    /// Does what the command is for, and returns the exit code.
    fn run(self) -> Result<ExitCode, CommandError>;
}

/// Why a command ends without having done its work: what to write on standard error, and the exit code.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) struct CommandError {
    pub(in crate::cli) message: String,
    pub(in crate::cli) exit_code: u8,
}

impl CommandError {
    pub(in crate::cli) fn failed(message: impl Display) -> Self {
        Self { message: message.to_string(), exit_code: EXIT_FAILURE }
    }

    pub(in crate::cli) fn usage(message: String) -> Self {
        Self { message, exit_code: EXIT_USAGE }
    }

    /// Says why a store cannot be used, and what to do about it.
    pub(in crate::cli) fn cannot_open(folder: &Path, error: OpenError) -> Self {
        StartError::from_open(folder, error).into()
    }

    /// Writes it on standard error, whatever the log filter says.
    pub(in crate::cli) fn report(self) -> ExitCode {
        logging::say(&format!("pulk: {}", self.message));
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
