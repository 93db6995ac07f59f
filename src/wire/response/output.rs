//! The writing half of a connection.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use smol::Async;

use crate::wire::Pace;
use crate::wire::idle_timeout::IdleTimeout;

/// How many times a socket that takes no more is tried within the time that a client may stand still.
const TRIES: u32 = 4;

/// Writes to a socket, and gives up when the client takes nothing for too long.
#[derive(Debug, Clone, Copy)]
pub(in crate::wire) struct Output<'a> {
    /// Is told what goes out, where others wait for the memory that it lies in.
    pub(in crate::wire) pace: Option<&'a Pace>,
    /// The socket, which does not block.
    pub(in crate::wire) socket: &'a Arc<Async<TcpStream>>,
    /// How long a write may go without progress.
    pub(in crate::wire) progress_time_max: Duration,
}

/// Whether the client takes anything of an answer.
#[derive(Debug)]
pub(in crate::wire) struct WriteProgress {
    patience: IdleTimeout,
    /// How many waits in a row came to nothing.
    in_vain: u32,
}

impl WriteProgress {
    /// Notes that the client took something.
    pub(in crate::wire) fn made(&mut self) {
        self.in_vain = 0;
    }
}

impl Output<'_> {
    /// Begins to watch whether the client takes anything.
    pub(in crate::wire) fn progress(&self) -> WriteProgress {
        WriteProgress { patience: IdleTimeout::new(self.progress_time_max / TRIES), in_vain: 0 }
    }

    /// Waits until the socket may take more: then it is to be tried, and what it took told to `progress`.
    ///
    /// The system calls a socket writable only when a third of its buffer is free, which may be some MiB. It
    /// takes a little long before that, and only so can a slow client be told from one that stands still.
    pub(in crate::wire) async fn writable(&self, progress: &mut WriteProgress) -> io::Result<()> {
        if progress.in_vain >= TRIES {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no more of the answer"));
        }
        match progress.patience.wait(self.socket.writable()).await {
            Some(writable) => writable,
            None => {
                progress.in_vain += 1;
                Ok(())
            }
        }
    }

    /// Writes all of `bytes`; `written` counts them one by one, also those before an error.
    ///
    /// With `more_follows` the system may hold the last packet back until the next write fills it.
    pub(in crate::wire) async fn write_all(
        &self,
        bytes: &[u8],
        more_follows: bool,
        written: &mut u64,
    ) -> io::Result<()> {
        let mut left = bytes;
        let mut progress = self.progress();
        while !left.is_empty() {
            match self.write(left, more_follows) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    progress.made();
                    *written += count as u64;
                    if let Some(pace) = self.pace {
                        pace.moved(count as u64);
                    }
                    left = left.get(count..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.writable(&mut progress).await?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    #[cfg(target_os = "linux")]
    fn write(&self, bytes: &[u8], more_follows: bool) -> io::Result<usize> {
        use rustix::net::{SendFlags, send};
        if more_follows {
            Ok(send(self.socket.get_ref(), bytes, SendFlags::MORE | SendFlags::NOSIGNAL)?)
        } else {
            self.socket.get_ref().write(bytes)
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn write(&self, bytes: &[u8], _more_follows: bool) -> io::Result<usize> {
        self.socket.get_ref().write(bytes)
    }
}

/// Makes the socket's end an error for the client, so that a cut answer can't be taken for a whole one.
pub(in crate::wire) fn abort(socket: &Async<TcpStream>) {
    // Without waiting for what is not yet sent, the system resets the connection when the socket is closed.
    let _ = rustix::net::sockopt::set_socket_linger(socket.get_ref(), Some(Duration::ZERO));
    // The application may still hold the request's body, and the socket with it: reading ends there too.
    let _ = socket.get_ref().shutdown(Shutdown::Read);
}
