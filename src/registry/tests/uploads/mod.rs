//! Upload sessions.
//!
//! | what | where |
//! |---|---|
//! | how they are resumed, which request may write, how they end | `sessions` |
//! | sessions that are idle | `idle` |
//! | after a stop or a crash | `resuming` |

mod idle;
mod resuming;
mod sessions;

use super::*;
