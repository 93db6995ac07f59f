//! A block device with a filesystem of its own, whose sectors can be counted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::place;

const SECTOR_SIZE_BYTES: u64 = 512;

/// The field of /sys/block/DEVICE/stat that counts written sectors.
const SECTORS_WRITTEN_FIELD: usize = 6;

/// An ext4 on a loop device, whose file is on the machine's own disk.
pub struct Device {
    /// The loop device's path.
    device: String,
    pub folder: PathBuf,
    mounted: bool,
    _place: TempDir,
}

impl Device {
    /// Creates a device of this length, if allowed.
    pub fn new(size_bytes: u64) -> Option<Self> {
        if !place::is_root() {
            return None;
        }
        let place = place::folder();
        let (image, folder) = (place.path().join("image"), place.path().join("mounted"));
        fs::create_dir(&folder).unwrap();
        fs::File::create(&image).unwrap().set_len(size_bytes).unwrap();
        // The filesystem must have nothing of its own left to write during a measurement.
        run(Command::new("mkfs.ext4")
            .args(["-q", "-E", "lazy_itable_init=0,lazy_journal_init=0"])
            .arg(&image));
        let device = run(Command::new("losetup").args(["--find", "--show"]).arg(&image)).trim().to_owned();
        let mut device = Self { device, folder, mounted: false, _place: place };
        run(Command::new("mount").arg(&device.device).arg(&device.folder));
        device.mounted = true;
        Some(device)
    }

    /// Says why there is no device, if there is none.
    pub fn explain_absence() {
        if !place::is_root() {
            println!("Not counted at a device: creating one requires root.\n");
        }
    }

    /// Returns the bytes written to the device since its creation, the filesystem's journal included.
    pub fn written(&self) -> u64 {
        let name = Path::new(&self.device).file_name().unwrap().to_str().unwrap().to_owned();
        let stat = fs::read_to_string(format!("/sys/block/{name}/stat")).unwrap();
        let sectors = stat.split_whitespace().nth(SECTORS_WRITTEN_FIELD).unwrap();
        sectors.parse::<u64>().unwrap() * SECTOR_SIZE_BYTES
    }

    /// Returns the device's numbers, as control groups name it.
    pub fn numbers(&self) -> String {
        let name = Path::new(&self.device).file_name().unwrap().to_str().unwrap().to_owned();
        fs::read_to_string(format!("/sys/block/{name}/dev")).unwrap().trim().to_owned()
    }

    /// Writes out everything pending.
    pub fn sync(&self) {
        run(Command::new("sync").arg("-f").arg(&self.folder));
    }

    /// Unmounts the filesystem, which empties its journal.
    pub fn unmount(&mut self) {
        run(Command::new("umount").arg(&self.folder));
        self.mounted = false;
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg(&self.folder).status();
        }
        let _ = Command::new("losetup").arg("-d").arg(&self.device).status();
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
