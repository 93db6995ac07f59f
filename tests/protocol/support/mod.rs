//! Shared by all tests: a server in this process, a client that hides nothing, and content to push.

mod answer;
mod content;
mod http;
mod push;
mod server;

pub use answer::Answer;
pub use content::{
    DOCKER_LIST, DOCKER_MANIFEST, Manifest, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, OCTETS, blake3, descriptor,
    empty_config, filler, sha256, sha512, unknown_digest,
};
pub use http::Client;
pub use push::{follow, with_query};
pub use server::TestServer;
