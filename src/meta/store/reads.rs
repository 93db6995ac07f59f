//! Reading the index.

use std::sync::mpsc::channel;

use crate::meta::index::{IndexError, View};
use crate::meta::store::Meta;

impl Meta {
    /// Reads the index, which shows what is durable and nothing else.
    pub fn view(&self) -> View<'_> {
        View::new(self.index.as_ref())
    }

    /// Returns a number that grows with each change, once the view shows it and before its sweep has ended.
    pub fn changes(&self) -> u64 {
        self.index.changes()
    }

    /// Reads the index, once more if it is just being rebuilt: for a start, which cannot report that.
    pub fn read_patiently<T>(
        &self,
        mut read: impl FnMut(View<'_>) -> Result<T, IndexError>,
    ) -> Result<T, IndexError> {
        match read(self.view()) {
            Err(_) => {
                let (sender, settled) = channel();
                self.settle(Box::new(move |done| drop(sender.send(done))));
                drop(settled.recv());
                read(self.view())
            }
            done => done,
        }
    }
}
