//! Bounds what large bodies take in memory, whatever the number of clients and however slow they are.
//!
//! Blobs and large manifests on their way out never lie in memory. Manifests on their way in do, and lists:
//! most of a few KiB, some of a few MiB. Of these only so many are there at once, and the next ones wait.
//! Small ones wait for none of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use smol::Timer;
use smol::future::or;
use smol::lock::{Semaphore, SemaphoreGuardArc};
use tide::http::{Response, StatusCode};

use crate::http::errors::Failure;
use crate::http::pace::{PACE_MIN_BYTES, Pace};
use crate::spec::ErrorCode;

/// A body up to this length is a small one.
pub(super) const SMALL_MAX_BYTES: u64 = 64 * 1024;

/// How many large bodies may come in at once.
const COMING_IN_MAX: usize = 8;

/// How many large bodies may go out at once.
const GOING_OUT_MAX: usize = 8;

/// How long a request waits for the room that its large body takes. It is clients that hold the room; who is
/// slow gives it up while others wait.
const ROOM_WAIT_MAX: Duration = Duration::from_secs(30);

/// The room for large bodies.
#[derive(Debug)]
pub(super) struct LargeBodies {
    /// How many wait, in either direction.
    waiting: AtomicUsize,
    waiting_max: usize,
    coming_in: Rooms,
    going_out: Rooms,
}

/// The room for bodies of one direction.
#[derive(Debug)]
struct Rooms {
    free: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    window: Duration,
}

/// The room that one large body takes, until this is dropped.
#[derive(Debug)]
pub(super) struct Room {
    pace: Pace,
    _taken: SemaphoreGuardArc,
}

impl Room {
    /// Returns what watches how fast the client moves the body.
    pub(super) fn pace(&self) -> Pace {
        self.pace.clone()
    }
}

/// Gives an answer the room that its body takes.
pub(super) fn hold(response: &mut Response, room: Option<Room>) {
    if let Some(room) = room {
        response.ext_mut().insert(room);
    }
}

impl LargeBodies {
    /// Makes room, which clients that are slow for `window` give up while others wait.
    pub(super) fn new(waiting_max: usize, window: Duration) -> Self {
        Self {
            waiting: AtomicUsize::new(0),
            waiting_max,
            coming_in: Rooms::new(COMING_IN_MAX, window),
            going_out: Rooms::new(GOING_OUT_MAX, window),
        }
    }

    /// Waits for the room that a large body takes while it comes in.
    pub(super) async fn come_in(&self) -> Result<Room, Failure> {
        self.room(&self.coming_in, ROOM_WAIT_MAX).await
    }

    /// Waits for the room that a large body takes, from before it is made until it has gone out. The room
    /// goes with the answer, among its extensions.
    pub(super) async fn go_out(&self) -> Result<Room, Failure> {
        self.room(&self.going_out, ROOM_WAIT_MAX).await
    }

    /// Waits for room, but neither among too many nor for too long: a client that is told to come again can
    /// tell what happens, one that hangs cannot.
    async fn room(&self, rooms: &Rooms, time_max: Duration) -> Result<Room, Failure> {
        if let Some(taken) = rooms.free.try_acquire_arc() {
            return Ok(rooms.taken(taken));
        }
        let busy =
            |message: &str| Failure::new(StatusCode::ServiceUnavailable, ErrorCode::TooManyRequests, message);
        let _waiting = Waiting::begin(&self.waiting, self.waiting_max)
            .ok_or_else(|| busy("too many requests wait for room for a large body"))?;
        let _wanted = Waiting::begin(&rooms.waiting, usize::MAX);
        let too_long = async {
            Timer::after(time_max).await;
            Err(busy("there was no room for a large body for too long"))
        };
        or(async { Ok(rooms.taken(rooms.free.acquire_arc().await)) }, too_long).await
    }
}

impl Rooms {
    fn new(rooms: usize, window: Duration) -> Self {
        Self { free: Arc::new(Semaphore::new(rooms)), waiting: Arc::default(), window }
    }

    fn taken(&self, taken: SemaphoreGuardArc) -> Room {
        Room { pace: Pace::new(Arc::clone(&self.waiting), self.window, PACE_MIN_BYTES), _taken: taken }
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

    use super::*;
    use crate::http::pace::PACE_WINDOW;

    async fn all_coming_in(bodies: &LargeBodies) -> Vec<Room> {
        let mut coming = Vec::new();
        for _ in 0..COMING_IN_MAX {
            coming.push(bodies.come_in().await.unwrap());
        }
        coming
    }

    #[test]
    fn only_so_many_large_bodies_come_in_at_once() {
        block_on(async {
            let bodies = LargeBodies::new(1, PACE_WINDOW);
            let mut coming = all_coming_in(&bodies).await;
            assert!(poll_once(bodies.come_in()).await.is_none());
            assert!(poll_once(bodies.go_out()).await.is_some(), "what goes out has room of its own");
            coming.pop();
            bodies.come_in().await.unwrap();
        });
    }

    #[test]
    fn who_is_slow_gives_its_room_up_while_others_wait_for_it() {
        block_on(async {
            let bodies = LargeBodies::new(1, Duration::from_millis(5));
            let mut coming = all_coming_in(&bodies).await;
            let slow = coming.pop().unwrap();
            let going_out = bodies.go_out().await.unwrap();
            let mut next = Box::pin(bodies.come_in());
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
            let mut waits = Box::pin(bodies.come_in());
            assert!(poll_once(&mut waits).await.is_none());
            let one_too_many = bodies.come_in().await.unwrap_err().into_response();
            assert_eq!(one_too_many.status(), StatusCode::ServiceUnavailable);
            assert!(one_too_many.header("retry-after").is_some());
            drop(waits);
            let too_long = bodies.room(&bodies.coming_in, Duration::from_millis(10)).await.unwrap_err();
            assert_eq!(
                (too_long.status(), too_long.code()),
                (StatusCode::ServiceUnavailable, ErrorCode::TooManyRequests,)
            );
            let waiting =
                [&bodies.waiting, &*bodies.coming_in.waiting].map(|now| now.load(Ordering::Relaxed));
            assert_eq!(waiting, [0, 0]);
        });
    }
}
