//! What the system says of a process.

use std::fs;

const KIB_BYTES: u64 = 1024;

/// The memory of a process, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// What is resident now.
    pub resident: u64,
    /// The most that ever was.
    pub peak: u64,
}

/// Reads VmRSS and VmHWM of /proc/PID/status.
pub fn memory(pid: u32) -> Memory {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let kib = |name| number_behind(&status, name).unwrap();
    Memory { resident: kib("VmRSS:") * KIB_BYTES, peak: kib("VmHWM:") * KIB_BYTES }
}

/// Reads `write_bytes` of /proc/PID/io: pages that the process caused to be written, by dirtying them.
pub fn written(pid: u32) -> u64 {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    number_behind(&io, "write_bytes:").unwrap()
}

fn number_behind(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
