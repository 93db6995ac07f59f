//! Giving up uploads that nobody has gone on with for long (the specification: they SHOULD time out).

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::meta::Command;
use crate::registry::Inner;
use crate::registry::session::Session;

const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Starts the thread that looks after idle uploads. It ends by itself soon after the registry is gone.
pub(super) fn start(inner: &Arc<Inner>) -> io::Result<()> {
    let pause = (inner.options.upload_idle_max / 8).clamp(PAUSE_MIN, PAUSE_MAX);
    let registry = Arc::downgrade(inner);
    let looking = move || {
        // Nothing is idle at once, and a registry that goes again right away shall not find itself held here.
        loop {
            std::thread::sleep(pause);
            if !step(&registry) {
                return;
            }
        }
    };
    std::thread::Builder::new().name("pulk-expiry".to_owned()).spawn(looking)?;
    Ok(())
}

fn step(registry: &Weak<Inner>) -> bool {
    let Some(inner) = registry.upgrade() else { return false };
    for session in inner.sessions.all(|session| session.is_idle(inner.options.upload_idle_max)) {
        log::info!("giving up upload {}, which was idle for too long", session.id());
        inner.discard(&session);
    }
    true
}

impl Inner {
    /// Ends a session that brings nothing, for nobody who waits.
    pub(super) fn discard(&self, session: &Session) {
        session.end();
        self.sessions.remove(session.id());
        self.blobs.forget(&session.name());
        self.meta.submit(Command::EndUpload { id: session.id() }, Box::new(drop));
    }
}
