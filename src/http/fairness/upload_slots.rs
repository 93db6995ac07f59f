//! Bounds the requests that bring bytes: each holds memory and a place at the disk for as long as its client
//! takes, and no upload has a limit in time.
//!
//! Nobody waits for a place. When all are taken the slowest gives way, if it is slower than any real line: it
//! is answered 429, and what it brought of a chunk stays. Else the one that comes is told to come again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::receive_rate::{Flow, Watched};
use crate::http::api::Failure;
use crate::spec::ErrorCode;
use crate::wire::{ClientAddress, SHARES};

/// The places of requests that bring bytes.
#[derive(Debug)]
pub(in crate::http) struct Bringing {
    taken: Arc<Mutex<Taken>>,
    places: usize,
    of_source_max: usize,
    slow_time_max: Duration,
}

#[derive(Debug, Default)]
struct Taken {
    places: HashMap<u64, Bringer>,
    next: u64,
}

/// One that has a place.
#[derive(Debug)]
struct Bringer {
    source: Option<ClientAddress>,
    flow: Flow,
}

/// The place of one of them, until this is dropped.
#[derive(Debug)]
pub(in crate::http) struct Place(Option<Held>);

#[derive(Debug)]
struct Held {
    number: u64,
    flow: Flow,
    taken: Arc<Mutex<Taken>>,
}

impl Bringing {
    /// Makes so many places; who is slow for `slow_time_max` gives way when they are all taken.
    pub(in crate::http) fn new(places: usize, slow_time_max: Duration) -> Self {
        Self { taken: Arc::default(), places, of_source_max: places.div_ceil(SHARES), slow_time_max }
    }

    /// Takes a place for a body of this length; an empty one needs none.
    pub(in crate::http) fn take(
        &self,
        length: Option<u64>,
        source: Option<ClientAddress>,
    ) -> Result<Place, Failure> {
        if length == Some(0) {
            return Ok(Place(None));
        }
        let mut taken = lock(&self.taken);
        if source.is_some() && taken.of(source).count() >= self.of_source_max {
            taken.make_place(|one| one.source == source, self.slow_time_max).ok_or_else(|| {
                too_many("too many requests from this address are bringing content at once")
            })?;
        } else if taken.places.len() >= self.places {
            taken
                .make_place(|_| true, self.slow_time_max)
                .ok_or_else(|| too_many("too many requests are bringing content at once"))?;
        }
        let (number, flow) = (taken.next, Flow::default());
        taken.next += 1;
        taken.places.insert(number, Bringer { source, flow: flow.clone() });
        Ok(Place(Some(Held { number, flow, taken: Arc::clone(&self.taken) })))
    }
}

impl Taken {
    fn of(&self, source: Option<ClientAddress>) -> impl Iterator<Item = &Bringer> {
        self.places.values().filter(move |one| one.source == source)
    }

    /// Ends the slowest of those that `may` give way, if any is too slow. Its place is free at once: what it
    /// still holds it gives back with its next step.
    fn make_place(&mut self, may: impl Fn(&Bringer) -> bool, slow_time_max: Duration) -> Option<()> {
        let slow = self.places.iter().filter(|(_, one)| may(one));
        let slow = slow.filter_map(|(number, one)| Some((one.flow.too_slow(slow_time_max)?, *number)));
        let (_, slowest) = slow.min()?;
        self.places.remove(&slowest)?.flow.give_way();
        Some(())
    }
}

impl Place {
    /// Watches the body that the place was taken for.
    pub(in crate::http) fn watch<B>(&self, body: B) -> Watched<B> {
        Watched::new(body, self.0.as_ref().map(|held| held.flow.clone()))
    }

    /// Returns what the client is told of a failure: that it had to give way, if that is why.
    pub(in crate::http) fn told(&self, failure: Failure) -> Failure {
        match &self.0 {
            Some(held) if held.flow.is_cut() => {
                too_many("the body came too slowly while too many requests were bringing content")
            }
            _ => failure,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.taken).places.remove(&self.number);
    }
}

fn too_many(message: &str) -> Failure {
    Failure::of(ErrorCode::TooManyRequests, message)
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use smol::block_on;
    use smol::future::poll_once;
    use smol::io::{AsyncBufRead, AsyncRead, AsyncReadExt};

    use super::*;
    use crate::http::fairness::SLOW_TIME_MAX;

    /// A body of which nothing comes.
    struct Silent;

    impl AsyncRead for Silent {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut [u8],
        ) -> Poll<std::io::Result<usize>> {
            Poll::Pending
        }
    }

    impl AsyncBufRead for Silent {
        fn poll_fill_buf(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<&[u8]>> {
            Poll::Pending
        }

        fn consume(self: Pin<&mut Self>, _: usize) {}
    }

    fn source(last: u8) -> Option<ClientAddress> {
        ClientAddress::of(std::net::IpAddr::from([192, 0, 2, last]), false)
    }

    /// Begins to wait for a body, which stays away for a moment.
    async fn wait(body: &mut Watched<Silent>) {
        assert!(poll_once(body.read(&mut [0])).await.is_none());
        smol::Timer::after(Duration::from_millis(2)).await;
    }

    fn status(failure: Failure) -> u16 {
        failure.into_response().status() as u16
    }

    #[test]
    fn requests_that_bring_something_take_places_and_are_refused_when_there_is_none() {
        let bringing = Bringing::new(2, SLOW_TIME_MAX);
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
        let bringing = Bringing::new(8, SLOW_TIME_MAX);
        let first = bringing.take(None, source(1)).unwrap();
        let _second = bringing.take(None, source(1)).unwrap();
        let refusal = bringing.take(None, source(1)).unwrap_err();
        assert_eq!((refusal.status() as u16, refusal.code()), (429, ErrorCode::TooManyRequests));
        let _other = bringing.take(None, source(2)).unwrap();
        drop(first);
        bringing.take(None, source(1)).unwrap();
    }

    #[test]
    fn one_that_is_waited_for_gives_way_to_the_next_when_all_places_are_taken() {
        block_on(async {
            let bringing = Bringing::new(2, Duration::from_millis(1));
            let _busy = bringing.take(None, None).unwrap();
            let slow = bringing.take(None, None).unwrap();
            let mut body = slow.watch(Silent);
            assert_eq!(status(bringing.take(None, None).unwrap_err()), 429, "nobody is waited for");
            wait(&mut body).await;
            let third = bringing.take(None, None).unwrap();
            let broken = || Failure::of(ErrorCode::SizeInvalid, "it broke off");
            assert_eq!(status(slow.told(broken())), 400, "it may all have come by then");
            assert_eq!(body.read(&mut [0]).await.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
            assert_eq!((status(slow.told(broken())), status(third.told(broken()))), (429, 400));
            // Its place is the third one's now, also when it is gone itself.
            drop(slow);
            assert_eq!(status(bringing.take(None, None).unwrap_err()), 429);
            drop(third);
            bringing.take(None, None).unwrap();
        });
    }

    #[test]
    fn one_address_that_has_its_share_makes_place_only_at_its_own_cost() {
        block_on(async {
            let bringing = Bringing::new(8, Duration::from_millis(1));
            let other = bringing.take(None, source(2)).unwrap();
            let mut others = other.watch(Silent);
            wait(&mut others).await;
            let own = bringing.take(None, source(1)).unwrap();
            let _busy = bringing.take(None, source(1)).unwrap();
            assert_eq!(status(bringing.take(None, source(1)).unwrap_err()), 429);
            let mut body = own.watch(Silent);
            wait(&mut body).await;
            bringing.take(None, source(1)).unwrap();
            assert!(body.read(&mut [0]).await.is_err());
            assert!(poll_once(others.read(&mut [0])).await.is_none(), "nobody wants its place");
        });
    }
}
