//! A configuration file: its text, and where in it a problem lies.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::error::ConfigError;
use crate::config::key::ConfigKey;
use crate::config::sections::SECTIONS;
use crate::config::settled::Config;
use crate::config::{keep, policy};
use crate::meta::{KeepRule, Policies, Policy};

/// The text of a configuration file.
#[derive(Debug)]
pub(in crate::config) struct Document {
    path: PathBuf,
    text: String,
}

impl Document {
    /// Reads the file.
    pub(in crate::config) fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), text })
    }

    #[cfg(test)]
    pub(in crate::config) fn of(text: &str) -> Self {
        Self { path: PathBuf::from("pulk.toml"), text: text.to_owned() }
    }

    /// Puts what the file says over a configuration.
    pub(in crate::config) fn apply(&self, config: &mut Config) -> Result<(), ConfigError> {
        let root = DeTable::parse(&self.text)
            .map_err(|error| self.refused(&error.span().unwrap_or(0..0), None, error.message().to_owned()))?;
        let root = root.get_ref();
        let sections = SECTIONS.iter().map(|section| section.name).filter(|name| !name.is_empty());
        let tables: Vec<_> = sections.chain([policy::NAME]).collect();
        for section in &SECTIONS {
            if section.name.is_empty() {
                self.read_keys(root, "", section.keys, &tables, config)?;
            } else if let Some(value) = root.get(section.name) {
                let DeValue::Table(table) = value.get_ref() else {
                    return Err(self.no_table(value.span(), section.name, &format!("[{}]", section.name)));
                };
                self.read_keys(table, section.name, section.keys, &[], config)?;
            }
        }
        if let Some(value) = root.get(policy::NAME) {
            config.server.registry.policies = self.policies(value)?;
        }
        Ok(())
    }

    fn policies(&self, value: &Spanned<DeValue<'_>>) -> Result<Policies, ConfigError> {
        let no_table = |span| self.no_table(span, policy::NAME, &format!("[[{}]]", policy::NAME));
        let DeValue::Array(tables) = value.get_ref() else { return Err(no_table(value.span())) };
        let mut policies = Vec::with_capacity(tables.len());
        for value in tables {
            let DeValue::Table(table) = value.get_ref() else { return Err(no_table(value.span())) };
            let mut policy = Policy::default();
            if let Some((span, name, problem)) = policy::replaced(table, &self.text) {
                return Err(self.refused(&span, Some(format!("{}.{name}", policy::NAME)), problem));
            }
            self.read_keys(table, policy::NAME, policy::KEYS, &[keep::NAME], &mut policy)?;
            if let Some(value) = table.get(keep::NAME) {
                policy.keep = self.rules(value)?;
            }
            if policy.repositories.is_empty() {
                let problem = "the key `repositories` is missing; write repositories = [\"*\"] for all";
                return Err(self.refused(&value.span(), Some(policy::NAME.to_owned()), problem.to_owned()));
            }
            policies.push(policy);
        }
        Ok(Policies::new(policies))
    }

    fn rules(&self, value: &Spanned<DeValue<'_>>) -> Result<Vec<KeepRule>, ConfigError> {
        let refused = |span, problem| Err(self.refused(span, Some(keep::SECTION.to_owned()), problem));
        let DeValue::Array(tables) = value.get_ref() else {
            return refused(&value.span(), keep::FORM.to_owned());
        };
        let mut rules = Vec::with_capacity(tables.len());
        for value in tables {
            let DeValue::Table(table) = value.get_ref() else {
                return refused(&value.span(), keep::FORM.to_owned());
            };
            let mut rule = KeepRule::default();
            self.read_keys(table, keep::SECTION, keep::KEYS, &[], &mut rule)?;
            if let Some(problem) = keep::problem(table, &rule) {
                return refused(&value.span(), problem);
            }
            rules.push(rule);
        }
        Ok(rules)
    }

    /// Reads a table's keys, and refuses those that are neither in `keys` nor among its inner `tables`.
    fn read_keys<T>(
        &self,
        table: &DeTable<'_>,
        section: &str,
        keys: &[ConfigKey<T>],
        tables: &[&str],
        to: &mut T,
    ) -> Result<(), ConfigError> {
        let full =
            |name: &str| if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
        let known: Vec<_> = keys.iter().map(|key| key.name).chain(tables.iter().copied()).collect();
        let unknown = table.keys().filter(|name| !known.contains(&name.get_ref().as_ref()));
        if let Some(name) = unknown.min_by_key(|name| name.span().start) {
            let problem = format!("unknown key; known here: `{}`", known.join("`, `"));
            return Err(self.refused(&name.span(), Some(full(name.get_ref())), problem));
        }
        for key in keys {
            if let Some(value) = table.get(key.name) {
                key.read(value.get_ref(), to)
                    .map_err(|problem| self.refused(&value.span(), Some(full(key.name)), problem))?;
            }
        }
        Ok(())
    }

    fn no_table(&self, span: Range<usize>, name: &str, head: &str) -> ConfigError {
        let problem = format!("this is a table: write {head}, and its keys below it");
        self.refused(&span, Some(name.to_owned()), problem)
    }

    fn refused(&self, span: &Range<usize>, key: Option<String>, problem: String) -> ConfigError {
        let before = self.text.bytes().take(span.start);
        let line = 1 + before.filter(|byte| *byte == b'\n').count();
        ConfigError::Refused { path: self.path.clone(), line, key, problem }
    }
}
