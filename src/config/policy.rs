//! The keys of each `[[policy]]`.

use std::ops::Range;

use toml::de::DeTable;

use crate::config::key::{ConfigKey, Form, number};
use crate::config::unit::Unit::Size;
use crate::config::unit::{period, written_period};
use crate::meta::{Policy, Untagged};

/// The name of the tables.
pub(crate) const NAME: &str = "policy";

/// The keys, in the order in which they are read and written.
pub(in crate::config) const KEYS: &[ConfigKey<Policy>] = &[
    ConfigKey::new(
        "repositories",
        Form::Patterns { least: 1, place: |policy| &mut policy.repositories },
        "repositories that the policy is for; `*` matches anything, slashes included",
    ),
    ConfigKey::new(
        "untagged",
        Form::Text { read: read_untagged, write: written_untagged },
        "`keep`, or `remove after 7d`: since their push, or since their last tag was moved or deleted",
    ),
    ConfigKey::new(
        "immutable",
        Form::Patterns { least: 0, place: |policy| &mut policy.immutable },
        "a tag that matches, once set, can be neither moved nor removed, nor what it leads to: 403 DENIED",
    ),
    ConfigKey::new(
        "quota",
        number(Size, 0..=u64::MAX, |policy| &mut policy.quota_bytes),
        "size of all these repositories together; pushes over it get 403 DENIED",
    ),
];

/// What the value of `untagged` begins with where untagged manifests are removed.
const REMOVE_AFTER: &str = "remove after ";

/// The value of `untagged` where they are kept.
const KEEP: &str = "keep";

fn read_untagged(policy: &mut Policy, text: &str) -> Result<(), String> {
    let untagged = match text.strip_prefix(REMOVE_AFTER) {
        None if text == KEEP => Untagged::Keep,
        after => after.and_then(period).map(Untagged::RemoveAfter).ok_or_else(|| {
            format!("\"{text}\" is neither \"{KEEP}\" nor of the form \"{REMOVE_AFTER}7d\"")
        })?,
    };
    policy.untagged = Some(untagged);
    Ok(())
}

fn written_untagged(policy: &Policy) -> Option<String> {
    policy.untagged.map(|untagged| match untagged {
        Untagged::Keep => KEEP.to_owned(),
        Untagged::RemoveAfter(after) => format!("{REMOVE_AFTER}{}", written_period(after)),
    })
}

/// The keys that rules replaced, and the key of a rule that says the same.
const REPLACED: [(&str, &str); 3] =
    [("keep_tags", "tags"), ("keep_last", "last"), ("keep_younger_than", "pushed_within")];

/// A key that is gone: referrers follow their subject.
const ORPHANS: &str = "remove_orphan_referrers";

/// Returns the first key of a policy that an earlier version knew: its place, its name, what to write now.
pub(in crate::config) fn replaced<'a>(
    table: &'a DeTable<'_>,
    text: &str,
) -> Option<(Range<usize>, &'a str, String)> {
    let is_replaced = |name: &str| REPLACED.iter().any(|(old, _)| *old == name) || name == ORPHANS;
    let first =
        table.keys().filter(|name| is_replaced(name.get_ref())).min_by_key(|name| name.span().start)?;
    let rules: Vec<String> = (REPLACED.iter())
        .filter_map(|(old, new)| {
            let value = text.get(table.get(*old)?.span())?;
            // No rule keeps the last 0.
            (value != "0").then(|| format!("{{ {new} = {value} }}"))
        })
        .collect();
    let problem = if first.get_ref() == ORPHANS {
        "leave it out: referrers share the fate of their subject".to_owned()
    } else if rules.is_empty() {
        "write rules for what is to stay, such as keep = [{ last = 1 }]".to_owned()
    } else {
        format!("write keep = [{}]", rules.join(", "))
    };
    Some((first.span(), first.get_ref().as_ref(), problem))
}
