//! The servers that are compared.

use tempfile::TempDir;

use crate::common::place;
use crate::common::server::Serving;
use crate::nginx::Nginx;
use crate::peers::peer::{DOCKER_REGISTRY, Peer};

/// pulk, and the servers it is compared with, if they are installed.
pub struct Servers {
    pub pulk: Serving,
    /// Serves the files of pulk's data directory.
    pub nginx: Option<Nginx>,
    pub distribution: Option<Peer>,
    _folder: TempDir,
}

impl Servers {
    /// Starts all of them.
    pub fn start() -> Self {
        let folder = place::folder();
        let data = folder.path().join("data");
        let pulk = Serving::start_without_access_log(&data);
        let nginx = Nginx::start(&data);
        let distribution = Peer::start(&DOCKER_REGISTRY);
        Self { pulk, nginx, distribution, _folder: folder }
    }
}

/// Returns where nginx finds the content of a digest: pulk's own file.
pub fn path_of(digest: &str) -> String {
    let encoded = digest.strip_prefix("sha256:").expect("a digest");
    let (fanout, _) = encoded.split_at(2);
    format!("/blobs/sha256/{fanout}/{encoded}")
}
