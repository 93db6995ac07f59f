//! The same with sled as the index, whose files are not on the simulated disk.
//!
//! | what | where |
//! |---|---|
//! | the disk | `disk` |
//! | histories, and what is left of the index | `runs` |
//! | the states | `states` |

pub(super) mod disk;
pub(super) mod runs;
pub(super) mod states;
