//! Bounds the requests that bring bytes: each holds memory and a place at the disk for as long as its client
//! takes, and no upload has a limit in time.

use std::sync::Arc;

use smol::lock::{Semaphore, SemaphoreGuardArc};

use crate::http::errors::Failure;
use crate::spec::ErrorCode;

/// The places of requests that bring bytes.
#[derive(Debug)]
pub(super) struct Bringing(Arc<Semaphore>);

/// The place of one of them, until this is dropped.
#[derive(Debug)]
pub(super) struct Place(#[expect(dead_code, reason = "it is held, not read")] Option<SemaphoreGuardArc>);

impl Bringing {
    /// Makes so many places.
    pub(super) fn new(places: usize) -> Self {
        Self(Arc::new(Semaphore::new(places)))
    }

    /// Takes a place for a body of this length; an empty one needs none. Nobody waits for a place: the
    /// client comes again, and has lost nothing.
    pub(super) fn take(&self, length: Option<u64>) -> Result<Place, Failure> {
        if length == Some(0) {
            return Ok(Place(None));
        }
        let place = self.0.try_acquire_arc().ok_or_else(|| {
            Failure::of(ErrorCode::TooManyRequests, "too many requests are bringing content at once")
        })?;
        Ok(Place(Some(place)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_bring_something_take_places_and_are_refused_when_there_is_none() {
        let bringing = Bringing::new(2);
        let first = bringing.take(Some(1)).unwrap();
        let _second = bringing.take(None).unwrap();
        let refusal = bringing.take(Some(1)).unwrap_err();
        assert_eq!((refusal.status() as u16, refusal.code()), (429, ErrorCode::TooManyRequests));
        assert!(refusal.into_response().header("retry-after").is_some());
        bringing.take(Some(0)).unwrap();
        drop(first);
        bringing.take(None).unwrap();
    }
}
