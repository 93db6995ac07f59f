//! What uses the space: the repositories.

use serde::{Deserialize, Serialize};

use crate::admin::ask::Ask;
use crate::admin::du::ledger::Ledger;
use crate::admin::error::AdminError;
use crate::admin::pages::{ROWS_PER_STEP_MAX, count_tags, each_repository, pages};
use crate::admin::sink::{AnswerSink, send_item};
use crate::admin::store::OpenStore;
use crate::registry::Registry;
use crate::spec::{ContentDigest, RepoName};

/// Asks what each repository has, the largest first, and for the sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DuRequest {}

/// What all repositories have together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoreUsage {
    /// Repositories.
    pub(crate) repositories: u64,
    /// Tags.
    pub(crate) tags: u64,
    /// Manifests, counted in each repository that has them.
    pub(crate) manifests: u64,
    /// Blobs that are no manifests, likewise.
    pub(crate) blobs: u64,
    /// Bytes, counted in each repository that has them.
    pub(crate) bytes: u64,
    /// Bytes, counted once.
    pub(crate) distinct_bytes: u64,
    /// Manifests and blobs that are damaged or missing, likewise; they add no bytes.
    #[serde(default)]
    pub(crate) damaged: u64,
}

impl StoreUsage {
    fn add(&mut self, repository: &RepositoryUsage) {
        self.repositories += 1;
        self.tags += repository.tags;
        self.manifests += repository.manifests;
        self.blobs += repository.blobs;
        self.bytes += repository.bytes;
        self.damaged += repository.damaged;
    }
}

/// What a repository has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RepositoryUsage {
    /// Its name.
    pub(crate) repository: RepoName,
    /// Its tags.
    pub(crate) tags: u64,
    /// Its manifests.
    pub(crate) manifests: u64,
    /// Its blobs that are no manifests.
    pub(crate) blobs: u64,
    /// Their bytes, each content once.
    pub(crate) bytes: u64,
    /// How many of them are damaged or missing; they add no bytes.
    #[serde(default)]
    pub(crate) damaged: u64,
    /// Bytes of content that no other repository has; absent where not requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unique_bytes: Option<u64>,
}

impl Ask for DuRequest {
    type Item = RepositoryUsage;
    type Report = StoreUsage;

    fn perform(&self, store: &OpenStore, sink: &mut dyn AnswerSink) -> Result<StoreUsage, AdminError> {
        let UsageSurvey { mut repositories, totals } = survey(&store.registry, sink)?;
        repositories
            .sort_by(|one, other| (other.bytes, &one.repository).cmp(&(one.bytes, &other.repository)));
        for repository in &repositories {
            send_item(sink, repository)?;
        }
        Ok(totals)
    }
}

/// What all repositories have.
pub(in crate::admin) struct UsageSurvey {
    pub(in crate::admin) repositories: Vec<RepositoryUsage>,
    pub(in crate::admin) totals: StoreUsage,
}

/// Looks through all repositories.
pub(in crate::admin) fn survey(
    registry: &Registry,
    sink: &mut dyn AnswerSink,
) -> Result<UsageSurvey, AdminError> {
    let view = registry.view();
    let mut ledger = Ledger::default();
    let mut repositories = Vec::new();
    let mut seen = 0;
    each_repository(view, |repo| {
        let user = u32::try_from(repositories.len()).unwrap_or(u32::MAX);
        let (mut bytes, mut damaged) = (0, 0);
        let mut note = |digest: &ContentDigest, size: u64| {
            seen += 1;
            // What is out of use is not stored.
            if matches!(view.blob(digest), Ok(None)) {
                damaged += 1;
            } else if ledger.note(user, digest, size) {
                bytes += size;
            }
        };
        let (mut manifests, mut blobs) = (0, 0);
        pages(
            |last| view.manifests(&repo, last.as_ref(), ROWS_PER_STEP_MAX),
            |(digest, row)| {
                manifests += 1;
                note(&digest, row.size);
                digest
            },
            sink,
        )?;
        pages(
            |last| view.links(&repo, last.as_ref(), ROWS_PER_STEP_MAX),
            |(digest, row)| {
                blobs += 1;
                note(&digest, row.size);
                digest
            },
            sink,
        )?;
        let tags = count_tags(view, &repo)?;
        sink.progress("counting content of repositories", seen, 0);
        repositories.push(RepositoryUsage {
            repository: repo,
            tags,
            manifests,
            blobs,
            bytes,
            damaged,
            unique_bytes: None,
        });
        Ok(())
    })?;
    let unique = ledger.unique_bytes(repositories.len());
    let mut totals = StoreUsage { distinct_bytes: ledger.distinct_bytes(), ..StoreUsage::default() };
    for (repository, unique) in repositories.iter_mut().zip(unique) {
        repository.unique_bytes = Some(unique);
        totals.add(repository);
    }
    Ok(UsageSurvey { repositories, totals })
}
