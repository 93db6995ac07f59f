//! The states that a power cut may leave, and what must be found in each.
//!
//! | what | where |
//! |---|---|
//! | which states are tried | `picks` |
//! | trying them | `states` |
//! | trying them without a place that makes something durable | `left_out` |
//! | what a registry has | `observe` |
//! | what it must have | `model` |

pub(super) mod left_out;
pub(super) mod model;
pub(super) mod observe;
pub(super) mod picks;
pub(super) mod states;

pub(crate) use left_out::{missed, places};
pub(crate) use model::Found;
pub(crate) use states::each_power_cut;
