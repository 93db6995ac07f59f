//! nginx, serving the files of a data directory.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::place;
use crate::common::process;
use crate::peers::peer::free_address;

const START_TIME_MAX: Duration = Duration::from_secs(10);

/// A running nginx, stopped when dropped.
pub struct Nginx {
    child: Child,
    pub address: String,
    _folder: tempfile::TempDir,
}

impl Nginx {
    /// Starts one with a process for each processor, or prints why there is none.
    pub fn start(root: &Path) -> Option<Self> {
        if Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_err() {
            println!("Without nginx: it is not installed.\n");
            return None;
        }
        let folder = place::folder();
        let (address, _) = free_address();
        let configuration = folder.path().join("nginx.conf");
        fs::write(&configuration, configured(root, &address)).unwrap();
        let mut child = Command::new("nginx")
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&configuration)
            .args(["-e", "stderr", "-g", "daemon off; pid nginx.pid;"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            errors.lines().map_while(Result::ok).filter(|line| !line.contains("[notice]")).for_each(|line| {
                eprintln!("nginx: {line}");
            });
        });
        let nginx = Self { child, address, _folder: folder };
        let begun = Instant::now();
        while TcpStream::connect(&nginx.address).is_err() {
            assert!(begun.elapsed() < START_TIME_MAX, "nginx does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(nginx)
    }

    /// Returns its processes: the master and the workers.
    pub fn processes(&self) -> Vec<u32> {
        let first = self.child.id();
        let mut all = process::children(first);
        all.push(first);
        all
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It stops its workers when it is terminated, not when it is killed.
        let asked = rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.child),
            rustix::process::Signal::TERM,
        );
        if asked.is_ok() {
            let _ = self.child.wait();
        }
    }
}

fn configured(root: &Path, address: &str) -> String {
    // Only the user that runs this can read the files.
    let user = if place::is_root() { "user root;" } else { "" };
    let root = root.display();
    format!(
        "{user}
worker_processes auto;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    default_type application/octet-stream;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    server {{
        listen {address};
        root {root};
    }}
}}
"
    )
}
