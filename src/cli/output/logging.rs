//! Log lines for people: one line a record, a UTC timestamp first.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, IsTerminal, Write as _};
use std::os::fd::AsFd;
use std::panic::PanicHookInfo;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use env_logger::fmt::{Formatter, Target, WriteStyle};
use log::{LevelFilter, Record};

use super::log_queue::{self, LogQueue};
use crate::base::is_contained;

/// How long the end of the process waits for the last lines to be written.
const LAST_LINES_TIME_MAX: Duration = Duration::from_secs(1);

/// The queue of everything that goes to standard error, once logging has started.
static QUEUE: OnceLock<Arc<LogQueue>> = OnceLock::new();

/// Sends log records that pass `filter` to standard error, and panics with them. No caller waits for a reader
/// of standard error.
pub(in crate::cli) fn start(filter: &str) {
    let mut builder = env_logger::Builder::new();
    builder.parse_filters(filter).filter_module(log_queue::LOG_TARGET, LevelFilter::Warn).format(write_line);
    // A handle of its own: the lock of the standard library's would be held while a write blocks.
    let out = io::stderr().as_fd().try_clone_to_owned().map(File::from);
    match out.and_then(LogQueue::start) {
        Ok(queue) => {
            let is_colored = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            builder.write_style(if is_colored { WriteStyle::Always } else { WriteStyle::Never });
            builder.target(Target::Pipe(Box::new(LogPipe(Arc::clone(&queue)))));
            drop(QUEUE.set(queue));
            std::panic::set_hook(Box::new(log_panic));
        }
        Err(error) => say(&format!("pulk: a log that is not read will block the server: {error}")),
    }
    if let Err(error) = builder.try_init() {
        say(&format!("pulk: logs go elsewhere: {error}"));
    }
}

/// Writes a line on standard error, whatever the log filter says.
pub(in crate::cli) fn say(line: &str) {
    let line = format!("{line}\n");
    match QUEUE.get() {
        Some(queue) => queue.push(line.as_bytes()),
        // Without a reader the line is lost.
        None => drop(io::stderr().write_all(line.as_bytes())),
    }
}

/// Waits a moment until everything is written, before the process ends.
pub(in crate::cli) fn finish() {
    if let Some(queue) = QUEUE.get() {
        queue.finish(LAST_LINES_TIME_MAX);
    }
}

/// Where the logger writes to.
struct LogPipe(Arc<LogQueue>);

impl io::Write for LogPipe {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Does what the standard library's hook does, without a wait for a reader.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    if is_contained() {
        log::debug!("thread {} {panic}", thread.name().unwrap_or("(unnamed)"));
        return;
    }
    log::error!("thread {} {panic}", thread.name().unwrap_or("(unnamed)"));
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        say(&backtrace.to_string());
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
