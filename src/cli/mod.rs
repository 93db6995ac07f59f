//! The command line: `pulk serve`, `pulk config`.

mod args;
mod logging;
mod options;
mod serve;

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::cli::args::{Cli, Command, Settings};
use crate::config::{Config, ConfigError};

/// Runs the program: reads the command line and does what it says.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(settings) => match configuration(&settings) {
            Ok(config) => serve::serve(&config),
            Err(error) => failed(&error),
        },
        Command::Config(settings) => match configuration(&settings) {
            Ok(config) => print(&config),
            Err(error) => failed(&error),
        },
    }
}

fn configuration(settings: &Settings) -> Result<Config, ConfigError> {
    Config::load(settings.config.as_deref(), settings.overrides())
}

fn print(config: &Config) -> ExitCode {
    match io::stdout().lock().write_all(config.to_string().as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// Tells on standard error, whatever the log filter says, why the program ends.
fn failed(error: &dyn Display) -> ExitCode {
    eprintln!("pulk: {error}");
    ExitCode::FAILURE
}
