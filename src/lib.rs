//! An OCI container registry for one machine that can lose power at any moment.
//!
//! What `pulk serve` runs can be carried inside another program: a [`Server`] with a listener and threads of
//! its own, or a [`Registry`] alone. Neither cares which executor polls its futures.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # smol::block_on(async {
//! // A registry in memory, on a free port of the loopback address; `ServerOptions::new("data")` keeps what
//! // it has.
//! let server = pulk::Server::start(pulk::ServerOptions::ephemeral()).await?;
//! println!("docker push {}/app:v1", server.local_addr().ok_or("no port")?);
//!
//! // What was pushed, without HTTP. Nothing was, so far.
//! let (app, v1) = ("app".parse()?, "v1".parse()?);
//! let missing = server.registry().manifest(&app, &v1).await;
//! assert!(matches!(missing, Err(pulk::RegistryError::NameUnknown(_))));
//!
//! server.stop().await?;
//! # Ok(())
//! # })
//! # }
//! ```

mod admin;
mod base;
mod blobs;
#[doc(hidden)]
pub mod cli;
mod config;
mod control;
#[cfg(test)]
mod crash_tests;
mod disk;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod maintenance;
mod meta;
mod registry;
mod server;
mod spec;
mod wire;

pub use base::{Pattern, PatternError};
pub use http::HttpOptions;
pub use maintenance::{
    CollectError, CollectOptions, CollectReport, CollectWatch, Collector, CollectorOptions, CollectorStatus,
    Count, NOTES_MAX, ScrubOptions, Tally, Thing, Verdict,
};
pub use meta::{KeepOrder, KeepRule, Origin, Policies, Policy, TagPattern, Untagged};
pub use registry::{
    BlobReader, Chunk, Collected, Condition, Health, Listing, ManifestBody, ManifestContent, ManifestInfo,
    OnSyncFailure, OpenError, Page, PolicyMemory, PushManifest, PutManifest, PutManifestOutcome, PutTarget,
    RecoveryProgress, Referrers, ReferrersPage, Registry, RegistryError, RegistryOptions, ScrubTotals,
    Storage, Totals, UploadId,
};
pub use server::{Server, ServerOptions, StartError};
pub use spec::{
    Algorithm, Annotations, ContentDigest, ContentRange, Digest, ErrorAnswer, ErrorCode, MediaType,
    Reference, Referrer, RepoName, Tag,
};
pub use wire::{BindError, BoundAddress, ListenAddress, ListenAddressError, WireLimits};
