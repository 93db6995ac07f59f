//! Following the journal: reading it from a place on, and further as it grows.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::meta::error::MetaOpenError;
use crate::meta::journal::durable::{DurableEnd, Subscription, Wake};
use crate::meta::journal::log::{LogPosition, LogTail};
use crate::meta::model::{Fact, Origin};

/// A place in the journal: after one transaction and before the next. It stays right across rotations,
/// checkpoints and restarts. A follower notices where its transaction was lost or is no longer kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JournalCursor(LogPosition);

impl JournalCursor {
    /// Returns the number of the transaction before it; 0 before the very first one.
    pub fn seq(&self) -> u64 {
        self.0.seq
    }
}

/// Where a follower begins.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(not(test), expect(dead_code, reason = "`pulk log` has no place of its own; other consumers have"))]
pub enum FollowFrom {
    /// The oldest transaction that is kept.
    Oldest,
    /// Everything after a place where an earlier follower was.
    Cursor(JournalCursor),
    /// What becomes durable from now on.
    End,
}

/// A transaction of the journal.
#[derive(Debug, Clone, Copy)]
pub struct Transaction<'a> {
    /// Its number.
    pub seq: u64,
    /// When it was decided, by the wall clock, in milliseconds since 1970.
    pub at_ms: u64,
    /// Where it comes from, if that is known.
    pub by: Option<&'a Origin>,
    /// What it states.
    pub facts: &'a [Fact],
}

/// Why a read ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowEnd {
    /// The visitor has enough for now.
    Stopped,
    /// Everything that is durable was read.
    CaughtUp,
    /// What follows the follower's place is not kept any more, or its place was lost in a recovery. It reads
    /// nothing more until [`Follower::start_over`] or [`Follower::skip_gap`].
    FellBehind,
}

/// How far a follower may read.
enum Limit {
    /// Up to what the writer has made durable.
    Durable(Arc<DurableEnd>),
    /// Up to the end of the chain: nothing is appended.
    Closed,
}

/// A reader of the journal that sees only what is durable.
///
/// It reads the files beside the writer, which never waits for it, and neither does the removal of old files:
/// they are kept up to the limit of the history, whether or not anything reads them.
pub struct Follower {
    tail: Box<dyn LogTail>,
    limit: Limit,
    is_lost: bool,
    _woken: Option<Subscription>,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Follower").field("at", self.tail.place()).finish_non_exhaustive()
    }
}

impl Follower {
    /// Follows a log that a writer appends to.
    pub(in crate::meta) fn live(
        tail: Box<dyn LogTail>,
        end: &Arc<DurableEnd>,
        from: FollowFrom,
        wake: Wake,
    ) -> Result<Self, MetaOpenError> {
        // INVARIANT: subscribed before anything is read, so that no change is missed.
        let woken = Some(end.subscribe(wake));
        Self::begin(tail, Limit::Durable(Arc::clone(end)), from, woken)
    }

    /// Reads a log that nothing is appended to.
    pub(in crate::meta) fn closed(tail: Box<dyn LogTail>, from: FollowFrom) -> Result<Self, MetaOpenError> {
        Self::begin(tail, Limit::Closed, from, None)
    }

    fn begin(
        tail: Box<dyn LogTail>,
        limit: Limit,
        from: FollowFrom,
        woken: Option<Subscription>,
    ) -> Result<Self, MetaOpenError> {
        let mut follower = Self { tail, limit, is_lost: false, _woken: woken };
        match from {
            FollowFrom::Oldest => {
                let oldest = follower.tail.next_begin(None)?;
                follower.go_to(oldest.unwrap_or_else(LogPosition::start));
            }
            FollowFrom::Cursor(JournalCursor(place)) => {
                let known = place.seq <= follower.until() && holds(follower.tail.as_ref(), &place)?;
                follower.go_to(place);
                follower.is_lost = !known;
            }
            FollowFrom::End => drop(follower.start_over()?),
        }
        Ok(follower)
    }

    /// Returns the place that it has read up to.
    pub fn cursor(&self) -> JournalCursor {
        JournalCursor(self.tail.place().clone())
    }

    /// Visits the durable transactions that follow, in order, until `visit` returns false.
    pub fn read(
        &mut self,
        visit: &mut dyn FnMut(Transaction<'_>) -> bool,
    ) -> Result<FollowEnd, MetaOpenError> {
        if self.is_lost {
            return Ok(FollowEnd::FellBehind);
        }
        let until = self.until();
        let mut stopped = false;
        let read = self.tail.read(until, &mut |record, _| {
            let (seq, at_ms, by) = (record.seq, record.at, record.by.as_deref());
            stopped = !visit(Transaction { seq, at_ms, by, facts: &record.facts });
            Ok(!stopped)
        });
        match read {
            Ok(_) if stopped => Ok(FollowEnd::Stopped),
            Ok(_) => Ok(FollowEnd::CaughtUp),
            Err(error) if is_missing(&error) => {
                let seq = self.tail.place().seq;
                if matches!(self.limit, Limit::Closed) && self.tail.next_begin(Some(seq))?.is_none() {
                    return Ok(FollowEnd::CaughtUp);
                }
                log::debug!("a reader of the journal fell behind after transaction {seq}: {error}");
                self.is_lost = true;
                Ok(FollowEnd::FellBehind)
            }
            Err(error) => Err(error),
        }
    }

    /// Goes to the end of what is durable, and returns that place. What a reader of the index sees after this
    /// includes everything before the place, and facts are absolute, so both together miss nothing.
    pub fn start_over(&mut self) -> Result<JournalCursor, MetaOpenError> {
        let until = match &self.limit {
            Limit::Durable(end) => end.seq(),
            Limit::Closed => {
                while self.read(&mut |_| true)? == FollowEnd::FellBehind && self.skip_gap()? {}
                return Ok(self.cursor());
            }
        };
        let place = self.tail.place_of(until)?;
        let missing = || MetaOpenError::Damaged(format!("transaction {until} cannot be read"));
        self.go_to(place.ok_or_else(missing)?);
        Ok(self.cursor())
    }

    /// Goes to the next transaction that is kept, and returns whether there is one. What is between is
    /// missed.
    pub fn skip_gap(&mut self) -> Result<bool, MetaOpenError> {
        let next = self.tail.next_begin(Some(self.tail.place().seq))?;
        let next = next.filter(|place| place.seq <= self.until());
        let found = next.is_some();
        next.into_iter().for_each(|place| self.go_to(place));
        Ok(found)
    }

    fn go_to(&mut self, place: LogPosition) {
        self.tail.go_to(place);
        self.is_lost = false;
    }

    fn until(&self) -> u64 {
        match &self.limit {
            Limit::Durable(end) => end.seq(),
            Limit::Closed => u64::MAX,
        }
    }
}

/// Tells whether a place is one of the log, and not one that a recovery cut off or renumbered.
fn holds(tail: &dyn LogTail, place: &LogPosition) -> Result<bool, MetaOpenError> {
    match tail.place_of(place.seq) {
        Err(error) if is_missing(&error) => Ok(false),
        found => Ok(found?.as_ref() == Some(place)),
    }
}

/// Tells whether transactions are missing, which old ones come to be at any time.
fn is_missing(error: &MetaOpenError) -> bool {
    match error {
        MetaOpenError::Damaged(_) => true,
        MetaOpenError::Disk(error) => error.is_not_found(),
        _ => false,
    }
}
