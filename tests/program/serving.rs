//! A running server.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::command;

/// A running `pulk serve`, killed when a test ends early.
pub(crate) struct Serving {
    pub(crate) child: Child,
    pub(crate) log: BufReader<Box<dyn Read + Send>>,
    /// The first line of the log, later the one that names the address.
    pub(crate) line: String,
}

impl Serving {
    /// Starts a server on a free port and waits until it is ready.
    pub(crate) fn start(data: &Path) -> Self {
        let mut serving = Self::spawn(serve(data, "127.0.0.1:0"));
        serving.wait_until_listening();
        serving
    }

    /// Passes the lines before the one that names the address: a start that takes its time says so.
    pub(crate) fn wait_until_listening(&mut self) {
        while !self.line.contains("pulk listening on ") {
            self.line.clear();
            assert_ne!(self.log.read_line(&mut self.line).unwrap(), 0, "it never listened");
        }
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(Box::new(child.stderr.take().unwrap()) as Box<dyn Read + Send>);
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        Self { child, log, line }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn address(&self) -> &str {
        self.line.trim_end().split_once("http://").unwrap().1
    }

    /// Reads log lines up to one that contains `text`.
    pub(crate) fn read_until(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert_ne!(self.log.read_line(&mut line).unwrap(), 0, "the log ended without {text:?}");
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops the server and returns its exit code.
    pub(crate) fn stop(mut self) -> i32 {
        self.signal(Signal::TERM);
        self.child.wait().unwrap().code().unwrap()
    }

    /// Kills the server, as a crash would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the end; returns the exit code and what was logged since the first line.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let rest = self.log.by_ref().lines().map(|line| line.unwrap() + "\n").collect();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn serve(data: &Path, listen: &str) -> Command {
    let mut command = command(&["serve", "--listen", listen], data);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}
