//! What is cleaned up at a start.

use crate::blobs::{BlobStore, Occupant};
use crate::meta::{Meta, Start};
use crate::registry::open::OpenError;

/// How many removed files are named one by one.
const NAMED_MAX: u64 = 20;

/// Removes content that no row names: a crash came between its rename and the transaction that would have named
/// it, so nobody was ever told that it is there.
///
/// After a clean stop there is none. Where damaged files of the journal or checkpoints are kept, one of them may
/// name it: then it stays, and `pulk rebuild --from-content` can find it.
pub(super) fn remove_unnamed(meta: &Meta, blobs: &BlobStore) -> Result<(), OpenError> {
    let keep = match meta.start() {
        Start::Clean => return Ok(()),
        Start::Recovered => false,
        Start::Salvaged => true,
    };
    let view = meta.view();
    let (mut files, mut bytes) = (0_u64, 0_u64);
    blobs.each_occupant(|occupant| {
        let Occupant::Content(digest, length) = occupant else { return Ok::<_, OpenError>(()) };
        if view.blob(&digest)?.is_some() {
            return Ok(());
        }
        (files, bytes) = (files + 1, bytes + length);
        if keep {
            return Ok(());
        }
        if files <= NAMED_MAX {
            log::info!("removing content {digest}, {length} bytes: a crash came before anything named it");
        }
        // Nothing can come to name it: nobody is served yet.
        Ok(blobs.discard(&digest)?)
    })?;
    if keep && files > 0 {
        log::warn!(
            "{files} files of content ({bytes} bytes) have no name any more and are kept, since damage is: \
             `pulk rebuild --from-content` looks for manifests among them"
        );
    } else if files > NAMED_MAX {
        log::info!("removed {files} such files, {bytes} bytes");
    }
    Ok(())
}
