//! A server in this process.

use std::ops::Deref;
use std::path::Path;

use pulk::{Server, ServerOptions};

use super::http::Client;

/// A running server with a client.
pub struct TestServer {
    server: Server,
    client: Client,
}

impl TestServer {
    /// Starts one that keeps everything in memory.
    pub fn start() -> Self {
        Self::with(|_| ())
    }

    /// Starts one that keeps everything in memory, after `adjust` has changed its options.
    pub fn with(adjust: impl FnOnce(&mut ServerOptions)) -> Self {
        let mut options = ServerOptions::ephemeral();
        adjust(&mut options);
        Self::run(options)
    }

    /// Starts one over a data directory.
    pub fn over(data: &Path) -> Self {
        Self::run(ServerOptions::new(data))
    }

    fn run(options: ServerOptions) -> Self {
        let is_picked = options.listen.iter().all(|address| address.to_string().ends_with(":0"));
        assert!(is_picked, "tests let the system pick a port");
        let server = smol::block_on(Server::start(options)).unwrap();
        let client = Client::new(server.local_addr().unwrap());
        Self { server, client }
    }

    /// Stops it cleanly.
    pub fn stop(self) {
        smol::block_on(self.server.stop()).unwrap();
    }
}

impl Deref for TestServer {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}
