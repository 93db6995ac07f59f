//! Notices that a client reset its connection.

use std::future::pending;

use crate::wire::stream::Stream;

/// Waits until the client of an answer that is being made resets the connection.
///
/// A client that only ended its own direction still gets its answer, and looks the same when it is gone as
/// well; bytes sent ahead hide what follows them. In both cases this waits for ever.
pub(super) async fn reset(stream: &dyn Stream) {
    // Peek only after an event: an answer that needs no wait costs no system call.
    if stream.wait_and_peek(&mut [0]).await.is_ok() {
        pending::<()>().await;
    }
}
