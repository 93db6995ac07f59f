//! Giving up uploads that nobody has gone on with for long (the specification: they SHOULD time out).

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::meta::Command;
use crate::registry::Inner;
use crate::registry::uploads::session::UploadSession;

const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Starts the thread that looks after idle uploads. It ends by itself when the registry is gone, and with it
/// the other end of `gone`.
pub(in crate::registry) fn start(inner: &Arc<Inner>, gone: Receiver<()>) -> io::Result<()> {
    let pause = (inner.options.upload_idle_max / 8).clamp(PAUSE_MIN, PAUSE_MAX);
    let registry = Arc::downgrade(inner);
    let looking = move || {
        // Nothing is idle at once, and a registry that goes again right away shall not find itself held here.
        while gone.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) && step(&registry) {}
    };
    std::thread::Builder::new().name("pulk-expiry".to_owned()).spawn(looking)?;
    Ok(())
}

/// Gives up what has been idle for too long, and touches the disk for nothing else.
pub(in crate::registry) fn step(registry: &Weak<Inner>) -> bool {
    let Some(inner) = registry.upgrade() else { return false };
    inner.expire_uploads();
    true
}

impl Inner {
    /// Gives up the uploads that were idle for too long.
    pub(in crate::registry) fn expire_uploads(&self) {
        for session in self.sessions.all(|session| session.has_timed_out(self.options.upload_idle_max)) {
            log::info!("giving up upload {}, which was idle for too long", session.id());
            self.discard(&session);
        }
    }

    /// Ends a session that brings nothing, for nobody who waits.
    pub(in crate::registry) fn discard(&self, session: &UploadSession) {
        session.end();
        self.sessions.remove(session.id());
        self.blobs.remove_upload(&session.name());
        self.meta.submit(Command::EndUpload { id: session.id() }, Box::new(drop));
    }
}
