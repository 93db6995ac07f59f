//! From the configuration to what the server, which knows nothing of files and flags, is started with.

use crate::config::{Collector, Config, Limits, Scrub};
use crate::maintenance::{CollectorOptions, ScrubOptions};
use crate::meta::Policies;
use crate::server::ServerOptions;

/// Returns what a server that is configured so is started with.
pub(in crate::cli) fn server_options(config: &Config) -> ServerOptions {
    let mut options =
        if config.ephemeral { ServerOptions::ephemeral() } else { ServerOptions::new(&config.data) };
    // No `..`: a limit that is added to the configuration must be handed over here.
    let Limits {
        connections,
        connections_per_address,
        uploads,
        upload_sessions,
        waiting,
        manifest_bytes,
        upload_idle,
        reserve_bytes,
        head_bytes,
        head_time,
        keep_alive,
        body_progress,
        stop_time,
    } = config.limits.clone();
    let Scrub { enabled, rate_bytes, interval } = config.scrub.clone();
    options.scrub = ScrubOptions { enabled, rate_bytes, interval };
    let Collector { enabled, interval, lease, grace, pace } = config.collector.clone();
    options.collector = CollectorOptions { enabled, interval, pace_percent: pace };
    options.registry.lease = lease;
    options.registry.grace = grace;
    options.registry.policies = Policies::new(config.policies.clone());
    options.registry.index_worthwhile_bytes = config.copy_index_from_bytes;
    options.listen = config.listen;
    options.registry.sparse_indexes = config.sparse_indexes;
    options.registry.manifest_size_max_bytes = manifest_bytes;
    options.registry.upload_idle_max = upload_idle;
    options.registry.reserve_bytes = reserve_bytes;
    options.registry.upload_sessions_max = upload_sessions;
    options.registry.waiting_max = waiting;
    options.http.waiting_max = waiting;
    options.http.uploads_max = uploads;
    options.wire.connections_per_address_max = connections_per_address;
    options.wire.connections_max = connections;
    options.wire.head_size_max_bytes = head_bytes;
    options.wire.head_time_max = head_time;
    options.wire.keep_alive_idle_max = keep_alive;
    options.wire.body_progress_time_max = body_progress;
    options.stop_time_max = stop_time;
    options
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::registry::Storage;

    #[test]
    fn the_defaults_of_the_configuration_are_those_of_the_library() {
        let configured = server_options(&Config::default());
        let plain = ServerOptions::new("data");
        assert_eq!((configured.wire, configured.http), (plain.wire, plain.http));
        assert_eq!(configured.registry.upload_sessions_max, plain.registry.upload_sessions_max);
        assert_eq!(configured.registry.waiting_max, plain.registry.waiting_max);
        assert_eq!(configured.stop_time_max, plain.stop_time_max);
        assert_eq!(configured.scrub, plain.scrub);
        assert_eq!(configured.registry.storage, plain.registry.storage);
        assert_eq!(configured.registry.sparse_indexes, plain.registry.sparse_indexes);
        assert_eq!(configured.registry.manifest_size_max_bytes, plain.registry.manifest_size_max_bytes);
        assert_eq!(configured.registry.upload_idle_max, plain.registry.upload_idle_max);
        assert_eq!(configured.registry.reserve_bytes, plain.registry.reserve_bytes);
        assert_eq!(configured.registry.index_worthwhile_bytes, plain.registry.index_worthwhile_bytes);
        assert_eq!(configured.collector, plain.collector);
        assert_eq!(
            (configured.registry.lease, configured.registry.grace, configured.registry.policies),
            (plain.registry.lease, plain.registry.grace, plain.registry.policies)
        );
    }

    #[test]
    fn every_limit_reaches_the_server() {
        let seconds = Duration::from_secs;
        let limits = Limits {
            connections: 1,
            connections_per_address: 10,
            uploads: 11,
            upload_sessions: 12,
            waiting: 13,
            manifest_bytes: 2,
            upload_idle: seconds(3),
            reserve_bytes: 9,
            head_bytes: 4,
            head_time: seconds(5),
            keep_alive: seconds(6),
            body_progress: seconds(7),
            stop_time: seconds(8),
        };
        let (interval, lease, grace) = (seconds(10), seconds(11), seconds(12));
        let collector = Collector { enabled: false, interval, lease, grace, pace: 13 };
        let policies = vec![crate::meta::Policy { keep_last: Some(14), ..Default::default() }];
        let mut config = Config { limits, collector, policies, sparse_indexes: true, ..Config::default() };
        config.copy_index_from_bytes = 15;
        let options = server_options(&config);
        let collects = CollectorOptions { enabled: false, interval, pace_percent: 13 };
        assert_eq!((options.collector, options.registry.lease), (collects, lease));
        assert_eq!((options.registry.grace, options.registry.policies.all().len()), (grace, 1));
        assert_eq!((options.wire.connections_max, options.registry.manifest_size_max_bytes), (1, 2));
        assert_eq!((options.registry.upload_idle_max, options.wire.head_size_max_bytes), (seconds(3), 4));
        assert_eq!((options.wire.head_time_max, options.wire.keep_alive_idle_max), (seconds(5), seconds(6)));
        assert_eq!((options.wire.body_progress_time_max, options.stop_time_max), (seconds(7), seconds(8)));
        assert_eq!(options.registry.reserve_bytes, 9);
        assert_eq!((options.wire.connections_per_address_max, options.http.uploads_max), (10, 11));
        assert_eq!((options.registry.upload_sessions_max, options.registry.waiting_max), (12, 13));
        assert_eq!((options.http.waiting_max, options.registry.index_worthwhile_bytes), (13, 15));
        assert!(options.registry.sparse_indexes);
    }

    #[test]
    fn an_ephemeral_server_has_no_folder() {
        let options = server_options(&Config { ephemeral: true, ..Config::default() });
        assert_eq!(options.registry.storage, Storage::Memory);
    }
}
