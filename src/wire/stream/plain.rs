//! A socket that carries plain bytes.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_io::Async;
use smol::io::AsyncRead;

use super::Stream;

/// A connection by TCP, or by a Unix socket.
#[derive(Debug)]
pub(in crate::wire) struct PlainStream(Async<TcpStream>);

impl PlainStream {
    /// Takes a connected socket. Answers leave at once: their writes are as large as they can be.
    pub(in crate::wire) fn new(socket: Async<TcpStream>) -> Self {
        if let Err(error) = socket.get_ref().set_nodelay(true) {
            log::debug!("cannot set TCP_NODELAY: {error}");
        }
        Self(socket)
    }

    /// Takes a connected Unix socket. For reading, writing and closing, the system treats all sockets of
    /// streams alike, and so does the type.
    pub(in crate::wire) fn of_unix(socket: OwnedFd) -> io::Result<Self> {
        Ok(Self(Async::new(TcpStream::from(socket))?))
    }

    #[cfg(target_os = "linux")]
    fn write(&self, bytes: &[u8], more_follows: bool) -> io::Result<usize> {
        use rustix::net::{SendFlags, send};
        if more_follows {
            Ok(send(self.0.get_ref(), bytes, SendFlags::MORE | SendFlags::NOSIGNAL)?)
        } else {
            self.0.get_ref().write(bytes)
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn write(&self, bytes: &[u8], _more_follows: bool) -> io::Result<usize> {
        self.0.get_ref().write(bytes)
    }
}

impl Stream for PlainStream {
    fn poll_read(&self, context: &mut Context<'_>, target: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &self.0).poll_read(context, target)
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_readable(context)
    }

    fn peek(&self, target: &mut [u8]) -> io::Result<usize> {
        self.0.get_ref().peek(target)
    }

    fn poll_write(
        &self,
        context: &mut Context<'_>,
        bytes: &[u8],
        more_follows: bool,
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.write(bytes, more_follows) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                written => return Poll::Ready(written),
            }
            ready!(self.0.poll_writable(context))?;
        }
    }

    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_writable(context)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.0.get_ref().shutdown(Shutdown::Write)
    }

    fn abort(&self) {
        // Without waiting for unsent bytes, the system resets the connection when the socket is closed.
        let _ = rustix::net::sockopt::set_socket_linger(self.0.get_ref(), Some(Duration::ZERO));
        // The application may still hold the request's body, and the socket with it: reading ends there too.
        let _ = self.0.get_ref().shutdown(Shutdown::Read);
    }
}
