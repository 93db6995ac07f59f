//! Counting system calls with strace.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The calls that make something durable, and the one that only starts writing.
pub const SYNCING: &str = "fsync,fdatasync,syncfs,sync,msync,sync_file_range";

/// The call that only starts writing, whoever waits for it: nothing is durable after it.
const WRITING_OUT: &str = " sync_file_range(";

/// The calls that change something on a disk.
pub const CHANGING: &str = "fsync,fdatasync,sync_file_range,syncfs,sync,msync,pwrite64,pwritev,pwritev2,\
                            fallocate,ftruncate,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat";

/// How many calls there were.
#[derive(Debug, Clone, Copy)]
pub struct Calls {
    /// Of sync_file_range(2).
    pub writing_out: usize,
    /// Of all others.
    pub others: usize,
}

impl Calls {
    /// Returns those that came after `before`.
    pub fn since(self, before: Self) -> Self {
        Self { writing_out: self.writing_out - before.writing_out, others: self.others - before.others }
    }
}

/// A file that strace writes calls to, one a line.
#[derive(Debug)]
pub struct Trace {
    path: PathBuf,
}

impl Trace {
    /// Returns a trace in `folder`, and says so when there is no strace.
    pub fn new(folder: &Path) -> Option<Self> {
        let found = Command::new("strace").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            println!("Not counted with strace: there is none on this machine.\n");
            return None;
        }
        Some(Self { path: folder.join("trace") })
    }

    /// Returns the command that starts a program so that its `calls` are written down. The program itself is
    /// the child; strace goes with it.
    pub fn command(&self, calls: &str, program: &str) -> Command {
        let mut command = Command::new("strace");
        command.args(["-D", "-f", "-qq", "-e", &format!("trace={calls}"), "-o"]).arg(&self.path).arg(program);
        command
    }

    /// Counts the calls so far by their names.
    pub fn count_by_name(&self) -> BTreeMap<String, usize> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let mut counts = BTreeMap::new();
        for line in text.lines().filter(|line| !line.contains(" resumed>")) {
            // A process's number, spaces, the call.
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
