//! Ends connections whose clients may still be sending.

use smol::Timer;
use smol::future::{or, yield_now};

use crate::wire::admission::Holder;
use crate::wire::idle_timeout::IdleTimeout;
use crate::wire::limits::WireLimits;
use crate::wire::stream::Stream;

const READ_SIZE_BYTES: usize = 16 * 1024;

/// Ends the writing half, then reads and drops what the client still sends.
///
/// Closing at once would make the system reset the connection, and the client would lose the answer. A client
/// may read it only after its whole layer is sent, so size is no bound here, only time.
pub(super) async fn linger(stream: &dyn Stream, holder: &Holder, limits: &WireLimits) {
    if stream.shutdown_write().is_err() {
        return;
    }
    let too_long = async {
        Timer::after(limits.drain_time_max).await;
    };
    or(drain(stream, holder, IdleTimeout::new(limits.drain_idle_max)), too_long).await;
}

async fn drain(stream: &dyn Stream, holder: &Holder, mut idle: IdleTimeout) {
    let mut scratch = vec![0; READ_SIZE_BYTES];
    // Nothing is owed to the client any more.
    holder.activity.idle();
    loop {
        if matches!(idle.wait(stream.read(&mut scratch)).await, None | Some(Ok(0) | Err(_))) {
            return;
        }
        // A fast client must not keep the thread from other connections.
        yield_now().await;
    }
}
