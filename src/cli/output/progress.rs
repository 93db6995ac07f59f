//! Progress on a terminal, in one line that is overwritten. Without a terminal, nothing.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::maintenance::Progress;

/// The least time between two updates.
const REFRESH_PAUSE: Duration = Duration::from_millis(100);

/// Moves to the beginning of the line and clears it.
const CLEAR_LINE: &str = "\r\x1b[K";

/// Shows progress on standard error, if that is a terminal.
pub(in crate::cli) struct Terminal {
    shown: bool,
    last: Option<Instant>,
}

impl Terminal {
    pub(in crate::cli) fn new() -> Self {
        Self { shown: io::stderr().is_terminal(), last: None }
    }

    /// Clears the line.
    pub(in crate::cli) fn clear(&mut self) {
        if self.last.take().is_some() {
            write(CLEAR_LINE);
        }
    }
}

impl Progress for Terminal {
    fn at(&mut self, what: &str, done: u64, total: u64) {
        if !self.shown || self.last.is_some_and(|last| last.elapsed() < REFRESH_PAUSE) {
            return;
        }
        self.last = Some(Instant::now());
        write(&format!("{CLEAR_LINE}{}", line(what, done, total)));
    }
}

fn line(what: &str, done: u64, total: u64) -> String {
    match (done, total) {
        (0, 0) => format!("{what} …"),
        (done, 0) => format!("{what}: {done}"),
        (done, total) => {
            let percent = u128::from(done) * 100 / u128::from(total);
            format!("{what}: {done} of {total} ({percent} %)")
        }
    }
}

fn write(text: &str) {
    // A failure to show progress is no failure of the command.
    let mut out = io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_as_much_as_is_known() {
        assert_eq!(line("reading", 0, 0), "reading …");
        assert_eq!(line("reading", 7, 0), "reading: 7");
        assert_eq!(line("reading", 7, 28), "reading: 7 of 28 (25 %)");
        assert_eq!(line("reading", u64::MAX, u64::MAX), format!("reading: {0} of {0} (100 %)", u64::MAX));
    }
}
