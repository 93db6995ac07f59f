//! The keys of `[limits]`.

use std::ops::RangeInclusive;

use crate::config::key::{ConfigKey, number};
use crate::config::settled::Config;
use crate::config::unit::Unit::{Count, Period, Size};
use crate::config::unit::{DAY, HOUR, KIB, MIB, MINUTE, TIB};
use crate::spec::{MANIFEST_SIZE_LIMIT_BYTES, MANIFEST_SIZE_MAX_BYTES};

const COUNT: RangeInclusive<u64> = 1..=65_536;
const WAIT: RangeInclusive<u64> = 1..=HOUR;

/// The keys, in the order in which they are read and written.
pub(in crate::config) const KEYS: &[ConfigKey<Config>] = &[
    ConfigKey::new(
        "connections",
        number(Count, COUNT, |config| &mut config.server.wire.connections_max),
        "open connections; the limit of open files may allow fewer",
    ),
    ConfigKey::new(
        "upload_sessions",
        number(Count, COUNT, |config| &mut config.server.registry.upload_sessions_max),
        "unfinished uploads; over it, an idle one of the address that has most gives way",
    ),
    // Clients may rely on manifests of 4 MiB (OCI Distribution, "Pushing Manifests"); it is parsed whole.
    ConfigKey::new(
        "manifest_bytes",
        number(Size, MANIFEST_SIZE_MAX_BYTES..=MANIFEST_SIZE_LIMIT_BYTES, |config| {
            &mut config.server.registry.manifest_size_max_bytes
        }),
        "size of a manifest, up to `64MiB`",
    ),
    ConfigKey::new(
        "upload_idle",
        number(Period, MINUTE..=365 * DAY, |config| &mut config.server.registry.upload_idle_max),
        "time without progress after which an upload is dropped",
    ),
    ConfigKey::new(
        "reserve_bytes",
        number(Size, 0..=TIB, |config| &mut config.server.registry.reserve_bytes),
        "disk space that pushes leave free for deletes and recovery; `0` for none",
    ),
    // A head must hold a token, a path and what proxies add.
    ConfigKey::new(
        "head_bytes",
        number(Size, 8 * KIB..=MIB, |config| &mut config.server.wire.head_size_max_bytes),
        "size of a request's head",
    ),
    ConfigKey::new(
        "head_time",
        number(Period, WAIT, |config| &mut config.server.wire.head_time_max),
        "time for a request's head to arrive",
    ),
    ConfigKey::new(
        "keep_alive",
        number(Period, WAIT, |config| &mut config.server.wire.keep_alive_idle_max),
        "time that a connection may be idle; longer than a proxy keeps it",
    ),
    ConfigKey::new(
        "body_progress",
        number(Period, WAIT, |config| &mut config.server.wire.body_progress_time_max),
        "time that a body may make no progress, in or out; its total time has no limit",
    ),
    ConfigKey::new(
        "stop_time",
        number(Period, 0..=HOUR, |config| &mut config.server.stop_time_max),
        "time that requests in flight have to finish when pulk stops",
    ),
];
