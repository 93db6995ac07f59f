//! The programs under `examples/` do what they say.
use std::path::PathBuf;
use std::process::Command;

/// Cargo builds the examples before it runs the tests, into a folder beside theirs.
fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.parent().unwrap().parent().unwrap().join("examples").join(name)
}

fn output_of(name: &str) -> String {
    let output = Command::new(example(name)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_program_on_smol_embeds_a_registry_and_pushes_to_it() {
    let output = output_of("embed_smol");
    assert!(output.starts_with("HTTP/1.1 201 Created\n"), "{output}");
    assert!(output.contains("15 bytes"), "{output}");
}

#[test]
fn a_program_on_tokio_embeds_a_registry_and_pushes_to_it() {
    let output = output_of("embed_tokio");
    assert!(output.contains("has 16 bytes"), "{output}");
}
