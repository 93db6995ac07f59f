//! What the journal notes of where a change comes from.

use std::path::Path;

use smol::block_on;

use super::*;
use crate::meta::Origin;

/// Returns the origins that the lines with a fact of this kind state.
fn origins(disk: &dyn Disk, fact: &str) -> Vec<Option<serde_json::Value>> {
    let mut found = Vec::new();
    for entry in disk.list(Path::new("journal")).unwrap() {
        let file = disk.open(&Path::new("journal").join(entry.name)).unwrap();
        let mut bytes = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
        let mut filled = 0;
        while filled < bytes.len() {
            filled += file.read_at(&mut bytes[filled..], filled as u64).unwrap();
        }
        let text = String::from_utf8(bytes).unwrap().replace('\0', "");
        for line in text.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let facts = line["facts"].as_array().cloned().unwrap_or_default();
            if facts.iter().any(|found| found.get(fact).is_some()) {
                found.push(line.get("by").cloned());
            }
        }
    }
    found
}

fn client() -> Origin {
    let origin = Origin::default().address("192.0.2.7".parse().unwrap()).request("r-1");
    origin.client("oras/1.2\n{\"seq\":1}").rule("quota")
}

#[test]
fn a_change_is_noted_as_coming_from_the_origin_of_its_handle() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let registry = open_on(Arc::clone(&disk), |_| {});
    let acting = registry.on_behalf_of(client());
    let (name, first) = (repo("app"), tag("v1"));
    let config = block_on(push_blob(&registry, "app", b"{}"));
    block_on(acting.put_manifest(&name, by_tag("v1", &image(&config, &[])))).unwrap();
    block_on(registry.delete_tag(&name, &first)).unwrap();
    let by = serde_json::json!({
        "address": "192.0.2.7",
        "request": "r-1",
        "client": "oras/1.2?{?seq?:1}",
        "rule": "quota",
    });
    assert_eq!(origins(disk.as_ref(), "tag"), [Some(by), None]);
}

#[test]
fn clients_are_not_noted_where_that_is_switched_off() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let registry = open_on(Arc::clone(&disk), |options| options.journal_clients = false);
    let (name, first) = (repo("app"), tag("v1"));
    let config = block_on(push_blob(&registry, "app", b"{}"));
    let acting = registry.on_behalf_of(client());
    block_on(acting.put_manifest(&name, by_tag("v1", &image(&config, &[])))).unwrap();
    let only_client = client().rule("");
    block_on(registry.on_behalf_of(only_client).delete_tag(&name, &first)).unwrap();
    assert_eq!(origins(disk.as_ref(), "tag"), [Some(serde_json::json!({ "rule": "quota" })), None]);
}
