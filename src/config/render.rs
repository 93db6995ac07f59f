//! A configuration as the file that would give it.

use std::fmt;
use std::time::Duration;

use crate::config::collector::Written;
use crate::config::period::Period;
use crate::config::rate::Rate;
use crate::config::size::Size;
use crate::config::{Config, Limits, Scrub};

impl fmt::Display for Config {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "data = {}", quoted(&self.data.to_string_lossy()))?;
        writeln!(formatter, "listen = \"{}\"", self.listen)?;
        writeln!(formatter, "ephemeral = {}", self.ephemeral)?;
        writeln!(formatter, "sparse_indexes = {}", self.sparse_indexes)?;
        writeln!(formatter, "log = {}", quoted(&self.log))?;
        writeln!(formatter, "\n[limits]\n{}", self.limits)?;
        writeln!(formatter, "\n[scrub]\n{}", self.scrub)?;
        writeln!(formatter, "\n[collector]\n{}", self.collector)?;
        for policy in &self.policies {
            writeln!(formatter, "\n[[policy]]\n{}", Written(policy))?;
        }
        Ok(())
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "connections = {}", self.connections)?;
        writeln!(formatter, "connections_per_address = {}", self.connections_per_address)?;
        writeln!(formatter, "uploads = {}", self.uploads)?;
        writeln!(formatter, "upload_sessions = {}", self.upload_sessions)?;
        writeln!(formatter, "waiting = {}", self.waiting)?;
        writeln!(formatter, "manifest_bytes = \"{}\"", Size(self.manifest_bytes))?;
        writeln!(formatter, "upload_idle = \"{}\"", period(self.upload_idle))?;
        writeln!(formatter, "reserve_bytes = \"{}\"", Size(self.reserve_bytes))?;
        writeln!(formatter, "head_bytes = \"{}\"", Size(self.head_bytes as u64))?;
        writeln!(formatter, "head_time = \"{}\"", period(self.head_time))?;
        writeln!(formatter, "keep_alive = \"{}\"", period(self.keep_alive))?;
        writeln!(formatter, "body_progress = \"{}\"", period(self.body_progress))?;
        write!(formatter, "stop_time = \"{}\"", period(self.stop_time))
    }
}

impl fmt::Display for Scrub {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "enabled = {}", self.enabled)?;
        writeln!(formatter, "rate = \"{}\"", Rate(Size(self.rate_bytes)))?;
        write!(formatter, "interval = \"{}\"", period(self.interval))
    }
}

fn period(duration: Duration) -> Period {
    Period(duration.as_secs())
}

/// Writes a TOML basic string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(control))),
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_quoted_so_that_toml_reads_it_back() {
        let text = "a \"b\" \\ c\n\u{7f} é";
        let table: toml::Table = toml::from_str(&format!("key = {}", quoted(text))).unwrap();
        assert_eq!(table.get("key").and_then(toml::Value::as_str), Some(text));
    }
}
