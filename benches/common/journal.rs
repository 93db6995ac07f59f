//! Writing a large store's journal, as the server itself would have.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

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

/// A journal file that is being written.
struct Journal {
    file: BufWriter<File>,
    seq: u64,
    sum: String,
}

/// Writes a data directory whose journal holds the pushes of that many images, every blob another one. There
/// is no content: a start looks at metadata only. Returns the journal's length in bytes.
pub fn write_store(data: &Path, scale: Scale) -> u64 {
    fs::create_dir_all(data.join("journal")).unwrap();
    let format = json!({"format": 1, "instance": "00000000-0000-4000-8000-000000000000"});
    fs::write(data.join("pulk.json"), format!("{format}\n")).unwrap();

    let path = data.join("journal").join("000000000001.log");
    let file = BufWriter::new(File::create(&path).unwrap());
    let mut journal = Journal { file, seq: 0, sum: "0".repeat(SUM_LENGTH_CHARS) };
    journal.header();
    for number in 0..scale.manifests {
        // The pushes to the repositories take turns, as they do in life.
        let (repository, first) = (number % scale.repositories, number < scale.repositories);
        push(&mut journal, &format!("team/app{repository:04}"), first, number);
    }
    journal.file.into_inner().unwrap().sync_all().unwrap();
    fs::metadata(path).unwrap().len()
}

/// The transactions of one image's push.
fn push(journal: &mut Journal, repo: &str, first: bool, number: u64) {
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
    let digest = digest("manifest", number);
    let annotations = json!({
        "org.opencontainers.image.created": "2026-01-01T00:00:00Z",
        "org.opencontainers.image.revision": number.to_string(),
    });
    let row = json!({
        "media_type": "application/vnd.oci.image.manifest.v1+json",
        "size": 600,
        "annotations": annotations,
    });
    journal.transaction(&[
        json!({"blob": {"digest": digest, "row": {"size": 600}}}),
        json!({"manifest": {"repo": repo, "digest": digest, "row": row}}),
        json!({"tag": {"repo": repo, "tag": format!("v{number}"), "row": {"digest": digest}}}),
    ]);
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
