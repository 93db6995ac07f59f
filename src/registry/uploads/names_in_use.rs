//! Names of unfinished files that belong to no session.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

use crate::base::lock;

/// The names of files that are being written.
#[derive(Debug, Default)]
pub(in crate::registry) struct NamesInUse(Mutex<BTreeSet<String>>);

impl NamesInUse {
    /// Marks a name as in use until the returned guard is dropped.
    pub(in crate::registry) fn take(&self, name: String) -> NameInUse<'_> {
        self.add(&name);
        NameInUse { names: self, name }
    }

    pub(in crate::registry) fn add(&self, name: &str) {
        self.lock().insert(name.to_owned());
    }

    pub(in crate::registry) fn remove(&self, name: &str) {
        self.lock().remove(name);
    }

    pub(in crate::registry) fn has(&self, name: &str) -> bool {
        self.lock().contains(name)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        lock(&self.0)
    }
}

/// A name that is in use.
#[derive(Debug)]
pub(in crate::registry) struct NameInUse<'a> {
    names: &'a NamesInUse,
    name: String,
}

impl NameInUse<'_> {
    pub(in crate::registry) fn as_str(&self) -> &str {
        &self.name
    }
}

impl Drop for NameInUse<'_> {
    fn drop(&mut self) {
        self.names.remove(&self.name);
    }
}
