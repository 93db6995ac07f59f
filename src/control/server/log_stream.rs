//! The log for a client, however slowly it reads.

use std::io;
use std::time::Duration;

use async_io::Async;
use smol::future::or;
use std::os::unix::net::UnixStream;

use crate::admin::{AdminError, AdminErrorKind, LogRequest, LogStream};
use crate::control::message::AnswerPart;
use crate::control::server::{ControlState, LOG_READERS_AT_ONCE_MAX, gone};

/// A client that reads the log has as long as it likes: a pager shows one page, and then nothing.
const PAGER_TIME_MAX: Duration = Duration::MAX;

impl ControlState {
    /// Sends the log, and what comes later if the client follows it, until the client leaves or the server
    /// stops. A client that does not read costs a task and a page.
    pub(super) async fn stream_log(&self, stream: &Async<UnixStream>, request: LogRequest) -> io::Result<()> {
        let Some(_place) = self.log_readers.try_acquire_arc() else {
            let why = format!("{LOG_READERS_AT_ONCE_MAX} clients read the log already");
            return self.send(stream, &AnswerPart::Failure(AdminError::new(AdminErrorKind::Busy, why))).await;
        };
        let sent = async {
            match self.send_pages(stream, request).await? {
                Ok(()) => self.send(stream, &AnswerPart::Result(().into())).await,
                Err(failure) => self.send(stream, &AnswerPart::Failure(failure)).await,
            }
        };
        or(sent, async { Err(gone(stream).await) }).await
    }

    async fn send_pages(
        &self,
        stream: &Async<UnixStream>,
        request: LogRequest,
    ) -> io::Result<Result<(), AdminError>> {
        let registry = self.store.registry.clone();
        let mut log = match smol::unblock(move || LogStream::open(&registry, request)).await {
            Ok(log) => log,
            Err(failure) => return Ok(Err(failure)),
        };
        loop {
            let permit = match self.permit().await {
                Ok(permit) => permit,
                Err(failure) => return Ok(Err(failure)),
            };
            let (read, page) = smol::unblock(move || {
                let page = log.page();
                drop(permit);
                (log, page)
            })
            .await;
            log = read;
            let page = match page {
                Ok(page) => page,
                Err(failure) => return Ok(Err(failure)),
            };
            for change in page.changes {
                self.send_within(PAGER_TIME_MAX, stream, &AnswerPart::Item(change)).await?;
            }
            if page.at_end && !log.follows() {
                return Ok(Ok(()));
            }
            if page.at_end {
                let closed = async {
                    let _ends = self.closing.recv().await;
                };
                or(log.changed(), closed).await;
            }
        }
    }
}
