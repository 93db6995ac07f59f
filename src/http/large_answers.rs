//! Bounds what long lists take in memory, whatever the number of clients and however slowly they read.
//!
//! Blobs and long manifests go out from their files, and most lists are short. A long list of referrers may
//! take a few MiB; it has one of a few places until it has gone out. By the rule of admission a slow reader
//! loses its place to a client of another address.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use smol::lock::Semaphore;

use crate::base::ClientAddress;
use crate::http::api::Failure;
use crate::spec::ErrorAnswer;
use crate::wire::{Place, Places, Terms};

/// An answer up to this length needs no place.
pub(in crate::http) const SMALL_MAX_BYTES: usize = 64 * 1024;

/// How many long lists may be on their way out at once.
pub(in crate::http) const PLACES: usize = 8;

/// The places for long lists.
const TERMS: Terms = Terms {
    places: PLACES,
    leaving_max: PLACES,
    // None is idle, also not between taking its place and reading its list.
    idle_min: Duration::MAX,
    slow_time: Duration::from_secs(1),
    least_bytes_per_second: 64 * 1024,
};

/// How long a request waits for a place.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// How long it waits at a time, before it looks for a holder that has become too slow.
const PAUSE: Duration = Duration::from_millis(100);

/// How many requests may wait for a place. A connection whose request waits cannot be displaced: waiting ones
/// must not have all connections.
const WAITING_MAX: usize = 128;

/// The place of one long answer, from before it is made until it has gone out. It goes with the answer, among
/// its extensions.
pub(in crate::http) type AnswerPlace = Place<Option<ClientAddress>>;

/// The places of long answers.
#[derive(Debug)]
pub(in crate::http) struct LargeAnswers {
    places: Places<Option<ClientAddress>>,
    waiting: Semaphore,
}

impl LargeAnswers {
    pub(in crate::http) fn new() -> Self {
        Self { places: Places::new(TERMS), waiting: Semaphore::new(WAITING_MAX) }
    }

    /// Waits for a place, which costs next to nothing, but not for too long.
    pub(in crate::http) async fn place(&self, peer: Option<SocketAddr>) -> Result<AnswerPlace, Failure> {
        let address = peer.map(|peer| ClientAddress::of(peer.ip()));
        let (began, mut waits) = (Instant::now(), None);
        loop {
            if let Ok(place) = self.places.take(address) {
                place.holder().activity.busy();
                return Ok(place);
            }
            waits = waits.or_else(|| self.waiting.try_acquire());
            if waits.is_none() || began.elapsed() >= WAIT_MAX {
                return Err(Failure::of(ErrorAnswer::OVERLOADED, "too many clients read long lists"));
            }
            self.places.wait_for_one(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests;
