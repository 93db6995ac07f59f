//! The source of a value that the parser refuses: it names the flag, also where the value is a variable's.

use std::env;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue};
use clap::{Command, Error};

/// Has an error name the variable of the environment that a refused value is from.
pub(in crate::cli) fn name_source(mut error: Error, program: &Command) -> Error {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else { return error };
    if let Some(variable) = variable_of(argument, env::args_os(), program) {
        error.insert(ContextKind::InvalidArg, ContextValue::String(variable));
    }
    error
}

/// Returns the variable of an argument such as `--listen <ADDR>`, unless the words have its flag.
fn variable_of(
    argument: &str,
    mut words: impl Iterator<Item = OsString>,
    program: &Command,
) -> Option<String> {
    let flag = argument.split([' ', '[', '=']).next()?;
    let is_flag = |word: OsString| {
        let word = word.to_string_lossy().into_owned();
        word.split('=').next() == Some(flag)
    };
    if words.any(is_flag) {
        return None;
    }
    let mut arguments = program.get_subcommands().flat_map(Command::get_arguments);
    let found = arguments.find(|known| known.get_long() == flag.strip_prefix("--"))?;
    Some(found.get_env()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    #[test]
    fn a_value_is_from_the_variable_unless_its_flag_is_there() {
        let argument = |name: &'static str, variable: &'static str| Arg::new(name).long(name).env(variable);
        let serve = Command::new("serve").arg(argument("listen", "PULK_LISTEN"));
        let program = Command::new("pulk").subcommand(serve.arg(argument("ephemeral", "PULK_EPHEMERAL")));
        let of = |argument: &str, words: &[&str]| {
            variable_of(argument, words.iter().map(OsString::from), &program)
        };
        assert_eq!(of("--listen <ADDR>", &["pulk", "serve"]).as_deref(), Some("PULK_LISTEN"));
        assert_eq!(of("--ephemeral[=<BOOL>]", &["pulk", "serve"]).as_deref(), Some("PULK_EPHEMERAL"));
        assert_eq!(of("--listen <ADDR>", &["pulk", "serve", "--listen", "x"]), None);
        assert_eq!(of("--listen <ADDR>", &["pulk", "serve", "--listen=x"]), None);
        assert_eq!(of("<REPO[:TAG|@DIGEST]>", &["pulk", "rm", "x"]), None);
    }
}
