//! A pass: all content, and what of the journal is written no more.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::disk::DiskFile;
use crate::maintenance::scrub::error::ScrubError;
use crate::maintenance::scrub::read::{Look, look};
use crate::maintenance::scrub::report::ScrubReport;
use crate::meta::{BlobRow, verify_closed};
use crate::registry::{Condemned, Registry};
use crate::spec::ContentDigest;

/// How many rows are read at once.
const ROWS_PER_STEP_MAX: usize = 64;

/// How often content that can't be read is tried before it counts as damaged.
const TRIES_MAX: u32 = 3;

/// How many pieces of content are tried again at the end of a pass.
const RETRIED_MAX: usize = 1024;

/// So many pieces of content in a row that can't be read or found are no matter of single pieces.
const FAILING_IN_A_ROW_MAX: u32 = 16;

/// What drives a pass: it says how fast, and when to end.
pub(super) trait Drive {
    /// Is told that bytes were read, rests for as long as the rate asks for, and may end the pass.
    fn took(&mut self, bytes: u64) -> Result<(), ScrubError>;

    /// Is told how far the pass has come.
    fn reached(&mut self, reached: &Reached);

    /// Rests before something is tried again.
    fn rest(&mut self, pause: Duration) -> Result<(), ScrubError>;
}

/// How far a pass has come.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Reached {
    /// The last content that was read; what comes behind it was not.
    pub(super) behind: Option<ContentDigest>,
    /// What could not be read, and is to be tried again.
    pub(super) unread: BTreeSet<ContentDigest>,
    /// What was found so far.
    pub(super) report: ScrubReport,
}

/// A pass over everything, or the rest of one.
pub(super) struct Pass<'a> {
    registry: &'a Registry,
    drive: &'a mut dyn Drive,
    reached: Reached,
    /// How long to rest before what can't be read is tried again.
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

    /// Looks at a piece of content that somebody could not read.
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
            // A folder may be away for a moment, as while somebody puts a copy back.
            Look::Missing => {
                log::warn!("{digest} is missing, and is looked for again later");
                self.put_off(digest);
                Ok(())
            }
            Look::Unreadable(_, error) => {
                log::warn!("{digest} cannot be read, and is tried again later: {error}");
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

    /// A wrong byte may have come from a cable or from memory, and the file may have been replaced while it
    /// was read: only what is wrong twice is. Returns whether that is settled.
    fn look_again(&mut self, digest: ContentDigest, size: u64) -> Result<bool, ScrubError> {
        match self.look(&digest, size)? {
            Look::Damaged(file) => self.condemn(digest, Some(file.as_ref()), "is not what its name says"),
            Look::Intact => {
                log::warn!("{digest} was read wrongly once, and rightly the second time");
                Ok(true)
            }
            Look::Missing => {
                self.put_off(digest);
                Ok(false)
            }
            Look::Unreadable(file, _) => {
                self.condemn(digest, Some(file.as_ref()), "is not what its name says")
            }
        }
    }

    /// Takes content out of use. Returns whether that is settled.
    fn condemn(
        &mut self,
        digest: ContentDigest,
        file: Option<&dyn DiskFile>,
        what: &str,
    ) -> Result<bool, ScrubError> {
        match self.registry.condemn(digest, file)? {
            Condemned::Yes => {
                self.reached.report.damaged += 1;
                let aside = if file.is_some() { ", and was set aside in quarantine/" } else { "" };
                self.reached.report.find(format!("{digest} {what}{aside}: push it again to heal it"));
                Ok(true)
            }
            Condemned::No => Ok(true),
            // Somebody stores it, or something that shares its lock.
            Condemned::Later => {
                self.put_off(digest);
                Ok(false)
            }
        }
    }

    /// Tries again what could not be read.
    fn retry(&mut self) -> Result<(), ScrubError> {
        for number in 2..=TRIES_MAX {
            if self.reached.unread.is_empty() {
                return Ok(());
            }
            self.drive.rest(self.retry_pause)?;
            for digest in self.reached.unread.clone() {
                let Some(BlobRow { size }) = self.registry.view().blob(&digest)? else {
                    self.reached.unread.remove(&digest);
                    continue;
                };
                // Each of them failed before: that they all do so again says nothing new.
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
            let what = "could not be taken out of use, since it was being pushed all the time";
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
