//! Manifests: pushed, pulled and found by their subject.
//!
//! | what | where |
//! |---|---|
//! | pushed | `push` |
//! | pulled | `pull` |
//! | conditional requests | `conditions` |
//! | referrers | `referrers` |

mod conditions;
mod pull;
mod push;
mod referrers;
