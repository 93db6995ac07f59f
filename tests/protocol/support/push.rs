//! Plain pushes and pulls, for tests of something else.

use super::answer::Answer;
use super::content::{Manifest, OCTETS, sha256};
use super::http::Client;

/// How many pages of a list a test follows before it fails.
const PARTS_MAX: usize = 1000;

impl Client {
    /// Starts an upload and returns its location.
    #[track_caller]
    pub fn begin(&self, repo: &str) -> String {
        self.post(format!("/v2/{repo}/blobs/uploads/")).body("").send().is(202).location()
    }

    /// Pushes a blob and returns its digest.
    #[track_caller]
    pub fn push_blob(&self, repo: &str, bytes: impl AsRef<[u8]>) -> String {
        let digest = sha256(&bytes);
        self.push_blob_as(repo, &digest, bytes).is(201);
        digest
    }

    /// Pushes a blob under any digest.
    #[track_caller]
    pub fn push_blob_as(&self, repo: &str, digest: &str, bytes: impl AsRef<[u8]>) -> Answer {
        let location = with_query(&self.begin(repo), &format!("digest={digest}"));
        self.put(location).header("Content-Type", OCTETS).body(bytes).send()
    }

    /// Requests a blob.
    #[track_caller]
    pub fn blob(&self, repo: &str, digest: &str) -> Answer {
        self.get(format!("/v2/{repo}/blobs/{digest}")).send()
    }

    /// Requests a manifest.
    #[track_caller]
    pub fn manifest(&self, repo: &str, reference: &str) -> Answer {
        self.get(format!("/v2/{repo}/manifests/{reference}")).send()
    }

    /// Pushes a manifest whose references exist.
    #[track_caller]
    pub fn push(&self, repo: &str, reference: &str, manifest: &Manifest) -> Answer {
        self.put(format!("/v2/{repo}/manifests/{reference}"))
            .header("Content-Type", &manifest.media_type)
            .body(&manifest.bytes)
            .send()
    }

    /// Pushes an image that depends on `salt`, by digest.
    #[track_caller]
    pub fn push_image(&self, repo: &str, salt: &str) -> Manifest {
        let config = format!(r#"{{"architecture":"amd64","os":"linux","author":"{salt}"}}"#);
        let layer = format!("layer of {salt}");
        self.push_blob(repo, &config);
        self.push_blob(repo, &layer);
        let image = Manifest::image(config.as_bytes(), &[layer.as_bytes()]);
        self.push(repo, &image.digest, &image).is(201);
        image
    }

    /// Pushes an image that depends on the tag, by tag.
    #[track_caller]
    pub fn push_tagged(&self, repo: &str, tag: &str) -> Manifest {
        let image = self.push_image(repo, tag);
        self.push(repo, tag, &image).is(201);
        image
    }

    /// Pushes an artifact with a subject.
    #[track_caller]
    pub fn push_artifact(&self, repo: &str, artifact: &Manifest) -> Answer {
        self.push_blob(repo, "{}");
        self.push(repo, &artifact.digest, artifact).is(201)
    }

    /// Requests the referrers of a subject.
    #[track_caller]
    pub fn referrers(&self, repo: &str, subject: &str, query: &str) -> Answer {
        self.get(format!("/v2/{repo}/referrers/{subject}{query}")).send().is(200)
    }

    /// Requests the tags of a repository.
    #[track_caller]
    pub fn tags(&self, repo: &str, query: &str) -> Answer {
        self.get(format!("/v2/{repo}/tags/list{query}")).send()
    }
}

/// Appends a parameter to a Location, as clients do.
pub fn with_query(location: &str, parameter: &str) -> String {
    let separator = if location.contains('?') { '&' } else { '?' };
    format!("{location}{separator}{parameter}")
}

/// Follows the links from page to page of a list, and returns all pages.
#[track_caller]
pub fn follow(client: &Client, target: &str) -> Vec<Answer> {
    let mut parts = vec![client.get(target).send().is(200)];
    while let Some(next) = parts.last().and_then(Answer::next) {
        assert!(parts.len() < PARTS_MAX, "the links do not end");
        parts.push(client.get(next).send().is(200));
    }
    parts
}
