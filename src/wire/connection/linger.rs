//! Ends connections whose clients may still be sending.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};

use smol::future::{or, yield_now};
use smol::{Async, Timer};

use crate::wire::idle_timeout::IdleTimeout;
use crate::wire::limits::WireLimits;

const READ_SIZE_BYTES: usize = 16 * 1024;

/// Counts the clients that are read away from for as long as they send.
#[derive(Debug, Default)]
pub(in crate::wire) struct Drains(AtomicUsize);

/// One of them, until this is dropped.
struct Drain<'a>(&'a AtomicUsize);

impl Drains {
    fn begin(&self, max: usize) -> Option<Drain<'_>> {
        let is_let_in = self.0.fetch_add(1, Ordering::Relaxed) < max;
        let counted = Drain(&self.0);
        is_let_in.then_some(counted)
    }
}

impl Drop for Drain<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Says that nothing more comes, then reads what does.
///
/// Closing at once would make the system reset the connection, and the client would lose the answer. A client
/// may read it only when all of its layer is sent, so what it sends is read for as long as it does; of too
/// many at once only so much.
pub(super) async fn linger(socket: &Async<TcpStream>, limits: &WireLimits, drains: &Drains) {
    if socket.get_ref().shutdown(Shutdown::Write).is_err() {
        return;
    }
    let long = drains.begin(limits.drains_max);
    let (size_max_bytes, time_max) = match &long {
        Some(_) => (u64::MAX, limits.long_drain_time_max),
        None => (limits.drain_size_max_bytes, limits.drain_time_max),
    };
    let too_long = async {
        Timer::after(time_max).await;
    };
    or(read_away(socket, size_max_bytes, IdleTimeout::new(limits.drain_time_max)), too_long).await;
}

async fn read_away(socket: &Async<TcpStream>, size_max_bytes: u64, mut patience: IdleTimeout) {
    let mut scratch = vec![0; READ_SIZE_BYTES];
    let mut left = size_max_bytes;
    while left > 0 {
        let read = socket.read_with(|mut socket| io::Read::read(&mut socket, &mut scratch));
        match patience.wait(read).await {
            None | Some(Ok(0) | Err(_)) => return,
            Some(Ok(count)) => left = left.saturating_sub(count as u64),
        }
        // A fast client must not keep the thread from other connections.
        yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_clients_are_read_away_from_without_a_bound_at_once() {
        let drains = Drains::default();
        let first = drains.begin(2);
        let second = drains.begin(2);
        assert!(first.is_some() && second.is_some() && drains.begin(2).is_none());
        drop(first);
        assert!(drains.begin(2).is_some());
    }
}
