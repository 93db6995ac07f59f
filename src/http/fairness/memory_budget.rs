//! Bounds what large bodies take in memory, whatever the number of clients and however slow they are.
//!
//! Blobs and large manifests on their way out never lie in memory. Manifests on their way in do, and lists:
//! most of a few KiB, some of a few MiB. Of these only so many are there at once, and a quarter of them of
//! one address; the next ones wait. Small ones wait for none of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use smol::Timer;
use smol::future::or;
use smol::lock::{Semaphore, SemaphoreGuardArc};
use tide::http::Response;

use crate::http::api::Failure;
use crate::spec::ErrorAnswer;
use crate::wire::{AddressCounts, ClientAddress, PACE_MIN_BYTES, Pace, SHARES};

/// A body up to this length is a small one.
pub(in crate::http) const SMALL_MAX_BYTES: u64 = 64 * 1024;

/// How many large bodies may come in at once.
const COMING_IN_MAX: usize = 8;

/// How many large bodies may go out at once.
const GOING_OUT_MAX: usize = 8;

/// How long a request waits for the room that its large body takes. It is clients that hold the room; who is
/// slow gives it up while others wait.
const ROOM_WAIT_MAX: Duration = Duration::from_secs(30);

/// The room for large bodies.
#[derive(Debug)]
pub(in crate::http) struct LargeBodies {
    /// How many wait, in either direction.
    waiting: AtomicUsize,
    waiting_max: usize,
    waiting_of_source: AddressCounts,
    coming_in: Rooms,
    going_out: Rooms,
}

/// The room for bodies of one direction.
#[derive(Debug)]
struct Rooms {
    all: Arc<Share>,
    /// What each address may have of it; there is none for those that any number may come from.
    of_source: Mutex<HashMap<ClientAddress, Arc<Share>>>,
    of_source_max: usize,
    window: Duration,
}

/// Room that several bodies may take, and wait for.
#[derive(Debug)]
struct Share {
    free: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

/// The room that one large body takes, until this is dropped.
#[derive(Debug)]
pub(in crate::http) struct Room {
    pace: Pace,
    _taken: SemaphoreGuardArc,
    _of_source: Option<(SemaphoreGuardArc, Arc<Share>)>,
}

impl Room {
    /// Returns what watches how fast the client moves the body.
    pub(in crate::http) fn pace(&self) -> Pace {
        self.pace.clone()
    }
}

/// Gives an answer the room that its body takes.
pub(in crate::http) fn hold(response: &mut Response, room: Option<Room>) {
    if let Some(room) = room {
        response.ext_mut().insert(room);
    }
}

impl LargeBodies {
    /// Makes room, which clients that are slow for `window` give up while others wait.
    pub(in crate::http) fn new(waiting_max: usize, window: Duration) -> Self {
        Self {
            waiting: AtomicUsize::new(0),
            waiting_max,
            waiting_of_source: AddressCounts::default(),
            coming_in: Rooms::new(COMING_IN_MAX, window),
            going_out: Rooms::new(GOING_OUT_MAX, window),
        }
    }

    /// Waits for the room that a large body takes while it comes in.
    pub(in crate::http) async fn come_in(&self, source: Option<ClientAddress>) -> Result<Room, Failure> {
        self.room(&self.coming_in, source, ROOM_WAIT_MAX).await
    }

    /// Waits for the room that a large body takes, from before it is made until it has gone out. The room
    /// goes with the answer, among its extensions.
    pub(in crate::http) async fn go_out(&self, source: Option<ClientAddress>) -> Result<Room, Failure> {
        self.room(&self.going_out, source, ROOM_WAIT_MAX).await
    }

    /// Waits for room, but neither among too many nor for too long: a client that is told to come again can
    /// tell what happens, one that hangs cannot.
    async fn room(
        &self,
        rooms: &Rooms,
        source: Option<ClientAddress>,
        time_max: Duration,
    ) -> Result<Room, Failure> {
        let of_source = source.map(|source| rooms.share_of(source));
        if let Some(room) = rooms.take_now(of_source.as_ref()) {
            return Ok(room);
        }
        let busy = |message: &str| Failure::of(ErrorAnswer::OVERLOADED, message);
        let _of_source = self
            .waiting_of_source
            .take(source, self.waiting_max.div_ceil(SHARES))
            .ok_or_else(|| busy("too many requests from this address wait for room for a large body"))?;
        let _waiting = Waiting::begin(&self.waiting, self.waiting_max)
            .ok_or_else(|| busy("too many requests wait for room for a large body"))?;
        let too_long = async {
            Timer::after(time_max).await;
            Err(busy("there was no room for a large body for too long"))
        };
        or(async { Ok(rooms.take(of_source).await) }, too_long).await
    }
}

impl Rooms {
    fn new(rooms: usize, window: Duration) -> Self {
        Self {
            all: Arc::new(Share::new(rooms)),
            of_source: Mutex::default(),
            of_source_max: rooms.div_ceil(SHARES),
            window,
        }
    }

    /// Returns what an address may have.
    fn share_of(&self, source: ClientAddress) -> Arc<Share> {
        let mut shares = self.of_source.lock().unwrap_or_else(PoisonError::into_inner);
        // Clients must not make the table grow: it has those that have room, or wait.
        shares.retain(|_, share| Arc::strong_count(share) > 1);
        Arc::clone(shares.entry(source).or_insert_with(|| Arc::new(Share::new(self.of_source_max))))
    }

    fn take_now(&self, of_source: Option<&Arc<Share>>) -> Option<Room> {
        let of_source = match of_source {
            Some(share) => Some((share.free.try_acquire_arc()?, Arc::clone(share))),
            None => None,
        };
        Some(self.taken(self.all.free.try_acquire_arc()?, of_source))
    }

    /// Waits for the address's share first: who waits for that keeps nobody from the rest.
    async fn take(&self, of_source: Option<Arc<Share>>) -> Room {
        let of_source = match of_source {
            Some(share) => Some((share.take().await, share)),
            None => None,
        };
        self.taken(self.all.take().await, of_source)
    }

    fn taken(&self, taken: SemaphoreGuardArc, of_source: Option<(SemaphoreGuardArc, Arc<Share>)>) -> Room {
        let shares = of_source.as_ref().map(|(_, share)| share).into_iter().chain([&self.all]);
        let waiting = shares.map(|share| Arc::clone(&share.waiting)).collect();
        let pace = Pace::new(waiting, self.window, PACE_MIN_BYTES);
        Room { pace, _taken: taken, _of_source: of_source }
    }
}

impl Share {
    fn new(rooms: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(rooms)), waiting: Arc::default() }
    }

    async fn take(&self) -> SemaphoreGuardArc {
        let _wanted = Waiting::begin(&self.waiting, usize::MAX);
        self.free.acquire_arc().await
    }
}

/// One that waits, until this is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    /// Counts one more, unless `max` wait already.
    fn begin(waiting: &'a AtomicUsize, max: usize) -> Option<Self> {
        let is_let_in = waiting.fetch_add(1, Ordering::Relaxed) < max;
        let counted = Self(waiting);
        is_let_in.then_some(counted)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use smol::block_on;
    use smol::future::poll_once;

    use tide::http::StatusCode;

    use super::*;
    use crate::spec::ErrorCode;
    use crate::wire::PACE_WINDOW;

    async fn all_coming_in(bodies: &LargeBodies) -> Vec<Room> {
        let mut coming = Vec::new();
        for _ in 0..COMING_IN_MAX {
            coming.push(bodies.come_in(None).await.unwrap());
        }
        coming
    }

    #[test]
    fn only_so_many_large_bodies_come_in_at_once() {
        block_on(async {
            let bodies = LargeBodies::new(1, PACE_WINDOW);
            let mut coming = all_coming_in(&bodies).await;
            assert!(poll_once(bodies.come_in(None)).await.is_none());
            assert!(poll_once(bodies.go_out(None)).await.is_some(), "what goes out has room of its own");
            coming.pop();
            bodies.come_in(None).await.unwrap();
        });
    }

    #[test]
    fn who_is_slow_gives_its_room_up_while_others_wait_for_it() {
        block_on(async {
            let bodies = LargeBodies::new(1, Duration::from_millis(5));
            let mut coming = all_coming_in(&bodies).await;
            let slow = coming.pop().unwrap();
            let going_out = bodies.go_out(None).await.unwrap();
            let mut next = Box::pin(bodies.come_in(None));
            assert!(poll_once(&mut next).await.is_none());
            let gives_up = async {
                slow.pace().too_slow().await;
                drop(slow);
            };
            smol::future::zip(gives_up, async { next.as_mut().await.unwrap() }).await;
            assert!(poll_once(going_out.pace().too_slow()).await.is_none(), "nobody waits to go out");
        });
    }

    #[test]
    fn one_that_would_wait_among_too_many_or_for_too_long_is_told_to_come_again() {
        block_on(async {
            let bodies = LargeBodies::new(1, PACE_WINDOW);
            let _coming = all_coming_in(&bodies).await;
            let mut waits = Box::pin(bodies.come_in(None));
            assert!(poll_once(&mut waits).await.is_none());
            let one_too_many = bodies.come_in(None).await.unwrap_err().into_response();
            assert_eq!(one_too_many.status(), StatusCode::ServiceUnavailable);
            assert!(one_too_many.header("retry-after").is_some());
            drop(waits);
            let too_long = bodies.room(&bodies.coming_in, None, Duration::from_millis(10)).await.unwrap_err();
            assert_eq!(
                (too_long.status(), too_long.code()),
                (StatusCode::ServiceUnavailable, ErrorCode::TooManyRequests,)
            );
            let waiting =
                [&bodies.waiting, &*bodies.coming_in.all.waiting].map(|now| now.load(Ordering::Relaxed));
            assert_eq!(waiting, [0, 0]);
        });
    }

    fn source(last: u8) -> Option<ClientAddress> {
        ClientAddress::of(std::net::IpAddr::from([192, 0, 2, last]), false)
    }

    #[test]
    fn one_address_takes_a_quarter_of_the_room_and_waits_for_that_alone() {
        block_on(async {
            let bodies = LargeBodies::new(8, Duration::from_millis(5));
            let other = bodies.come_in(source(2)).await.unwrap();
            let slow = bodies.come_in(source(1)).await.unwrap();
            let _second = bodies.come_in(source(1)).await.unwrap();
            let mut third = Box::pin(bodies.come_in(source(1)));
            assert!(poll_once(&mut third).await.is_none(), "there is room, but not for this one");
            let _another = bodies.come_in(source(3)).await.unwrap();
            // Only who is of the same address gives room up for it.
            let gives_up = async {
                slow.pace().too_slow().await;
                drop(slow);
            };
            let keeps = async {
                other.pace().too_slow().await;
                panic!("nobody waits for the room of this one");
            };
            let (_, third) = or(keeps, smol::future::zip(gives_up, third)).await;
            third.unwrap();
        });
    }

    #[test]
    fn one_address_waits_with_a_quarter_of_those_that_may_and_leaves_no_trace() {
        block_on(async {
            let bodies = LargeBodies::new(4, PACE_WINDOW);
            let mut rooms = Vec::new();
            for _ in 0..2 {
                rooms.push(bodies.go_out(source(1)).await.unwrap());
            }
            let mut waits = Box::pin(bodies.go_out(source(1)));
            assert!(poll_once(&mut waits).await.is_none());
            let refused = bodies.go_out(source(1)).await.unwrap_err();
            assert_eq!(refused.status(), StatusCode::ServiceUnavailable);
            rooms.push(bodies.go_out(source(2)).await.unwrap());
            assert_eq!(bodies.going_out.of_source.lock().unwrap().len(), 2);
            drop((waits, rooms));
            let _last = bodies.go_out(source(3)).await.unwrap();
            assert_eq!(bodies.going_out.of_source.lock().unwrap().len(), 1);
        });
    }
}
