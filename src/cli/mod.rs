//! The command line: `pulk serve`, and what looks after a store.

mod args;
mod ask;
mod check;
mod config;
mod du;
mod gc;
mod logging;
mod progress;
#[cfg(test)]
mod readme_tests;
mod rebuild;
mod repos;
mod rm;
mod scrub;
mod serve;
mod status;
mod table;
mod tags;
mod target;
mod units;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::admin::Request;
use crate::cli::args::{Cli, Command, Settings, StoreSettings};
use crate::config::{Config, ConfigError};
use crate::registry::OpenError;
use crate::server::StartError;

/// The exit code when the command line is wrong, as the parser's own.
const EXIT_USAGE: u8 = 2;

/// Runs the program: reads the command line and does what it says.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(settings) => match configuration(&settings) {
            Ok(config) => serve::serve(&config),
            Err(error) => failed(&error),
        },
        Command::Config(settings) => match configuration(&settings) {
            Ok(config) => config::config(&config),
            Err(error) => failed(&error),
        },
        Command::Status { settings, json } => on_store(&settings, |config| status::status(config, json)),
        Command::Repos { settings, json } => on_store(&settings, |config| repos::repos(config, json)),
        Command::Tags { repo, settings, json } => {
            on_store(&settings, |config| tags::tags(config, &repo, json))
        }
        Command::Du { repo, settings, json } => on_store(&settings, |config| du::du(config, repo, json)),
        Command::Rm { target, all, settings, json } => {
            on_store(&settings, |config| rm::rm(config, target, all, json))
        }
        Command::Gc { dry_run, untagged_older_than, now, settings, json } => {
            let untagged_older_than = untagged_older_than.map(|age| age.as_secs());
            let request = Request::Gc { dry_run, untagged_older_than, now };
            on_store(&settings, |config| gc::gc(config, &request, json))
        }
        Command::Scrub { settings, json } => on_store(&settings, |config| scrub::scrub(config, json)),
        Command::Check { settings, deep, json } => {
            on_store(&settings, |config| check::check(config, deep, json))
        }
        Command::Rebuild { settings, from_content } => {
            on_store(&settings, |config| rebuild::rebuild(config, from_content))
        }
    }
}

/// Does something with the store that is configured.
fn on_store(settings: &StoreSettings, work: impl FnOnce(&Config) -> ExitCode) -> ExitCode {
    match Config::load(settings.config.as_deref(), settings.overrides()) {
        Ok(config) => {
            logging::start(settings.log());
            work(&config)
        }
        Err(error) => failed(&error),
    }
}

fn configuration(settings: &Settings) -> Result<Config, ConfigError> {
    Config::load(settings.config.as_deref(), settings.overrides())
}

/// Prints what a program shall read, as one line.
fn print_json(value: &Value) -> ExitCode {
    printed(writeln!(io::stdout().lock(), "{value}"))
}

/// Ends the program after something was printed. Who reads no further, as `head` does, has all that it wants.
fn printed(printed: io::Result<()>) -> ExitCode {
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// Reads a result as what it is.
fn typed<T: DeserializeOwned>(value: Value) -> io::Result<T> {
    serde_json::from_value(value).map_err(|error| {
        let what = format!("the server is another version of pulk, its answer cannot be shown: {error}");
        io::Error::new(io::ErrorKind::InvalidData, what)
    })
}

/// Reads each of many things as what it is.
fn items_of<T: DeserializeOwned>(items: Vec<Value>) -> io::Result<Vec<T>> {
    items.into_iter().map(typed).collect()
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
