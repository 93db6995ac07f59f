//! Writing a large store's journal, as the server itself would have.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use pulk::ContentDigest;
use serde_json::{Value, json};

const SUM_LENGTH_CHARS: usize = 32;
const AT: u64 = 1_760_000_000_000;
const BLOBS_A_MANIFEST: u64 = 3;

/// How much there is in the store.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    pub repositories: u64,
    pub manifests: u64,
}

impl Scale {
    /// How many links of blobs to repositories there are.
    pub fn links(self) -> u64 {
        self.manifests * BLOBS_A_MANIFEST
    }
}

/// Which content there is beside the metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bytes {
    /// None: a start looks at metadata only.
    None,
    /// That of the manifests.
    OfManifests,
}

/// A journal file that is being written.
struct Journal {
    file: BufWriter<File>,
    seq: u64,
    sum: String,
}

/// Writes a data directory whose journal holds the pushes of that many images, every blob another one. Returns
/// the journal's length in bytes.
pub fn write_store(data: &Path, scale: Scale, bytes: Bytes) -> u64 {
    fs::create_dir_all(data.join("journal")).unwrap();
    let blobs = (bytes == Bytes::OfManifests).then(|| data.join("blobs/sha256"));
    for fanout in blobs.iter().flat_map(|blobs| (0..=u8::MAX).map(|byte| blobs.join(format!("{byte:02x}")))) {
        fs::create_dir_all(fanout).unwrap();
    }
    let format = json!({"format": 1, "instance": "00000000-0000-4000-8000-000000000000"});
    fs::write(data.join("pulk.json"), format!("{format}\n")).unwrap();

    let path = data.join("journal").join("000000000001.log");
    let file = BufWriter::new(File::create(&path).unwrap());
    let mut journal = Journal { file, seq: 0, sum: "0".repeat(SUM_LENGTH_CHARS) };
    journal.header();
    for number in 0..scale.manifests {
        // The pushes to the repositories take turns, as they do in life.
        let (repository, first) = (number % scale.repositories, number < scale.repositories);
        push(&mut journal, &format!("team/app{repository:04}"), first, number, blobs.as_deref());
    }
    journal.file.into_inner().unwrap().sync_all().unwrap();
    fs::metadata(path).unwrap().len()
}

/// The transactions of one image's push.
fn push(journal: &mut Journal, repo: &str, first: bool, number: u64, blobs: Option<&Path>) {
    for blob in 0..BLOBS_A_MANIFEST {
        let blob = number * BLOBS_A_MANIFEST + blob;
        let upload = format!("00000000-0000-4000-8000-{blob:012x}");
        let digest = digest("blob", blob);
        let begun = json!({"repo": repo, "algorithm": "sha256", "offset": 0});
        journal.transaction(&[json!({"upload": {"id": upload, "row": begun}})]);
        let mut facts = vec![json!({"blob": {"digest": digest, "row": {"size": 65536}}})];
        if first && blob.is_multiple_of(BLOBS_A_MANIFEST) {
            facts.push(json!({"repository": {"repo": repo, "row": {"since": AT}}}));
        }
        facts.push(json!({"link": {"repo": repo, "digest": digest, "row": {"size": 65536}}}));
        facts.push(json!({"upload": {"id": upload, "row": null}}));
        journal.transaction(&facts);
    }
    let bytes = manifest(number);
    let digest = ContentDigest::sha256_of(&bytes);
    if let Some(blobs) = blobs {
        let name = digest.encoded();
        let (fanout, _) = name.split_at(2);
        fs::write(blobs.join(fanout).join(&name), &bytes).unwrap();
    }
    let annotations = json!({
        "org.opencontainers.image.created": "2026-01-01T00:00:00Z",
        "org.opencontainers.image.revision": number.to_string(),
    });
    let row = json!({
        "media_type": "application/vnd.oci.image.manifest.v1+json",
        "size": bytes.len(),
        "annotations": annotations,
    });
    journal.transaction(&[
        json!({"blob": {"digest": digest, "row": {"size": bytes.len()}}}),
        json!({"manifest": {"repo": repo, "digest": digest, "row": row}}),
        json!({"tag": {"repo": repo, "tag": format!("v{number}"), "row": {"digest": digest}}}),
    ]);
}

fn manifest(number: u64) -> Vec<u8> {
    let described = |blob: u64| {
        let digest = digest("blob", number * BLOBS_A_MANIFEST + blob);
        json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": 65536})
    };
    let body = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described(0),
        "layers": (1..BLOBS_A_MANIFEST).map(described).collect::<Vec<_>>(),
    });
    body.to_string().into_bytes()
}

fn digest(kind: &str, number: u64) -> String {
    format!("sha256:{}", blake3::hash(format!("{kind} {number}").as_bytes()).to_hex())
}

impl Journal {
    fn header(&mut self) {
        let body = format!(r#"{{"journal":1,"first":1,"prev":"{}","durable":0"#, self.sum);
        self.line(&body);
    }

    fn transaction(&mut self, facts: &[Value]) {
        let durable = self.seq;
        self.seq += 1;
        let facts = Value::from(facts.to_vec());
        let body = format!(
            r#"{{"seq":{},"prev":"{}","durable":{durable},"at":{AT},"facts":{facts}"#,
            self.seq, self.sum
        );
        self.sum = self.line(&body);
    }

    /// Writes a line with its sum, and returns the sum.
    fn line(&mut self, body: &str) -> String {
        let mut sum = blake3::hash(body.as_bytes()).to_hex().to_string();
        sum.truncate(SUM_LENGTH_CHARS);
        writeln!(self.file, r#"{body},"sum":"{sum}"}}"#).unwrap();
        sum
    }
}
