//! The bytes of the repositories of each policy with a quota, updated with each transaction to avoid scans.

use crate::meta::index::contract::IndexError;
use crate::meta::index::view::View;
use crate::meta::model::{Fact, Policies, Tree};
use crate::spec::RepoName;

/// Bytes for each policy, in the policies' order. Content of two repositories counts in both, although it is
/// stored once: a repository's usage does not depend on other repositories.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::meta) struct QuotaUsage {
    bytes: Vec<u64>,
}

impl QuotaUsage {
    /// Counts all rows of an index. Without quotas it counts nothing.
    pub(in crate::meta) fn of(view: View<'_>, policies: &Policies) -> Result<Self, IndexError> {
        let mut usage = Self { bytes: vec![0; policies.all().len()] };
        if policies.all().iter().all(|policy| policy.quota_bytes.is_none()) {
            return Ok(usage);
        }
        for tree in [Tree::Manifests, Tree::Links] {
            view.each_fact(tree, |fact| {
                if let Some((repo, bytes)) = bytes_of(&fact) {
                    usage.change(policies, repo, 0, bytes);
                }
            })?;
        }
        Ok(usage)
    }

    /// Returns for each of a repository's policies that has a quota the bytes that it uses and the quota.
    pub(in crate::meta) fn quotas<'a>(
        &'a self,
        policies: &'a Policies,
        repo: &'a RepoName,
    ) -> impl Iterator<Item = (u64, u64)> + 'a {
        policies.positions(repo).filter_map(|at| {
            let most = policies.all().get(at)?.quota_bytes?;
            Some((self.bytes.get(at).copied().unwrap_or(0), most))
        })
    }

    /// Applies to the usage what `facts` are about to change in the index that `view` reads.
    pub(in crate::meta) fn count(
        &mut self,
        view: View<'_>,
        policies: &Policies,
        facts: &[Fact],
    ) -> Result<(), IndexError> {
        if policies.all().iter().all(|policy| policy.quota_bytes.is_none()) {
            return Ok(());
        }
        for fact in facts {
            if let Some((repo, bytes)) = bytes_of(fact) {
                self.change(policies, repo, bytes_before(view, fact)?, bytes);
            }
        }
        Ok(())
    }

    fn change(&mut self, policies: &Policies, repo: &RepoName, before: u64, after: u64) {
        for at in policies.positions(repo) {
            if let Some(bytes) = self.bytes.get_mut(at) {
                *bytes = bytes.saturating_sub(before).saturating_add(after);
            }
        }
    }
}

/// Returns how many bytes these facts add to a repository.
pub(in crate::meta) fn added_bytes(view: View<'_>, facts: &[Fact]) -> Result<u64, IndexError> {
    let mut added = 0_u64;
    for fact in facts {
        if let Some((_, bytes)) = bytes_of(fact) {
            added = added.saturating_add(bytes.saturating_sub(bytes_before(view, fact)?));
        }
    }
    Ok(added)
}

/// Returns the bytes that a repository has by a fact, if the fact is about bytes.
fn bytes_of(fact: &Fact) -> Option<(&RepoName, u64)> {
    match fact {
        Fact::Link { repo, row, .. } => Some((repo, row.as_ref().map_or(0, |row| row.size))),
        Fact::Manifest { repo, row, .. } => Some((repo, row.as_ref().map_or(0, |row| row.size))),
        Fact::Repository { .. }
        | Fact::Tag { .. }
        | Fact::Referrer { .. }
        | Fact::Blob { .. }
        | Fact::Upload { .. }
        | Fact::Bin { .. }
        | Fact::History { .. } => None,
    }
}

fn bytes_before(view: View<'_>, fact: &Fact) -> Result<u64, IndexError> {
    Ok(match fact {
        Fact::Link { repo, digest, .. } => view.link(repo, digest)?.map_or(0, |row| row.size),
        Fact::Manifest { repo, digest, .. } => view.manifest(repo, digest)?.map_or(0, |row| row.size),
        Fact::Repository { .. }
        | Fact::Tag { .. }
        | Fact::Referrer { .. }
        | Fact::Blob { .. }
        | Fact::Upload { .. }
        | Fact::Bin { .. }
        | Fact::History { .. } => 0,
    })
}
