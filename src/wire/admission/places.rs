//! Places that clients hold for as long as they take.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use event_listener::{Event, EventListener};

use super::activity::Activity;
use super::rule::Terms;
use crate::base::{displaced, lock};

/// All places of one kind. `A` is the address that distinguishes clients.
#[derive(Debug)]
pub(crate) struct Places<A> {
    shared: Arc<PlaceTable<A>>,
    terms: Terms,
}

#[derive(Debug)]
struct PlaceTable<A> {
    table: Mutex<Table<A>>,
    /// Notified when a holder has left.
    left: Event,
}

#[derive(Debug)]
struct Table<A> {
    holders: HashMap<u64, (A, Arc<Holder>)>,
    next_key: u64,
    /// Those that were displaced and have not left, the first one first.
    leaving: VecDeque<(u64, Arc<Holder>)>,
}

/// No place is free, and no holder can be displaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full {
    /// Whether no address has more places than the newcomer's.
    pub(crate) of_address: bool,
}

/// One place, until this is dropped.
#[derive(Debug)]
pub(crate) struct Place<A> {
    key: u64,
    holder: Arc<Holder>,
    shared: Arc<PlaceTable<A>>,
}

/// The holder of a place: what it does, and whether it must leave.
#[derive(Debug)]
pub(crate) struct Holder {
    /// What its client does.
    pub(crate) activity: Activity,
    /// [`STAYS`], [`DISPLACED`] or [`CUT_OFF`]; it only grows.
    notice: AtomicU8,
    noticed: Event,
    /// How many bytes had moved when it was displaced.
    moved_before: AtomicU64,
}

/// The place is the holder's.
const STAYS: u8 = 0;

/// The place is another one's: the holder ends as soon as what it does allows.
const DISPLACED: u8 = 1;

/// The holder ends at once, whatever it does.
const CUT_OFF: u8 = 2;

/// A wait for having to leave, kept from one poll to the next.
#[derive(Debug, Default)]
pub(crate) struct DisplacedWait(Option<EventListener>);

impl<A: Clone + Eq + Hash> Places<A> {
    /// Makes places, all of them free.
    pub(crate) fn new(terms: Terms) -> Self {
        let table = Table { holders: HashMap::new(), next_key: 0, leaving: VecDeque::new() };
        Self { shared: Arc::new(PlaceTable { table: Mutex::new(table), left: Event::new() }), terms }
    }

    /// Takes a free place, or that of a holder that `address` may displace.
    pub(crate) fn take(&self, address: A) -> Result<Place<A>, Full> {
        let mut table = lock(&self.shared.table);
        if table.holders.len() >= self.terms.places && !table.displace_for(&address, &self.terms) {
            return Err(Full { of_address: table.is_most(&address) });
        }
        let (key, holder) = (table.next_key, Holder::new());
        table.next_key += 1;
        table.holders.insert(key, (address, Arc::clone(&holder)));
        Ok(Place { key, holder, shared: Arc::clone(&self.shared) })
    }

    /// Returns how many holders there are, those on their way out included.
    pub(crate) fn taken(&self) -> usize {
        let table = lock(&self.shared.table);
        table.holders.len() + table.leaving.len()
    }

    /// Cuts off all holders.
    pub(crate) fn cut_off_all(&self) {
        let table = lock(&self.shared.table);
        table.holders.values().for_each(|(_, holder)| holder.notify(CUT_OFF));
        table.leaving.iter().for_each(|(_, holder)| holder.notify(CUT_OFF));
    }

    /// Waits until a holder has left, or for `time_max`.
    pub(crate) async fn wait_for_one(&self, time_max: Duration) {
        let left = self.shared.left.listen();
        let timer = async {
            smol::Timer::after(time_max).await;
        };
        smol::future::or(left, timer).await;
    }

    /// Waits until all holders have left.
    pub(crate) async fn all_left(&self) {
        while self.taken() > 0 {
            let left = self.shared.left.listen();
            if self.taken() > 0 {
                left.await;
            }
        }
    }
}

impl<A: Clone + Eq + Hash> Table<A> {
    fn displace_for(&mut self, newcomer: &A, terms: &Terms) -> bool {
        if self.leaving.len() >= terms.leaving_max {
            return false;
        }
        let at = Instant::now();
        let holders = self.holders.iter().map(|(key, (address, holder))| {
            let standing = holder.activity.standing(terms, at);
            (address, *key, standing.rank())
        });
        let Some(key) = displaced(holders, &newcomer) else { return false };
        let Some((_, holder)) = self.holders.remove(&key) else { return false };
        holder.displace();
        self.leaving.push_back((key, holder));
        if self.leaving.len() >= terms.leaving_max {
            self.cut_off_first();
        }
        true
    }

    /// Cuts off the holder that has been leaving for longest, so that holders that take their time do not
    /// stop the displacement of others.
    fn cut_off_first(&self) {
        if let Some((_, holder)) = self.leaving.iter().find(|(_, holder)| !holder.has(CUT_OFF)) {
            holder.notify(CUT_OFF);
        }
    }

    fn is_most(&self, address: &A) -> bool {
        let mut counts: HashMap<&A, usize> = HashMap::new();
        for (address, _) in self.holders.values() {
            *counts.entry(address).or_default() += 1;
        }
        let own = counts.get(address).copied().unwrap_or_default();
        own > 0 && counts.values().all(|count| *count <= own)
    }
}

impl<A> Place<A> {
    /// Returns the holder, for what watches it.
    pub(crate) fn holder(&self) -> &Arc<Holder> {
        &self.holder
    }
}

impl<A> Drop for Place<A> {
    fn drop(&mut self) {
        let mut table = lock(&self.shared.table);
        if table.holders.remove(&self.key).is_none() {
            table.leaving.retain(|(key, _)| *key != self.key);
        }
        drop(table);
        self.shared.left.notify(usize::MAX);
    }
}

impl Holder {
    /// Makes the holder of a place that has begun to be idle.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            activity: Activity::new(),
            notice: AtomicU8::new(STAYS),
            noticed: Event::new(),
            moved_before: AtomicU64::new(0),
        })
    }

    fn displace(&self) {
        self.moved_before.store(self.activity.moved_bytes(), Ordering::Relaxed);
        self.notify(DISPLACED);
    }

    fn notify(&self, notice: u8) {
        self.notice.fetch_max(notice, Ordering::SeqCst);
        self.noticed.notify(usize::MAX);
    }

    fn has(&self, notice: u8) -> bool {
        self.notice.load(Ordering::SeqCst) >= notice
    }

    /// Tells whether its place is another one's now.
    pub(crate) fn is_displaced(&self) -> bool {
        self.has(DISPLACED)
    }

    /// Returns how many bytes have moved since it was displaced, 0 if it was not. What is under way may go on
    /// for a few, but a client that always has more must not keep the place.
    pub(crate) fn moved_since_displaced(&self) -> u64 {
        if self.is_displaced() {
            self.activity.moved_bytes().saturating_sub(self.moved_before.load(Ordering::Relaxed))
        } else {
            0
        }
    }

    /// Waits until it is displaced.
    pub(crate) async fn displaced(&self) {
        self.wait_for(DISPLACED).await;
    }

    /// Waits until it must end at once.
    pub(crate) async fn cut_off(&self) {
        self.wait_for(CUT_OFF).await;
    }

    async fn wait_for(&self, notice: u8) {
        let mut wait = DisplacedWait::default();
        std::future::poll_fn(|context| self.poll_notice(notice, &mut wait, context)).await;
    }

    /// Is ready once it is displaced.
    pub(crate) fn poll_displaced(&self, wait: &mut DisplacedWait, context: &mut Context<'_>) -> Poll<()> {
        self.poll_notice(DISPLACED, wait, context)
    }

    fn poll_notice(&self, notice: u8, wait: &mut DisplacedWait, context: &mut Context<'_>) -> Poll<()> {
        while !self.has(notice) {
            // Asked again once listening: it may have happened in between.
            let Some(listening) = &mut wait.0 else {
                wait.0 = Some(self.noticed.listen());
                continue;
            };
            match Pin::new(listening).poll(context) {
                Poll::Ready(()) => wait.0 = None,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms {
        places: 4,
        leaving_max: 3,
        idle_min: Duration::ZERO,
        slow_time: Duration::MAX,
        least_bytes_per_second: 0,
    };

    #[test]
    fn holders_that_take_their_time_to_leave_do_not_stop_the_displacement_of_others() {
        let places = Places::new(TERMS);
        let mut taken: VecDeque<Place<u8>> = VecDeque::new();
        for number in 0..100 {
            taken.push_back(places.take(1).unwrap());
            let is_displaced = taken.iter().filter(|place| place.holder().is_displaced()).count();
            let is_cut_off = taken.iter().filter(|place| place.holder().has(CUT_OFF)).count();
            assert_eq!(places.taken(), taken.len(), "{number}");
            assert!(is_displaced <= TERMS.leaving_max && is_displaced - is_cut_off < TERMS.leaving_max);
            // One that is cut off leaves as soon as it is polled.
            taken.retain(|place| !place.holder().has(CUT_OFF));
        }
        assert_eq!(taken.iter().filter(|place| place.holder().is_displaced()).count(), 2);
    }

    #[test]
    fn all_holders_can_be_cut_off_and_then_wait_for_nothing() {
        let places = Places::new(TERMS);
        let taken = [1, 2].map(|address| places.take(address).unwrap());
        let waits: Vec<_> = taken.iter().map(|place| Arc::clone(place.holder())).collect();
        let waiting = std::thread::spawn(move || {
            smol::block_on(async {
                for holder in waits {
                    holder.cut_off().await;
                    holder.displaced().await;
                }
            });
        });
        places.cut_off_all();
        waiting.join().unwrap();
    }
}
