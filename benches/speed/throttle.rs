//! Limits how fast a process may read from a device.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder of control groups of version 1 that limit block devices.
const VERSION_1: &str = "/sys/fs/cgroup/blkio";

/// The folder of control groups of version 2.
const VERSION_2: &str = "/sys/fs/cgroup";

/// A control group whose processes read slowly.
pub struct Throttle {
    group: PathBuf,
    parent: &'static str,
}

impl Throttle {
    /// Creates a group that reads `bytes_a_second` from a device (its numbers as in /sys/block/NAME/dev), or
    /// prints why it cannot.
    pub fn new(device: &str, bytes_a_second: u64) -> Option<Self> {
        let is_version_1 = Path::new(VERSION_1).join("blkio.throttle.read_bps_device").exists();
        let parent = if is_version_1 { VERSION_1 } else { VERSION_2 };
        let group = Path::new(parent).join(format!("pulk-bench-{}", std::process::id()));
        let made = || {
            if is_version_1 {
                fs::create_dir(&group)?;
                let limit = format!("{device} {bytes_a_second}");
                return fs::write(group.join("blkio.throttle.read_bps_device"), limit);
            }
            fs::write(Path::new(parent).join("cgroup.subtree_control"), "+io")?;
            fs::create_dir(&group)?;
            fs::write(group.join("io.max"), format!("{device} rbps={bytes_a_second}"))
        };
        match made() {
            Ok(()) => Some(Self { group, parent }),
            Err(error) => {
                println!("Not measured: no control group limits a device here ({error}).\n");
                let _ = fs::remove_dir(&group);
                None
            }
        }
    }

    /// Puts a process into the group.
    pub fn add(&self, pid: u32) {
        fs::write(self.group.join("cgroup.procs"), pid.to_string()).unwrap();
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        for pid in fs::read_to_string(self.group.join("cgroup.procs")).unwrap_or_default().lines() {
            let _ = fs::write(Path::new(self.parent).join("cgroup.procs"), pid);
        }
        let _ = fs::remove_dir(&self.group);
    }
}
