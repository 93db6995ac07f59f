//! Other registries, each on loopback with its own data directory.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::common::place;

const START_TIME_MAX: Duration = Duration::from_secs(20);

/// How a registry is started.
pub struct Kind {
    /// The name in tables.
    pub name: &'static str,
    /// The program on the PATH.
    program: &'static str,
    /// Makes the command of a registry that listens on a port of 127.0.0.1, and has a folder.
    command: fn(&mut Command, u16, &Path),
}

/// docker-registry of Debian, which is distribution 2.
pub const DOCKER_REGISTRY: Kind =
    Kind { name: "docker-registry 2", program: "docker-registry", command: distribution };

/// All registries that pulk is compared with.
pub const KINDS: [Kind; 6] = [
    DOCKER_REGISTRY,
    Kind { name: "distribution 3", program: "registry", command: distribution },
    Kind { name: "ferro-oci-server", program: "ferro-oci-server", command: ferro },
    Kind { name: "zot", program: "zot", command: zot },
    Kind { name: "olareg", program: "olareg", command: olareg },
    Kind { name: "angos", program: "angos", command: angos },
];

/// A running registry, killed when it is dropped.
pub struct Peer {
    child: Child,
    pub address: String,
    _folder: TempDir,
}

impl Peer {
    /// Starts one, or prints why there is none.
    pub fn start(kind: &Kind) -> Option<Self> {
        let folder = place::folder();
        let (address, port) = free_address();
        let mut command = Command::new(kind.program);
        (kind.command)(&mut command, port, folder.path());
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(child) = command.spawn() else {
            println!("Without {}: no {} is on the PATH.\n", kind.name, kind.program);
            return None;
        };
        let mut peer = Self { child, address, _folder: folder };
        let begun = Instant::now();
        while TcpStream::connect(&peer.address).is_err() {
            if begun.elapsed() > START_TIME_MAX || peer.child.try_wait().unwrap().is_some() {
                println!("Without {}: it does not listen.\n", kind.name);
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(peer)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns an address of loopback with a free port: these programs do not report theirs.
pub fn free_address() -> (String, u16) {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    (address.to_string(), address.port())
}

fn configured(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

fn distribution(command: &mut Command, port: u16, folder: &Path) {
    let data = folder.join("data");
    let text = format!(
        "version: 0.1
log:
  level: error
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: {}
http:
  addr: 127.0.0.1:{port}
  secret: of-a-benchmark
",
        data.display()
    );
    command.arg("serve").arg(configured(folder, "config.yml", &text)).env("OTEL_TRACES_EXPORTER", "none");
}

/// Without these variables it listens on all addresses, and stores in memory.
fn ferro(command: &mut Command, port: u16, folder: &Path) {
    command.env("FERRO_OCI_LISTEN", format!("127.0.0.1:{port}"));
    command.env("FERRO_OCI_STORAGE_DIR", folder.join("data")).env("RUST_LOG", "error");
}

fn zot(command: &mut Command, port: u16, folder: &Path) {
    let config = serde_json::json!({
        "distSpecVersion": "1.1.1",
        "storage": {"rootDirectory": folder.join("data")},
        "http": {"address": "127.0.0.1", "port": port.to_string()},
        "log": {"level": "error"},
    });
    command.arg("serve").arg(configured(folder, "config.json", &config.to_string()));
}

fn olareg(command: &mut Command, port: u16, folder: &Path) {
    let data = folder.join("data");
    command.args(["serve", "--addr", "127.0.0.1", "--port", &port.to_string(), "--dir"]).arg(data);
}

fn angos(command: &mut Command, port: u16, folder: &Path) {
    let data = folder.join("data");
    let text = format!(
        "[server]
bind_address = \"127.0.0.1\"
port = {port}
[blob_store.fs]
root_dir = {:?}
[global.access_policy]
default_allow = true
[repository.\"team\"]
",
        data.display().to_string()
    );
    command.arg("-c").arg(configured(folder, "config.toml", &text)).arg("server");
}
