//! Where the parts of an answer go.

use serde_json::Value;

use crate::admin::error::AdminError;

/// Takes the parts of an answer.
pub(crate) trait AnswerSink {
    /// Notes that `done` of `total` units of `what` are done; `total` is 0 where it is not known.
    fn progress(&mut self, what: &str, done: u64, total: u64);

    /// Takes an item of the answer, and waits for a slow client.
    fn item(&mut self, item: Value) -> Result<(), AdminError>;

    /// Fails if the client has left. Called between steps.
    fn check_wanted(&self) -> Result<(), AdminError>;
}

/// Serializes an item and hands it over.
pub(super) fn send_item(sink: &mut dyn AnswerSink, item: &impl serde::Serialize) -> Result<(), AdminError> {
    sink.item(serde_json::to_value(item).map_err(AdminError::failed)?)
}
