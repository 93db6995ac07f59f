//! Descriptors: how one piece of content refers to another (image-spec descriptor.md).

use serde::de::{Deserialize, Deserializer, Error as _};

use crate::spec::digest::Digest;
use crate::spec::json_object::Object;

/// The greatest size that a descriptor can state: the specification has an `int64`.
const DESCRIPTOR_SIZE_MAX_BYTES: u64 = i64::MAX as u64;

/// Media types that start like this are of layers that are not pushed, but fetched from where they come from.
const FOREIGN_LAYER_PREFIXES: [&str; 2] =
    ["application/vnd.oci.image.layer.nondistributable.", "application/vnd.docker.image.rootfs.foreign."];

/// What a manifest says about content that it refers to. Fields without a use for a registry are passed over.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(from = "Object<Fields>")]
pub struct Descriptor {
    /// The media type as it was written, whether or not it is one; empty where there is none.
    pub media_type: String,
    /// The digest; its algorithm may be unknown to pulk (G9).
    pub digest: Digest,
    /// The size in bytes, which fits an `i64`.
    pub size: u64,
    /// Where else the content can be fetched.
    pub urls: Vec<String>,
}

impl Descriptor {
    /// Tells whether the content may be missing from the registry, because it comes from elsewhere (W8).
    pub fn is_foreign(&self) -> bool {
        !self.urls.is_empty()
            || FOREIGN_LAYER_PREFIXES.iter().any(|prefix| self.media_type.starts_with(prefix))
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    media_type: Option<String>,
    digest: Digest,
    #[serde(deserialize_with = "read_size")]
    size: u64,
    urls: Option<Vec<String>>,
}

impl From<Object<Fields>> for Descriptor {
    fn from(Object(fields): Object<Fields>) -> Self {
        Self {
            media_type: fields.media_type.unwrap_or_default(),
            digest: fields.digest,
            size: fields.size,
            urls: fields.urls.unwrap_or_default(),
        }
    }
}

fn read_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let size = u64::deserialize(deserializer)?;
    if size > DESCRIPTOR_SIZE_MAX_BYTES {
        return Err(D::Error::custom(format_args!("a size of {size} bytes is too large")));
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(json: &str) -> Result<Descriptor, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// W13
    #[test]
    fn fields_without_a_use_are_passed_over() {
        let json = r#"{"mediaType":"a/b;version=0.2","digest":"x:y","size":3,"data":"e30=",
                       "artifactType":"c/d","annotations":{"k":null},"platform":{"os":"linux"},
                       "urls":["https://example.com/"],"new":[{}]}"#;
        let expected = Descriptor {
            media_type: "a/b;version=0.2".to_owned(),
            digest: "x:y".parse().unwrap(),
            size: 3,
            urls: vec!["https://example.com/".to_owned()],
        };
        assert_eq!(descriptor(json).unwrap(), expected);
    }

    #[test]
    fn a_size_is_a_whole_number_that_fits_an_int64() {
        for size in ["0", "9223372036854775807"] {
            let json = format!(r#"{{"digest":"x:y","size":{size}}}"#);
            assert_eq!(descriptor(&json).unwrap().size.to_string(), size);
        }
        for size in ["-1", "9223372036854775808", "1e99", "1.0", "\"1\"", "null", "99999999999999999999999"] {
            assert!(descriptor(&format!(r#"{{"digest":"x:y","size":{size}}}"#)).is_err(), "{size}");
        }
    }

    #[test]
    fn a_descriptor_has_a_well_formed_digest_and_a_size() {
        for json in [
            r#"{"size":1}"#,
            r#"{"digest":"x:y"}"#,
            r#"{"digest":"","size":1}"#,
            r#"{"digest":"sha256:y","size":1}"#,
            r#"{"digest":"x:y","size":1,"size":1}"#,
            r#"["a/b","x:y",1,[]]"#,
        ] {
            assert!(descriptor(json).is_err(), "{json}");
        }
    }

    /// W8
    #[test]
    fn what_comes_from_elsewhere_is_foreign() {
        let described = |field: &str| {
            let json = format!(r#"{{"digest":"x:y","size":1,{field}}}"#);
            descriptor(&json).unwrap().is_foreign()
        };
        assert!(described(r#""urls":["https://example.com/"]"#));
        assert!(described(r#""mediaType":"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip""#));
        assert!(described(r#""mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip""#));
        assert!(!described(r#""mediaType":"application/vnd.oci.image.layer.v1.tar+gzip""#));
        assert!(!described(r#""urls":[]"#));
        assert!(!described(r#""urls":null"#));
    }
}
