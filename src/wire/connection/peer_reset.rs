//! Notices that a client reset its connection.

use std::future::pending;
use std::io::ErrorKind;

use crate::wire::stream::Stream;

/// Waits until the client of an answer that is being made resets the connection.
///
/// A client that only ended its own direction still gets its answer, and looks the same when it is gone as
/// well; bytes sent ahead hide what follows them. In both cases this waits for ever.
pub(super) async fn reset(stream: &dyn Stream) {
    // Peek only after an event: an answer that needs no wait costs no system call.
    while stream.readable().await.is_ok() {
        match stream.peek(&mut [0]) {
            Ok(_) => return pending().await,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => return,
        }
    }
}
