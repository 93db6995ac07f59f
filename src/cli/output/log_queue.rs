//! Log lines on their way to standard error: a bounded queue, and the thread that writes them.
//!
//! A reader that stalls, such as a supervisor that does not empty its pipe or a terminal that is paused, must
//! not stop what logs. Lines that find no room are dropped and counted.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::base::{count_dropped_log_line, lock, wait, wait_while};

/// What the line about dropped lines comes from: it passes any filter, as the lines that are missing did.
pub(super) const LOG_TARGET: &str = module_path!();

/// How much may wait to be written: some thousand lines.
const QUEUE_MAX_BYTES: usize = 256 * 1024;

/// The pause before a pipe that takes nothing at the moment is tried again.
const WRITE_PAUSE: Duration = Duration::from_millis(50);

/// Lines that wait to be written.
#[derive(Debug, Default)]
pub(super) struct LogQueue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Whether a line was taken out and is being written.
    is_writing: bool,
    /// Whether lines are dropped. Once there was no room, all are until the queue is empty: the line that
    /// says so then stands where they are missing.
    is_dropping: bool,
    /// Whether the last line could not be written at all.
    is_failing: bool,
    /// How many dropped lines no line has reported yet.
    dropped: u64,
}

impl LogQueue {
    /// Starts the thread that writes to `out`.
    pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<Arc<Self>> {
        let queue = Arc::<Self>::default();
        let work = Arc::clone(&queue);
        std::thread::Builder::new().name("pulk-log".to_owned()).spawn(move || work.run(out))?;
        Ok(queue)
    }

    /// Appends a line, or drops it where there is no room.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = lock(&self.state);
        state.is_dropping |= state.bytes + line.len() > QUEUE_MAX_BYTES;
        if state.is_dropping {
            state.drop_line();
            // Also where no line waits: a line can be longer than the whole queue.
            drop(state);
            return self.changed.notify_all();
        }
        state.bytes += line.len();
        state.lines.push_back(line.to_vec());
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until everything is written, no longer than `time_max`.
    pub(super) fn finish(&self, time_max: Duration) {
        drop(wait_while(&self.changed, lock(&self.state), time_max, |state| state.is_busy()));
    }

    fn run(&self, mut out: impl Write) {
        loop {
            match self.next() {
                QueueStep::Line(line) => {
                    let written = write_whole(&mut out, &line);
                    let mut state = lock(&self.state);
                    state.is_failing = written.is_err();
                    if state.is_failing {
                        state.drop_line();
                    }
                }
                QueueStep::Dropped(lines) => {
                    let why = "standard error did not take them";
                    log::warn!(target: LOG_TARGET, "{lines} log lines were dropped: {why}");
                }
            }
        }
    }

    fn next(&self) -> QueueStep {
        let mut state = lock(&self.state);
        state.is_writing = false;
        loop {
            if let Some(line) = state.lines.pop_front() {
                state.bytes -= line.len();
                state.is_writing = true;
                return QueueStep::Line(line);
            }
            state.is_dropping = false;
            if state.dropped > 0 && !state.is_failing {
                return QueueStep::Dropped(std::mem::take(&mut state.dropped));
            }
            self.changed.notify_all();
            state = wait(&self.changed, state);
        }
    }
}

impl QueueState {
    fn drop_line(&mut self) {
        self.dropped += 1;
        count_dropped_log_line();
    }

    fn is_busy(&self) -> bool {
        !self.lines.is_empty() || self.is_writing || (self.dropped > 0 && !self.is_failing)
    }
}

enum QueueStep {
    Line(Vec<u8>),
    /// This number of lines was dropped.
    Dropped(u64),
}

/// Writes all of a line, also to a pipe that does not block.
fn write_whole(out: &mut impl Write, mut line: &[u8]) -> io::Result<()> {
    while !line.is_empty() {
        match out.write(line) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => line = line.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(WRITE_PAUSE),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Takes a line for each permit, and reports it.
    struct Reader(Receiver<bool>, Sender<Vec<u8>>);

    impl Write for Reader {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            if !self.0.recv().unwrap_or(true) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            drop(self.1.send(line.to_vec()));
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_are_not_read_are_dropped_and_all_others_come_in_order() {
        let ((permit, permits), (sender, read)) = (channel(), channel());
        let queue = LogQueue::start(Reader(permits, sender)).unwrap();
        let line = |number: usize| format!("{number:0>1023}\n").into_bytes();
        let all = 2 * QUEUE_MAX_BYTES / 1024;
        for number in 0..all {
            queue.push(&line(number));
        }
        drop(permit);
        queue.finish(LONG);
        queue.push(b"next\n");
        queue.finish(LONG);
        let read: Vec<Vec<u8>> = read.try_iter().collect();
        let kept = read.len() - 1;
        assert!((all / 2..=all / 2 + 1).contains(&kept), "{kept}");
        assert!(read[..kept].iter().enumerate().all(|(number, read)| *read == line(number)));
        assert_eq!(read[kept], b"next\n");
    }

    #[test]
    fn a_line_that_is_longer_than_the_queue_costs_no_other_line() {
        let ((permit, permits), (sender, read)) = (channel(), channel());
        let queue = LogQueue::start(Reader(permits, sender)).unwrap();
        drop(permit);
        queue.push(b"before\n");
        // From then on, its thread sleeps.
        queue.finish(LONG);
        queue.push(&[b'x'; QUEUE_MAX_BYTES + 1]);
        queue.finish(LONG);
        queue.push(b"after\n");
        queue.finish(LONG);
        assert_eq!(read.try_iter().collect::<Vec<_>>(), [b"before\n".to_vec(), b"after\n".to_vec()]);
    }

    #[test]
    fn lines_that_cannot_be_written_end_no_later_line() {
        let ((permit, permits), (sender, read)) = (channel(), channel());
        let queue = LogQueue::start(Reader(permits, sender)).unwrap();
        for (line, works) in [("one\n", true), ("two\n", false), ("three\n", true)] {
            permit.send(works).unwrap();
            queue.push(line.as_bytes());
            queue.finish(LONG);
        }
        assert_eq!(read.try_iter().collect::<Vec<_>>(), [b"one\n".to_vec(), b"three\n".to_vec()]);
    }
}
