//! The keys of each `[[policy]]`.

use crate::config::key::{ConfigKey, Form, number, switch};
use crate::config::unit::Unit::{Count, Period, Size};
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
        "keep_tags",
        Form::Patterns { least: 0, place: |policy| &mut policy.keep_tags },
        "keep tags that match; with any `keep_…` key, tags that none of them keeps are removed",
    ),
    ConfigKey::new(
        "keep_last",
        number(Count, 0..=u64::MAX, |policy| &mut policy.keep_last),
        "keep this many tags: those set, or pushed again, last",
    ),
    ConfigKey::new(
        "keep_younger_than",
        number(Period, 0..=u64::MAX, |policy| &mut policy.keep_younger_than),
        "keep tags set within this time",
    ),
    ConfigKey::new(
        "untagged",
        Form::Text { read: read_untagged, write: written_untagged },
        "`keep`, or `remove after 7d`: since their push, or since they lost their last tag",
    ),
    ConfigKey::new(
        "remove_orphan_referrers",
        switch(|policy| &mut policy.remove_orphan_referrers),
        "remove untagged referrers, such as signatures, whose subject is gone",
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

fn read_untagged(policy: &mut Policy, text: &str) -> Result<(), String> {
    policy.untagged = match text.strip_prefix(REMOVE_AFTER) {
        None if text == "keep" => Untagged::Keep,
        after => after
            .and_then(period)
            .map(Untagged::RemoveAfter)
            .ok_or_else(|| format!("\"{text}\" is neither \"keep\" nor of the form \"{REMOVE_AFTER}7d\""))?,
    };
    Ok(())
}

fn written_untagged(policy: &Policy) -> String {
    match policy.untagged {
        Untagged::Keep => "keep".to_owned(),
        Untagged::RemoveAfter(after) => format!("{REMOVE_AFTER}{}", written_period(after)),
    }
}
