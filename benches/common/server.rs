//! A running `pulk serve`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::client::Client;
use super::strace::Trace;

/// The program.
pub const BINARY: &str = env!("CARGO_BIN_EXE_pulk");

/// The log filter for measurements that must not include the access log.
const WITHOUT_ACCESS_LOG: &str = "info,pulk::access=warn";

const LOG_LINE_WAIT_MAX: Duration = Duration::from_secs(300);

/// A running server, killed when a benchmark ends early.
pub struct Serving {
    child: Child,
    log: Receiver<String>,
    pub address: String,
    /// The time from its start until it listened.
    pub start_time: Duration,
}

impl Serving {
    /// Starts a server on a free port and waits until it listens.
    pub fn start(data: &Path) -> Self {
        Self::spawn(Command::new(BINARY), data, "info")
    }

    /// Starts a server that logs no requests.
    pub fn start_without_access_log(data: &Path) -> Self {
        Self::spawn(Command::new(BINARY), data, WITHOUT_ACCESS_LOG)
    }

    /// Starts a server and traces its `calls`.
    pub fn start_traced(data: &Path, trace: &Trace, calls: &str) -> Self {
        Self::spawn(trace.command(calls, BINARY), data, "info")
    }

    /// Starts a server that logs no requests, and traces its `calls`.
    pub fn start_traced_without_access_log(data: &Path, trace: &Trace, calls: &str) -> Self {
        Self::spawn(trace.command(calls, BINARY), data, WITHOUT_ACCESS_LOG)
    }

    /// Starts a server with a configuration file, without its access log.
    pub fn start_configured(data: &Path, config: &Path) -> Self {
        Self::start_told(data, config, &[])
    }

    /// The same, with more flags.
    pub fn start_told(data: &Path, config: &Path, flags: &[&str]) -> Self {
        let mut command = Command::new(BINARY);
        command.arg("serve").arg("--config").arg(config).args(flags);
        Self::listen(command, data, WITHOUT_ACCESS_LOG)
    }

    fn spawn(mut command: Command, data: &Path, log: &str) -> Self {
        command.arg("serve");
        Self::listen(command, data, log)
    }

    fn listen(mut command: Command, data: &Path, log: &str) -> Self {
        command.arg("--data").arg(data).args(["--listen", "127.0.0.1:0", "--log", log]);
        command.env_remove("PULK_CONFIG").env_remove("PULK_EPHEMERAL");
        let begun = Instant::now();
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, log) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut serving = Self { child, log, address: String::new(), start_time: Duration::ZERO };
        let line = serving.wait_for("listening on http://");
        serving.start_time = begun.elapsed();
        line.split_once("http://").unwrap().1.clone_into(&mut serving.address);
        serving
    }

    /// Waits for a log line with this text.
    pub fn wait_for(&self, text: &str) -> String {
        let mut seen = Vec::new();
        loop {
            let Ok(line) = self.log.recv_timeout(LOG_LINE_WAIT_MAX) else {
                panic!("the server did not log {text:?}, but:\n{}", seen.join("\n"));
            };
            if line.contains(text) {
                return line;
            }
            assert!(!line.contains("no checkpoint was taken"), "{line}");
            seen.push(line);
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Connects to it.
    pub fn client(&self) -> Client {
        Client::connect(&self.address)
    }

    /// Reads one of its metrics.
    pub fn metric(&self, name: &str) -> u64 {
        let answer = self.client().send("GET", "/metrics").expect(200);
        let text = String::from_utf8(answer.body).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.expect("the metric").parse().unwrap()
    }

    /// Returns how many files and folders it has synced.
    pub fn syncs(&self) -> u64 {
        self.metric("pulk_disk_syncs_total")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Stops it cleanly.
    pub fn stop(mut self) {
        self.signal(Signal::TERM);
        assert!(self.child.wait().unwrap().success(), "the stop was not clean");
    }

    /// Kills it.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
