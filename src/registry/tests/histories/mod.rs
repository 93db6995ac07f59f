//! Histories of operations, compared with a plain model.
//!
//! | what | where |
//! |---|---|
//! | the model | `expected` |
//! | one after the other, with stops in between | `random` |
//! | side by side | `side_by_side` |

mod expected;
mod random;
mod side_by_side;

use super::*;
