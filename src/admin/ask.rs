//! What a request is to the store that answers it.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::admin::error::AdminError;
use crate::admin::sink::AnswerSink;
use crate::admin::store::OpenStore;

/// A request: how a store answers it, and with what.
pub(crate) trait Ask {
    /// What is sent one by one before the report; `()` where nothing is.
    type Item: Serialize + DeserializeOwned;

    /// What is returned at the end.
    type Report: Serialize + DeserializeOwned;

    /// Carries the request out. It blocks until that is done.
    fn perform(&self, store: &OpenStore, sink: &mut dyn AnswerSink) -> Result<Self::Report, AdminError>;
}
