//! The operations of a registry: one file for what each part of the specification's API does.

pub(in crate::registry) mod blobs;
pub(in crate::registry) mod lists;
pub(in crate::registry) mod manifest_push;
pub(in crate::registry) mod manifests;
pub(in crate::registry) mod mount;
mod quota;
pub(in crate::registry) mod uploads;
