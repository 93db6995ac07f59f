//! The requests that a store answers, each in the file of its command.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::admin::ask::Ask;
use crate::admin::damage::QuarantineRequest;
use crate::admin::du::{DuRepoRequest, DuRequest};
use crate::admin::error::AdminError;
use crate::admin::gc::GcRequest;
use crate::admin::history::HistoryRequest;
use crate::admin::log::LogRequest;
use crate::admin::repos::ReposRequest;
use crate::admin::rm::RmRequest;
use crate::admin::rows::RowsRequest;
use crate::admin::scrub::ScrubRequest;
use crate::admin::sink::AnswerSink;
use crate::admin::status::StatusRequest;
use crate::admin::store::OpenStore;
use crate::admin::tags::{TagsRequest, UntaggedRequest};

/// What a request does to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It removes nothing that is intact.
    Reads,
    /// It removes, so that the policies must be known.
    Removes,
    /// It removes in a collection, of which one runs and the others wait for it.
    Collects,
}

/// Declares [`Request`]: a request is sent under its name here, and has the effect after it.
macro_rules! requests {
    ($($name:ident($request:ty): $effect:ident,)*) => {
        /// Any request, as it is sent.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "command", rename_all = "kebab-case")]
        pub(crate) enum Request {
            $(
                #[doc = concat!("A [`", stringify!($request), "`].")]
                $name($request),
            )*
        }

        impl Request {
            /// Returns what the request does to a store.
            pub(crate) fn effect(&self) -> Effect {
                match self {
                    $(Self::$name(_) => Effect::$effect,)*
                }
            }

            /// Carries the request out, and returns its report. It blocks until that is done.
            pub(crate) fn perform(
                &self,
                store: &OpenStore,
                sink: &mut dyn AnswerSink,
            ) -> Result<Value, AdminError> {
                match self {
                    $(Self::$name(request) => {
                        serde_json::to_value(request.perform(store, sink)?).map_err(AdminError::failed)
                    })*
                }
            }
        }

        $(
            impl From<$request> for Request {
                fn from(request: $request) -> Self {
                    Self::$name(request)
                }
            }
        )*
    };
}

requests! {
    Status(StatusRequest): Reads,
    Repos(ReposRequest): Reads,
    Tags(TagsRequest): Reads,
    Untagged(UntaggedRequest): Reads,
    Du(DuRequest): Reads,
    DuRepo(DuRepoRequest): Reads,
    Rm(RmRequest): Removes,
    Gc(GcRequest): Collects,
    Scrub(ScrubRequest): Reads,
    Quarantine(QuarantineRequest): Reads,
    Log(LogRequest): Reads,
    History(HistoryRequest): Reads,
    Rows(RowsRequest): Reads,
}
