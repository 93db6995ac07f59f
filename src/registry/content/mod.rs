//! Content on its way out: readers, what is known of verified files, and reports of damage.

pub(in crate::registry) mod damage;
pub(in crate::registry) mod manifest_cache;
pub(in crate::registry) mod reader;
pub(in crate::registry) mod verified;
