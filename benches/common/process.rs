//! What the system reports about a process.

use std::fs;

const KIB_BYTES: u64 = 1024;

/// The fields with the times in /proc/PID/stat, counted after the name.
const TIMES_AT: usize = 11;

/// Their unit: the same on every machine, as Linux shows it to programs.
const TICKS_A_SECOND: f64 = 100.0;

/// The memory of a process, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Resident now.
    pub resident: u64,
    /// The peak.
    pub peak: u64,
}

/// Reads VmRSS and VmHWM of /proc/PID/status.
pub fn memory(pid: u32) -> Memory {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let kib = |name| number_behind(&status, name).unwrap();
    Memory { resident: kib("VmRSS:") * KIB_BYTES, peak: kib("VmHWM:") * KIB_BYTES }
}

/// Reads VmHWM of a process, if it still runs.
pub fn peak_if_running(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(number_behind(&status, "VmHWM:")? * KIB_BYTES)
}

/// Reads `write_bytes` of /proc/PID/io: pages that the process caused to be written, by dirtying them.
pub fn written(pid: u32) -> u64 {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    number_behind(&io, "write_bytes:").unwrap()
}

/// Reads the processor time of all threads in seconds, user and system, from /proc/PID/stat.
pub fn processor_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The program's name, in parentheses, may hold anything.
    let (_, behind_name) = stat.rsplit_once(')').unwrap();
    let ticks = behind_name.split_whitespace().skip(TIMES_AT).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / TICKS_A_SECOND
}

/// Resets VmHWM of a process to what is resident now.
pub fn forget_peak(pid: u32) {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
}

/// Returns the processes that a process has started.
pub fn children(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

fn number_behind(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
