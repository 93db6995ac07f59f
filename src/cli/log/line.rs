//! A change in words, on one line.

use crate::admin::{Change, ChangeKind};
use crate::cli::output::units;
use crate::spec::ContentDigest;

/// How much of a digest is shown.
const DIGEST_SHOWN_CHARS: usize = 12;

/// Writes a change in words. Everything in it has a grammar without control characters, or was made
/// printable when it was read.
pub(in crate::cli) fn line(change: &Change) -> String {
    if change.change == ChangeKind::Missed {
        return format!("(the changes up to transaction {} are not kept or cannot be read)", change.seq);
    }
    let what = match change.change {
        ChangeKind::TagSet => "tag set",
        ChangeKind::TagMoved => "tag moved",
        ChangeKind::TagRemoved => "tag removed",
        ChangeKind::ManifestPushed => "manifest pushed",
        ChangeKind::ManifestRemoved => "manifest removed",
        ChangeKind::BlobAdded => "blob added",
        ChangeKind::BlobRemoved => "blob removed",
        ChangeKind::ContentRemoved => "content removed",
        ChangeKind::RepositoryRemoved => "repository removed",
        ChangeKind::Missed => "missed",
    };
    let mut words = vec![units::time_to_the_second(change.at_ms), format!("{what:<18}")];
    match (&change.repo, &change.tag) {
        (Some(repo), Some(tag)) => words.push(format!("{repo}:{tag}")),
        (Some(repo), None) => words.push(repo.to_string()),
        (None, _) => {}
    }
    match (&change.was, &change.digest) {
        (Some(was), Some(digest)) => words.push(format!("{} → {}", short(was), short(digest))),
        (None, Some(digest)) => words.push(short(digest)),
        (_, None) => {}
    }
    if let Some(by) = &change.by {
        words.push(format!("by {by}"));
    }
    words.join("  ").trim_end().to_owned()
}

/// Shortens a digest as other tools do.
fn short(digest: &ContentDigest) -> String {
    let digest = digest.to_string();
    match digest.split_once(':') {
        Some((algorithm, hex)) => {
            format!("{algorithm}:{}", hex.get(..DIGEST_SHOWN_CHARS).unwrap_or(hex))
        }
        None => digest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Origin;

    #[test]
    fn a_change_is_a_line() {
        let moved = Change {
            seq: 7,
            at_ms: 1_795_525_507_000,
            change: ChangeKind::TagMoved,
            repo: Some("team/app".parse().unwrap()),
            tag: Some("v1".parse().unwrap()),
            digest: Some(ContentDigest::sha256_of(b"new")),
            was: Some(ContentDigest::sha256_of(b"old")),
            by: Some(Origin::default().address("192.0.2.7".parse().unwrap()).client("a\n\u{1b}[31mb")),
        };
        assert_eq!(
            line(&moved),
            "2026-11-24 13:05:07 UTC  tag moved           team/app:v1  sha256:cba06b5736fa → \
             sha256:11507a0e2f5e  by 192.0.2.7, a??[31mb"
        );
        let missed = Change { change: ChangeKind::Missed, ..moved };
        assert_eq!(line(&missed), "(the changes up to transaction 7 are not kept or cannot be read)");
    }
}
