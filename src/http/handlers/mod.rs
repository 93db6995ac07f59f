//! The handlers of the distribution specification: one file for each resource, and what they share.
//!
//! | | |
//! |---|---|
//! | `blobs`, `manifests`, `uploads`, `referrers`, `lists` | the handlers of a resource |
//! | `call` | one request on its way through them |
//! | `conditions` | `If-Match`, `If-None-Match` |
//! | `blob_file` | a blob as a file that the transport sends |

mod blob_file;
pub(in crate::http) mod blobs;
mod call;
mod conditions;
pub(in crate::http) mod lists;
pub(in crate::http) mod manifests;
pub(in crate::http) mod referrers;
pub(in crate::http) mod uploads;

pub(in crate::http) use call::Call;
