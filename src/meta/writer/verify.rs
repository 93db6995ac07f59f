//! The verification of an index that a clean stop left.
//!
//! The start trusts it, so that reads are served at once. The writer compares it with what the stop noted of
//! it before it decides anything: what it decides on wrong rows would become wrong facts, and what a sweep
//! removes for want of a row would be lost.

use std::ops::ControlFlow;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use crate::meta::error::MetaError;
use crate::meta::index::{IndexError, RowReader, RowSums};
use crate::meta::model::Tree;
use crate::meta::writer::message::Message;
use crate::meta::writer::thread::Writer;

/// How many rows are read between two looks for a stop.
const ROWS_PER_STEP: usize = 1024;

impl Writer {
    /// Compares the index with the sums of its rows, and rebuilds it if they differ. Queues the messages that
    /// come meanwhile. Breaks at a stop: the index stays as it was found, and the queued commands fail.
    ///
    /// INVARIANT: nothing but the writer changes the index, so it stands still meanwhile.
    pub(in crate::meta) fn verify_index(&mut self, messages: &Receiver<Message>) -> ControlFlow<()> {
        let began = Instant::now();
        match self.sums(messages) {
            Ok(None) => {
                self.refuse_queued();
                return ControlFlow::Break(());
            }
            Ok(Some(found)) => match self.totals.sums.difference(&found) {
                None => log::info!("verified the index in {} ms", began.elapsed().as_millis()),
                Some(difference) => self.index.fail(&format!("after a clean stop, {difference}")),
            },
            // It failed, and is rebuilt.
            Err(IndexError::Rebuilding) => {}
            Err(error) => self.index.fail(&error.to_string()),
        }
        if let Err(error) = self.repair() {
            log::error!("{error}");
        }
        ControlFlow::Continue(())
    }

    /// Returns the sums of the index's rows, or `None` if a stop comes first.
    fn sums(&mut self, messages: &Receiver<Message>) -> Result<Option<RowSums>, IndexError> {
        let (mut sums, mut rows, mut stops) = (RowSums::default(), 0_usize, false);
        let Self { index, queued, .. } = self;
        for tree in Tree::ALL {
            index.scan(tree, &[], None, &mut |key, value| {
                sums.add(tree, key, value);
                rows += 1;
                if rows.is_multiple_of(ROWS_PER_STEP) {
                    for message in messages.try_iter() {
                        stops |= matches!(message, Message::Stop | Message::StopUnverified);
                        queued.push_back(message);
                    }
                }
                if stops { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
        }
        Ok((!stops).then_some(sums))
    }

    fn refuse_queued(&mut self) {
        for message in self.queued.drain(..) {
            message.fail(MetaError::Stopped);
        }
    }
}
