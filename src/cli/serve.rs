//! `pulk serve`: starts the server, waits for signals, stops it.

use std::process::ExitCode;

use async_signal::Signal;
use clap::Args;
use log::{error, info, warn};
use smol::future;

use crate::cli::output::logging;
use crate::cli::output::{CommandError, RunCommand};
use crate::cli::settings::ServeSettings;
use crate::cli::signals::{ServerSignals, name};
use crate::config::Config;
use crate::server::{Server, list_of_addresses, raise_descriptor_limit, warn_of_file_size_limit};

/// What a shell adds to a signal's number in the exit code of what the signal ended.
const SIGNAL_EXIT_BASE: u8 = 128;

const EXAMPLES: &str = "\
Examples:
  pulk serve                                   on 127.0.0.1:5000, data in ./data
  pulk serve --data /srv/pulk --listen 0.0.0.0:5000
                                               for the whole network; there is no login yet
  pulk serve --ephemeral --listen 127.0.0.1:0  in memory, on a free port, for a test suite

Exit codes:
  0    stopped cleanly (SIGTERM, SIGINT, SIGHUP, SIGXCPU)
  1    could not start, or failed while running, or a sync failed and `on_sync_failure` says `exit`
  2    wrong command line
  130  stopped at once by SIGINT: the second signal, or before it was ready
  143  stopped at once by SIGTERM: likewise";

/// Run the registry until SIGTERM or SIGINT.
///
/// The first signal stops pulk cleanly: it accepts no more connections and lets requests in flight finish
/// (`limits.stop_time`, 5 seconds by default); chunks of uploads, which can be resumed, end at once. A second
/// SIGTERM or SIGINT stops pulk at once. Neither loses anything that pulk has acknowledged. SIGHUP (unless
/// `nohup` has it ignored) and SIGXCPU stop it cleanly, too; SIGUSR1 and SIGUSR2 do nothing.
///
/// Connections, uploads, sizes and times have limits: `pulk config` prints them, `pulk config --help`
/// explains them. Requests over a limit get 429 or 503 with Retry-After.
///
/// On a read-only filesystem pulls work, and everything else gets 503.
///
/// When less than `limits.reserve_bytes` of disk space is free (64 MiB by default), pushes are refused; pulls
/// and deletes still work.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct ServeArgs {
    #[command(flatten)]
    settings: ServeSettings,
}

impl RunCommand for ServeArgs {
    fn run(self) -> Result<ExitCode, CommandError> {
        let config = self.settings.load()?;
        logging::start(&config.log);
        raise_descriptor_limit();
        warn_of_file_size_limit();
        // Registered before anything slow: the first process of a container has no default reaction to
        // signals.
        let mut signals = ServerSignals::catch()
            .map_err(|error| CommandError::failed(format_args!("cannot wait for signals: {error}")))?;
        smol::block_on(serve(&config, &mut signals))
    }
}

async fn serve(config: &Config, signals: &mut ServerSignals) -> Result<ExitCode, CommandError> {
    let started = match unless(signals.next(), Server::start(config.server_options())).await {
        Interrupted::Done(started) => started,
        Interrupted::Signal(signal) => at_once(signal, "before it was ready"),
    };
    let running = started?;
    info!("pulk listening on {}", list_of_addresses(running.addresses()));
    Ok(until_stopped(running, signals).await)
}

/// Waits for a signal or for a registry that gives up, stops the server, and returns the exit code.
async fn until_stopped(running: Server, signals: &mut ServerSignals) -> ExitCode {
    match unless(signals.next(), running.gave_up()).await {
        Interrupted::Done(why) => error!("{why}; stopping, because `on_sync_failure` is \"exit\""),
        Interrupted::Signal(signal) => {
            info!("{} received: no new connections, requests in flight may finish", name(signal));
        }
    }
    match unless(signals.next_in_stop(), running.stop()).await {
        Interrupted::Done(Ok(())) => {
            info!("stopped cleanly");
            ExitCode::SUCCESS
        }
        Interrupted::Done(Err(error)) => {
            error!("the stop was not clean: {error}; the next start rebuilds the index from the journal");
            ExitCode::FAILURE
        }
        Interrupted::Signal(signal) => at_once(signal, "without waiting for requests in flight"),
    }
}

enum Interrupted<T> {
    Done(T),
    Signal(Signal),
}

async fn unless<T>(signal: impl Future<Output = Signal>, work: impl Future<Output = T>) -> Interrupted<T> {
    let work = async { Interrupted::Done(work.await) };
    let signal = async { Interrupted::Signal(signal.await) };
    future::or(work, signal).await
}

/// Ends the process as the signal itself would have: what was acknowledged is durable.
fn at_once(signal: Signal, how: &str) -> ! {
    warn!("{} received: stopping at once, {how}", name(signal));
    let number = u8::try_from(signal as i32).unwrap_or_default();
    logging::finish();
    std::process::exit(i32::from(SIGNAL_EXIT_BASE.saturating_add(number)))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::sync::Arc;
    use std::time::Duration;

    use rustix::io::Errno;

    use super::*;
    use crate::disk::faulty::{Faults, Operation};
    use crate::registry::OnSyncFailure;
    use crate::server::ServerOptions;
    use crate::spec::ContentDigest;

    /// Longer than the server takes to end.
    const WAIT_MAX: Duration = Duration::from_secs(60);

    /// Sends a request on a connection of its own, and returns the status.
    fn ask(address: SocketAddr, request: &str, body: &str) -> String {
        let mut socket = TcpStream::connect(address).unwrap();
        let head = "HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length:";
        socket.write_all(format!("{request} {head} {}\r\n\r\n{body}", body.len()).as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    }

    fn push(address: SocketAddr, blob: &str) -> String {
        let digest = ContentDigest::sha256_of(blob.as_bytes());
        ask(address, &format!("POST /v2/a/blobs/uploads/?digest={digest}"), blob)
    }

    fn pull(address: SocketAddr, blob: &str) -> String {
        let digest = ContentDigest::sha256_of(blob.as_bytes());
        ask(address, &format!("GET /v2/a/blobs/{digest}"), "")
    }

    #[test]
    fn a_failed_sync_ends_the_server_with_an_error_if_it_is_configured_to_exit() {
        let folder = tempfile::tempdir().unwrap();
        // The second server starts with what the first one leaves.
        for blob in ["first", "second"] {
            let faults = Arc::<Faults>::default();
            let mut options = ServerOptions::new(folder.path());
            options.registry.on_sync_failure = OnSyncFailure::Exit;
            options.registry.faults = Some(Arc::clone(&faults));
            let server = smol::block_on(Server::start(options)).unwrap();
            let address = server.local_addr().unwrap();
            assert_eq!(push(address, blob), "201");
            faults.fail(Operation::Sync, "journal", Errno::IO);
            assert_eq!(push(address, "lost"), "503");
            for blob in ["first", blob] {
                assert_eq!(pull(address, blob), "200");
            }
            let mut signals = ServerSignals::none();
            let code = smol::block_on(future::or(until_stopped(server, &mut signals), async {
                smol::Timer::after(WAIT_MAX).await;
                panic!("the server goes on without writes");
            }));
            assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::FAILURE));
        }
    }
}
