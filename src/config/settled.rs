//! Everything that can be configured, settled.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::registry::Storage;
use crate::server::ServerOptions;
use crate::wire::ListenAddress;

/// The port to listen on, unless configured.
const PORT: u16 = 5000;

/// Everything that can be configured, settled.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The file that it was read from, if one was.
    pub(crate) file: Option<PathBuf>,
    /// The data directory.
    pub(crate) data: PathBuf,
    /// Whether everything is kept in memory and nothing in the data directory.
    pub(crate) ephemeral: bool,
    /// What to log, as a filter of levels and modules.
    pub(crate) log: String,
    /// What the server is started with; its storage follows from the above.
    pub(in crate::config) server: ServerOptions,
}

/// What flags and environment say; a flag has already won over its variable.
#[derive(Debug, Default, Clone)]
pub(crate) struct Overrides {
    /// The data directory.
    pub(crate) data: Option<PathBuf>,
    /// Where to listen.
    pub(crate) listen: Option<Vec<ListenAddress>>,
    /// Whether to keep everything in memory.
    pub(crate) ephemeral: Option<bool>,
    /// What to log.
    pub(crate) log: Option<String>,
    /// From which size on the index is compacted, in bytes. For tests; the file has no key for it.
    pub(crate) copy_index_from_bytes: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        let data = PathBuf::from("data");
        let mut server = ServerOptions::new(&data);
        server.listen = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)).into()];
        Self { file: None, data, ephemeral: false, log: "info".to_owned(), server }
    }
}

impl Config {
    /// Returns what a server that is configured so is started with.
    pub(crate) fn server_options(&self) -> ServerOptions {
        let mut options = self.server.clone();
        options.registry.storage =
            if self.ephemeral { Storage::Memory } else { Storage::Folder(self.data.clone()) };
        options
    }

    /// Returns the path of the control socket.
    pub(crate) fn control_socket(&self) -> PathBuf {
        self.data.join(self.control_socket_setting())
    }

    /// Returns the same as it is configured: relative to the data directory.
    pub(in crate::config) fn control_socket_setting(&self) -> &Path {
        self.server.control_socket.as_deref().unwrap_or(Path::new(""))
    }

    /// Puts the overrides over what is configured.
    pub(in crate::config) fn put_over(&mut self, overrides: Overrides) {
        let Overrides { data, listen, ephemeral, log, copy_index_from_bytes } = overrides;
        replace(&mut self.data, data);
        replace(&mut self.server.listen, listen);
        replace(&mut self.ephemeral, ephemeral);
        replace(&mut self.log, log);
        replace(&mut self.server.registry.index_worthwhile_bytes, copy_index_from_bytes);
    }
}

fn replace<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}
