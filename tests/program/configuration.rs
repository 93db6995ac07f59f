//! The command line of the real binary: what wins, what is refused, how it ends.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::common::program;

const FILE: &str = "data = \"from-file\"\nlisten = \"127.0.0.1:1\"\nephemeral = true\nlog = \"error\"\n";

/// The four settings that have a flag, a variable and a key: name, default, value in `FILE`, a value for the
/// variable, one for the flag, and how both are printed.
const SETTINGS: [(&str, &str, &str, &str, &str, &str, &str); 4] = [
    ("data", "\"data\"", "\"from-file\"", "from-env", "\"from-env\"", "from-flag", "\"from-flag\""),
    (
        "listen",
        "\"127.0.0.1:5000\"",
        "\"127.0.0.1:1\"",
        "127.0.0.1:2",
        "\"127.0.0.1:2\"",
        "127.0.0.1:3",
        "\"127.0.0.1:3\"",
    ),
    ("ephemeral", "false", "true", "no", "false", "true", "true"),
    ("log", "\"info\"", "\"error\"", "warn", "\"warn\"", "debug", "\"debug\""),
];

fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// The value that `pulk config` prints for a key.
fn printed(command: &mut Command, key: &str) -> String {
    let (code, out, err) = run(command);
    assert_eq!(code, 0, "{err}");
    let prefix = format!("{key} = ");
    out.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap().to_owned()
}

fn file(text: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("pulk.toml");
    fs::write(&path, text).unwrap();
    (folder, path)
}

#[test]
fn a_flag_wins_over_its_variable_and_that_over_the_file_and_that_over_the_default() {
    let (_folder, path) = file(FILE);
    let path = path.to_str().unwrap();
    for (key, default, in_file, variable, from_variable, flag, from_flag) in SETTINGS {
        let name = format!("PULK_{}", key.to_uppercase());
        let flag = format!("--{key}={flag}");

        assert_eq!(printed(&mut program(&["config"]), key), default);
        assert_eq!(printed(&mut program(&["config", "--config", path]), key), in_file);
        let with_variable = &mut program(&["config", "--config", path]);
        assert_eq!(printed(with_variable.env(&name, variable), key), from_variable);
        let with_both = &mut program(&["config", "--config", path, &flag]);
        assert_eq!(printed(with_both.env(&name, variable), key), from_flag);
    }
}

#[test]
fn the_file_is_named_by_flag_or_variable_and_the_flag_wins() {
    let (_one, first) = file("data = \"first\"\n");
    let (_two, second) = file("data = \"second\"\n");
    assert_eq!(printed(program(&["config"]).env("PULK_CONFIG", &first), "data"), "\"first\"");
    let both = &mut program(&["config", "--config", second.to_str().unwrap()]);
    assert_eq!(printed(both.env("PULK_CONFIG", &first), "data"), "\"second\"");
}

#[test]
fn a_pulk_toml_in_the_working_directory_is_not_read_by_itself() {
    let (folder, _path) = file(FILE);
    assert_eq!(printed(program(&["config"]).current_dir(folder.path()), "data"), "\"data\"");
}

#[test]
fn what_config_prints_is_a_file_that_gives_the_same() {
    let (_code, out, _err) = run(&mut program(&["config", "--data", "a \"b\"", "--ephemeral"]));
    let (_folder, path) = file(&out);
    let (code, again, err) = run(&mut program(&["config", "--config", path.to_str().unwrap()]));
    assert_eq!((code, again), (0, out), "{err}");
}

#[test]
fn serve_refuses_a_bad_file_with_line_and_key_and_exit_code_1() {
    let (_folder, path) = file("data = \"d\"\n[limits]\nhead_tme = \"3s\"\n");
    let (code, _out, err) = run(&mut program(&["serve", "--config", path.to_str().unwrap()]));
    assert_eq!(code, 1);
    assert!(err.contains(":3: limits.head_tme: "), "{err}");
    assert!(err.contains("`head_time`"), "{err}");
}

#[test]
fn a_wrong_command_line_ends_with_exit_code_2_and_says_what_would_be_right() {
    let cases: [(&[&str], &str); 4] = [
        (&["serve", "--listen", "here"], "127.0.0.1:5000"),
        (&["serve", "--log", "pulk=loud"], "info"),
        (&["serve", "--lisen", "127.0.0.1:1"], "--listen"),
        (&["sevre"], "serve"),
    ];
    for (arguments, hint) in cases {
        let (code, _out, err) = run(&mut program(arguments));
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(hint), "{err}");
    }
}

#[test]
fn a_refused_value_is_said_to_be_from_its_variable_or_from_its_flag() {
    let wrong =
        [("LISTEN", "listen", "here"), ("LOG", "log", "pulk=loud"), ("EPHEMERAL", "ephemeral", "perhaps")];
    for (variable, flag, value) in wrong {
        let (variable, flag) = (format!("PULK_{variable}"), format!("--{flag}"));
        let (code, _out, err) = run(program(&["serve"]).env(&variable, value));
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(&format!("'{variable}'")) && !err.contains(&flag), "{err}");
        let (code, _out, err) = run(program(&["serve", &format!("{flag}={value}")]).env(&variable, value));
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(&flag) && !err.contains(&variable), "{err}");
    }
}

#[test]
fn help_names_every_flag_its_variable_the_exit_codes_and_examples() {
    let (code, out, _err) = run(&mut program(&["serve", "--help"]));
    assert_eq!(code, 0);
    for name in ["data", "listen", "config", "ephemeral", "log"] {
        assert!(out.contains(&format!("--{name}")), "{name}");
        assert!(out.contains(&format!("[env: PULK_{}=", name.to_uppercase())), "{name}");
    }
    assert!(out.contains("Exit codes:") && out.contains("Examples:"), "{out}");
}

#[test]
fn version_names_the_package_version() {
    let (code, out, _err) = run(&mut program(&["--version"]));
    assert_eq!(code, 0);
    assert!(out.starts_with(&format!("pulk {}\n", env!("CARGO_PKG_VERSION"))), "{out}");
}
