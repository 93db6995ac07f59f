//! The configuration: flags over environment over file over defaults.
//!
//! | | |
//! |---|---|
//! | `general`, `limits`, `scrub`, `collector`, `policy` | the keys of each section |
//! | `key`, `unit` | what a key is, and the units of its numbers |
//! | `document`, `error` | the file, and what may be wrong with it |
//! | `values` | the parsers that flags and keys share |
//!
//! A key is one entry in its section's file. It names the option of the server that it sets, and has that
//! option's default. Reading, checking, `pulk config` and the README's table follow from the entry. Flags and
//! variables that override keys come in as [`Overrides`]; the command line settles which of the two wins.

mod collector;
mod document;
mod error;
mod general;
mod key;
mod limits;
mod policy;
mod scrub;
#[cfg(test)]
mod tests;
mod unit;
pub(crate) mod values;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

pub(crate) use error::ConfigError;
pub(crate) use policy::NAME as POLICY;

use crate::config::document::Document;
use crate::config::key::ConfigKey;
use crate::meta::Policy;
use crate::registry::Storage;
use crate::server::ServerOptions;

/// The port to listen on, unless configured.
const PORT: u16 = 5000;

/// Everything that can be configured, settled.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The file that it was read from, if one was.
    pub(crate) file: Option<PathBuf>,
    /// The data directory.
    pub(crate) data: PathBuf,
    /// Whether everything is kept in memory and nothing in the data directory.
    pub(crate) ephemeral: bool,
    /// What to log, as a filter of levels and modules.
    pub(crate) log: String,
    /// What the server is started with; its storage follows from the above.
    server: ServerOptions,
}

/// A table of the file.
struct Section {
    /// Its name; none for the keys outside of any table.
    name: &'static str,
    keys: &'static [ConfigKey<Config>],
}

/// The sections, in the order in which they are written.
const SECTIONS: [Section; 4] = [
    Section { name: "", keys: general::KEYS },
    Section { name: "limits", keys: limits::KEYS },
    Section { name: "scrub", keys: scrub::KEYS },
    Section { name: "collector", keys: collector::KEYS },
];

/// What flags and environment say; a flag has already won over its variable.
#[derive(Debug, Default, Clone)]
pub(crate) struct Overrides {
    /// The data directory.
    pub(crate) data: Option<PathBuf>,
    /// The address to listen on.
    pub(crate) listen: Option<SocketAddr>,
    /// Whether to keep everything in memory.
    pub(crate) ephemeral: Option<bool>,
    /// What to log.
    pub(crate) log: Option<String>,
    /// From which size on the index is compacted, in bytes. For tests; the file has no key for it.
    pub(crate) copy_index_from_bytes: Option<u64>,
}

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

impl Default for Config {
    fn default() -> Self {
        let data = PathBuf::from("data");
        let mut server = ServerOptions::new(&data);
        server.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
        Self { file: None, data, ephemeral: false, log: "info".to_owned(), server }
    }
}

impl Config {
    /// Puts the overrides over the file, and the file over the defaults. Without a file, none is read.
    pub(crate) fn load(file: Option<&Path>, overrides: Overrides) -> Result<Self, ConfigError> {
        let mut config = match file {
            Some(path) => Self::from_document(&Document::read(path)?)?,
            None => Self::default(),
        };
        config.file = file.map(Path::to_owned);
        config.put_over(overrides);
        Ok(config)
    }

    /// Returns what a server that is configured so is started with.
    pub(crate) fn server_options(&self) -> ServerOptions {
        let mut options = self.server.clone();
        options.registry.storage =
            if self.ephemeral { Storage::Memory } else { Storage::Folder(self.data.clone()) };
        options
    }

    fn from_document(document: &Document) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        document.apply(&mut config)?;
        Ok(config)
    }

    fn put_over(&mut self, overrides: Overrides) {
        let Overrides { data, listen, ephemeral, log, copy_index_from_bytes } = overrides;
        replace(&mut self.data, data);
        replace(&mut self.server.listen, listen);
        replace(&mut self.ephemeral, ephemeral);
        replace(&mut self.log, log);
        replace(&mut self.server.registry.index_worthwhile_bytes, copy_index_from_bytes);
    }
}

fn replace<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
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
