//! The README's tables say what the program says.

use clap::CommandFactory;

use crate::cli::command::Cli;
use crate::config::{KeyInfo, POLICY, keys};

const README: &str = include_str!("../../README.md");

#[test]
fn every_key_has_its_row_with_flag_variable_default_and_text() {
    let serve = Cli::command().find_subcommand("serve").cloned().unwrap();
    let mut missing = Vec::new();
    for KeyInfo { section, name, default, text } in keys() {
        let argument = serve.get_arguments().find(|argument| section.is_empty() && argument.get_id() == name);
        let argument = argument.map(|argument| {
            let (flag, variable) = (argument.get_long().unwrap(), argument.get_env().unwrap());
            (format!("`--{flag}` "), format!("`{}` ", variable.to_string_lossy()))
        });
        let (flag, variable) = argument.unwrap_or_default();
        let key = if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
        let default = default.map(|default| format!("`{default}` ")).unwrap_or_default();
        let row = if section.starts_with(POLICY) {
            format!("| `{name}` | {default}| {text} |")
        } else {
            format!("| `{key}` | {flag}| {variable}| {default}| {text} |")
        };
        if !README.contains(&format!("\n{row}\n")) {
            missing.push(row);
        }
    }
    assert!(missing.is_empty(), "the README lacks these rows:\n{}\n", missing.join("\n"));
}

#[test]
fn every_command_has_its_row_with_its_arguments_and_what_it_is_for() {
    let mut missing = Vec::new();
    for command in Cli::command().get_subcommands() {
        let mut usage = format!("pulk {}", command.get_name());
        for argument in command.get_positionals() {
            let name = argument.get_value_names().unwrap().join(" ").replace('|', "\\|");
            usage += &if argument.is_required_set() { format!(" {name}") } else { format!(" [{name}]") };
        }
        let row = format!("\n| `{usage}` | {}", command.get_about().unwrap());
        if !README.contains(&row) {
            missing.push(row);
        }
    }
    assert!(missing.is_empty(), "the README lacks rows that begin so:{}\n", missing.join(""));
}
