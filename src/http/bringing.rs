//! Bounds the requests that bring bytes: each holds memory and a place at the disk for as long as its client
//! takes, and no upload has a limit in time.

use std::sync::Arc;

use smol::lock::{Semaphore, SemaphoreGuardArc};

use crate::http::errors::Failure;
use crate::http::sources::{OfSource, Source, Sources};
use crate::spec::ErrorCode;

/// One address may have one in so many of the places.
const SHARES: usize = 4;

/// The places of requests that bring bytes.
#[derive(Debug)]
pub(super) struct Bringing {
    places: Arc<Semaphore>,
    of_source: Sources,
    of_source_max: usize,
}

/// The place of one of them, until this is dropped.
#[derive(Debug)]
pub(super) struct Place(#[expect(dead_code, reason = "it is held, not read")] Option<Held>);

type Held = (SemaphoreGuardArc, OfSource);

impl Bringing {
    /// Makes so many places.
    pub(super) fn new(places: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            of_source: Sources::default(),
            of_source_max: places.div_ceil(SHARES),
        }
    }

    /// Takes a place for a body of this length; an empty one needs none. Nobody waits for a place: the
    /// client comes again, and has lost nothing.
    pub(super) fn take(&self, length: Option<u64>, source: Option<Source>) -> Result<Place, Failure> {
        if length == Some(0) {
            return Ok(Place(None));
        }
        let too_many = |message: &str| Failure::of(ErrorCode::TooManyRequests, message);
        let of_source = self.of_source.take(source, self.of_source_max);
        let of_source = of_source
            .ok_or_else(|| too_many("too many requests from this address are bringing content at once"))?;
        let place = self.places.try_acquire_arc();
        let place = place.ok_or_else(|| too_many("too many requests are bringing content at once"))?;
        Ok(Place(Some((place, of_source))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_bring_something_take_places_and_are_refused_when_there_is_none() {
        let bringing = Bringing::new(2);
        let first = bringing.take(Some(1), None).unwrap();
        let _second = bringing.take(None, None).unwrap();
        let refusal = bringing.take(Some(1), None).unwrap_err();
        assert_eq!((refusal.status() as u16, refusal.code()), (429, ErrorCode::TooManyRequests));
        assert!(refusal.into_response().header("retry-after").is_some());
        bringing.take(Some(0), None).unwrap();
        drop(first);
        bringing.take(None, None).unwrap();
    }

    #[test]
    fn one_address_takes_a_quarter_of_the_places_and_leaves_the_rest_to_others() {
        let bringing = Bringing::new(8);
        let source = |last| Source::of(std::net::IpAddr::from([192, 0, 2, last]), false);
        let first = bringing.take(None, source(1)).unwrap();
        let _second = bringing.take(None, source(1)).unwrap();
        let refusal = bringing.take(None, source(1)).unwrap_err();
        assert_eq!((refusal.status() as u16, refusal.code()), (429, ErrorCode::TooManyRequests));
        let _other = bringing.take(None, source(2)).unwrap();
        drop(first);
        bringing.take(None, source(1)).unwrap();
    }
}
