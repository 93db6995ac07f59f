//! The command line: `pulk serve`, `pulk config`, `pulk check`, `pulk rebuild`.

mod args;
mod check;
mod logging;
mod options;
mod progress;
mod rebuild;
mod serve;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::args::{Cli, Command, Settings, StoreSettings};
use crate::config::{Config, ConfigError};
use crate::registry::OpenError;
use crate::server::StartError;

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
        Command::Check { settings, deep, json } => {
            on_store(&settings, |config| check::check(config, deep, json))
        }
        Command::Rebuild { settings, from_content } => {
            on_store(&settings, |config| rebuild::rebuild(config, from_content))
        }
    }
}

/// Does something with the store that is configured, while no server uses it.
fn on_store(settings: &StoreSettings, work: impl FnOnce(&Config) -> ExitCode) -> ExitCode {
    match Config::load(settings.config.as_deref(), settings.overrides()) {
        Ok(config) => {
            logging::start(&config.log);
            work(&config)
        }
        Err(error) => failed(&error),
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

/// Says why a store cannot be used, and what to do about it.
fn refused(folder: &Path, error: OpenError) -> ExitCode {
    let error = StartError::from_open(folder, error);
    failed(&format_args!("{error}\n      {}", error.advice()))
}

/// Tells on standard error, whatever the log filter says, why the program ends.
fn failed(error: &dyn Display) -> ExitCode {
    eprintln!("pulk: {error}");
    ExitCode::FAILURE
}
