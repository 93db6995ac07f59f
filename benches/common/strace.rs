//! Counting system calls with strace.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The calls that make something durable, and sync_file_range(2), which only starts writing.
pub const SYNCING: &str = "fsync,fdatasync,syncfs,sync,msync,sync_file_range";

/// How a line of the call begins that only starts writing: nothing is durable after it.
const WRITING_OUT: &str = " sync_file_range(";

/// The calls that change something on a disk.
pub const CHANGING: &str = "fsync,fdatasync,sync_file_range,syncfs,sync,msync,pwrite64,pwritev,pwritev2,\
                            fallocate,ftruncate,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat";

/// Numbers of calls.
#[derive(Debug, Clone, Copy)]
pub struct Calls {
    /// Of sync_file_range(2).
    pub writing_out: usize,
    /// Of all others.
    pub others: usize,
}

impl Calls {
    /// Returns the calls since `before`.
    pub fn since(self, before: Self) -> Self {
        Self { writing_out: self.writing_out - before.writing_out, others: self.others - before.others }
    }
}

/// A file that strace writes calls to, one for each line.
#[derive(Debug)]
pub struct Trace {
    path: PathBuf,
}

impl Trace {
    /// Returns a trace in `folder`, or prints that strace is missing.
    pub fn new(folder: &Path) -> Option<Self> {
        let found = Command::new("strace").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            println!("Not counted with strace: it is not installed.\n");
            return None;
        }
        Some(Self { path: folder.join("trace") })
    }

    /// Returns the command that starts a program and traces its `calls`. The program itself is the child, and
    /// strace its grandchild.
    pub fn command(&self, calls: &str, program: &str) -> Command {
        let mut command = Command::new("strace");
        command.args(["-D", "-f", "-qq", "-e", &format!("trace={calls}"), "-o"]).arg(&self.path).arg(program);
        command
    }

    /// Counts the calls so far by name.
    pub fn count_by_name(&self) -> BTreeMap<String, usize> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let mut counts = BTreeMap::new();
        for line in text.lines().filter(|line| !line.contains(" resumed>")) {
            // The process's number, spaces, the call.
            let call = line.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == ' ');
            if let Some((name, _)) = call.split_once('(') {
                *counts.entry(name.to_owned()).or_default() += 1;
            }
        }
        counts
    }

    /// Counts the calls so far.
    pub fn count(&self) -> Calls {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let calls = text.lines().filter(|line| line.contains('(') && !line.contains(" resumed>"));
        let (writing_out, others): (Vec<_>, Vec<_>) = calls.partition(|line| line.contains(WRITING_OUT));
        Calls { writing_out: writing_out.len(), others: others.len() }
    }
}
