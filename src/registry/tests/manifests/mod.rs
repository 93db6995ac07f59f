//! Manifests on their way in, on their way out, and protected by a tag.
//!
//! | what | where |
//! |---|---|
//! | bodies that arrive slowly | `pushes` |
//! | manifests served from their files | `large` |
//! | what immutable tags protect | `immutable` |

mod immutable;
mod large;
mod pushes;

use super::*;
