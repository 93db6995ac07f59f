//! Versions in tags, in the order of semver.

/// A version, such as `v1.2.3-rc.1`; as the order of semver has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TagVersion<'a> {
    numbers: [u64; 3],
    stage: Stage<'a>,
}

/// Whether a version is a release: the prereleases of one come before it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Stage<'a> {
    Prerelease(Vec<Identifier<'a>>),
    Release,
}

/// A part of a prerelease. Numbers come before words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Identifier<'a> {
    Number(u64),
    Word(&'a str),
}

impl<'a> TagVersion<'a> {
    /// Reads a tag: up to three numbers, then a prerelease. Numbers that are not there are 0. A number alone
    /// needs the `v`, or every short digest of digits would be a version. What follows `_`, which stands for
    /// the `+` of build metadata in tags, has no place in the order.
    pub(super) fn of(tag: &'a str) -> Option<Self> {
        let (version, _) = tag.split_once('_').unwrap_or((tag, ""));
        let (core, prerelease) = match version.split_once('-') {
            Some((core, prerelease)) => (core, Some(prerelease)),
            None => (version, None),
        };
        let (digits, has_prefix) = match core.strip_prefix('v') {
            Some(digits) => (digits, true),
            None => (core, false),
        };
        let mut numbers = [0; 3];
        let mut parts = digits.split('.');
        let mut count = 0;
        for (number, part) in numbers.iter_mut().zip(&mut parts) {
            *number = decimal(part)?;
            count += 1;
        }
        if parts.next().is_some() || count == 1 && !has_prefix {
            return None;
        }
        let stage = match prerelease {
            None => Stage::Release,
            Some(text) => Stage::Prerelease(text.split('.').map(identifier).collect::<Option<_>>()?),
        };
        Some(Self { numbers, stage })
    }
}

fn identifier(text: &str) -> Option<Identifier<'_>> {
    (!text.is_empty()).then(|| decimal(text).map_or(Identifier::Word(text), Identifier::Number))
}

fn decimal(text: &str) -> Option<u64> {
    // Parsing takes a sign, too.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_the_order_of_semver() {
        let ordered = [
            "0.9",
            "v1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.1",
            "v1.2",
            "1.10.0",
            "v2",
            "10.0",
        ];
        for pair in ordered.windows(2) {
            assert!(TagVersion::of(pair[0]).unwrap() < TagVersion::of(pair[1]).unwrap(), "{pair:?}");
        }
        for (one, other) in [("1.2", "v1.2.0"), ("v1", "1.0"), ("1.2.3_a", "1.2.3"), ("1.02.3", "1.2.3")] {
            assert_eq!(TagVersion::of(one).unwrap(), TagVersion::of(other).unwrap(), "{one} {other}");
        }
    }

    #[test]
    fn what_is_no_version_has_none() {
        for text in [
            "latest",
            "",
            "v",
            "1",
            "20240105",
            "1.2.3.4",
            "1..2",
            "1.2.",
            "vv1",
            "V1.2",
            "1.2.3-",
            "1.2.3-a..b",
            "1.+2.3",
            "1.2.x",
            "99999999999999999999.0.0",
            "-1.2",
        ] {
            assert_eq!(TagVersion::of(text), None, "{text:?}");
        }
    }
}
