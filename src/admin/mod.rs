//! What an owner asks of a store, under the names of the commands: requests, how each is carried out, and
//! reports. How a request comes here, and where the report goes, is not known here.

mod du;
mod failure;
mod gc;
mod pages;
mod perform;
mod reach;
mod repos;
mod request;
mod rm;
#[cfg(test)]
mod rm_tests;
mod rows;
mod scrub;
mod sink;
mod status;
mod store;
mod tags;

pub(crate) use du::{RepositoryUsage, StoreUsage, TagGroup, TagUsage, TagUsageTotals};
pub(crate) use failure::{Failure, FailureKind};
pub(crate) use perform::perform;
pub(crate) use request::{Removal, Request};
pub(crate) use rm::Removed;
pub(crate) use sink::Sink;
pub(crate) use status::StatusReport;
pub(crate) use store::{Serving, Store, check_owner};
pub(crate) use tags::TagEntry;
