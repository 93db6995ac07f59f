//! Listening: on addresses, names and Unix sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use smol::Async;

use super::listen_address::{BoundAddress, ListenAddress, all_networks};
use super::socket_file::SocketFile;
use crate::wire::stream::{PlainStream, Stream};

/// How many connections may wait in the system to be accepted.
const ACCEPT_QUEUE_LENGTH: i32 = 1024;

/// The user and the group of a server may connect to its Unix sockets: a proxy in the group can.
const SOCKET_MODE: u32 = 0o660;

/// What stands for the address of a client of a Unix socket, which has none.
const UNIX_PEER: &str = "unix";

/// Why an address can't be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// It is not an address, or names a host that is not known.
    #[error("cannot resolve the address {address:?}: {source}")]
    Unresolvable {
        /// The address as it was given.
        address: String,
        /// The system's reason.
        source: io::Error,
    },
    /// Something else listens there.
    #[error("{address} is already in use")]
    PortTaken {
        /// The address as it was given.
        address: String,
    },
    /// The system does not allow it, as with ports below 1024.
    #[error("listening on {address} is not allowed")]
    NotAllowed {
        /// The address as it was given.
        address: String,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {source}")]
    Other {
        /// The address as it was given.
        address: String,
        /// The system's reason.
        source: io::Error,
    },
}

/// A bound socket that accepts connections.
#[derive(Debug)]
pub struct Listener {
    socket: ListenSocket,
    address: BoundAddress,
}

#[derive(Debug)]
enum ListenSocket {
    Tcp(Async<TcpListener>),
    /// The file is removed with the socket.
    Unix(Async<UnixListener>, #[expect(dead_code, reason = "kept for its end")] SocketFile),
}

/// A new connection.
pub(super) struct Accepted {
    pub(super) stream: Arc<dyn Stream>,
    /// The client's address, for limits. All clients of Unix sockets have one.
    pub(super) address: IpAddr,
    /// The client's address and port, as text.
    pub(super) peer: String,
}

impl Listener {
    /// Binds an address: one listener for each address that its name has, at least one.
    pub fn bind(address: &ListenAddress) -> Result<Vec<Self>, BindError> {
        match address {
            ListenAddress::Unix(path) => Self::bind_unix(path).map(|listener| vec![listener]),
            ListenAddress::Tcp { host, port } if host.is_empty() => {
                bind_all_networks(*port).and_then(Self::of_tcp).map(|listener| vec![listener])
            }
            ListenAddress::Tcp { .. } => return Self::bind_host(address),
        }
        .map_err(|source| BindError::of(address, source))
    }

    /// Binds the addresses of a host. A name may have some that this machine lacks, such as `::1`.
    fn bind_host(address: &ListenAddress) -> Result<Vec<Self>, BindError> {
        let text = address.to_string();
        let mut addresses: Vec<_> = text
            .to_socket_addrs()
            .map_err(|source| BindError::Unresolvable { address: text.clone(), source })?
            .collect();
        addresses.sort_unstable();
        addresses.dedup();
        let (mut bound, mut absent) = (Vec::<Self>::new(), None);
        for mut one in addresses {
            if let Some(BoundAddress::Tcp(first)) = bound.first().map(Self::address) {
                // All have the port that the system picked for the first.
                one.set_port(first.port());
            }
            match TcpListener::bind(one).and_then(Self::of_tcp) {
                Ok(listener) => bound.push(listener),
                Err(source) if source.kind() == io::ErrorKind::AddrNotAvailable => absent = Some(source),
                Err(source) => return Err(BindError::of(address, source)),
            }
        }
        match absent {
            Some(source) if bound.is_empty() => Err(BindError::of(address, source)),
            _ => Ok(bound),
        }
    }

    fn of_tcp(socket: TcpListener) -> io::Result<Self> {
        // The standard library's queue is short; a second call sets its length.
        rustix::net::listen(&socket, ACCEPT_QUEUE_LENGTH)?;
        let address = BoundAddress::Tcp(socket.local_addr()?);
        Ok(Self { socket: ListenSocket::Tcp(Async::new(socket)?), address })
    }

    fn bind_unix(path: &Path) -> io::Result<Self> {
        let (file, socket) = SocketFile::listen(path, SOCKET_MODE, ACCEPT_QUEUE_LENGTH)?;
        let socket = ListenSocket::Unix(Async::new(socket)?, file);
        Ok(Self { socket, address: BoundAddress::Unix(path.to_owned()) })
    }

    /// Returns what is listened on, with the port that the system chose.
    pub fn address(&self) -> &BoundAddress {
        &self.address
    }

    /// Waits for the next connection.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match &self.socket {
            ListenSocket::Tcp(socket) => {
                let (stream, peer) = socket.accept().await?;
                let stream = Arc::new(PlainStream::new(stream));
                Ok(Accepted { stream, address: peer.ip(), peer: peer.to_string() })
            }
            ListenSocket::Unix(socket, _) => {
                let (stream, _) = socket.read_with(UnixListener::accept).await?;
                let stream = Arc::new(PlainStream::of_unix(OwnedFd::from(stream))?);
                let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
                Ok(Accepted { stream, address, peer: UNIX_PEER.to_owned() })
            }
        }
    }
}

impl BindError {
    fn of(address: &ListenAddress, source: io::Error) -> Self {
        let address = address.to_string();
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::PortTaken { address },
            io::ErrorKind::PermissionDenied => Self::NotAllowed { address },
            _ => Self::Other { address, source },
        }
    }
}

/// Binds a port of all networks: one socket for IPv6 and IPv4, whatever the system's default is. A machine
/// without IPv6 has IPv4 alone.
fn bind_all_networks(port: u16) -> io::Result<TcpListener> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};
    let both = || {
        let socket = socket_with(AddressFamily::INET6, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        sockopt::set_ipv6_v6only(&socket, false)?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        bind(&socket, &all_networks(port))?;
        listen(&socket, ACCEPT_QUEUE_LENGTH)?;
        Ok(TcpListener::from(socket))
    };
    match both() {
        Err(rustix::io::Errno::AFNOSUPPORT | rustix::io::Errno::ADDRNOTAVAIL) => {
            TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
        }
        bound => Ok(bound?),
    }
}
