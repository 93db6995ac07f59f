//! docker-registry, with its own data directory.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::common::place;

/// What it logs before its address when it listens.
const LISTENING: &str = "listening on ";

/// A running docker-registry, killed when it is dropped.
pub struct Distribution {
    child: Child,
    pub address: String,
    _folder: TempDir,
}

impl Distribution {
    /// Starts one, or prints why there is none.
    pub fn start() -> Option<Self> {
        if Command::new("docker-registry").arg("--version").stdout(Stdio::null()).status().is_err() {
            println!("Without docker-registry: it is not installed.\n");
            return None;
        }
        let folder = place::folder();
        let configuration = folder.path().join("config.yml");
        let data = folder.path().join("data");
        fs::write(&configuration, configured(&data.to_string_lossy())).unwrap();
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(&configuration)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains(LISTENING)).expect("docker-registry to listen");
        let (_, behind) = line.split_once(LISTENING).unwrap();
        let address = behind.chars().take_while(|letter| letter.is_ascii_digit() || ".:".contains(*letter));
        let address = address.collect();
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { child, address, _folder: folder })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Distribution {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configured(data: &str) -> String {
    format!(
        "version: 0.1
log:
  level: info
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: {data}
http:
  addr: 127.0.0.1:0
  secret: of-a-benchmark
"
    )
}
