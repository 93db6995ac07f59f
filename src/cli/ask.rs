//! Asking the server that runs, or the store itself where none does.

use std::io;
use std::marker::PhantomData;
use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::admin::{AdminError, AnswerSink, Ask, Effect, OpenStore, Request};
use crate::cli::output::units::count;
use crate::cli::output::{CommandError, Terminal, logging};
use crate::config::Config;
use crate::control::connect;
use crate::disk::LockError;
use crate::maintenance::Progress;
use crate::registry::{OpenError, PolicyMemory, Registry};

/// How often a store that another process holds is tried: other commands soon release it.
const TRIES_MAX: u32 = 20;

/// The pause between two tries.
const TRY_PAUSE: Duration = Duration::from_millis(100);

/// The answer to a request. Its values are printed to programs as they came, also those of a server of
/// another version.
pub(in crate::cli) struct StoreAnswer<R> {
    /// The report.
    pub(in crate::cli) report: Value,
    /// What was sent before it.
    pub(in crate::cli) items: Vec<Value>,
    request: PhantomData<R>,
}

/// Has the server that uses the configured data directory carry out a request, or carries it out here where
/// none runs.
pub(in crate::cli) fn ask<R: Ask + Into<Request>>(
    config: &Config,
    request: R,
) -> Result<StoreAnswer<R>, CommandError> {
    let mut collected = ReplySink { terminal: Terminal::new(), items: Vec::new() };
    let asked = ask_into(config, &request.into(), &mut collected);
    collected.terminal.clear();
    Ok(StoreAnswer { report: asked?, items: collected.items, request: PhantomData })
}

impl<R: Ask> StoreAnswer<R> {
    /// Returns the items and the report as what they are.
    pub(in crate::cli) fn typed(self) -> io::Result<(Vec<R::Item>, R::Report)> {
        let items = self.items.into_iter().map(typed).collect::<io::Result<_>>()?;
        Ok((items, typed(self.report)?))
    }
}

/// Reads a part of an answer as what it is.
pub(in crate::cli) fn typed<T: DeserializeOwned>(value: Value) -> io::Result<T> {
    serde_json::from_value(value).map_err(|error| {
        let what = format!("the server is another version of pulk; cannot read its answer: {error}");
        io::Error::new(io::ErrorKind::InvalidData, what)
    })
}

/// Does the same as [`ask`], but hands items over as they come.
pub(in crate::cli) fn ask_into(
    config: &Config,
    request: &Request,
    sink: &mut dyn AnswerSink,
) -> Result<Value, CommandError> {
    let (folder, socket) = (config.data.as_path(), config.control_socket());
    let mut tries = 1;
    loop {
        let server = connect(folder, &socket).map_err(|error| {
            let what = format!("cannot use the control socket {}", socket.display());
            CommandError::failed(format_args!("{what}: {error}"))
        })?;
        if let Some(server) = server {
            return server.ask(request, sink).map_err(CommandError::failed);
        }
        match ask_stopped(config, request, sink) {
            Ok(answer) => return answer,
            Err(OpenError::Lock(LockError::Held { .. })) if tries < TRIES_MAX => {
                tries += 1;
                std::thread::sleep(TRY_PAUSE);
            }
            Err(OpenError::Lock(LockError::Held { pid, .. })) => return Err(held(folder, &socket, pid)),
            Err(error) => return Err(CommandError::cannot_open(folder, error)),
        }
    }
}

/// Carries a request out on a store that no other process uses.
fn ask_stopped(
    config: &Config,
    request: &Request,
    sink: &mut dyn AnswerSink,
) -> Result<Result<Value, CommandError>, OpenError> {
    let folder = config.data.as_path();
    if let Request::Log(log) = request {
        let read = log.read_stopped(folder, sink)?;
        return Ok(read.map(Value::from).map_err(CommandError::failed));
    }
    let mut options = config.server_options().registry;
    options.policy_memory = if config.file.is_some() { PolicyMemory::Ignore } else { PolicyMemory::Read };
    let store = OpenStore::open(folder, options)?;
    if request.effect() != Effect::Reads {
        match policies_in_force(config, &store.registry) {
            Ok(said) => logging::say(&format!("pulk: no server runs; {said}")),
            Err(why) => {
                let closed = store.close();
                return Ok(closed.map_err(CommandError::failed).and(Err(why)));
            }
        }
    }
    Ok(ask_store(store, folder, request, sink))
}

/// Says which policies a command on a stopped store works by. Fails where a policy that is not known may
/// forbid what it does.
fn policies_in_force(config: &Config, registry: &Registry) -> Result<String, CommandError> {
    if let Some(why) = registry.policies_unknown() {
        return Err(CommandError::failed(format_args!(
            "nothing was removed: a policy may forbid it, and the policies that the store was last served \
             with cannot be read ({why})\n      Name the configuration file with --config. The next `pulk \
             serve` writes policies.json again."
        )));
    }
    let policies = match registry.policies().all().len() {
        0 => "no policies apply".to_owned(),
        number => count(number as u64, "policy applies", "policies apply"),
    };
    Ok(match &config.file {
        Some(file) => format!("{policies}, as {} says", file.display()),
        None => format!("{policies}, as when it was last served (others: --config)"),
    })
}

fn ask_store(
    store: OpenStore,
    folder: &Path,
    request: &Request,
    sink: &mut dyn AnswerSink,
) -> Result<Value, CommandError> {
    let performed = request.perform(&store, sink);
    let closed = store.close();
    let report = performed.map_err(CommandError::failed)?;
    closed.map_err(|error| CommandError::cannot_open(folder, error))?;
    Ok(report)
}

fn held(folder: &Path, socket: &Path, pid: Option<u32>) -> CommandError {
    let pid = pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    CommandError::failed(format_args!(
        "another process{pid} uses {}, and does not answer at {}\n      It may be a server that still \
         starts, one whose configuration has another control_socket (name that file with --config), another \
         command that works on the store, or a program that embeds pulk without a control socket. Try again, \
         or stop it.",
        folder.display(),
        socket.display()
    ))
}

/// Keeps items, and shows progress on a terminal.
struct ReplySink {
    terminal: Terminal,
    items: Vec<Value>,
}

impl AnswerSink for ReplySink {
    fn progress(&mut self, what: &str, done: u64, total: u64) {
        self.terminal.at(what, done, total);
    }

    fn item(&mut self, item: Value) -> Result<(), AdminError> {
        self.items.push(item);
        Ok(())
    }

    fn check_wanted(&self) -> Result<(), AdminError> {
        Ok(())
    }
}
