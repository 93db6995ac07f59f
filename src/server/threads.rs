//! The threads that run a server's executor.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use smol::Executor;
use smol::channel::{Receiver, RecvError, Sender, bounded};

/// Threads that run an executor until this is dropped.
#[derive(Debug)]
pub(super) struct Threads {
    /// Closed to end the threads.
    running: Sender<()>,
    handles: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Starts `count` threads, at least one.
    pub(super) fn start(executor: &Arc<Executor<'static>>, count: usize) -> io::Result<Self> {
        let (running, stopped) = bounded(1);
        let mut threads = Self { running, handles: Vec::new() };
        for number in 0..count.max(1) {
            let (executor, stopped) = (Arc::clone(executor), stopped.clone());
            let thread = std::thread::Builder::new().name(format!("pulk-{number}"));
            threads.handles.push(thread.spawn(move || run(&executor, &stopped))?);
        }
        Ok(threads)
    }

    /// Ends the threads and waits for them.
    pub(super) fn stop(self) {
        let Self { running, handles } = self;
        drop(running);
        for handle in handles {
            if handle.join().is_err() {
                log::error!("a server thread ended in a panic");
            }
        }
    }
}

fn run(executor: &Executor<'static>, stopped: &Receiver<()>) {
    // The channel never carries a message: closing it ends the wait.
    let _: Result<(), RecvError> = smol::block_on(executor.run(stopped.recv()));
}
