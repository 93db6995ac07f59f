//! What an owner asks of a store, under the names of the commands.
//!
//! | | |
//! |---|---|
//! | `status`, `repos`, `tags`, `du`, `rm`, `gc`, `scrub` | a command's request, its answer, its report |
//! | `history/` | the newest changes of tags |
//! | `log/` | the same for what was changed, in pages |
//! | `rows` | the same for what `check` asks of a running server |
//! | `request`, `ask` | all requests in one enum; the trait that each implements |
//! | `store`, `sink`, `error` | what a request works on, where the answer goes, why there is none |
//! | `damage` | what `status` and `scrub` say of damaged images; what lies in quarantine |
//! | `pages`, `reach` | going through the rows of the index; what a manifest leads to |
//!
//! How a request comes here and where its answer goes is not known here: the control socket, the command line
//! on a stopped store and tests use the same code.

mod ask;
mod damage;
mod du;
mod error;
mod gc;
mod history;
mod log;
mod pages;
mod repos;
mod request;
mod rm;
mod rows;
mod scrub;
mod sink;
mod status;
mod store;
mod tags;

pub(crate) use ask::Ask;
pub(crate) use damage::{QuarantineRequest, QuarantineTotals, QuarantinedFile};
pub(crate) use du::{
    DuRepoRequest, DuRequest, RepositoryUsage, StoreUsage, TagGroup, TagUsage, TagUsageTotals,
};
pub(crate) use error::{AdminError, AdminErrorKind};
pub(crate) use gc::GcRequest;
pub(crate) use history::{HistoryEntry, HistoryRequest};
pub(crate) use log::{Change, ChangeKind, LogRequest, LogStream};
pub(crate) use repos::ReposRequest;
pub(crate) use request::{Effect, Request};
pub(crate) use rm::{Removed, RmRequest, RmTarget};
pub(crate) use rows::RowsRequest;
pub(crate) use scrub::{ScrubAnswer, ScrubRequest};
pub(crate) use sink::AnswerSink;
pub(crate) use status::{StatusReport, StatusRequest};
pub(crate) use store::{OpenStore, Serving, check_owner};
pub(crate) use tags::{TagEntry, TagsRequest, UntaggedEntry, UntaggedRequest};
