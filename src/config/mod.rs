//! The configuration: flags over environment over file over defaults.
//!
//! | | |
//! |---|---|
//! | `settled` | the configuration as a whole, and what overrides it |
//! | `sections` | the table of sections |
//! | `general`, `limits`, `scrub`, `collector`, `removed`, `policy`, `keep` | the keys of each section |
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
mod keep;
mod key;
mod limits;
mod policy;
mod removed;
mod scrub;
mod sections;
mod settled;
#[cfg(test)]
mod tests;
mod unit;
pub(crate) mod values;

use std::path::Path;

pub(crate) use error::ConfigError;
pub(crate) use policy::NAME as POLICY;
#[cfg(test)]
pub(crate) use sections::KeyInfo;
pub(crate) use sections::keys;
pub(crate) use settled::{Config, Overrides};

use crate::config::document::Document;

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

    fn from_document(document: &Document) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        document.apply(&mut config)?;
        Ok(config)
    }
}
