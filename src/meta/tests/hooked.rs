//! An index that asks its test before each of its operations.

use super::*;
use crate::meta::index::{IndexError, RowVisitor, Step};

/// What an index does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IndexCall {
    Get,
    Scan,
    /// One row of a scan.
    Row,
    Apply,
    Load,
    FinishLoad,
    Applied,
    Close,
}

/// Passes on what its hook allows.
struct HookedIndex<I, H> {
    index: I,
    hook: H,
}

/// Returns an index that does what another one does, unless `hook` fails or panics.
pub(super) fn hooked(
    index: impl Index,
    hook: impl Fn(IndexCall) -> Result<(), IndexError> + Send + Sync + 'static,
) -> Arc<dyn Index> {
    Arc::new(HookedIndex { index, hook })
}

impl<I: Index, H: Fn(IndexCall) -> Result<(), IndexError> + Send + Sync> RowReader for HookedIndex<I, H> {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        (self.hook)(IndexCall::Get)?;
        self.index.get(tree, key)
    }

    fn scan(
        &self,
        tree: Tree,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut RowVisitor<'_>,
    ) -> Result<(), IndexError> {
        (self.hook)(IndexCall::Scan)?;
        let mut allowed = Ok(());
        self.index.scan(tree, prefix, after, &mut |key, value| {
            allowed = (self.hook)(IndexCall::Row);
            if allowed.is_ok() { visit(key, value) } else { std::ops::ControlFlow::Break(()) }
        })?;
        allowed
    }
}

impl<I: Index, H: Fn(IndexCall) -> Result<(), IndexError> + Send + Sync + 'static> Index
    for HookedIndex<I, H>
{
    fn apply(&self, seq: u64, changes: &[RowChange]) -> Result<(), IndexError> {
        (self.hook)(IndexCall::Apply)?;
        self.index.apply(seq, changes)
    }

    fn load(&self, changes: &[RowChange]) -> Result<(), IndexError> {
        (self.hook)(IndexCall::Load)?;
        self.index.load(changes)
    }

    fn finish_load(&self, step: &mut Step<'_>) -> Result<(), IndexError> {
        (self.hook)(IndexCall::FinishLoad)?;
        self.index.finish_load(step)
    }

    fn applied(&self) -> Result<u64, IndexError> {
        (self.hook)(IndexCall::Applied)?;
        self.index.applied()
    }

    fn close(&self) -> Result<(), IndexError> {
        (self.hook)(IndexCall::Close)?;
        self.index.close()
    }

    fn size_bytes(&self) -> Result<u64, IndexError> {
        self.index.size_bytes()
    }

    fn generation(&self) -> Option<u64> {
        self.index.generation()
    }

    fn discard(&self) {
        self.index.discard();
    }
}
