//! What fuzzers feed with bytes of their own, and what must hold of any.

use crate::http::api::{Path, Query, Route};
use crate::wire::RawTarget;

/// How many names a list has at most, for the limit that a query asks for.
const LIST_MAX_NAMES: usize = 100;

/// A path and a query under `/v2/`: what they are taken for is what they say when they are written again.
pub(crate) fn target(bytes: &[u8]) {
    let target = RawTarget::new(&String::from_utf8_lossy(bytes));
    let query = Query::parse(target.query().unwrap_or_default());
    if let Ok(limit) = query.limit(LIST_MAX_NAMES) {
        assert!(limit <= LIST_MAX_NAMES);
    }
    let Ok(route) = Path::split(target.path()).parse() else { return };
    let again = match &route {
        Route::Ping => "/v2/".to_owned(),
        Route::Catalog => "/v2/_catalog".to_owned(),
        Route::Discovery => "/v2/_oci/ext/discover".to_owned(),
        Route::Tags(repo) => format!("/v2/{repo}/tags/list"),
        Route::Blob(repo, digest) => format!("/v2/{repo}/blobs/{digest}"),
        Route::Uploads(repo) => format!("/v2/{repo}/blobs/uploads/"),
        Route::Referrers(repo, subject) => format!("/v2/{repo}/referrers/{subject}"),
        // What is left as text was decoded, and may hold what must be encoded in a path.
        Route::Manifest(repo, text) => format!("/v2/{repo}/manifests/{}", encoded(text)),
        Route::Upload(repo, text) => format!("/v2/{repo}/blobs/uploads/{}", encoded(text)),
    };
    assert_eq!(Path::split(&again).parse().ok(), Some(route), "{again} is another route");
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
