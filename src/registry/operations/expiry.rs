//! Expiry of idle uploads (the specification: they SHOULD time out).

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::meta::Command;
use crate::registry::Inner;
use crate::registry::uploads::session::UploadSession;

const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Starts the thread that expires idle uploads. It ends when the registry, and with it the other end of
/// `gone`, is dropped.
pub(in crate::registry) fn start(inner: &Arc<Inner>, gone: Receiver<()>) -> io::Result<()> {
    let pause = (inner.options.upload_idle_max / 8).clamp(PAUSE_MIN, PAUSE_MAX);
    let registry = Arc::downgrade(inner);
    let looking = move || {
        // Wait first: nothing is idle at the start, and this thread must not hold a registry that is dropped
        // at once.
        while gone.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) && step(&registry) {}
    };
    std::thread::Builder::new().name("pulk-expiry".to_owned()).spawn(looking)?;
    Ok(())
}

/// Gives up the uploads that were idle for too long, without other access to the disk. Returns whether the
/// registry still exists.
pub(in crate::registry) fn step(registry: &Weak<Inner>) -> bool {
    let Some(inner) = registry.upgrade() else { return false };
    inner.expire_uploads();
    true
}

impl Inner {
    /// Gives up the uploads that were idle for too long.
    pub(in crate::registry) fn expire_uploads(&self) {
        for session in self.sessions.all(|session| session.has_timed_out(self.options.upload_idle_max)) {
            log::info!("abandoning upload {}: idle for too long", session.id());
            self.discard(&session);
        }
    }

    /// Ends a session without content, and does not wait for the writer's answer.
    pub(in crate::registry) fn discard(&self, session: &UploadSession) {
        session.end();
        self.sessions.remove(session.id());
        self.blobs.remove_upload(&session.name());
        self.meta.submit(Command::EndUpload { id: session.id() }, Box::new(drop));
    }
}
