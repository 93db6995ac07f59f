//! Upload sessions.
//!
//! | what | where |
//! |---|---|
//! | how they are resumed, which request may write, how they end | `sessions` |
//! | sessions that are idle | `idle` |
//! | the offsets that clients get | `offsets` |
//! | after a stop or a crash | `resuming` |

mod idle;
mod offsets;
mod resuming;
mod sessions;

use super::*;
