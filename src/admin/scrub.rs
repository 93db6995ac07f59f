//! Reading everything now.

use serde::{Deserialize, Serialize};

use crate::admin::failure::{Failure, FailureKind};
use crate::admin::request::Ask;
use crate::admin::sink::Sink;
use crate::admin::store::Store;
use crate::maintenance::{Scrub, ScrubError, ScrubReport, ScrubWatch};

/// Asks for a pass over all content at full speed, and for what it found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ScrubRequest {}

impl Ask for ScrubRequest {
    type Item = ();
    type Report = ScrubReport;

    fn perform(&self, store: &Store, sink: &mut dyn Sink) -> Result<ScrubReport, Failure> {
        scrub(&store.scrub, sink)
    }
}

fn scrub(scrub: &Scrub, sink: &mut dyn Sink) -> Result<ScrubReport, Failure> {
    let mut watch = Watch { sink, ended: None };
    let done = scrub.run(&mut watch);
    match (done, watch.ended) {
        (Ok(report), _) => Ok(report),
        (Err(ScrubError::Stopped), Some(why)) => Err(why),
        (Err(error @ ScrubError::Busy), _) => Err(Failure::new(FailureKind::Busy, error.to_string())),
        (Err(error), _) => Err(Failure::failed(error)),
    }
}

struct Watch<'a> {
    sink: &'a mut dyn Sink,
    ended: Option<Failure>,
}

impl ScrubWatch for Watch<'_> {
    fn goes_on(&mut self, done_bytes: u64, total_bytes: u64) -> bool {
        self.sink.progress("reading content, bytes", done_bytes, total_bytes);
        self.ended = self.sink.check_wanted().err();
        self.ended.is_none()
    }
}
