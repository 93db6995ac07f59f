//! Writes the journal of a large store, as the server would have written it.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use pulk::ContentDigest;
use serde_json::{Value, json};

const SUM_LENGTH_CHARS: usize = 32;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const AT: u64 = 1_760_000_000_000;
const BLOBS_A_MANIFEST: u64 = 3;
const BLOB_SIZE_BYTES: u64 = 65_536;

/// The size of the store.
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

/// The content to write beside the metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bytes {
    /// None: a start reads metadata only.
    None,
    /// The manifests' bytes.
    OfManifests,
    /// The manifests' bytes, and files of the right length for all blobs.
    OfEverything,
}

/// A journal file that is being written.
pub struct Journal {
    path: PathBuf,
    /// Where the manifests' bytes are written.
    blobs: Option<PathBuf>,
    /// Whether files for all other blobs are written there, too.
    has_blobs: bool,
    file: BufWriter<File>,
    seq: u64,
    sum: String,
}

/// Writes a data directory whose journal holds the pushes of `scale` images, all of their blobs distinct.
/// Returns the journal's length in bytes.
pub fn write_store(data: &Path, scale: Scale, bytes: Bytes) -> u64 {
    let mut journal = Journal::create(data);
    if bytes != Bytes::None {
        journal.keep_manifests(data.join("blobs/sha256"));
    }
    journal.has_blobs = bytes == Bytes::OfEverything;
    for number in 0..scale.manifests {
        // Pushes to the repositories alternate, as in practice.
        let (repository, first) = (number % scale.repositories, number < scale.repositories);
        journal.push(&format!("team/app{repository:04}"), first, number, None);
    }
    journal.finish()
}

/// Returns the digest of the manifest of this number, if it has no subject.
pub fn manifest_digest(number: u64) -> String {
    ContentDigest::sha256_of(&manifest_bytes(number, None)).to_string()
}

fn manifest_bytes(number: u64, subject: Option<&str>) -> Vec<u8> {
    let described = |blob: u64| {
        let digest = digest("blob", number * BLOBS_A_MANIFEST + blob);
        let media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
        json!({"mediaType": media_type, "digest": digest, "size": BLOB_SIZE_BYTES})
    };
    let mut body = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": described(0),
        "layers": (1..BLOBS_A_MANIFEST).map(described).collect::<Vec<_>>(),
    });
    if let (Some(subject), Some(body)) = (subject, body.as_object_mut()) {
        body.insert("subject".to_owned(), json!({"mediaType": MANIFEST, "digest": subject, "size": 600}));
    }
    body.to_string().into_bytes()
}

fn digest(kind: &str, number: u64) -> String {
    format!("sha256:{}", blake3::hash(format!("{kind} {number}").as_bytes()).to_hex())
}

impl Journal {
    /// Creates a data directory with only a journal.
    pub fn create(data: &Path) -> Self {
        fs::create_dir_all(data.join("journal")).unwrap();
        let format = json!({"format": 1, "instance": "00000000-0000-4000-8000-000000000000"});
        fs::write(data.join("pulk.json"), format!("{format}\n")).unwrap();
        let path = data.join("journal").join("000000000001.log");
        let file = BufWriter::new(File::create(&path).unwrap());
        let mut journal =
            Self { path, blobs: None, has_blobs: false, file, seq: 0, sum: "0".repeat(SUM_LENGTH_CHARS) };
        journal.header();
        journal
    }

    /// Has manifests' bytes written into the fanout folders under this one from now on.
    fn keep_manifests(&mut self, blobs: PathBuf) {
        for byte in 0..=u8::MAX {
            fs::create_dir_all(blobs.join(format!("{byte:02x}"))).unwrap();
        }
        self.blobs = Some(blobs);
    }

    /// Ends the file, and returns its length in bytes.
    pub fn finish(self) -> u64 {
        self.file.into_inner().unwrap().sync_all().unwrap();
        fs::metadata(self.path).unwrap().len()
    }

    /// Writes the transactions of one image's push. It may be the first to its repository, and its subject
    /// may be the manifest of another number.
    pub fn push(&mut self, repo: &str, first: bool, number: u64, subject: Option<u64>) {
        for blob in 0..BLOBS_A_MANIFEST {
            let blob = number * BLOBS_A_MANIFEST + blob;
            let upload = format!("00000000-0000-4000-8000-{blob:012x}");
            let digest = digest("blob", blob);
            if self.has_blobs
                && let Some(path) = self.content_path(digest.trim_start_matches("sha256:"))
            {
                File::create(path).unwrap().set_len(BLOB_SIZE_BYTES).unwrap();
            }
            let begun = json!({"repo": repo, "algorithm": "sha256", "offset": 0});
            self.transaction(&[json!({"upload": {"id": upload, "row": begun}})]);
            let mut facts = vec![json!({"blob": {"digest": digest, "row": {"size": BLOB_SIZE_BYTES}}})];
            if first && blob.is_multiple_of(BLOBS_A_MANIFEST) {
                facts.push(json!({"repository": {"repo": repo, "row": {"since": AT}}}));
            }
            facts.push(json!({"link": {"repo": repo, "digest": digest, "row": {"size": BLOB_SIZE_BYTES}}}));
            facts.push(json!({"upload": {"id": upload, "row": null}}));
            self.transaction(&facts);
        }
        self.manifest(repo, number, subject);
    }

    fn manifest(&mut self, repo: &str, number: u64, subject: Option<u64>) {
        let subject = subject.map(manifest_digest);
        let bytes = manifest_bytes(number, subject.as_deref());
        let digest = ContentDigest::sha256_of(&bytes);
        if let Some(path) = self.content_path(&digest.encoded()) {
            fs::write(path, &bytes).unwrap();
        }
        let annotations = json!({
            "org.opencontainers.image.created": "2026-01-01T00:00:00Z",
            "org.opencontainers.image.revision": number.to_string(),
        });
        let mut row = json!({
            "media_type": MANIFEST,
            "size": bytes.len(),
            "annotations": annotations,
        });
        if let (Some(subject), Some(row)) = (&subject, row.as_object_mut()) {
            row.insert("subject".to_owned(), json!(subject));
            row.insert("artifact_type".to_owned(), json!("application/vnd.example.signature"));
        }
        let mut facts = vec![
            json!({"blob": {"digest": digest, "row": {"size": bytes.len()}}}),
            json!({"manifest": {"repo": repo, "digest": digest, "row": row}}),
        ];
        if let Some(subject) = subject {
            let referrer = json!({"repo": repo, "subject": subject, "digest": digest, "present": true});
            facts.push(json!({"referrer": referrer}));
        }
        facts.push(json!({"tag": {"repo": repo, "tag": format!("v{number}"), "row": {"digest": digest}}}));
        self.transaction(&facts);
    }

    fn content_path(&self, name: &str) -> Option<PathBuf> {
        let (fanout, _) = name.split_at(2);
        self.blobs.as_ref().map(|blobs| blobs.join(fanout).join(name))
    }

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
