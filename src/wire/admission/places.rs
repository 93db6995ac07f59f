//! Places that clients hold for as long as they take.

use std::collections::HashMap;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// How many were displaced and have not left.
    leaving: usize,
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

/// The holder of a place: what it does, and whether it has been displaced.
#[derive(Debug)]
pub(crate) struct Holder {
    /// What its client does.
    pub(crate) activity: Activity,
    is_displaced: AtomicBool,
    displaced: Event,
}

/// A wait for being displaced, kept from one poll to the next.
#[derive(Debug, Default)]
pub(crate) struct DisplacedWait(Option<EventListener>);

impl<A: Clone + Eq + Hash> Places<A> {
    /// Makes places, all of them free.
    pub(crate) fn new(terms: Terms) -> Self {
        let table = Table { holders: HashMap::new(), next_key: 0, leaving: 0 };
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
        table.holders.len() + table.leaving
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
        if self.leaving >= terms.leaving_max {
            return false;
        }
        let at = Instant::now();
        let holders = self.holders.iter().map(|(key, (address, holder))| {
            let standing = holder.activity.standing(terms, at);
            (address, *key, standing.rank())
        });
        let Some((_, holder)) = displaced(holders, &newcomer).and_then(|key| self.holders.remove(&key))
        else {
            return false;
        };
        self.leaving += 1;
        holder.displace();
        true
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
            table.leaving = table.leaving.saturating_sub(1);
        }
        drop(table);
        self.shared.left.notify(usize::MAX);
    }
}

impl Holder {
    /// Makes the holder of a place that has begun to be idle.
    pub(crate) fn new() -> Arc<Self> {
        let (activity, is_displaced) = (Activity::new(), AtomicBool::new(false));
        Arc::new(Self { activity, is_displaced, displaced: Event::new() })
    }

    fn displace(&self) {
        self.is_displaced.store(true, Ordering::SeqCst);
        self.displaced.notify(usize::MAX);
    }

    /// Tells whether its place is another one's now.
    pub(crate) fn is_displaced(&self) -> bool {
        self.is_displaced.load(Ordering::SeqCst)
    }

    /// Waits until it is displaced.
    pub(crate) async fn displaced(&self) {
        let mut wait = DisplacedWait::default();
        std::future::poll_fn(|context| self.poll_displaced(&mut wait, context)).await;
    }

    /// Is ready once it is displaced.
    pub(crate) fn poll_displaced(&self, wait: &mut DisplacedWait, context: &mut Context<'_>) -> Poll<()> {
        while !self.is_displaced() {
            // Asked again once listening: it may have happened in between.
            let Some(listening) = &mut wait.0 else {
                wait.0 = Some(self.displaced.listen());
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
