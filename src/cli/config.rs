//! `pulk config`: the configuration that `serve` would run with.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::cli::printed;
use crate::config::{Config, keys};

/// How wide the column of keys is in the help.
const KEY_WIDTH_CHARS: usize = 34;

/// Prints the configuration as a file that would give it.
pub(in crate::cli) fn config(config: &Config) -> ExitCode {
    printed(io::stdout().lock().write_all(config.to_string().as_bytes()))
}

/// Lists the keys of the file for `pulk config --help`.
pub(in crate::cli) fn key_help() -> String {
    let mut help = "Keys of the configuration file, with their defaults:".to_owned();
    let mut section = "";
    for key in keys() {
        if key.section != section {
            section = key.section;
            let head = if key.default.is_none() { format!("[[{section}]]") } else { format!("[{section}]") };
            help.push_str(&format!("\n\n  {head}"));
        }
        let entry = key.default.map_or(key.name.to_owned(), |default| format!("{} = {default}", key.name));
        // Writing to a String cannot fail.
        let _ = write!(help, "\n  {entry:<KEY_WIDTH_CHARS$}{}", key.text);
    }
    help
}
