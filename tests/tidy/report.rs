//! Compares what is found with what is known.

/// Something untidy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// What stands in the list of exceptions.
    pub(crate) key: String,
    /// Where it is, and what to do.
    pub(crate) what: String,
}

impl Finding {
    pub(crate) fn new(key: impl Into<String>, what: impl Into<String>) -> Self {
        Self { key: key.into(), what: what.into() }
    }

    /// Something for which there are no exceptions.
    pub(crate) fn at(file: &str, line: usize, what: impl AsRef<str>) -> Self {
        Self::new("", format!("{file}:{line}: {}", what.as_ref()))
    }
}

/// Fails with every finding that is no known exception, and with every exception that is not needed any more.
pub(crate) fn settle(list: &str, exceptions: &[&str], findings: &[Finding]) {
    let (new, gone) = compare(exceptions, findings);
    assert!(new.is_empty(), "\n{}\n", new.join("\n"));
    assert!(gone.is_empty(), "\ntake out of {list} in tests/tidy/exceptions.rs: {gone:?}\n");
}

fn compare<'a>(exceptions: &[&'a str], findings: &[Finding]) -> (Vec<String>, Vec<&'a str>) {
    let is_known = |finding: &&Finding| exceptions.contains(&&*finding.key);
    let new = findings.iter().filter(|finding| !is_known(finding)).map(|finding| finding.what.clone());
    let is_gone = |exception: &&&str| findings.iter().all(|finding| finding.key != **exception);
    (new.collect(), exceptions.iter().filter(is_gone).copied().collect())
}

mod tests {
    use super::*;

    #[test]
    fn what_is_new_and_what_is_gone_is_found() {
        let findings = [Finding::new("a", "a: do b"), Finding::new("c", "c: do d")];
        assert_eq!(compare(&["a", "c"], &findings), (vec![], vec![]));
        assert_eq!(compare(&["a", "e"], &findings), (vec!["c: do d".to_owned()], vec!["e"]));
    }

    #[test]
    #[should_panic(expected = "c: do d")]
    fn what_is_new_fails() {
        settle("LIST", &["a"], &[Finding::new("a", "a: do b"), Finding::new("c", "c: do d")]);
    }

    #[test]
    #[should_panic(expected = "take out of LIST")]
    fn what_is_not_needed_any_more_fails() {
        settle("LIST", &["a", "c"], &[Finding::new("a", "a: do b")]);
    }
}
