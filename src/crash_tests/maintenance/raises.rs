//! A start that raises a store's format can die at any moment: the next one goes on, and loses nothing.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::crash_tests::{check_push, each_power_cut, is_soak, look, open, whole_store};
use crate::disk::Disk;
use crate::disk::simulated::{Medium, SimulatedDisk};
use crate::meta::{FORMAT, FORMAT_OLDEST};

fn read(disk: &SimulatedDisk, path: &Path) -> Vec<u8> {
    let file = disk.open(path).unwrap();
    let mut bytes = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
    let length = file.read_at(&mut bytes, 0).unwrap();
    assert_eq!(length, bytes.len());
    bytes
}

fn stated(disk: &SimulatedDisk) -> Value {
    serde_json::from_slice(&read(disk, Path::new("pulk.json"))).unwrap()
}

/// Has a line state the oldest format, with the sum that it then has.
fn lowered(line: &[u8], field: &str) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(line).ok()?.trim_start_matches('\0');
    let (body, _) = text.split_once(",\"sum\":")?;
    let now = format!("{{\"{field}\":{FORMAT},");
    let body = format!("{{\"{field}\":{FORMAT_OLDEST},{}", body.strip_prefix(&now)?);
    let sum = blake3::hash(body.as_bytes()).to_hex();
    Some(format!("{body},\"sum\":\"{}\"}}\n", &sum[..32]).into_bytes())
}

/// Returns a store as the oldest format that is read left it.
fn of_the_oldest_format() -> Medium {
    let disk = SimulatedDisk::new(whole_store());
    let mut said = stated(&disk);
    said["format"] = json!(FORMAT_OLDEST);
    let mut changed = vec![(PathBuf::from("pulk.json"), format!("{said}\n").into_bytes())];
    for (folder, field) in [("journal", "journal"), ("checkpoint", "checkpoint")] {
        for entry in disk.list(Path::new(folder)).unwrap() {
            let path = Path::new(folder).join(&entry.name);
            let bytes = read(&disk, &path);
            let mut lines: Vec<Vec<u8>> =
                bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            let at = lines.iter().position(|line| lowered(line, field).is_some()).unwrap();
            lines[at] = lowered(&lines[at], field).unwrap();
            changed.push((path, lines.concat()));
        }
    }
    for (path, bytes) in changed {
        let file = disk.open_writable(&path).unwrap();
        file.write_at(&bytes, 0).unwrap();
        file.sync().unwrap();
    }
    disk.medium()
}

#[test]
fn a_start_that_raises_the_format_can_die_at_any_moment() {
    let store = of_the_oldest_format();
    let disk = SimulatedDisk::new(store.clone());
    let instance = stated(&disk)["instance"].clone();
    let registry = open(&disk).unwrap();
    let found = look(&registry).unwrap();
    check_push(&registry).unwrap();
    drop(registry);
    assert_eq!(stated(&disk)["format"], FORMAT);
    let steps = disk.steps();
    let (one_in, each) = if is_soak() { (1, 6) } else { (3, 1) };
    let tried = each_power_cut(&store, &steps, one_in, each, |at, left| {
        let check = || {
            let disk = SimulatedDisk::new(left.clone());
            let registry = open(&disk).map_err(|error| error.to_string())?;
            let now = look(&registry)?;
            let lost = found.iter().find(|(key, value)| value.is_some() && now.get(key) != Some(value));
            lost.map_or(Ok(()), |lost| Err(format!("{lost:?} is lost")))?;
            check_push(&registry)?;
            let said = stated(&disk);
            let is_raised = said["format"] == FORMAT && said["instance"] == instance;
            is_raised.then_some(()).ok_or_else(|| format!("pulk.json: {said}"))
        };
        check().unwrap_or_else(|why| panic!("step {at}: {why}"));
    });
    assert!(tried >= 20, "{tried}");
}
