//! Asking the server that runs, or the store itself where none does.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::admin::{Failure, Request, Sink, Store, perform};
use crate::cli::progress::Terminal;
use crate::config::Config;
use crate::control::connect;
use crate::disk::LockError;
use crate::maintenance::Progress;
use crate::registry::OpenError;
use crate::server::StartError;

/// How often a store that another process has is tried again: another command soon lets go of it.
const TRIES_MAX: u32 = 20;

/// How long to wait before that.
const TRY_PAUSE: Duration = Duration::from_millis(100);

/// What is told where a store is worked on, or would be, by policies that nobody named.
const NO_POLICIES: &str = "pulk: no configuration file is named (--config, PULK_CONFIG), so that no policies \
     are known: immutable tags are not protected";

/// What came of a request: its result, and what was sent before that.
pub(in crate::cli) struct Answer {
    /// The result.
    pub(in crate::cli) result: Value,
    /// What was sent before it.
    pub(in crate::cli) items: Vec<Value>,
}

/// Has a request carried out by the server that uses the configured data directory, or here where none does.
/// Fails with what to tell on standard error.
pub(in crate::cli) fn ask(config: &Config, request: &Request) -> Result<Answer, String> {
    let mut collected = Collected { terminal: Terminal::new(), items: Vec::new() };
    let asked = ask_into(config, request, &mut collected);
    collected.terminal.clear();
    asked.map(|result| Answer { result, items: collected.items })
}

/// Does the same, and hands over what is sent as it comes.
pub(in crate::cli) fn ask_into(
    config: &Config,
    request: &Request,
    sink: &mut dyn Sink,
) -> Result<Value, String> {
    let folder = config.data.as_path();
    let mut tries = 1;
    loop {
        let reached = connect(folder).map_err(|error| {
            format!("cannot use the control socket of the server on {}: {error}", folder.display())
        })?;
        if let Some(server) = reached {
            return server.ask(request, sink).map_err(|failure| failure.to_string());
        }
        match Store::open(folder, config.server_options().registry) {
            Ok(store) => {
                if config.file.is_none() && matches!(request, Request::Rm { .. } | Request::Gc { .. }) {
                    eprintln!("{NO_POLICIES}");
                }
                return ask_store(store, folder, request, sink);
            }
            Err(OpenError::Lock(LockError::Held { .. })) if tries < TRIES_MAX => {
                tries += 1;
                std::thread::sleep(TRY_PAUSE);
            }
            Err(OpenError::Lock(LockError::Held { pid, .. })) => return Err(held(folder, pid)),
            Err(error) => return Err(refused(folder, error)),
        }
    }
}

fn ask_store(store: Store, folder: &Path, request: &Request, sink: &mut dyn Sink) -> Result<Value, String> {
    let performed = perform(&store, request, sink);
    let closed = store.close();
    let result = performed.map_err(|failure| failure.to_string())?;
    closed.map_err(|error| refused(folder, error))?;
    Ok(result)
}

fn held(folder: &Path, pid: Option<u32>) -> String {
    let who = pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    format!(
        "another process{who} uses {}, and nobody answers at control.sock in it\n      It is a server still \
         starting, another command that works on the store, or a program that carries pulk without its \
         control socket: try again, or stop it.",
        folder.display()
    )
}

fn refused(folder: &Path, error: OpenError) -> String {
    let error = StartError::from_open(folder, error);
    format!("{error}\n      {}", error.advice())
}

/// Keeps what is sent, and shows progress on a terminal.
struct Collected {
    terminal: Terminal,
    items: Vec<Value>,
}

impl Sink for Collected {
    fn progress(&mut self, what: &str, done: u64, total: u64) {
        self.terminal.at(what, done, total);
    }

    fn item(&mut self, item: Value) -> Result<(), Failure> {
        self.items.push(item);
        Ok(())
    }

    fn check_wanted(&self) -> Result<(), Failure> {
        Ok(())
    }
}
