//! Limits that keep one client from taking what others need: slots, rates, memory.

pub(in crate::http) mod memory_budget;
mod receive_rate;
mod upload_slots;

pub(in crate::http) use memory_budget::LargeBodies;
pub(in crate::http) use memory_budget::{Room, SMALL_MAX_BYTES};
pub(in crate::http) use receive_rate::SLOW_TIME_MAX;
pub(in crate::http) use receive_rate::Watched;
pub(in crate::http) use upload_slots::Bringing;
pub(in crate::http) use upload_slots::Place;
