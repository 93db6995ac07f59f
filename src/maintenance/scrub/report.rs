//! What a scrub found.

use serde::{Deserialize, Serialize};

/// The most entries of [`ScrubReport::findings`].
const FINDINGS_MAX: usize = 100;

/// What a pass of the scrub found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ScrubReport {
    /// When it began, in milliseconds since 1970.
    pub began_ms: u64,
    /// When it ended, in milliseconds since 1970; 0 while it has not.
    pub ended_ms: u64,
    /// Pieces of content that were read.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of journal and checkpoints that were read.
    pub journal_bytes: u64,
    /// Pieces of content that were damaged or missing: they are out of use until they are pushed again.
    pub damaged: u64,
    /// Pieces of content that could not be read, this time.
    pub unreadable: u64,
    /// Lines of the journal and checkpoints that are damaged.
    pub journal_damaged: u64,
    /// What is wrong, in plain words; the first entries only.
    pub findings: Vec<String>,
}

impl ScrubReport {
    /// Tells whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.damaged + self.unreadable + self.journal_damaged == 0
    }

    pub(super) fn find(&mut self, what: String) {
        log::error!("scrub: {what}");
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(what);
        }
    }
}

/// The scrub's status.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ScrubStatus {
    /// Whether it works in the background.
    pub enabled: bool,
    /// How many bytes it reads in a second at most.
    pub rate_bytes: u64,
    /// The pass in progress, so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass: Option<ScrubReport>,
    /// The last full pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<ScrubReport>,
    /// When the next pass begins, in milliseconds since 1970, where one is due and none runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_ms: Option<u64>,
    /// Why the last attempt did not complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// Damaged files of content that lie in `quarantine/`.
    pub quarantined: u64,
    /// Their bytes.
    pub quarantined_bytes: u64,
}
