//! The thread that writes the files of content that only the journal has.

use std::io;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::base::lock;
use crate::blobs::contract::ContentStore;
use crate::blobs::error::BlobError;

/// The pause after a first failure; each further one doubles it.
const RETRY_PAUSE_MIN: Duration = Duration::from_secs(2);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(5 * 60);

/// Writes the files of unfiled content some time after it was pushed.
#[derive(Debug)]
pub struct Filer {
    store: Arc<dyn ContentStore>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Filer {
    /// Starts the thread. It sleeps while there is nothing to write.
    pub fn start(store: Arc<dyn ContentStore>) -> io::Result<Self> {
        let work = Arc::clone(&store);
        let thread =
            std::thread::Builder::new().name("pulk-filer".to_owned()).spawn(move || run(work.as_ref()))?;
        Ok(Self { store, thread: Mutex::new(Some(thread)) })
    }

    /// Ends the thread, and writes all files that are left.
    pub fn finish(&self) -> Result<(), BlobError> {
        self.stop();
        self.store.write_files()
    }

    /// Ends the thread.
    fn stop(&self) {
        self.store.unfiled().stop();
        let thread = lock(&self.thread).take();
        if let Some(Err(_)) = thread.map(JoinHandle::join) {
            log::error!("writing the files of small content ended in a panic");
        }
    }
}

impl Drop for Filer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(store: &dyn ContentStore) {
    let mut pause = None;
    while store.unfiled().wait(pause) {
        pause = match store.write_files() {
            Ok(()) => None,
            Err(error) => {
                let next = pause.map_or(RETRY_PAUSE_MIN, |pause: Duration| (pause * 2).min(RETRY_PAUSE_MAX));
                log::warn!(
                    "small content stays in the journal alone, its files are written again in {} s: {error}",
                    next.as_secs()
                );
                Some(next)
            }
        };
    }
}
