//! Log lines for people: one line a record, a UTC timestamp first.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use env_logger::fmt::Formatter;
use log::Record;

/// Sends log records that pass `filter` to standard error.
pub(in crate::cli) fn start(filter: &str) {
    let started = env_logger::Builder::new().parse_filters(filter).format(write_line).try_init();
    if let Err(error) = started {
        eprintln!("pulk: logs go elsewhere: {error}");
    }
}

fn write_line(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let time = out.timestamp_millis();
    let level = record.level();
    let style = out.default_level_style(level);
    let source = foreign_source(record.target()).map(|target| format!("{target}: ")).unwrap_or_default();
    writeln!(out, "{time} {style}{level:<5}{style:#} {source}{}", one_line(&record.args().to_string()))
}

/// Names the library that a record comes from, unless it is pulk itself.
fn foreign_source(target: &str) -> Option<&str> {
    let own = target == "pulk" || target.starts_with("pulk::");
    (!own).then_some(target)
}

/// Escapes control characters: whatever a client sends, it cannot end a log line and forge the next one.
fn one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    for character in message.chars() {
        if character.is_control() {
            // Writing to a String cannot fail.
            let _ = write!(line, "{}", character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_stays_on_one_line() {
        assert_eq!(one_line("GET /v2/\r\n\u{1b}[31m é"), "GET /v2/\\r\\n\\u{1b}[31m é");
    }

    #[test]
    fn only_records_of_other_libraries_name_their_source() {
        assert_eq!(foreign_source("pulk::http"), None);
        assert_eq!(foreign_source("pulk"), None);
        assert_eq!(foreign_source("async_io::reactor"), Some("async_io::reactor"));
        assert_eq!(foreign_source("pulkinen"), Some("pulkinen"));
    }
}
