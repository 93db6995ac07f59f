//! Where the parts of an answer go while a request is carried out.

use serde_json::Value;

use crate::admin::error::AdminError;

/// Takes the parts of an answer.
pub(crate) trait AnswerSink {
    /// Is told that `done` of `total` units of `what` are done; 0 of 0 where nobody knows how many there are.
    fn progress(&mut self, what: &str, done: u64, total: u64);

    /// Takes one of the things that were asked for, and waits for a slow client.
    fn item(&mut self, item: Value) -> Result<(), AdminError>;

    /// Fails when nobody waits for the answer any more. Asked between steps.
    fn check_wanted(&self) -> Result<(), AdminError>;
}

/// Hands over an item that can always be rendered.
pub(super) fn send_item(sink: &mut dyn AnswerSink, item: &impl serde::Serialize) -> Result<(), AdminError> {
    sink.item(serde_json::to_value(item).map_err(AdminError::failed)?)
}
