//! `pulk config`: the configuration that `serve` would run with.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;

use crate::cli::output::{CommandError, RunCommand, finish};
use crate::cli::settings::ServeSettings;
use crate::config::{POLICY, keys};

/// How wide the columns of the help are: keys with their defaults, and what they mean.
const COLUMNS_CHARS: [usize; 2] = [34, 64];

const EXAMPLES: &str = "\
Examples:
  pulk config > pulk.toml              write a file with all defaults
  pulk config --config pulk.toml       check a file and print the effective configuration

Exit codes:
  0  done
  1  the file cannot be read, or has an unknown key or a bad value
  2  wrong command line";

/// Print the effective configuration as a pulk.toml.
///
/// This is what `serve` would run with, given the same flags, variables and file.
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", key_help()))]
pub(in crate::cli) struct ConfigArgs {
    #[command(flatten)]
    settings: ServeSettings,
}

impl RunCommand for ConfigArgs {
    fn run(self) -> Result<ExitCode, CommandError> {
        let config = self.settings.load()?;
        finish(io::stdout().lock().write_all(config.to_string().as_bytes()), true)
    }
}

/// Lists the keys of the file for `pulk config --help`.
fn key_help() -> String {
    let [key_width, text_width] = COLUMNS_CHARS;
    let mut help = "Keys of the configuration file, with their defaults:".to_owned();
    let mut section = "";
    for key in keys() {
        if key.section != section {
            section = key.section;
            let head =
                if section.starts_with(POLICY) { format!("[[{section}]]") } else { format!("[{section}]") };
            help.push_str(&format!("\n\n  {head}"));
        }
        let mut entry =
            key.default.map_or(key.name.to_owned(), |default| format!("{} = {default}", key.name));
        for line in wrapped(key.text, text_width) {
            help.push_str(&format!("\n  {entry:<key_width$}{line}"));
            entry.clear();
        }
    }
    help
}

/// Breaks a text between words into lines of at most `width` characters.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_broken_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("one", 2), ["one"]);
    }

    #[test]
    fn the_help_fits_a_terminal_of_100_columns() {
        for line in key_help().lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }
}
