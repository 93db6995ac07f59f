//! What clients do, recorded step by step.
//!
//! | what | where |
//! |---|---|
//! | operations of clients, and their effects | `client` |
//! | what they push | `content` |
//! | running and recording a history | `history` |
//! | the histories | `listed`, `random` |
//! | a reader beside them | `reads` |

pub(super) mod client;
pub(super) mod content;
pub(super) mod history;
pub(super) mod listed;
pub(super) mod random;
pub(super) mod reads;

pub(crate) use history::open;
