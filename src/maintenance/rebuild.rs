//! Rebuilding the index, or the metadata where that is lost.

use std::path::Path;
use std::sync::Arc;

use crate::blobs::{ContentStore, LocalStore};
use crate::disk::{DirectoryLock, Disk, RealDisk};
use crate::maintenance::progress::Progress;
use crate::meta::{
    IndexKind, Inspection, Meta, MetaOpenError, MetaOptions, Salvage, Start, Tree, rebuild_from_content,
    rebuild_from_index,
};
use crate::registry::{Layout, OpenError, examine, examine_content, settle};
use crate::spec::RepoName;

/// The repository for manifests that no line attributes to one.
pub const RECOVERED_REPOSITORY: &str = "recovered";

/// What a rebuild ended in.
#[derive(Debug)]
pub struct Rebuilt {
    /// What was found in the content, where that was read.
    pub salvage: Option<Salvage>,
    /// Whether the index of a clean stop stood in for a damaged journal or checkpoint.
    pub from_index: bool,
    /// How the metadata was found otherwise.
    pub start: Start,
    /// How many repositories there are.
    pub repositories: u64,
    /// How many manifests.
    pub manifests: u64,
    /// How many tags.
    pub tags: u64,
    /// How many links of blobs to repositories.
    pub links: u64,
}

/// Rebuilds the index in a data directory from journal and checkpoint, or, where these are lost or
/// `from_content` is set, from every line that is left and from the content. Fails where a server uses the
/// directory.
pub fn rebuild(folder: &Path, from_content: bool, progress: &mut dyn Progress) -> Result<Rebuilt, OpenError> {
    let real = Arc::new(RealDisk::open(folder)?);
    let disk: Arc<dyn Disk> = Arc::clone(&real) as Arc<dyn Disk>;
    let layout = examine_content(&disk)?;
    if layout == Layout::New {
        return Err(OpenError::NoStore);
    }
    let _lock = DirectoryLock::take(folder)?;
    real.try_filesystem()?;
    let from_content = match examine(&disk) {
        Err(OpenError::MetadataLost) => true,
        Err(error) => return Err(error),
        Ok(_) => from_content,
    };
    settle(disk.as_ref(), &layout)?;
    rebuild_on(&disk, folder, IndexKind::Sled(folder.to_owned()), from_content, progress)
}

/// Rebuilds an index of this kind. `folder` is where sled's may lie.
pub(crate) fn rebuild_on(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    index: IndexKind,
    from_content: bool,
    progress: &mut dyn Progress,
) -> Result<Rebuilt, OpenError> {
    let blobs = LocalStore::open_or_create(Arc::clone(disk))?;
    let salvage = match from_content {
        true => Some(salvage(disk, folder, blobs.as_ref(), progress)?),
        false => None,
    };
    let damaged = !from_content && !Inspection::faults_of(disk)?.is_empty();
    let from_index = damaged && rebuild_from_index(disk, folder)?;
    progress.at("building the index", 0, 0);
    let mut options = MetaOptions::new(index);
    options.content = Some(blobs);
    options.distrust_index = true;
    let meta = Meta::open(Arc::clone(disk), options)?;
    let count = |tree| {
        let mut count = 0;
        meta.view().each_fact(tree, |_| count += 1)?;
        Ok::<_, OpenError>(count)
    };
    let rebuilt = Rebuilt {
        salvage,
        from_index,
        start: meta.start(),
        repositories: count(Tree::Repositories)?,
        manifests: count(Tree::Manifests)?,
        tags: count(Tree::Tags)?,
        links: count(Tree::Links)?,
    };
    meta.close()?;
    Ok(rebuilt)
}

fn salvage(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    blobs: &dyn ContentStore,
    progress: &mut dyn Progress,
) -> Result<Salvage, OpenError> {
    let repo: RepoName = RECOVERED_REPOSITORY
        .parse()
        .map_err(|_| MetaOpenError::Damaged("the name of the repository for what is found".to_owned()))?;
    let mut done = 0;
    let mut read = |bytes| {
        done += bytes;
        progress.at("reading content, bytes", done, 0);
    };
    Ok(rebuild_from_content(disk, folder, blobs, &repo, &mut read)?)
}
