//! Bounds what large bodies take in memory, whatever the number of clients and however slow they are.
//!
//! Blobs never lie in memory. Manifests and lists do, most of a few KiB, some of a few MiB: of these only so
//! many are on their way at once, and the next ones wait. Small ones wait for none of them.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use smol::Timer;
use smol::future::or;
use smol::lock::{Semaphore, SemaphoreGuardArc};
use tide::http::{Response, StatusCode};

use crate::http::errors::Failure;
use crate::spec::ErrorCode;

/// A body up to this length is a small one.
pub(super) const SMALL_MAX_BYTES: u64 = 64 * 1024;

/// How many large bodies may come in at once.
const COMING_IN_MAX: usize = 16;

/// How many large bodies may go out at once.
const GOING_OUT_MAX: usize = 16;

/// How many bodies may be made at once. That waits for no client.
const MADE_AT_ONCE_MAX: usize = 8;

/// How long a request waits for the room that its large body takes. It is clients that hold the room, however
/// slow they are.
const ROOM_WAIT_MAX: Duration = Duration::from_secs(30);

/// The room for large bodies.
#[derive(Debug)]
pub(super) struct LargeBodies {
    waiting: AtomicUsize,
    waiting_max: usize,
    coming_in: Arc<Semaphore>,
    going_out: Arc<Semaphore>,
    made: Semaphore,
}

/// The room that one large body takes, until this is dropped.
#[derive(Debug)]
pub(super) struct Room(#[expect(dead_code, reason = "it is held, not read")] SemaphoreGuardArc);

impl LargeBodies {
    /// Makes room.
    pub(super) fn new(waiting_max: usize) -> Self {
        Self {
            waiting: AtomicUsize::new(0),
            waiting_max,
            coming_in: Arc::new(Semaphore::new(COMING_IN_MAX)),
            going_out: Arc::new(Semaphore::new(GOING_OUT_MAX)),
            made: Semaphore::new(MADE_AT_ONCE_MAX),
        }
    }

    /// Waits for the room that a large body takes while it comes in.
    pub(super) async fn come_in(&self) -> Result<Room, Failure> {
        self.room(&self.coming_in, ROOM_WAIT_MAX).await.map(Room)
    }

    /// Waits for room, but neither among too many nor for too long: a client that is told to come again can
    /// tell what happens, one that hangs cannot.
    async fn room(&self, rooms: &Arc<Semaphore>, time_max: Duration) -> Result<SemaphoreGuardArc, Failure> {
        if let Some(room) = rooms.try_acquire_arc() {
            return Ok(room);
        }
        let busy =
            |message: &str| Failure::new(StatusCode::ServiceUnavailable, ErrorCode::TooManyRequests, message);
        let _waiting = Waiting::begin(&self.waiting, self.waiting_max)
            .ok_or_else(|| busy("too many requests wait for room for a large body"))?;
        let too_long = async {
            Timer::after(time_max).await;
            Err(busy("there was no room for a large body for too long"))
        };
        or(async { Ok(rooms.acquire_arc().await) }, too_long).await
    }

    /// Makes an answer. With a large one comes its room, among its extensions. Where there is none, the
    /// answer is made anew when there is, so that those who wait hold nothing.
    pub(super) async fn make<F>(&self, make: impl Fn() -> F) -> Result<Response, Failure>
    where
        F: Future<Output = Result<Response, Failure>>,
    {
        let mut room = None;
        loop {
            {
                let _made = self.made.acquire().await;
                let mut response = make().await?;
                let is_small = response.len().is_none_or(|length| length as u64 <= SMALL_MAX_BYTES);
                room = room.or_else(|| self.going_out.try_acquire_arc());
                match room.take() {
                    _ if is_small => return Ok(response),
                    Some(room) => {
                        response.ext_mut().insert(Room(room));
                        return Ok(response);
                    }
                    None => {}
                }
            }
            room = Some(self.room(&self.going_out, ROOM_WAIT_MAX).await?);
        }
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
    use std::cell::Cell;

    use smol::block_on;
    use smol::future::poll_once;

    use super::*;

    fn of_length(length: u64) -> Response {
        let mut response = Response::new(200);
        response.set_body(vec![b' '; usize::try_from(length).unwrap()]);
        response
    }

    #[test]
    fn large_answers_wait_for_room_without_being_held_and_small_ones_wait_for_none() {
        block_on(async {
            let bodies = LargeBodies::new(1);
            let large = || async { Ok(of_length(SMALL_MAX_BYTES + 1)) };
            let mut going_out = Vec::new();
            for _ in 0..GOING_OUT_MAX {
                going_out.push(bodies.make(large).await.unwrap());
            }
            let made = Cell::new(0);
            let mut next = Box::pin(bodies.make(|| async {
                made.set(made.get() + 1);
                large().await
            }));
            assert!(poll_once(&mut next).await.is_none(), "there is no room for one more");
            assert_eq!(made.get(), 1);
            for _ in 0..=MADE_AT_ONCE_MAX {
                let small = bodies.make(|| async { Ok(of_length(SMALL_MAX_BYTES)) }).await.unwrap();
                assert!(small.ext().get::<Room>().is_none());
            }
            going_out.pop();
            assert!(next.await.unwrap().ext().get::<Room>().is_some());
            assert_eq!(made.get(), 2, "it was made anew");
        });
    }

    #[test]
    fn only_so_many_large_bodies_come_in_at_once() {
        block_on(async {
            let bodies = LargeBodies::new(1);
            let mut coming = Vec::new();
            for _ in 0..COMING_IN_MAX {
                coming.push(bodies.come_in().await.unwrap());
            }
            assert!(poll_once(bodies.come_in()).await.is_none());
            coming.pop();
            bodies.come_in().await.unwrap();
        });
    }

    #[test]
    fn one_that_would_wait_among_too_many_or_for_too_long_is_told_to_come_again() {
        block_on(async {
            let bodies = LargeBodies::new(1);
            let mut coming = Vec::new();
            for _ in 0..COMING_IN_MAX {
                coming.push(bodies.come_in().await.unwrap());
            }
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
            assert_eq!(bodies.waiting.load(Ordering::Relaxed), 0);
        });
    }
}
