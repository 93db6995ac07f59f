//! What start-up must know of the filesystems below the data directory.

use std::os::fd::OwnedFd;
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

/// The filesystems whose `syncfs` waits until everything is on the medium, by the numbers that the kernel
/// knows them by. Others may forward it to a server, or not at all.
const SYNCED_AS_A_WHOLE: [u64; 6] = [
    0xEF53,      // ext2, ext3, ext4
    0x5846_5342, // XFS
    0x9123_683E, // btrfs
    0xF2F5_2010, // F2FS
    0xCA45_1A4E, // bcachefs
    0x0102_1994, // tmpfs
];

/// The first kernel whose `syncfs` reports that bytes were lost.
const SYNCFS_REPORTS_SINCE: (u64, u64) = (5, 8);

/// Tells whether `syncfs` makes everything on the filesystem of an open folder durable, and reports what was
/// lost.
pub(super) fn is_synced_as_a_whole(folder: &OwnedFd) -> bool {
    let kernel = rustix::system::uname();
    let release = kernel.release().to_str().unwrap_or_default();
    let Ok(status) = rustix::fs::fstatfs(folder) else { return false };
    let kind = u64::try_from(status.f_type).unwrap_or(0);
    reports_lost_bytes(release) && SYNCED_AS_A_WHOLE.contains(&kind)
}

/// Tells whether the `syncfs` of a kernel with this release reports that bytes were lost.
fn reports_lost_bytes(release: &str) -> bool {
    let digits = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
    let mut parts = release.split('.').map_while(digits);
    let version: Option<(u64, u64)> = parts.next().zip(parts.next());
    version >= Some(SYNCFS_REPORTS_SINCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_reports_lost_bytes_since_5_8() {
        for (release, reports) in [
            ("5.8.0", true),
            ("5.10.0-28-amd64", true),
            ("6.1-rc3", true),
            ("10.0.1", true),
            ("5.7.19", false),
            ("4.19.0-26-amd64", false),
            ("", false),
            ("six", false),
        ] {
            assert_eq!(reports_lost_bytes(release), reports, "{release}");
        }
    }
}
