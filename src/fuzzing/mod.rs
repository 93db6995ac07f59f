//! Where fuzzers come in: each target takes any bytes, and panics where something does not hold of them.
//!
//! `fuzz/` runs them under libFuzzer; the tests here run them over the same seeds with mutations of their
//! own, for those who have no nightly compiler.

#[cfg(test)]
mod mutate;
#[cfg(test)]
mod tests;

/// What takes any bytes.
type Target = fn(&[u8]);

/// The targets, each with the name of its seeds' folder under `fuzz/seeds/`.
pub const TARGETS: [(&str, Target); 7] = [
    ("head", crate::wire::fuzz::head),
    ("chunked", crate::wire::fuzz::chunked),
    ("target", crate::http::fuzz::target),
    ("range", crate::spec::fuzz::range),
    ("manifest", crate::meta::fuzz::manifest),
    ("name", crate::spec::fuzz::name),
    ("journal_line", crate::meta::fuzz::line),
];

/// Runs a target by its name.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|(own, _)| *own == name);
    assert!(target.is_some(), "there is no target {name}");
    if let Some((_, target)) = target {
        target(bytes);
    }
}
