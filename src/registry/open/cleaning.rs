//! Cleanup at a start.

use crate::blobs::{ContentStore, StoredFile};
use crate::meta::{Meta, SWEEP_CANDIDATES_MAX, Start};
use crate::registry::open::OpenError;
use crate::spec::ContentDigest;

/// The most content without a name that a crash can leave: several times the content being pushed at that
/// moment plus the content that the collector had swept and not yet removed. More than that has another
/// cause, such as a journal restored from an old copy.
pub(crate) const UNNAMED_MAX: usize = 128 + 4 * SWEEP_CANDIDATES_MAX;

/// What became of content that no row names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) enum Unnamed {
    /// None was found, or it was removed.
    Removed,
    /// It stays: no crash can have left it.
    Kept,
}

/// Removes content that no row names: a crash came between its rename and the transaction that would have
/// named it, so no client ever learned that it exists.
///
/// After a clean stop no such content exists. All of it is kept where damaged files of the journal or
/// checkpoints are kept, since one of them may name it, and where it exceeds [`UNNAMED_MAX`], since no crash
/// can have left it. `pulk rebuild --from-content` can then find manifests among it.
pub(in crate::registry) fn remove_unnamed(
    meta: &Meta,
    blobs: &dyn ContentStore,
) -> Result<Unnamed, OpenError> {
    if meta.start() == Start::Clean {
        return Ok(Unnamed::Removed);
    }
    let (count, unnamed) = find_unnamed(meta, blobs)?;
    if count == 0 {
        return Ok(Unnamed::Removed);
    }
    if meta.start() == Start::Salvaged || count > UNNAMED_MAX {
        log::warn!(
            "{count} files of content are in no repository and are kept: `pulk rebuild --from-content` \
             searches them for manifests"
        );
        return Ok(Unnamed::Kept);
    }
    for (digest, length) in unnamed {
        log::info!("removing content {digest}, {length} bytes: a crash came before any repository had it");
        // No row can come to name it: no client is served yet.
        blobs.remove(&digest)?;
    }
    Ok(Unnamed::Removed)
}

/// Counts the content that no row names, and returns at most [`UNNAMED_MAX`] items of it.
fn find_unnamed(
    meta: &Meta,
    blobs: &dyn ContentStore,
) -> Result<(usize, Vec<(ContentDigest, u64)>), OpenError> {
    let view = meta.view();
    let (mut count, mut unnamed) = (0, Vec::new());
    blobs.each_file(|file| {
        if let StoredFile::Content(digest, length) = file
            && view.blob(&digest)?.is_none()
        {
            count += 1;
            if count <= UNNAMED_MAX {
                unnamed.push((digest, length));
            }
        }
        Ok::<_, OpenError>(())
    })?;
    Ok((count, unnamed))
}
