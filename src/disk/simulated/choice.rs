//! What a power cut may leave: each pending change is there or not, independent of the others.

use super::super::BLOCK_SIZE_BYTES;
use super::super::names::{FolderId, Node};
use super::medium::{Change, File, FileId, Medium};

/// The size of a device's atomic write.
const SECTOR_SIZE_BYTES: usize = 512;

/// What a garbled byte is changed by: it turns zeroes and letters into neither, and no byte into a line's end
/// that was not one.
const GARBLE: u8 = 0x80;

/// One of a choice's outcomes; for a write, numbers beyond the outcomes tear it anywhere.
pub(crate) type Pick = u32;

/// Something that chance decides at a power cut.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    kind: Kind,
    /// The number of the step that made it.
    at: u64,
}

#[derive(Debug, Clone)]
enum Kind {
    /// What a name stands for: its durable value, or a later one. `last` is the latest of them.
    Name { folder: FolderId, name: String, values: Vec<Option<Node<FileId>>>, last: usize },
    /// How much is left of a change to a file, and whether it may garble the blocks that it rewrites.
    Change { file: FileId, index: usize, tears: bool, garbles: bool },
    /// A file's length: the one by its changes, the old one, or the new one.
    Length { file: FileId },
}

const LOST: Pick = 0;
const WHOLE: Pick = 1;
const HALF: Pick = 2;
const AT_SECTOR: Pick = 3;
const ZEROES: Pick = 4;
const STALE: Pick = 5;
const GARBLED: Pick = 6;
/// Of a cut: the block in which the file ends then is written again, with zeroes after the end.
const GARBLED_END: Pick = 2;

impl Choice {
    /// Returns the number of outcomes; 0 always means that no change happened.
    pub(crate) fn outcomes(&self) -> Pick {
        match &self.kind {
            Kind::Name { values, .. } => Pick::try_from(values.len()).unwrap_or(Pick::MAX),
            Kind::Change { garbles: true, tears: true, .. } => GARBLED + 1,
            Kind::Change { garbles: true, .. } => GARBLED_END + 1,
            Kind::Change { tears: true, .. } => STALE + 1,
            Kind::Change { .. } => WHOLE + 1,
            Kind::Length { .. } => 3,
        }
    }

    /// Returns the outcome in which everything happened.
    pub(crate) fn everything(&self) -> Pick {
        match &self.kind {
            Kind::Name { last, .. } => Pick::try_from(*last).unwrap_or(0),
            Kind::Change { .. } => WHOLE,
            Kind::Length { .. } => 0,
        }
    }

    /// Returns the outcome in which a name is absent, if it may be, or else in which no change happened.
    pub(crate) fn nothing(&self) -> Pick {
        match &self.kind {
            Kind::Name { values, .. } => {
                values.iter().position(Option::is_none).and_then(|at| Pick::try_from(at).ok()).unwrap_or(LOST)
            }
            _ => LOST,
        }
    }

    /// Returns the outcome in which the blocks that were being written are garbled, or else in which
    /// everything happened.
    pub(crate) fn garbled(&self) -> Pick {
        match &self.kind {
            Kind::Change { garbles: true, tears: true, .. } => GARBLED,
            Kind::Change { garbles: true, .. } => GARBLED_END,
            _ => self.everything(),
        }
    }

    /// Tells whether this is about a file's bytes instead of its name.
    pub(crate) fn is_of_bytes(&self) -> bool {
        !matches!(self.kind, Kind::Name { .. })
    }

    /// Tells whether numbers beyond the outcomes are valid.
    pub(crate) fn tears(&self) -> bool {
        matches!(self.kind, Kind::Change { tears: true, .. })
    }
}

impl Medium {
    /// Returns the choices of a power cut now, the latest first.
    pub(crate) fn choices(&self) -> Vec<Choice> {
        let mut choices = Vec::new();
        for ((folder, name), pending) in &self.pending {
            let mut values = vec![self.durable.value(*folder, name)];
            let mut last = 0;
            for value in pending {
                let known = values.iter().position(|known| same(known.as_ref(), value.what.as_ref()));
                last = known.unwrap_or(values.len());
                if known.is_none() {
                    values.push(value.what.clone());
                }
            }
            let at = pending.last().map_or(0, |last| last.at);
            if values.len() > 1 {
                let kind = Kind::Name { folder: *folder, name: name.clone(), values, last };
                choices.push(Choice { kind, at });
            }
        }
        for id in self.reachable() {
            let Some(file) = self.files.get(&id) else { continue };
            choices.extend(file_choices(id, file, self.garbles));
        }
        choices.sort_by_key(|choice| std::cmp::Reverse(choice.at));
        choices
    }

    /// Returns what a power cut leaves with these picks. All of it is durable then.
    pub(crate) fn after_power_cut(&self, choices: &[Choice], picks: &[Pick]) -> Self {
        let mut left = self.clone();
        left.pending.clear();
        left.names = self.durable.clone();
        let picked = || choices.iter().zip(picks);
        for (choice, pick) in picked() {
            if let Kind::Name { folder, name, values, .. } = &choice.kind {
                let value = values.get(*pick as usize).cloned().flatten();
                left.names.set(*folder, name, value);
            }
        }
        left.durable = left.names.clone();
        for file in left.files.values_mut() {
            file.visible = file.durable.clone();
            file.pending.clear();
        }
        self.keep_changes(&mut left, choices, picks);
        left
    }

    fn keep_changes(&self, left: &mut Self, choices: &[Choice], picks: &[Pick]) {
        let mut kept: Vec<(FileId, usize, Pick)> = Vec::new();
        let mut lengths: Vec<(FileId, Pick)> = Vec::new();
        for (choice, pick) in choices.iter().zip(picks) {
            match choice.kind {
                Kind::Change { file, index, .. } => kept.push((file, index, *pick)),
                Kind::Length { file } => lengths.push((file, *pick)),
                Kind::Name { .. } => {}
            }
        }
        kept.sort_unstable();
        for (id, index, pick) in kept {
            if let (Some(before), Some(file)) = (self.files.get(&id), left.files.get_mut(&id)) {
                keep(&before.pending[index].what, pick, file);
            }
        }
        for (id, pick) in lengths {
            if let (Some(before), Some(file)) = (self.files.get(&id), left.files.get_mut(&id)) {
                match pick {
                    1 => file.visible.truncate(before.durable.length()),
                    2 => file.visible.truncate(before.visible.length()),
                    _ => {}
                }
            }
        }
        for file in left.files.values_mut() {
            file.durable = file.visible.clone();
        }
    }
}

fn same(one: Option<&Node<FileId>>, other: Option<&Node<FileId>>) -> bool {
    match (one, other) {
        (Some(Node::File(one)), Some(Node::File(other))) => one == other,
        (Some(Node::Folder(one)), Some(Node::Folder(other))) => one == other,
        (None, None) => true,
        _ => false,
    }
}

fn file_choices(id: FileId, file: &File, may_garble: bool) -> Vec<Choice> {
    let last = file.pending.len().saturating_sub(1);
    let mut choices: Vec<Choice> = Vec::new();
    let mut length = file.durable.length();
    for (index, pending) in file.pending.iter().enumerate() {
        let tears = index == last && matches!(&pending.what, Change::Write { bytes, .. } if bytes.len() > 1);
        let cuts_block =
            matches!(pending.what, Change::Length(end) if end < length && end % BLOCK_SIZE_BYTES > 0);
        length = pending.what.length_after(length);
        let garbles = may_garble && (tears || cuts_block);
        choices.push(Choice { kind: Kind::Change { file: id, index, tears, garbles }, at: pending.at });
    }
    if file.visible.length() != file.durable.length() {
        let at = file.pending.last().map_or(0, |pending| pending.at);
        choices.push(Choice { kind: Kind::Length { file: id }, at });
    }
    choices
}

/// Applies as much of a change as `pick` leaves.
fn keep(change: &Change, pick: Pick, file: &mut File) {
    let Change::Write { offset, bytes } = change else {
        if pick != LOST {
            change.apply(&mut file.visible);
        }
        if pick == GARBLED_END {
            let end = file.visible.length();
            garble(file, end / BLOCK_SIZE_BYTES * BLOCK_SIZE_BYTES, end);
        }
        return;
    };
    let end = offset + bytes.len() as u64;
    let part = match pick {
        LOST => return,
        WHOLE => bytes.len(),
        HALF => bytes.len() / 2,
        AT_SECTOR => bytes.len() / 2 / SECTOR_SIZE_BYTES * SECTOR_SIZE_BYTES,
        ZEROES => {
            // The length is durable, the bytes are not.
            Change::Extent(end).apply(&mut file.visible);
            return;
        }
        STALE => {
            // The first block has its old content, the others are written.
            Change::Extent(end).apply(&mut file.visible);
            let fresh = (offset / BLOCK_SIZE_BYTES + 1) * BLOCK_SIZE_BYTES;
            let skipped =
                usize::try_from(fresh - offset).map_or(bytes.len(), |skipped| skipped.min(bytes.len()));
            file.visible.write_at(&bytes[skipped..], fresh);
            return;
        }
        GARBLED => {
            Change::Extent(end).apply(&mut file.visible);
            garble(file, offset / BLOCK_SIZE_BYTES * BLOCK_SIZE_BYTES, end);
            return;
        }
        anywhere => anywhere as usize % bytes.len(),
    };
    file.visible.write_at(&bytes[..part], *offset);
}

/// Garbles a file's blocks from `start` to the one that holds the byte before `end`.
fn garble(file: &mut File, start: u64, end: u64) {
    let end = end.next_multiple_of(BLOCK_SIZE_BYTES);
    let mut bytes = vec![0; usize::try_from(end - start).unwrap_or(0)];
    let length = file.visible.read_at(&mut bytes, start);
    let garbled: Vec<u8> = bytes[..length].iter().map(|byte| byte ^ GARBLE).collect();
    file.visible.write_at(&garbled, start);
}
