//! What uses the space: the repositories, or the tags of one.

mod ledger;
mod repositories;
mod tags;

pub(in crate::admin) use repositories::survey;
pub(crate) use repositories::{DuRequest, RepositoryUsage, StoreUsage};
pub(crate) use tags::{DuRepoRequest, TagGroup, TagUsage, TagUsageTotals};
