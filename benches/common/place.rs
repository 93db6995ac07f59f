//! Where data directories are created.

use std::path::PathBuf;

use tempfile::TempDir;

/// The type that statfs(2) gives for a filesystem in memory.
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// Creates a folder under `PULK_BENCH_DIR`, or else under the build's folder; dropping the result removes it.
///
/// Syncing in memory costs nothing, so a tmpfs is refused.
pub fn folder() -> TempDir {
    let parent = std::env::var_os("PULK_BENCH_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    std::fs::create_dir_all(&parent).unwrap();
    let kind = rustix::fs::statfs(&parent).unwrap().f_type;
    assert_ne!(
        u64::try_from(kind).unwrap_or_default(),
        TMPFS_MAGIC,
        "{} is in memory: set PULK_BENCH_DIR to a folder on a disk",
        parent.display()
    );
    TempDir::new_in(parent).unwrap()
}

/// Tells whether this process may create and mount devices.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
