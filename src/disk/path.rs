//! The paths that a disk accepts.

use std::path::{Component, Path};

use rustix::io::Errno;

use super::DiskError;

/// Returns `path` without trailing slashes and `.`, and refuses one that could leave the disk's root (`..`,
/// an absolute path) or has a name that is not UTF-8. The empty path is the root itself.
pub(super) fn checked<'a>(op: &'static str, path: &'a Path) -> Result<&'a Path, DiskError> {
    let mut components = path.components();
    let inside = components.clone().all(|component| match component {
        Component::Normal(name) => name.to_str().is_some_and(|name| !name.contains('\0')),
        Component::CurDir => true,
        Component::Prefix(_) | Component::RootDir | Component::ParentDir => false,
    });
    if !inside {
        return Err(DiskError::new(op, path, Errno::INVAL));
    }
    // Only a leading `.` is a component: `components` drops the others.
    if path.starts_with(".") {
        components.next();
    }
    Ok(components.as_path())
}

/// Returns the names on the way to `path`, which must have passed [`checked`].
pub(super) fn names(path: &Path) -> impl DoubleEndedIterator<Item = &str> {
    path.iter().filter_map(|name| name.to_str())
}
