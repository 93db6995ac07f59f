//! Where a server listens: as it is configured, and as it was bound.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What the address of a Unix socket begins with.
const UNIX: &str = "unix:";

/// Where to listen, as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// A port of an address.
    Tcp {
        /// An IP address (IPv6 in brackets), a name that the system resolves, or nothing for all networks.
        host: String,
        /// The port; with 0 the system picks one.
        port: u16,
    },
    /// A Unix socket, by its path.
    Unix(PathBuf),
}

/// A text is no [`ListenAddress`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is no address to listen on; write \"127.0.0.1:5000\" or \"[::1]:5000\", \":5000\" for all \
     networks, a name with a port such as \"registry.lan:5000\", or \"unix:/run/pulk/http.sock\""
)]
pub struct ListenAddressError(String);

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, ListenAddressError> {
        let refused = || ListenAddressError(text.to_owned());
        if let Some(path) = text.strip_prefix(UNIX) {
            let is_name = !path.ends_with('/') && Path::new(path).file_name().is_some();
            return if is_name { Ok(Self::Unix(PathBuf::from(path))) } else { Err(refused()) };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(refused)?;
        let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|_| is_port).ok_or_else(refused)?;
        let is_host = host.is_empty() || text.parse::<SocketAddr>().is_ok() || is_host_name(host);
        if is_host { Ok(Self::Tcp { host: host.to_owned(), port }) } else { Err(refused()) }
    }
}

/// Returns whether a text may be a host's name. One of digits alone is an address with a mistake.
fn is_host_name(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    text.chars().all(is_letter) && text.chars().any(|c| c.is_ascii_alphabetic()) && !text.starts_with('.')
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(formatter, "{host}:{port}"),
            Self::Unix(path) => write!(formatter, "{UNIX}{}", path.display()),
        }
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        let host = match address {
            SocketAddr::V4(v4) => v4.ip().to_string(),
            SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("[{}%{}]", v6.ip(), v6.scope_id()),
            SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
        };
        Self::Tcp { host, port: address.port() }
    }
}

/// Where a server listens, as the system bound it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BoundAddress {
    /// An address and a port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl BoundAddress {
    /// Returns whether other machines may reach it.
    pub(crate) fn is_beyond_this_machine(&self) -> bool {
        match self {
            Self::Tcp(address) => !address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => false,
        }
    }
}

impl fmt::Display for BoundAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(formatter, "http://{address}"),
            Self::Unix(path) => write!(formatter, "{UNIX}{}", path.display()),
        }
    }
}

/// Returns the address of all networks, IPv4 among them.
pub(super) fn all_networks(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_names_ports_and_sockets_are_read_and_written_alike() {
        let texts =
            ["127.0.0.1:0", "[::1]:5000", ":5000", "registry.lan:5000", "localhost:1", "unix:/run/p.sock"];
        for text in texts {
            assert_eq!(text.parse::<ListenAddress>().map(|address| address.to_string()).as_deref(), Ok(text));
        }
        let address: SocketAddr = "[fe80::1%3]:80".parse().unwrap();
        assert_eq!(ListenAddress::from(address).to_string().parse::<SocketAddr>(), Ok(address));
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_would_be_one() {
        let texts =
            ["", "5000", "127.0.0.1", "127.0.0.1:70000", "127.0.0.1:", "a:+5", "::1:5000", "127.0.0:1"];
        for text in texts.into_iter().chain(["unix:", "unix:/", "unix:/run/", "a b:5000", "http://a:5000"]) {
            let error = text.parse::<ListenAddress>().unwrap_err().to_string();
            assert!(error.contains("127.0.0.1:5000") && error.contains("unix:/run"), "{error}");
        }
    }
}
