//! Changes of a folder tree by the simulated disk: one name of one folder at a time, as names become durable
//! or are lost.

use std::sync::Arc;

use super::{FolderId, Names, Node};

impl<F: Clone> Names<F> {
    /// Returns what a name in a folder stands for.
    pub(in crate::disk) fn value(&self, folder: FolderId, name: &str) -> Option<Node<F>> {
        self.folders.get(&folder).and_then(|entries| entries.get(name)).cloned()
    }

    /// Sets or removes a name in a folder. A folder that gets a name keeps its content.
    pub(in crate::disk) fn set(&mut self, folder: FolderId, name: &str, value: Option<Node<F>>) {
        if let Some(Node::Folder(named)) = &value {
            self.folders.entry(*named).or_default();
            self.next = self.next.max(named.0 + 1);
        }
        self.next = self.next.max(folder.0 + 1);
        let entries = Arc::make_mut(self.folders.entry(folder).or_default());
        match value {
            Some(node) => entries.insert(name.to_owned(), node),
            None => entries.remove(name),
        };
    }

    /// Returns the files that names below the root stand for.
    pub(in crate::disk) fn files(&self) -> Vec<F> {
        let mut files = Vec::new();
        let mut folders = vec![Self::ROOT];
        while let Some(folder) = folders.pop() {
            for node in self.folders.get(&folder).into_iter().flat_map(|entries| entries.values()) {
                match node {
                    Node::Folder(inner) => folders.push(*inner),
                    Node::File(file) => files.push(file.clone()),
                }
            }
        }
        files
    }
}
