//! Content on its way out: readers, the manifest cache, and reports of damage.

pub(in crate::registry) mod damage;
pub(in crate::registry) mod manifest_body;
pub(in crate::registry) mod manifest_cache;
pub(in crate::registry) mod reader;
pub(in crate::registry) mod removal;
pub(in crate::registry) mod verified;
