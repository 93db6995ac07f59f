//! Signals: which of them stop the server, and which must not end the process.

use std::io;

use async_signal::{Signal, Signals};
use log::{info, warn};
use smol::future;
use smol::stream::StreamExt;

use crate::meta::TemporaryFolder;

/// Signals whose default reaction would end the server although they mean nothing to it: scripts that rotate
/// logs or ask other daemons for statistics send them.
const MEANINGLESS: [Signal; 2] = [Signal::Usr1, Signal::Usr2];

/// A process that a signal ends exits with this plus the signal's number, by the convention of shells.
const EXIT_AT_SIGNAL: i32 = 128;

/// Keeps the process alive, as long as the returned value exists, when a file reaches the limit of file sizes
/// (`ulimit -f`, `LimitFSIZE=`): the write fails instead.
pub(in crate::cli) fn outlive_file_size_limit() -> Option<Signals> {
    // The signals are never read: those that do not fit into their pipe are dropped.
    Signals::new([Signal::Xfsz]).map_err(|error| warn!("cannot catch SIGXFSZ: {error}")).ok()
}

/// The signals that end a command.
pub(in crate::cli) struct EndingSignals(Option<Signals>);

impl EndingSignals {
    /// Catches them. [`Self::remove`] must follow: until then, they end nothing.
    pub(in crate::cli) fn catch() -> Self {
        let mut caught = vec![Signal::Term, Signal::Int];
        if is_hup_ignored() == Some(false) {
            caught.push(Signal::Hup);
        }
        Self(Signals::new(caught).ok())
    }

    /// Ends the process at the first of them, and removes its temporary files before.
    pub(in crate::cli) fn remove(self, files: Option<&TemporaryFolder>) {
        let Some(mut signals) = self.0 else { return };
        let exit = |signal: Signal| std::process::exit(EXIT_AT_SIGNAL + signal as i32);
        let removed = files.map(TemporaryFolder::remover);
        let wait = move || {
            if let Some(Ok(signal)) = smol::block_on(signals.next()) {
                match removed {
                    Some(remove) => remove(&|| exit(signal)),
                    None => exit(signal),
                }
            }
        };
        if let Err(error) = std::thread::Builder::new().name("signals".to_owned()).spawn(wait) {
            warn!("signals cannot end this command: {error}");
        }
    }
}

/// The signals that a running server reacts to.
pub(in crate::cli) struct ServerSignals(Signals);

impl ServerSignals {
    /// Catches them from now on.
    pub(in crate::cli) fn catch() -> io::Result<Self> {
        let mut caught = vec![Signal::Term, Signal::Int];
        caught.extend(MEANINGLESS);
        // The soft limit of processor time; the hard one kills.
        caught.push(Signal::Xcpu);
        // A terminal that closes stops a server as SIGTERM does, but not one that `nohup` started.
        if is_hup_ignored() == Some(false) {
            caught.push(Signal::Hup);
        }
        Signals::new(caught).map(Self)
    }

    /// Catches none: what the process does on a signal stays as it is.
    #[cfg(test)]
    pub(in crate::cli) fn none() -> Self {
        Self(Signals::new(std::iter::empty::<Signal>()).unwrap())
    }

    /// Waits for a signal to stop at once, while the server stops. A terminal that closes sends more than one
    /// SIGHUP, and SIGXCPU returns each second: they are no reason to hurry.
    pub(in crate::cli) async fn next_in_stop(&mut self) -> Signal {
        loop {
            match self.next().await {
                signal @ (Signal::Term | Signal::Int) => return signal,
                signal => info!("{} received: the stop goes on", name(signal)),
            }
        }
    }

    /// Waits for the next signal to stop.
    pub(in crate::cli) async fn next(&mut self) -> Signal {
        loop {
            match self.0.next().await {
                Some(Ok(signal)) if MEANINGLESS.contains(&signal) => {
                    info!("{} received: it means nothing to pulk", name(signal));
                }
                Some(Ok(signal)) => return signal,
                Some(Err(error)) => warn!("a signal was lost: {error}"),
                None => future::pending::<()>().await,
            }
        }
    }
}

/// Tells whether this process was started with SIGHUP ignored; `None` where the system does not say so.
fn is_hup_ignored() -> Option<bool> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    let ignored = u64::from_str_radix(ignored.trim(), 16).ok()?;
    // Signal 1 is the lowest bit.
    Some(ignored & (1 << (Signal::Hup as u32 - 1)) != 0)
}

/// Returns a signal's name.
pub(in crate::cli) fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::Term => "SIGTERM",
        Signal::Int => "SIGINT",
        Signal::Hup => "SIGHUP",
        Signal::Xcpu => "SIGXCPU",
        Signal::Usr1 => "SIGUSR1",
        Signal::Usr2 => "SIGUSR2",
        _ => "a signal",
    }
}
