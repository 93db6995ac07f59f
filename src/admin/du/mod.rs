//! Who uses the space: the repositories, or the tags of one.

mod ledger;
mod repositories;
mod tags;

pub(crate) use repositories::{RepositoryUsage, StoreUsage};
pub(in crate::admin) use repositories::{repositories, survey};
pub(in crate::admin) use tags::tags;
pub(crate) use tags::{TagGroup, TagUsage, TagUsageTotals};
