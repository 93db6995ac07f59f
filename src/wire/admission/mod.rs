//! Admission where the number of places is limited: connections, and what else clients hold for as long as
//! they take.
//!
//! | | |
//! |---|---|
//! | `rule` | which holders can go, and in which order |
//! | `activity` | how long and how fast a holder moves: a few atomics |
//! | `places` | the places, and the signal to a holder that is displaced |

mod activity;
mod places;
mod rule;

pub(crate) use places::{DisplacedWait, Holder, Place, Places};
pub(crate) use rule::Terms;
