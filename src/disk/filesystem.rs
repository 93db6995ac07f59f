//! What start-up must know of the filesystems below the data directory.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxFlags};

use super::DiskError;

/// Tells whether a file can be renamed from one folder into the other: both must lie on one filesystem and be
/// reached through one mount, since Linux refuses renames across mounts even of the same filesystem.
pub fn same_filesystem(one: &Path, other: &Path) -> Result<bool, DiskError> {
    let device = |path: &Path| {
        std::fs::metadata(path)
            .map(|metadata| metadata.dev())
            .map_err(|error| DiskError::new("look at", path, error))
    };
    let same_device = device(one)? == device(other)?;
    Ok(match (mount(one), mount(other)) {
        (Some(one), Some(other)) => same_device && one == other,
        _ => same_device,
    })
}

/// Returns the mount that a path lies on, if the kernel reports it (Linux 5.8 and later do).
fn mount(path: &Path) -> Option<u64> {
    let status = rustix::fs::statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).ok()?;
    let told = StatxFlags::from_bits_retain(status.stx_mask).contains(StatxFlags::MNT_ID);
    told.then_some(status.stx_mnt_id)
}
