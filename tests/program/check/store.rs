//! Stores to damage, and the program to check them with.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use pulk::{Digest, Registry, RegistryOptions, Storage};
use serde_json::{Value, json};
use smol::block_on;
use tempfile::TempDir;

pub(crate) use crate::common::{
    OCI_INDEX, OCI_MANIFEST, Ran, blob_file, command, descriptor, pulk, push_blob, push_manifest, repo,
    sha256,
};
use crate::common::{config_of, manifest_of};

/// A data directory.
pub(crate) struct Store {
    pub(crate) folder: TempDir,
}

/// An image of two blobs, identified by `name`.
pub(crate) struct Image {
    pub(crate) config: Vec<u8>,
    pub(crate) layer: Vec<u8>,
    pub(crate) manifest: Vec<u8>,
}

impl Image {
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, &json!({}))
    }

    pub(crate) fn with(name: &str, more: &Value) -> Self {
        let (config, layer) = (config_of(name), format!("layer of {name}").into_bytes());
        let manifest = manifest_of(&config, &[&layer], more);
        Self { config, layer, manifest }
    }

    /// An image whose layer is too long for the journal.
    pub(crate) fn large(name: &str) -> Self {
        let (config, layer) = (config_of(name), name.repeat(10_000).into_bytes());
        let manifest = manifest_of(&config, &[&layer], &json!({}));
        Self { config, layer, manifest }
    }

    pub(crate) fn digest(&self) -> Digest {
        sha256(&self.manifest)
    }
}

impl Store {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    /// Creates a store with `app:v1`, then `app:v2`, and stops it cleanly.
    pub(crate) fn with_two_images() -> Self {
        let store = Self::new();
        store.run(|registry| {
            push(registry, "app", &Image::new("one"), "v1");
            push(registry, "app", &Image::new("two"), "v2");
        });
        store
    }

    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    /// Opens the store, works with it, and stops it cleanly.
    pub(crate) fn run<T>(&self, work: impl FnOnce(&Registry) -> T) -> T {
        let registry = self.open();
        let done = work(&registry);
        block_on(registry.close()).unwrap();
        done
    }

    pub(crate) fn open(&self) -> Registry {
        let mut options = RegistryOptions::new(Storage::Folder(self.folder.path().to_owned()));
        options.sparse_indexes = true;
        options.manifest_size_max_bytes = 8 << 20;
        Registry::open(options).unwrap()
    }

    pub(crate) fn blob(&self, content: &[u8]) -> PathBuf {
        blob_file(self.folder.path(), content)
    }

    /// Returns the newest file of the journal.
    pub(crate) fn journal(&self) -> PathBuf {
        let mut files: Vec<PathBuf> =
            fs::read_dir(self.path("journal")).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|ending| ending == "log"));
        files.into_iter().max().unwrap()
    }

    pub(crate) fn journal_lines(&self) -> Vec<String> {
        // Zeroes fill the blocks between batches.
        let text = fs::read_to_string(self.journal()).unwrap().replace('\0', "");
        text.lines().map(str::to_owned).collect()
    }

    /// Removes the lines of the journal that contain `text`, and returns how many there were. Also removes
    /// the marker of the clean stop, since the index would replace the lines otherwise.
    pub(crate) fn lose_lines(&self, text: &str) -> usize {
        let lines = self.journal_lines();
        let left: String =
            lines.iter().filter(|line| !line.contains(text)).map(|line| format!("{line}\n")).collect();
        fs::write(self.journal(), &left).unwrap();
        let _ = fs::remove_file(self.path("clean"));
        lines.len() - left.lines().count()
    }

    /// Appends a line to the journal that verifies, as if the writer had written it.
    pub(crate) fn append(&self, facts: &Value) {
        let lines = self.journal_lines();
        let last: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
        let seq = last["seq"].as_u64().unwrap();
        let record = json!({"seq": seq + 1, "prev": last["sum"], "durable": seq, "at": 1, "facts": facts});
        fs::write(self.journal(), lines.join("\n") + "\n" + &with_sum(&record.to_string())).unwrap();
    }

    /// Removes a folder with everything in it.
    pub(crate) fn remove_folder(&self, name: &str) {
        fs::remove_dir_all(self.path(name)).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// Returns every file with its bytes.
    pub(crate) fn snapshot(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        add_files(self.folder.path(), &mut files);
        files
    }

    /// Runs the program on the store; returns exit code, output and errors.
    pub(crate) fn pulk(&self, arguments: &[&str]) -> (i32, String, String) {
        let Ran { code, out, err } = pulk(arguments, self.folder.path());
        (code, out, err)
    }

    /// Runs the program where the folder of the system's temporary files does not exist.
    pub(crate) fn pulk_without_temporary_files(&self, arguments: &[&str]) -> (i32, String, String) {
        let missing = self.path("no such folder");
        let output = command(arguments, self.folder.path()).env("TMPDIR", missing).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// Checks the store and returns the kinds of the findings.
    pub(crate) fn wrong(&self, arguments: &[&str]) -> Vec<String> {
        let (code, out, err) = self.pulk(&[&["check", "--json"], arguments].concat());
        let report: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
        let kinds = kinds(&report["findings"]);
        assert_eq!(code, i32::from(!kinds.is_empty()), "{out}{err}");
        kinds
    }
}

/// Returns a line with its right sum, whether it had one or not.
pub(crate) fn with_sum(line: &str) -> String {
    let body = line.rsplit_once(",\"sum\":").map_or(line.strip_suffix('}'), |(body, _)| Some(body)).unwrap();
    let sum = blake3::hash(body.as_bytes()).to_hex();
    format!("{body},\"sum\":\"{}\"}}\n", &sum[..32])
}

pub(crate) fn kinds(findings: &Value) -> Vec<String> {
    let findings = findings.as_array().unwrap();
    for finding in findings {
        for key in ["kind", "where", "what"] {
            assert!(finding[key].is_string(), "{finding}");
        }
    }
    findings.iter().map(|finding| finding["kind"].as_str().unwrap().to_owned()).collect()
}

fn add_files(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add_files(&path, files);
            files.insert(path, Vec::new());
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
}

/// Flips a byte in the middle of a file.
pub(crate) fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

pub(crate) fn push(registry: &Registry, name: &str, image: &Image, tag: &str) {
    push_blob(registry, name, &image.config);
    push_blob(registry, name, &image.layer);
    push_manifest(registry, name, &image.manifest, Some(tag));
}

/// Tells whether a repository has an image, whole.
pub(crate) fn has(registry: &Registry, name: &str, image: &Image) -> bool {
    block_on(async {
        let Ok(manifest) = registry.manifest(&repo(name), &pulk::Reference::Digest(image.digest())).await
        else {
            return false;
        };
        assert_eq!(manifest.bytes.as_ref(), image.manifest);
        for blob in [&image.config, &image.layer] {
            let Ok(reader) = registry.open_blob(&repo(name), &sha256(blob)).await else { return false };
            assert_eq!(reader.size(), blob.len() as u64);
        }
        true
    })
}

pub(crate) fn tags(registry: &Registry, name: &str) -> Vec<String> {
    let page = pulk::Page { last: None, limit: 100 };
    let listed = block_on(registry.tags(&repo(name), &page));
    listed.map_or(Vec::new(), |listed| listed.items.iter().map(ToString::to_string).collect())
}
