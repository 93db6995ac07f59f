//! What keeps content: from the collector leases and locks on digests, from deletion immutable tags.

pub(in crate::registry) mod digest_locks;
pub(in crate::registry) mod expiring_set;
pub(in crate::registry) mod immutable;
pub(in crate::registry) mod leases;
pub(in crate::registry) mod pulls;
