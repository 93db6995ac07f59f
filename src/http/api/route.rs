//! Which resource a path names.
//!
//! Repository names have slashes and may contain `blobs`, `manifests`, `tags`, `uploads` and `referrers` as
//! components, so a path is read from its right end.

use percent_encoding::percent_decode_str;
use tide::http::Method;

use super::errors::Failure;
use crate::spec::{Digest, ErrorCode, RepoName};

/// What kind of thing a path names, whether or not its parts are well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::http) enum Resource {
    Ping,
    Catalog,
    Discovery,
    Tags,
    Manifest,
    Blob,
    Uploads,
    Upload,
    Referrers,
    Live,
    Ready,
    Metrics,
    Unknown,
}

impl Resource {
    /// Returns the path with its parts named, for metrics: one for each resource, whatever clients send.
    pub(in crate::http) fn template(self) -> &'static str {
        match self {
            Self::Ping => "/v2/",
            Self::Catalog => "/v2/_catalog",
            Self::Discovery => "/v2/_oci/ext/discover",
            Self::Tags => "/v2/{name}/tags/list",
            Self::Manifest => "/v2/{name}/manifests/{reference}",
            Self::Blob => "/v2/{name}/blobs/{digest}",
            Self::Uploads => "/v2/{name}/blobs/uploads/",
            Self::Upload => "/v2/{name}/blobs/uploads/{id}",
            Self::Referrers => "/v2/{name}/referrers/{digest}",
            Self::Live => "/livez",
            Self::Ready => "/readyz",
            Self::Metrics => "/metrics",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the methods that the resource has; none means that there is no such resource.
    pub(in crate::http) fn methods(self, deletes: bool) -> &'static [Method] {
        use Method::{Delete, Get, Head, Options, Patch, Post, Put};
        match self {
            Self::Ping
            | Self::Catalog
            | Self::Discovery
            | Self::Tags
            | Self::Referrers
            | Self::Live
            | Self::Ready
            | Self::Metrics => &[Get, Head, Options],
            Self::Manifest if deletes => &[Get, Head, Put, Delete, Options],
            Self::Manifest => &[Get, Head, Put, Options],
            Self::Blob if deletes => &[Get, Head, Delete, Options],
            Self::Blob => &[Get, Head, Options],
            Self::Uploads => &[Post, Options],
            // A session is always its client's to cancel (X2): that is no deletion of content.
            Self::Upload => &[Get, Head, Patch, Put, Delete, Options],
            Self::Unknown => &[],
        }
    }
}

/// A path under `/v2/` whose parts are parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) enum Route {
    Ping,
    Catalog,
    Discovery,
    Tags(RepoName),
    /// The reference is left as text: what a malformed one is answered with depends on the method.
    Manifest(RepoName, String),
    Blob(RepoName, Digest),
    Uploads(RepoName),
    Upload(RepoName, String),
    Referrers(RepoName, Digest),
}

/// A path taken apart, its parts decoded and not yet parsed.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http) struct Path {
    pub(in crate::http) resource: Resource,
    name: String,
    last: String,
}

impl Path {
    /// Takes a path apart, as it came in the request line.
    pub(in crate::http) fn split(raw: &str) -> Self {
        // Decoded before it is split: clients encode the slashes of names, too (H8).
        let path = percent_decode_str(raw).decode_utf8_lossy();
        let (resource, name, last) = split(&path);
        Self { resource, name: name.to_owned(), last: last.to_owned() }
    }

    /// Parses the parts.
    pub(in crate::http) fn parse(self) -> Result<Route, Failure> {
        match self.resource {
            Resource::Ping => Ok(Route::Ping),
            Resource::Catalog => Ok(Route::Catalog),
            Resource::Discovery => Ok(Route::Discovery),
            Resource::Tags => Ok(Route::Tags(self.name()?)),
            Resource::Manifest => Ok(Route::Manifest(self.name()?, self.last)),
            Resource::Blob => Ok(Route::Blob(self.name()?, digest(&self.last)?)),
            Resource::Uploads => Ok(Route::Uploads(self.name()?)),
            Resource::Upload => Ok(Route::Upload(self.name()?, self.last)),
            Resource::Referrers => Ok(Route::Referrers(self.name()?, digest(&self.last)?)),
            Resource::Live | Resource::Ready | Resource::Metrics | Resource::Unknown => {
                Err(Failure::unknown_path())
            }
        }
    }

    fn name(&self) -> Result<RepoName, Failure> {
        self.name.parse().map_err(|error| Failure::of(ErrorCode::NameInvalid, format!("{error}")))
    }
}

/// Parses a digest out of a path or a query.
pub(in crate::http) fn digest(text: &str) -> Result<Digest, Failure> {
    text.parse().map_err(|error| Failure::of(ErrorCode::DigestInvalid, format!("{error}")))
}

fn split(path: &str) -> (Resource, &str, &str) {
    let Some(inner) = path.strip_prefix("/v2/") else {
        return (if path == "/v2" { Resource::Ping } else { Resource::Unknown }, "", "");
    };
    match inner {
        "" => (Resource::Ping, "", ""),
        "_catalog" => (Resource::Catalog, "", ""),
        "_oci/ext/discover" => (Resource::Discovery, "", ""),
        _ => split_in_repository(inner).unwrap_or((Resource::Unknown, "", "")),
    }
}

/// No two of these patterns fit one path: each is known by its last two or three components, and neither
/// `uploads` nor `list` nor an empty text is a digest, a tag's place or an upload's id there.
fn split_in_repository(inner: &str) -> Option<(Resource, &str, &str)> {
    if let Some(name) = inner.strip_suffix("/tags/list") {
        return Some((Resource::Tags, name, ""));
    }
    if let Some(name) = inner.strip_suffix('/').unwrap_or(inner).strip_suffix("/blobs/uploads") {
        return Some((Resource::Uploads, name, ""));
    }
    let (before, last) = inner.rsplit_once('/')?;
    [
        ("/manifests", Resource::Manifest),
        ("/blobs/uploads", Resource::Upload),
        ("/blobs", Resource::Blob),
        ("/referrers", Resource::Referrers),
    ]
    .into_iter()
    .find_map(|(marker, resource)| Some((resource, before.strip_suffix(marker)?, last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn name(text: &str) -> RepoName {
        text.parse().unwrap()
    }

    fn sha256() -> Digest {
        format!("sha256:{HEX}").parse().unwrap()
    }

    fn route(path: &str) -> Route {
        Path::split(path).parse().unwrap()
    }

    fn refusal(path: &str) -> (u16, &'static str) {
        let failure = Path::split(path).parse().unwrap_err();
        (failure.status() as u16, failure.code().as_str())
    }

    #[test]
    fn each_path_of_the_specification_has_its_route() {
        assert_eq!(route("/v2"), Route::Ping);
        assert_eq!(route("/v2/"), Route::Ping);
        assert_eq!(route("/v2/_catalog"), Route::Catalog);
        assert_eq!(route("/v2/_oci/ext/discover"), Route::Discovery);
        assert_eq!(route("/v2/a/b/tags/list"), Route::Tags(name("a/b")));
        assert_eq!(route("/v2/a/manifests/v1"), Route::Manifest(name("a"), "v1".to_owned()));
        assert_eq!(route(&format!("/v2/a/blobs/sha256:{HEX}")), Route::Blob(name("a"), sha256()));
        assert_eq!(route("/v2/a/blobs/uploads/"), Route::Uploads(name("a")));
        assert_eq!(route("/v2/a/blobs/uploads/some-id"), Route::Upload(name("a"), "some-id".to_owned()));
        assert_eq!(route(&format!("/v2/a/referrers/sha256:{HEX}")), Route::Referrers(name("a"), sha256()));
    }

    /// U5: the slash at the end may be missing.
    #[test]
    fn an_upload_may_begin_without_the_slash_at_the_end() {
        assert_eq!(route("/v2/a/b/blobs/uploads"), Route::Uploads(name("a/b")));
    }

    /// G10: names contain what looks like the rest of a path.
    #[test]
    fn names_may_contain_the_words_of_paths() {
        let manifest = |text: &str, reference: &str| Route::Manifest(name(text), reference.to_owned());
        assert_eq!(route("/v2/a/manifests/b/manifests/latest"), manifest("a/manifests/b", "latest"));
        assert_eq!(route("/v2/x/blobs/uploads/manifests/latest"), manifest("x/blobs/uploads", "latest"));
        assert_eq!(route("/v2/x/blobs/manifests/uploads"), manifest("x/blobs", "uploads"));
        assert_eq!(route("/v2/manifests/manifests/manifests"), manifest("manifests", "manifests"));
        assert_eq!(route("/v2/tags/list/tags/list"), Route::Tags(name("tags/list")));
        assert_eq!(route("/v2/x/blobs/uploads/tags/list"), Route::Tags(name("x/blobs/uploads")));
        assert_eq!(route("/v2/x/manifests/tags/list"), Route::Tags(name("x/manifests")));
        assert_eq!(route("/v2/x/blobs/uploads/blobs/uploads/"), Route::Uploads(name("x/blobs/uploads")));
        assert_eq!(route("/v2/x/manifests/blobs/uploads"), Route::Uploads(name("x/manifests")));
        let upload = Route::Upload(name("blobs/uploads"), "id".to_owned());
        assert_eq!(route("/v2/blobs/uploads/blobs/uploads/id"), upload);
        let blob = format!("/v2/x/blobs/uploads/blobs/sha256:{HEX}");
        assert_eq!(route(&blob), Route::Blob(name("x/blobs/uploads"), sha256()));
        let referrers = format!("/v2/referrers/referrers/sha256:{HEX}");
        assert_eq!(route(&referrers), Route::Referrers(name("referrers"), sha256()));
    }

    /// H8: paths are percent-decoded, slashes included.
    #[test]
    fn paths_are_percent_decoded() {
        assert_eq!(route(&format!("/v2/a/blobs/sha256%3A{HEX}")), Route::Blob(name("a"), sha256()));
        assert_eq!(route("/v2/wire%2Fdocker/tags/list"), Route::Tags(name("wire/docker")));
        assert_eq!(route("/v2/%61/manifests/v%31"), Route::Manifest(name("a"), "v1".to_owned()));
    }

    /// G1: a malformed name is reported as such, for every resource.
    #[test]
    fn a_malformed_name_is_refused() {
        for bad in
            ["/v2/UPPER/tags/list", "/v2/a/../b/manifests/v1", "/v2/a%20b/blobs/uploads/", "/v2//tags/list"]
        {
            assert_eq!(refusal(bad), (400, "NAME_INVALID"), "{bad}");
        }
        let long = format!("/v2/{}/tags/list", "a".repeat(256));
        assert_eq!(refusal(&long), (400, "NAME_INVALID"));
        assert_eq!(refusal("/v2/%ff/tags/list"), (400, "NAME_INVALID"));
    }

    /// M9, R3: a malformed digest is 400, never 500 and never 404.
    #[test]
    fn a_malformed_digest_is_refused() {
        for bad in ["/v2/a/blobs/sha256:abc", "/v2/a/blobs/latest", "/v2/a/blobs/", "/v2/a/referrers/sha256:"]
        {
            assert_eq!(refusal(bad), (400, "DIGEST_INVALID"), "{bad}");
        }
    }

    /// H7: an unknown path is 404.
    #[test]
    fn an_unknown_path_is_not_found() {
        for unknown in
            ["/", "/v1/", "/v22", "/v2/a", "/v2/a/tags", "/v2/manifests/latest", "/v2/tags/list", "/v2x/a"]
        {
            assert_eq!(Path::split(unknown).resource, Resource::Unknown, "{unknown}");
        }
    }

    /// H7: what the `Allow` header will say.
    #[test]
    fn deletes_can_be_switched_off_but_not_for_sessions() {
        assert!(Resource::Manifest.methods(true).contains(&Method::Delete));
        assert!(!Resource::Manifest.methods(false).contains(&Method::Delete));
        assert!(!Resource::Blob.methods(false).contains(&Method::Delete));
        assert!(Resource::Upload.methods(false).contains(&Method::Delete));
    }
}
