//! Bounds what long lists take in memory, whatever the number of clients and however slowly they read.
//!
//! Blobs and long manifests go out from their files, and most lists are short. A long list of referrers may
//! take a few MiB; it has one of a few places until it has gone out. By the rule of admission a slow reader
//! loses its place to a client of another address.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use smol::future::FutureExt;

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

/// The places of requests that wait: each is idle, so a newcomer displaces one of the address that has most.
const WAITING_TERMS: Terms = Terms {
    places: WAITING_MAX,
    leaving_max: WAITING_MAX,
    idle_min: Duration::ZERO,
    slow_time: Duration::MAX,
    least_bytes_per_second: 0,
};

/// The place of one long answer, from before it is made until it has gone out. It goes with the answer, among
/// its extensions.
pub(in crate::http) type AnswerPlace = Place<Option<ClientAddress>>;

/// The places of long answers.
#[derive(Debug)]
pub(in crate::http) struct LargeAnswers {
    places: Places<Option<ClientAddress>>,
    waiting: Places<Option<ClientAddress>>,
}

impl LargeAnswers {
    pub(in crate::http) fn new() -> Self {
        Self { places: Places::new(TERMS), waiting: Places::new(WAITING_TERMS) }
    }

    /// Waits for a place, which costs next to nothing, but not for too long.
    pub(in crate::http) async fn place(&self, peer: Option<SocketAddr>) -> Result<AnswerPlace, Failure> {
        let address = peer.map(|peer| ClientAddress::of(peer.ip()));
        let overloaded = || Failure::of(ErrorAnswer::OVERLOADED, "too many clients read long lists");
        if let Some(place) = self.free_place(address) {
            return Ok(place);
        }
        let waits = self.waiting.take(address).map_err(|_| overloaded())?;
        let began = Instant::now();
        while began.elapsed() < WAIT_MAX && !waits.holder().is_displaced() {
            self.places.wait_for_one(PAUSE).or(waits.holder().displaced()).await;
            if let Some(place) = self.free_place(address) {
                return Ok(place);
            }
        }
        Err(overloaded())
    }

    /// Takes a place that is free, or that of a reader that is too slow.
    fn free_place(&self, address: Option<ClientAddress>) -> Option<AnswerPlace> {
        let place = self.places.take(address).ok()?;
        place.holder().activity.busy();
        Some(place)
    }
}

#[cfg(test)]
mod tests;
