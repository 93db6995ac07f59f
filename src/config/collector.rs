//! The keys of `[collector]` and of each `[[policy]]`.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error};
use toml::Spanned;

use crate::base::Pattern;
use crate::config::error::ConfigError;
use crate::config::file::Document;
use crate::config::merge::within;
use crate::config::period::Period;
use crate::config::size::Size;
use crate::meta::{Policy, Untagged};

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

// A pass that follows on the last one at once is for tests; a lease must outlast a push, a collection the
// patience of whoever waits for space.
const INTERVAL: RangeInclusive<Period> = Period(0)..=Period(30 * DAY);
const LEASE: RangeInclusive<Period> = Period(0)..=Period(7 * DAY);
const GRACE: RangeInclusive<Period> = Period(0)..=Period(30 * DAY);
const PACE: RangeInclusive<u64> = 1..=100;

/// What `untagged` begins with, where what is untagged goes.
const REMOVE_AFTER: &str = "remove after ";

/// How the collector works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Collector {
    /// Whether it works by itself.
    pub(crate) enabled: bool,
    /// How long it rests between two passes.
    pub(crate) interval: Duration,
    /// How long what a client was told of is kept.
    pub(crate) lease: Duration,
    /// How old what nothing needs must be before it goes.
    pub(crate) grace: Duration,
    /// How much of one processor's time it takes at most, in percent.
    pub(crate) pace: u8,
}

impl Default for Collector {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Duration::from_secs(HOUR),
            lease: Duration::from_secs(HOUR / 4),
            grace: Duration::from_secs(HOUR),
            pace: 10,
        }
    }
}

/// The keys of the file's `[collector]`, each with its place in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table: [collector], and its keys below it")]
pub(in crate::config) struct FileCollector {
    enabled: Option<bool>,
    interval: Option<Spanned<Period>>,
    lease: Option<Spanned<Period>>,
    grace: Option<Spanned<Period>>,
    pace: Option<Spanned<u64>>,
}

impl FileCollector {
    /// Puts what the file says over the defaults.
    pub(in crate::config) fn settled(self, document: &Document) -> Result<Collector, ConfigError> {
        let default = Collector::default();
        let time = |value, or: Duration, bounds| {
            let bounded = within(document, value, bounds)?;
            Ok::<_, ConfigError>(bounded.map_or(or, Period::duration))
        };
        let pace = within(document, self.pace, &PACE)?.and_then(|pace| u8::try_from(pace).ok());
        Ok(Collector {
            enabled: self.enabled.unwrap_or(default.enabled),
            interval: time(self.interval, default.interval, &INTERVAL)?,
            lease: time(self.lease, default.lease, &LEASE)?,
            grace: time(self.grace, default.grace, &GRACE)?,
            pace: pace.unwrap_or(default.pace),
        })
    }
}

/// The keys of one `[[policy]]` of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table: [[policy]], and its keys below it")]
pub(in crate::config) struct FilePolicy {
    #[serde(deserialize_with = "some_patterns")]
    repositories: Vec<Pattern>,
    #[serde(default, deserialize_with = "patterns")]
    keep_tags: Vec<Pattern>,
    keep_last: Option<usize>,
    keep_younger_than: Option<Period>,
    #[serde(default, deserialize_with = "untagged")]
    untagged: Untagged,
    #[serde(default)]
    remove_orphan_referrers: bool,
    #[serde(default, deserialize_with = "patterns")]
    immutable: Vec<Pattern>,
    quota: Option<Size>,
}

impl From<FilePolicy> for Policy {
    fn from(file: FilePolicy) -> Self {
        Self {
            repositories: file.repositories,
            keep_tags: file.keep_tags,
            keep_last: file.keep_last,
            keep_younger_than: file.keep_younger_than.map(Period::duration),
            untagged: file.untagged,
            remove_orphan_referrers: file.remove_orphan_referrers,
            immutable: file.immutable,
            quota_bytes: file.quota.map(|quota| quota.0),
        }
    }
}

fn patterns<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Pattern>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
}

fn some_patterns<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Pattern>, D::Error> {
    let patterns = patterns(deserializer)?;
    if patterns.is_empty() {
        return Err(D::Error::custom("a policy is for some repositories; write [\"*\"] for all"));
    }
    Ok(patterns)
}

fn untagged<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Untagged, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "keep" {
        return Ok(Untagged::Keep);
    }
    let after = text.strip_prefix(REMOVE_AFTER).and_then(Period::parse);
    after.map(|after| Untagged::RemoveAfter(after.duration())).ok_or_else(|| {
        D::Error::custom(format!("\"{text}\" is neither \"keep\" nor such as \"{REMOVE_AFTER}7d\""))
    })
}

impl fmt::Display for Collector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "enabled = {}", self.enabled)?;
        writeln!(formatter, "interval = \"{}\"", period(self.interval))?;
        writeln!(formatter, "lease = \"{}\"", period(self.lease))?;
        writeln!(formatter, "grace = \"{}\"", period(self.grace))?;
        write!(formatter, "pace = {}", self.pace)
    }
}

/// A policy as the file would have it.
pub(in crate::config) struct Written<'a>(pub(in crate::config) &'a Policy);

impl fmt::Display for Written<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Policy {
            repositories,
            keep_tags,
            keep_last,
            keep_younger_than,
            untagged,
            remove_orphan_referrers,
            immutable,
            quota_bytes,
        } = self.0;
        write!(formatter, "repositories = {}", list(repositories))?;
        if !keep_tags.is_empty() {
            write!(formatter, "\nkeep_tags = {}", list(keep_tags))?;
        }
        if let Some(last) = keep_last {
            write!(formatter, "\nkeep_last = {last}")?;
        }
        if let Some(young) = keep_younger_than {
            write!(formatter, "\nkeep_younger_than = \"{}\"", period(*young))?;
        }
        match untagged {
            Untagged::Keep => write!(formatter, "\nuntagged = \"keep\"")?,
            Untagged::RemoveAfter(after) => {
                write!(formatter, "\nuntagged = \"{REMOVE_AFTER}{}\"", period(*after))?;
            }
        }
        write!(formatter, "\nremove_orphan_referrers = {remove_orphan_referrers}")?;
        if !immutable.is_empty() {
            write!(formatter, "\nimmutable = {}", list(immutable))?;
        }
        if let Some(quota) = quota_bytes {
            write!(formatter, "\nquota = \"{}\"", Size(*quota))?;
        }
        Ok(())
    }
}

/// Writes a TOML array: no pattern has a character that would have to be escaped.
fn list(patterns: &[Pattern]) -> String {
    let quoted: Vec<String> = patterns.iter().map(|pattern| format!("\"{pattern}\"")).collect();
    format!("[{}]", quoted.join(", "))
}

fn period(duration: Duration) -> Period {
    Period(duration.as_secs())
}
