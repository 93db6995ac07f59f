//! `policies.json`: the policies that the store was last served with, for commands that find no server.
//!
//! A store that was only ever served without policies has no such file.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::disk::{Disk, DiskError, unless_damaged};
use crate::meta::journal::{decode, encode};
use crate::meta::model::{Policies, Policy};

const FILE: &str = "policies.json";
const UNFINISHED_FILE: &str = "policies.json.new";

/// Longer than what thousands of policies take.
const FILE_SIZE_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The content of the file, one line with a checksum as those of the journal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PoliciesBody {
    policies: Vec<Policy>,
}

/// Reads the policies that the store was last served with; none where there are none. Fails with a reason
/// where the file is damaged, or where another version of pulk wrote something that this one does not know.
pub fn remembered_policies(disk: &dyn Disk) -> Result<Option<Policies>, String> {
    let bytes = match bytes_of(disk) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let (body, _) = decode::<PoliciesBody>(line).map_err(|error| format!("{FILE}: {error}"))?;
    Ok(Some(Policies::new(body.policies)))
}

/// Has the store remember policies. They are durable on return; a power cut leaves these or the earlier
/// ones, whole. Writes nothing where the file says the same.
///
/// INVARIANT: the caller holds the store's lock.
pub fn remember_policies(disk: &dyn Disk, policies: &Policies) -> Result<(), DiskError> {
    let (unfinished, finished) = (Path::new(UNFINISHED_FILE), Path::new(FILE));
    let body = PoliciesBody { policies: policies.all().to_vec() };
    let (line, _) = encode(&body).map_err(|error| DiskError::new("render", finished, error))?;
    match bytes_of(disk) {
        Ok(None) if policies.all().is_empty() => return Ok(()),
        Ok(Some(bytes)) if bytes == line => return Ok(()),
        // What cannot be read is replaced.
        _ => {}
    }
    match disk.remove(unfinished) {
        Err(error) if !error.is_not_found() => return Err(error),
        _ => {}
    }
    let file = disk.create(unfinished)?;
    file.write_at(&line, 0)?;
    file.sync()?;
    disk.rename(unfinished, finished)?;
    disk.sync_folder(Path::new(""))
}

/// Returns the bytes of the file, empty where the medium cannot read them; `None` if there is no file.
fn bytes_of(disk: &dyn Disk) -> Result<Option<Vec<u8>>, DiskError> {
    let file = match disk.open_to_salvage(Path::new(FILE)) {
        Err(error) if error.is_not_found() => return Ok(None),
        opened => opened?,
    };
    let length = usize::try_from(file.length()?.min(FILE_SIZE_MAX_BYTES)).unwrap_or(usize::MAX);
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while let Some(space) = bytes.get_mut(filled..).filter(|space| !space.is_empty()) {
        match unless_damaged(file.read_at(space, filled as u64))? {
            None => return Ok(Some(Vec::new())),
            Some(0) => break,
            Some(read) => filled += read,
        }
    }
    bytes.truncate(filled);
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    fn policies(pattern: &str) -> Policies {
        let immutable = vec![pattern.parse().unwrap()];
        Policies::new(vec![Policy { immutable, ..Policy::default() }])
    }

    #[test]
    fn policies_come_back_as_they_were_remembered() {
        let disk = MemoryDisk::new();
        assert_eq!(remembered_policies(&disk), Ok(None));
        remember_policies(&disk, &Policies::default()).unwrap();
        assert_eq!(remembered_policies(&disk), Ok(None), "without policies, there is no file");
        for remembered in [policies("v*"), policies("release-*"), Policies::default()] {
            remember_policies(&disk, &remembered).unwrap();
            assert_eq!(remembered_policies(&disk), Ok(Some(remembered)));
        }
    }

    #[test]
    fn a_damaged_file_and_one_of_another_version_are_not_taken_for_none_and_replaced() {
        let disk = MemoryDisk::new();
        remember_policies(&disk, &policies("v*")).unwrap();
        let whole = bytes_of(&disk).unwrap().unwrap();
        let (newer, _) = encode(&serde_json::json!({"policies": [{"keep_for_ever": true}]})).unwrap();
        let flipped = (0..whole.len() - 1).map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            bytes
        });
        let shorter = (0..whole.len() - 1).map(|length| whole[..length].to_vec());
        for bytes in flipped.chain(shorter).chain([newer]) {
            let file = disk.open_writable(Path::new(FILE)).unwrap();
            file.truncate(0).unwrap();
            file.write_at(&bytes, 0).unwrap();
            let read = remembered_policies(&disk);
            assert!(read.is_err(), "{}: {read:?}", String::from_utf8_lossy(&bytes));
        }
        remember_policies(&disk, &policies("v*")).unwrap();
        assert_eq!(remembered_policies(&disk), Ok(Some(policies("v*"))));
    }
}
