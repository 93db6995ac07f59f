//! A folder tree in memory: which name in which folder stands for which file. File contents are stored
//! elsewhere.

#[cfg(test)]
mod changes;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::error::DiskError;
use super::path::names;

/// Names one folder of a tree for as long as the tree lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FolderId(u64);

/// What a name stands for.
#[derive(Debug, Clone)]
pub(super) enum Node<F> {
    /// A folder.
    Folder(FolderId),
    /// A file: a handle to it that is cheap to clone.
    File(F),
}

/// A folder tree. Its folders are stored side by side by id, so that the names of one folder can be read,
/// kept and restored apart from those of any other, as they become durable one folder at a time.
///
/// Paths must have passed `checked`. Errors are those of Linux. A clone shares each folder until one of the
/// two changes it.
#[derive(Debug, Clone)]
pub(super) struct Names<F> {
    folders: BTreeMap<FolderId, Arc<BTreeMap<String, Node<F>>>>,
    next: u64,
}

impl<F: Clone> Names<F> {
    /// The folder that the empty path names.
    pub(super) const ROOT: FolderId = FolderId(0);

    /// Makes a tree with only the root.
    pub(super) fn new() -> Self {
        Self { folders: BTreeMap::from([(Self::ROOT, Arc::default())]), next: 1 }
    }

    /// Returns the file with this name.
    pub(super) fn file(&self, path: &Path) -> Result<F, Errno> {
        match self.node(path)? {
            Node::File(file) => Ok(file),
            Node::Folder(_) => Err(Errno::ISDIR),
        }
    }

    /// Returns the names in a folder, in their order.
    pub(super) fn list(&self, path: &Path) -> Result<impl Iterator<Item = (&str, &Node<F>)>, Errno> {
        let folder = self.folder(path)?;
        Ok(self.entries(folder)?.iter().map(|(name, node)| (name.as_str(), node)))
    }

    /// Gives `file` a name that must be free.
    pub(super) fn create(&mut self, path: &Path, file: F) -> Result<(), Errno> {
        let (folder, name) = self.place(path)?;
        let entries = self.entries_mut(folder)?;
        if entries.contains_key(name) {
            return Err(Errno::EXIST);
        }
        entries.insert(name.to_owned(), Node::File(file));
        Ok(())
    }

    /// Creates a folder unless it exists.
    pub(super) fn create_folder(&mut self, path: &Path) -> Result<(), Errno> {
        match self.node(path) {
            Ok(Node::Folder(_)) => return Ok(()),
            Ok(Node::File(_)) => return Err(Errno::EXIST),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
        let (folder, name) = self.place(path)?;
        let made = FolderId(self.next);
        self.entries_mut(folder)?.insert(name.to_owned(), Node::Folder(made));
        self.folders.insert(made, Arc::default());
        self.next += 1;
        Ok(())
    }

    /// Renames a file, and returns the file that had the new name.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> Result<Option<F>, RenameError> {
        let file = self.file(from).map_err(RenameError::From)?;
        let (old_folder, old_name) = self.place(from).map_err(RenameError::From)?;
        let (new_folder, new_name) = self.place(to).map_err(RenameError::To)?;
        let entries = self.entries_mut(new_folder).map_err(RenameError::To)?;
        if let Some(Node::Folder(_)) = entries.get(new_name) {
            let holds_the_file = from.starts_with(to);
            return Err(RenameError::To(if holds_the_file { Errno::NOTEMPTY } else { Errno::ISDIR }));
        }
        if (old_folder, old_name) == (new_folder, new_name) {
            return Ok(None);
        }
        let replaced = entries.insert(new_name.to_owned(), Node::File(file));
        self.entries_mut(old_folder).map_err(RenameError::From)?.remove(old_name);
        Ok(replaced.and_then(Node::into_file))
    }

    /// Tells whether a file can be renamed without replacing anything.
    pub(super) fn is_new(&self, from: &Path, to: &Path) -> Result<bool, RenameError> {
        self.file(from).map_err(RenameError::From)?;
        match self.node(to) {
            Ok(_) => Ok(false),
            Err(Errno::NOENT) => Ok(true),
            Err(errno) => Err(RenameError::To(errno)),
        }
    }

    /// Removes a file's name, and returns the file.
    pub(super) fn remove(&mut self, path: &Path) -> Result<F, Errno> {
        let file = self.file(path)?;
        let (folder, name) = self.place(path)?;
        self.entries_mut(folder)?.remove(name);
        Ok(file)
    }

    /// Removes a folder that has no names.
    pub(super) fn remove_folder(&mut self, path: &Path) -> Result<(), Errno> {
        let removed = self.folder(path)?;
        // The system knows the root as `.`.
        let (folder, name) = self.place(path).map_err(|_| Errno::INVAL)?;
        if !self.entries(removed)?.is_empty() {
            return Err(Errno::NOTEMPTY);
        }
        self.entries_mut(folder)?.remove(name);
        self.folders.remove(&removed);
        Ok(())
    }

    /// Returns the folder that a path names.
    pub(super) fn folder(&self, path: &Path) -> Result<FolderId, Errno> {
        match self.node(path)? {
            Node::Folder(folder) => Ok(folder),
            Node::File(_) => Err(Errno::NOTDIR),
        }
    }

    fn node(&self, path: &Path) -> Result<Node<F>, Errno> {
        let mut node = Node::Folder(Self::ROOT);
        for name in names(path) {
            let Node::Folder(folder) = node else { return Err(Errno::NOTDIR) };
            node = self.entries(folder)?.get(name).cloned().ok_or(Errno::NOENT)?;
        }
        Ok(node)
    }

    /// Returns the folder that holds, or would hold, a name, and the name in it.
    pub(super) fn place<'a>(&self, path: &'a Path) -> Result<(FolderId, &'a str), Errno> {
        // The root has no name that could be created or removed.
        let name = names(path).next_back().ok_or(Errno::EXIST)?;
        let folder = self.folder(path.parent().unwrap_or(Path::new("")))?;
        Ok((folder, name))
    }

    fn entries(&self, folder: FolderId) -> Result<&BTreeMap<String, Node<F>>, Errno> {
        self.folders.get(&folder).map(Arc::as_ref).ok_or(Errno::NOENT)
    }

    fn entries_mut(&mut self, folder: FolderId) -> Result<&mut BTreeMap<String, Node<F>>, Errno> {
        self.folders.get_mut(&folder).map(Arc::make_mut).ok_or(Errno::NOENT)
    }
}

impl RenameError {
    /// Returns the error of a disk that renames one path to another.
    pub(super) fn of(self, from: &Path, to: &Path) -> DiskError {
        match self {
            Self::From(errno) => DiskError::new("rename", from, errno),
            Self::To(errno) => DiskError::new("rename to", to, errno),
        }
    }
}

/// Why a rename failed, and which of the two names caused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RenameError {
    /// The old name.
    From(Errno),
    /// The new name.
    To(Errno),
}

impl<F> Node<F> {
    fn into_file(self) -> Option<F> {
        match self {
            Self::File(file) => Some(file),
            Self::Folder(_) => None,
        }
    }
}
