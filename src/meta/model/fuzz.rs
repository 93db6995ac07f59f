//! Entry points for fuzzers, and what must hold for any input.

use crate::meta::model::manifest_row::ManifestRow;
use crate::spec::{Manifest, MediaType};

/// A manifest: what [`crate::spec::fuzz::manifest`] checks, and its row reads back as it was written.
pub(crate) fn manifest(bytes: &[u8]) {
    crate::spec::fuzz::manifest(bytes);
    let types = [None, MediaType::OCI_MANIFEST.parse::<MediaType>().ok(), MediaType::OCI_INDEX.parse().ok()];
    for media_type in &types {
        let Ok(manifest) = Manifest::parse(bytes, media_type.as_ref()) else { continue };
        let row = ManifestRow::of(&manifest);
        let read = serde_json::to_vec(&row).ok().and_then(|json| serde_json::from_slice(&json).ok());
        assert_eq!(read, Some(row), "the row does not read back");
    }
}
