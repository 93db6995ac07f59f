//! The source of a value that the parser refuses: it names the flag, also where the value is a variable's.

use std::env;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, Error};

use crate::cli::command::Cli;

/// Has an error name the variable of the environment that a refused value is from.
pub(in crate::cli) fn name_source(mut error: Error) -> Error {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else { return error };
    if let Some(variable) = variable_of(argument, env::args_os()) {
        error.insert(ContextKind::InvalidArg, ContextValue::String(variable));
    }
    error
}

/// Returns the variable of an argument such as `--listen <ADDR>`, unless the words have its flag.
fn variable_of(argument: &str, words: impl Iterator<Item = OsString>) -> Option<String> {
    let flag = argument.split([' ', '[', '=']).next()?;
    let is_flag = |word: OsString| {
        let word = word.to_string_lossy().into_owned();
        word.split('=').next() == Some(flag)
    };
    if words.into_iter().any(is_flag) {
        return None;
    }
    let cli = Cli::command();
    let mut arguments = cli.get_subcommands().flat_map(clap::Command::get_arguments);
    let found = arguments.find(|known| known.get_long() == flag.strip_prefix("--"))?;
    Some(found.get_env()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_from_the_variable_unless_its_flag_is_there() {
        let of = |argument: &str, words: &[&str]| variable_of(argument, words.iter().map(OsString::from));
        assert_eq!(of("--listen <ADDR>", &["pulk", "serve"]).as_deref(), Some("PULK_LISTEN"));
        assert_eq!(of("--ephemeral[=<BOOL>]", &["pulk", "serve"]).as_deref(), Some("PULK_EPHEMERAL"));
        assert_eq!(of("--listen <ADDR>", &["pulk", "serve", "--listen", "x"]), None);
        assert_eq!(of("--listen <ADDR>", &["pulk", "serve", "--listen=x"]), None);
        assert_eq!(of("<REPO[:TAG|@DIGEST]>", &["pulk", "rm", "x"]), None);
    }
}
