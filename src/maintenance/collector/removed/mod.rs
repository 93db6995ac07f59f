//! What is kept of what was removed, and for how long.

mod history;

#[cfg(test)]
pub(crate) use history::CHANGES_PER_TAG_MAX;
