//! Manifests on their way in, on their way out, and protected by a tag.
//!
//! | what | where |
//! |---|---|
//! | bodies that arrive slowly | `pushes` |
//! | manifests served from their files | `large` |
//! | the memory and the thread that large ones share | `memory` |
//! | what immutable tags protect | `immutable` |

mod immutable;
mod large;
mod memory;
mod pushes;

use super::*;
