//! The keys of each rule that keeps tags.

use toml::de::DeTable;

use crate::config::key::{ConfigKey, Form, number};
use crate::config::unit::Unit::{Count, Period};
use crate::meta::{KeepOrder, KeepRule};

/// The key of the rules in a policy.
pub(in crate::config) const NAME: &str = "keep";

/// The name of the tables.
pub(in crate::config) const SECTION: &str = "policy.keep";

/// What the key means.
pub(in crate::config) const TEXT: &str =
    "rules; where any applies, tags that none keeps are removed, with the images that lose their last tag";

/// What the rules look like.
pub(in crate::config) const FORM: &str =
    "this is a list of rules, such as keep = [{ tags = [\"v*\"], last = 10 }]";

/// The keys, in the order in which they are read and written.
pub(in crate::config) const KEYS: &[ConfigKey<KeepRule>] = &[
    ConfigKey::new(
        "tags",
        Form::TagPatterns(|rule| &mut rule.tags),
        "tags that the rule is for, such as `v*` or `regex:v[0-9]+`; without it, all",
    ),
    ConfigKey::new(
        "last",
        number(Count, 0..=u64::MAX, |rule| &mut rule.last),
        "keep this many of the images that these tags name, with all of these tags",
    ),
    ConfigKey::new(
        "order",
        Form::Text { read: read_order, write: written_order },
        "how `last` counts: `pushed` (the default), or `semver`, where tags without a version come last",
    ),
    ConfigKey::new(
        "pushed_within",
        number(Period, 1..=u64::MAX, |rule| &mut rule.pushed_within),
        "keep what was pushed within this time",
    ),
    ConfigKey::new(
        "pulled_within",
        number(Period, 1..=u64::MAX, |rule| &mut rule.pulled_within),
        "keep what was pulled, or pushed, within this time",
    ),
];

fn read_order(rule: &mut KeepRule, text: &str) -> Result<(), String> {
    let known = [KeepOrder::Pushed, KeepOrder::Semver].into_iter().find(|order| order.to_string() == text);
    rule.order = known.ok_or_else(|| format!("\"{text}\" is neither \"pushed\" nor \"semver\""))?;
    Ok(())
}

fn written_order(rule: &KeepRule) -> Option<String> {
    (rule.order != KeepOrder::default()).then(|| rule.order.to_string())
}

/// Returns what is wrong with a rule whose keys are right.
pub(in crate::config) fn problem(table: &DeTable<'_>, rule: &KeepRule) -> Option<String> {
    let has = |name: &str| table.get(name).is_some();
    if rule.last == Some(0) {
        return Some(
            "last = 0 keeps nothing; write last = 1, or leave the rule out: what no other rule keeps goes"
                .to_owned(),
        );
    }
    if has("order") && !has("last") {
        return Some("order says how `last` counts; write last = 10, or leave order out".to_owned());
    }
    let is_empty = !["tags", "last", "pushed_within", "pulled_within"].into_iter().any(has);
    is_empty.then(|| "the rule says nothing; write { tags = [\"*\"] } to keep all tags".to_owned())
}
