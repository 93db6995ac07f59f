//! The states that a power cut may leave, and what must be found in each.
//!
//! | what | where |
//! |---|---|
//! | which states are tried | `picks` |
//! | trying them | `states` |
//! | what a registry has | `observe` |
//! | what it must have | `model` |

pub(super) mod model;
pub(super) mod observe;
pub(super) mod picks;
pub(super) mod states;

pub(crate) use model::Found;
pub(crate) use states::each_power_cut;
