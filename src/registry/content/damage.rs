//! Reports of content that is damaged or missing, and counters of the scrub.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use crate::blobs::{ContentStore, Quarantined};
use crate::meta::{Command, Meta, Origin};
use crate::registry::open_error::OpenError;
use crate::registry::types::ScrubTotals;
use crate::spec::ContentDigest;

/// The most reports that wait for the scrub.
const DAMAGE_REPORTS_MAX: usize = 256;

/// Content that a reader found damaged or missing.
#[derive(Debug)]
pub(in crate::registry) struct DamageReports {
    /// `None` only wakes the receiver.
    pub(in crate::registry) sender: SyncSender<Option<ContentDigest>>,
    pub(in crate::registry) receiver: Mutex<Option<Receiver<Option<ContentDigest>>>>,
    /// What was damaged or missing when it was pushed again: every push of it stores it until a restart.
    pub(in crate::registry) stored_again: Mutex<HashSet<ContentDigest>>,
}

impl DamageReports {
    pub(in crate::registry) fn new() -> Self {
        let (sender, receiver) = sync_channel(DAMAGE_REPORTS_MAX);
        Self { sender, receiver: Mutex::new(Some(receiver)), stored_again: Mutex::default() }
    }
}

/// Counters of the scrub's work.
#[derive(Debug, Default)]
pub(crate) struct ScrubCounters {
    /// Bytes that were verified.
    pub(crate) bytes: AtomicU64,
    /// Pieces of content that were found damaged or missing.
    pub(crate) damaged: AtomicU64,
    /// When the last full pass ended, in seconds since 1970.
    pub(crate) last_full_pass: AtomicU64,
}

impl ScrubCounters {
    pub(in crate::registry) fn snapshot(&self) -> ScrubTotals {
        ScrubTotals {
            bytes: self.bytes.load(Ordering::Relaxed),
            damaged: self.damaged.load(Ordering::Relaxed),
            last_full_pass: self.last_full_pass.load(Ordering::Relaxed),
        }
    }
}

/// Returns the origin of what is taken out of use because of damage.
pub(in crate::registry) fn damage_origin() -> Origin {
    Origin::default().rule("scrub").why("the content is damaged or missing")
}

/// Condemns content that was set aside before a crash and is still named.
pub(in crate::registry) fn finish_quarantining(
    meta: &Meta,
    blobs: &dyn ContentStore,
) -> Result<(), OpenError> {
    for Quarantined { digest, .. } in blobs.quarantined()? {
        if meta.read_patiently(|view| view.blob(&digest))?.is_some() && blobs.length(&digest)?.is_none() {
            log::warn!("{digest} was found damaged before a crash and is no longer served");
            meta.submit(Command::Condemn { digest }.by(Some(Arc::new(damage_origin()))), Box::new(drop));
        }
    }
    Ok(())
}
