//! Who uses the space: the repositories, or the tags of one.

mod ledger;
mod repositories;
mod tags;

pub(in crate::admin) use repositories::{ROWS_PER_STEP_MAX, count_tags, pages, repositories, survey};
pub(in crate::admin) use tags::tags;
