//! A pass: all content, and the closed files of the journal.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::disk::ReadFile;
use crate::maintenance::scrub::error::ScrubError;
use crate::maintenance::scrub::read::{Look, look};
use crate::maintenance::scrub::report::ScrubReport;
use crate::meta::{BlobRow, verify_closed};
use crate::registry::{Condemned, Registry};
use crate::spec::ContentDigest;

/// How many rows are read at once.
const ROWS_PER_STEP_MAX: usize = 64;

/// How often reading content is tried before it is treated as damaged.
const TRIES_MAX: u32 = 3;

/// How many pieces of content are retried at the end of a pass.
const RETRIED_MAX: usize = 1024;

/// How many unreadable or missing pieces of content in a row point to a failing disk.
const FAILING_IN_A_ROW_MAX: u32 = 16;

/// Drives a pass: limits its speed, and may end it.
pub(super) trait Drive {
    /// Called after bytes were read: rests as the rate demands, and may end the pass.
    fn took(&mut self, bytes: u64) -> Result<(), ScrubError>;

    /// Receives the progress of the pass.
    fn reached(&mut self, reached: &Reached);

    /// Rests before a retry.
    fn rest(&mut self, pause: Duration) -> Result<(), ScrubError>;
}

/// How far a pass has come.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Reached {
    /// The last content that was read, in the order of digests.
    pub(super) behind: Option<ContentDigest>,
    /// What could not be read, and is to be retried.
    pub(super) unread: BTreeSet<ContentDigest>,
    /// What was found so far.
    pub(super) report: ScrubReport,
}

/// A pass over everything, or the rest of one.
pub(super) struct Pass<'a> {
    registry: &'a Registry,
    drive: &'a mut dyn Drive,
    reached: Reached,
    /// How long to rest before a retry.
    retry_pause: Duration,
    failing: u32,
    buffer: Vec<u8>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(
        registry: &'a Registry,
        drive: &'a mut dyn Drive,
        reached: Reached,
        retry_pause: Duration,
    ) -> Self {
        Self { registry, drive, reached, retry_pause, failing: 0, buffer: Vec::new() }
    }

    /// Reads all content from where it stands on, and then the journal.
    pub(super) fn run(mut self) -> Result<ScrubReport, ScrubError> {
        loop {
            let behind = self.reached.behind;
            let page = self.registry.view().content(behind.as_ref(), ROWS_PER_STEP_MAX)?;
            let at_end = page.len() < ROWS_PER_STEP_MAX;
            for (digest, row) in page {
                self.content(digest, row.size)?;
                self.reached.behind = Some(digest);
                self.drive.reached(&self.reached);
            }
            if at_end {
                break;
            }
        }
        self.retry()?;
        self.journal()?;
        Ok(self.reached.report)
    }

    /// Verifies content that a reader found damaged or missing.
    pub(super) fn suspect(mut self, digest: ContentDigest) -> Result<(), ScrubError> {
        if let Some(row) = self.registry.view().blob(&digest)? {
            self.content(digest, row.size)?;
            self.retry()?;
        }
        Ok(())
    }

    fn content(&mut self, digest: ContentDigest, size: u64) -> Result<(), ScrubError> {
        self.reached.report.blobs += 1;
        let found = self.look(&digest, size)?;
        self.failing = match found {
            Look::Intact | Look::Damaged(_) => 0,
            Look::Missing | Look::Unreadable(..) => self.failing + 1,
        };
        match found {
            Look::Intact => Ok(()),
            Look::Damaged(_) => self.look_again(digest, size).map(drop),
            // A folder may be missing for a moment, for example while a copy is restored.
            Look::Missing => {
                log::warn!("{digest} is missing; it is retried later");
                self.put_off(digest);
                Ok(())
            }
            Look::Unreadable(_, error) => {
                log::warn!("{digest} cannot be read; it is retried later: {error}");
                self.put_off(digest);
                Ok(())
            }
        }
    }

    fn put_off(&mut self, digest: ContentDigest) {
        if self.reached.unread.len() < RETRIED_MAX {
            self.reached.unread.insert(digest);
        }
    }

    fn look(&mut self, digest: &ContentDigest, size: u64) -> Result<Look, ScrubError> {
        if self.failing >= FAILING_IN_A_ROW_MAX {
            return Err(ScrubError::Device(self.failing));
        }
        let counters = self.registry.scrub_counters();
        let (drive, bytes) = (&mut self.drive, &mut self.reached.report.bytes);
        look(self.registry, digest, size, &mut self.buffer, &mut |count| {
            *bytes += count;
            counters.bytes.fetch_add(count, Ordering::Relaxed);
            drive.took(count)
        })
    }

    /// Reads again: a wrong byte may come from a cable or from memory, or the file was replaced meanwhile.
    /// Only content that is wrong twice is damaged. Returns whether that is settled.
    fn look_again(&mut self, digest: ContentDigest, size: u64) -> Result<bool, ScrubError> {
        match self.look(&digest, size)? {
            Look::Damaged(file) => self.condemn(digest, Some(file.as_ref()), "does not match its digest"),
            Look::Intact => {
                log::warn!("{digest} did not match at the first read, and matched at the second");
                Ok(true)
            }
            Look::Missing => {
                self.put_off(digest);
                Ok(false)
            }
            Look::Unreadable(file, _) => {
                self.condemn(digest, Some(file.as_ref()), "does not match its digest")
            }
        }
    }

    /// Takes content out of use. Returns whether that is settled.
    fn condemn(
        &mut self,
        digest: ContentDigest,
        file: Option<&dyn ReadFile>,
        what: &str,
    ) -> Result<bool, ScrubError> {
        match self.registry.condemn(digest, file)? {
            Condemned::Yes => {
                self.reached.report.damaged += 1;
                let aside = if file.is_some() { ", and was moved to quarantine/" } else { "" };
                self.reached
                    .report
                    .find(format!("{digest} {what}{aside}: a push of it, to any repository, heals it"));
                Ok(true)
            }
            Condemned::No => Ok(true),
            // A client stores it, or content that shares its lock.
            Condemned::Later => {
                self.put_off(digest);
                Ok(false)
            }
        }
    }

    /// Retries what could not be read.
    fn retry(&mut self) -> Result<(), ScrubError> {
        for number in 2..=TRIES_MAX {
            if self.reached.unread.is_empty() {
                return Ok(());
            }
            self.drive.rest(self.retry_pause)?;
            for digest in self.reached.unread.clone() {
                let Some(BlobRow { size, .. }) = self.registry.view().blob(&digest)? else {
                    self.reached.unread.remove(&digest);
                    continue;
                };
                // All of them failed before, so failures in a row do not point to the disk here.
                self.failing = 0;
                let last = number == TRIES_MAX;
                let settled = match self.look(&digest, size)? {
                    Look::Intact => true,
                    Look::Damaged(_) => self.look_again(digest, size)?,
                    Look::Missing if last => self.condemn(digest, None, "is missing")?,
                    Look::Unreadable(file, error) if last => {
                        let what = format!("cannot be read ({error})");
                        self.reached.report.unreadable += 1;
                        self.condemn(digest, Some(file.as_ref()), &what)?
                    }
                    Look::Missing | Look::Unreadable(..) => false,
                };
                if settled {
                    self.reached.unread.remove(&digest);
                }
            }
        }
        for digest in std::mem::take(&mut self.reached.unread) {
            let what = "could not be quarantined, because it was being pushed all the time";
            self.reached.report.unreadable += 1;
            self.reached.report.find(format!("{digest} is damaged, and {what}"));
        }
        Ok(())
    }

    fn journal(&mut self) -> Result<(), ScrubError> {
        let (mut ended, mut read) = (None, 0);
        let drive = &mut self.drive;
        let faults = verify_closed(self.registry.disk(), &mut |bytes| {
            read += bytes;
            ended = drive.took(bytes).err();
            ended.is_none()
        });
        if let Some(ended) = ended {
            return Err(ended);
        }
        self.reached.report.journal_bytes += read;
        for fault in faults.map_err(ScrubError::Journal)?.unwrap_or_default() {
            self.reached.report.journal_damaged += 1;
            self.reached.report.find(format!("{} {}", fault.place, fault.what));
        }
        Ok(())
    }
}
