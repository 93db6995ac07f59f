//! Tells when a client is gone.

use std::future::pending;
use std::io::ErrorKind;
use std::net::TcpStream;

use smol::Async;

/// Waits until the connection of a client that waits for its answer is reset.
///
/// One that only ended its own half is still to be answered, and looks no different when it is gone as well;
/// what a client sends ahead hides what it does after that. Then this waits for ever.
pub(in crate::wire) async fn gone(socket: &Async<TcpStream>) {
    // Not asked at once: an answer that needs no wait costs no system call.
    while socket.readable().await.is_ok() {
        match socket.get_ref().peek(&mut [0]) {
            Ok(_) => return pending().await,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => return,
        }
    }
}
