//! The operations of a registry: one file for what each part of the specification's API does.
//!
//! | | |
//! |---|---|
//! | `blobs`, `uploads`, `expiry`, `mount` | blobs, and how they come into a repository |
//! | `manifests`, `manifest_body`, `manifest_push`, `spool` | manifests, and the files of long ones |
//! | `leased_read` | reads of what clients rely on |
//! | `lists` | lists of tags, repositories and referrers |
//! | `deletions` | deletions where tags are immutable |
//! | `storing` | content is stored, unless it is there already |
//! | `quota` | how much a repository may hold |

pub(in crate::registry) mod blobs;
mod deletions;
pub(in crate::registry) mod expiry;
mod leased_read;
pub(in crate::registry) mod lists;
pub(in crate::registry) mod manifest_body;
pub(in crate::registry) mod manifest_push;
pub(in crate::registry) mod manifests;
pub(in crate::registry) mod mount;
mod quota;
mod spool;
mod storing;
pub(in crate::registry) mod uploads;
