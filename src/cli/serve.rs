//! `pulk serve`: starts the server, waits for signals, stops it.

use std::process::ExitCode;

use async_signal::{Signal, Signals};
use log::{error, info, warn};
use smol::future;
use smol::stream::StreamExt;

use crate::cli::{failed, logging};
use crate::config::Config;
use crate::server::{Server, raise_descriptor_limit};

/// What a shell adds to a signal's number in the exit code of what the signal ended.
const SIGNAL_EXIT_BASE: u8 = 128;

/// Runs a server until it is told to stop.
pub(in crate::cli) fn serve(config: &Config) -> ExitCode {
    logging::start(&config.log);
    raise_descriptor_limit();
    // Registered before anything slow: the first process of a container has no default reaction to signals.
    let mut signals = match Signals::new([Signal::Term, Signal::Int]) {
        Ok(signals) => signals,
        Err(error) => return failed(&format_args!("cannot wait for signals: {error}")),
    };
    smol::block_on(run(config, &mut signals))
}

async fn run(config: &Config, signals: &mut Signals) -> ExitCode {
    let started = match until_signal(Server::start(config.server_options()), signals).await {
        Outcome::Done(started) => started,
        Outcome::Signal(signal) => at_once(signal, "before it was ready"),
    };
    let running = match started {
        Ok(running) => running,
        Err(error) => return failed(&format_args!("{error}\n      {}", error.advice())),
    };
    info!("pulk listening on http://{}", running.local_addr());

    let signal = next(signals).await;
    info!("{} received: no new connections, requests in flight may finish", name(signal));
    match until_signal(running.stop(), signals).await {
        Outcome::Done(Ok(())) => {
            info!("stopped cleanly");
            ExitCode::SUCCESS
        }
        Outcome::Done(Err(error)) => {
            error!("the stop was not clean: {error}; the next start rebuilds the index from the journal");
            ExitCode::FAILURE
        }
        Outcome::Signal(signal) => at_once(signal, "without waiting for requests in flight"),
    }
}

enum Outcome<T> {
    Done(T),
    Signal(Signal),
}

async fn until_signal<T>(work: impl Future<Output = T>, signals: &mut Signals) -> Outcome<T> {
    let work = async { Outcome::Done(work.await) };
    let signal = async { Outcome::Signal(next(signals).await) };
    future::or(work, signal).await
}

/// Waits for the next signal.
async fn next(signals: &mut Signals) -> Signal {
    loop {
        match signals.next().await {
            Some(Ok(signal)) => return signal,
            Some(Err(error)) => warn!("a signal was lost: {error}"),
            None => future::pending::<()>().await,
        }
    }
}

/// Ends the process here and now, as the signal itself would have: what was acknowledged is durable already.
fn at_once(signal: Signal, how: &str) -> ! {
    warn!("{} received: stopping at once, {how}", name(signal));
    let number = u8::try_from(signal as i32).unwrap_or_default();
    std::process::exit(i32::from(SIGNAL_EXIT_BASE.saturating_add(number)))
}

fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::Term => "SIGTERM",
        Signal::Int => "SIGINT",
        _ => "a signal",
    }
}
