//! Reading everything now.

use serde::{Deserialize, Serialize};

use crate::admin::ask::Ask;
use crate::admin::damage::damage;
use crate::admin::error::{AdminError, AdminErrorKind};
use crate::admin::sink::AnswerSink;
use crate::admin::store::OpenStore;
use crate::maintenance::{Scrub, ScrubError, ScrubReport, ScrubWatch};
use crate::registry::DamageState;

/// Asks for a pass over all content at full speed, and for what it found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ScrubRequest {
    /// Whether all damaged images are listed.
    #[serde(default)]
    pub(crate) all: bool,
}

/// What a scrub found, and what is damaged since before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ScrubAnswer {
    /// What the pass found.
    #[serde(flatten)]
    pub(crate) report: ScrubReport,
    /// What is damaged until it is pushed again or removed.
    #[serde(default)]
    pub(crate) damage: DamageState,
}

impl Ask for ScrubRequest {
    type Item = ();
    type Report = ScrubAnswer;

    fn perform(&self, store: &OpenStore, sink: &mut dyn AnswerSink) -> Result<ScrubAnswer, AdminError> {
        let report = scrub(&store.scrub, sink)?;
        Ok(ScrubAnswer { report, damage: damage(&store.registry, self.all, sink)? })
    }
}

fn scrub(scrub: &Scrub, sink: &mut dyn AnswerSink) -> Result<ScrubReport, AdminError> {
    let mut watch = SinkWatch { sink, ended: None };
    let done = scrub.run(&mut watch);
    match (done, watch.ended) {
        (Ok(report), _) => Ok(report),
        (Err(ScrubError::Stopped), Some(why)) => Err(why),
        (Err(error @ ScrubError::Busy), _) => Err(AdminError::new(AdminErrorKind::Busy, error.to_string())),
        (Err(error), _) => Err(AdminError::failed(error)),
    }
}

struct SinkWatch<'a> {
    sink: &'a mut dyn AnswerSink,
    ended: Option<AdminError>,
}

impl ScrubWatch for SinkWatch<'_> {
    fn goes_on(&mut self, done_bytes: u64, total_bytes: u64) -> bool {
        self.sink.progress("reading content, bytes", done_bytes, total_bytes);
        self.ended = self.sink.check_wanted().err();
        self.ended.is_none()
    }
}
