//! The sections of the file: their keys, and how they are written.

use std::fmt;

use crate::config::key::ConfigKey;
use crate::config::settled::Config;
use crate::config::{collector, general, keep, limits, policy, removed, scrub};
use crate::meta::{KeepRule, Policy};

/// A table of the file.
pub(in crate::config) struct Section {
    /// Its name; none for the keys outside of any table.
    pub(in crate::config) name: &'static str,
    pub(in crate::config) keys: &'static [ConfigKey<Config>],
}

/// The sections, in the order in which they are written.
pub(in crate::config) const SECTIONS: [Section; 5] = [
    Section { name: "", keys: general::KEYS },
    Section { name: "limits", keys: limits::KEYS },
    Section { name: "scrub", keys: scrub::KEYS },
    Section { name: "collector", keys: collector::KEYS },
    Section { name: "history", keys: removed::HISTORY_KEYS },
];

/// A key, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyInfo {
    /// The table that it is in; none for the keys outside of any.
    pub(crate) section: &'static str,
    /// Its name.
    pub(crate) name: &'static str,
    /// Its default as the file would have it, if it has one.
    pub(crate) default: Option<String>,
    /// What it means.
    pub(crate) text: &'static str,
}

/// Returns all keys in the order of the file, those of a policy last.
pub(crate) fn keys() -> Vec<KeyInfo> {
    let mut config = Config::default();
    let mut keys = Vec::new();
    for section in &SECTIONS {
        keys.extend(infos(section.name, section.keys, &mut config));
    }
    keys.extend(infos(policy::NAME, policy::KEYS, &mut Policy::default()));
    keys.push(KeyInfo { section: policy::NAME, name: keep::NAME, default: None, text: keep::TEXT });
    keys.extend(infos(keep::SECTION, keep::KEYS, &mut KeepRule::default()));
    keys
}

fn infos<T>(section: &'static str, keys: &[ConfigKey<T>], defaults: &mut T) -> impl Iterator<Item = KeyInfo> {
    keys.iter().map(move |key| KeyInfo {
        section,
        name: key.name,
        default: key.write(defaults),
        text: key.text,
    })
}

/// Writes the file that would give this configuration.
impl fmt::Display for Config {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut config = self.clone();
        for section in &SECTIONS {
            if !section.name.is_empty() {
                writeln!(formatter, "\n[{}]", section.name)?;
            }
            write_keys(formatter, section.keys, &mut config)?;
        }
        for policy in self.server.registry.policies.all() {
            writeln!(formatter, "\n[[{}]]", policy::NAME)?;
            write_keys(formatter, policy::KEYS, &mut policy.clone())?;
            for rule in &policy.keep {
                writeln!(formatter, "\n[[{}]]", keep::SECTION)?;
                write_keys(formatter, keep::KEYS, &mut rule.clone())?;
            }
        }
        Ok(())
    }
}

fn write_keys<T>(formatter: &mut fmt::Formatter<'_>, keys: &[ConfigKey<T>], from: &mut T) -> fmt::Result {
    for key in keys {
        if let Some(value) = key.write(from) {
            writeln!(formatter, "{} = {value}", key.name)?;
        }
    }
    Ok(())
}
