//! What a removal names: `REPO`, `REPO:TAG` or `REPO@DIGEST`.

use std::str::FromStr;

use crate::admin::Removal;
use crate::spec::RepoName;

/// Something in a store, or a whole repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Target {
    /// The repository.
    pub(in crate::cli) repo: RepoName,
    /// What of it; none names all of it.
    pub(in crate::cli) what: Option<Removal>,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = |name: &str| name.parse().map_err(|error| format!("{error}"));
        if let Some((repo, digest)) = text.split_once('@') {
            let digest = digest.parse().map_err(|error| format!("{error}"))?;
            return Ok(Self { repo: named(repo)?, what: Some(Removal::Manifest(digest)) });
        }
        match text.split_once(':') {
            Some((repo, tag)) => {
                let tag = tag.parse().map_err(|error| format!("{error}"))?;
                Ok(Self { repo: named(repo)?, what: Some(Removal::Tag(tag)) })
            }
            None => Ok(Self { repo: named(text)?, what: None }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_repository_a_tag_or_a_digest() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let what = |text: &str| text.parse::<Target>().map(|target| target.what);
        assert_eq!(what("team/app"), Ok(None));
        assert_eq!(what("team/app:v1"), Ok(Some(Removal::Tag("v1".parse().unwrap()))));
        let manifest = Removal::Manifest(digest.parse().unwrap());
        assert_eq!(what(&format!("team/app@{digest}")), Ok(Some(manifest)));
        for wrong in ["", "App", "app:", "app:a b", "app@sha256:abc", "localhost:5000/app:v1"] {
            assert!(what(wrong).is_err(), "{wrong:?}");
        }
    }
}
