//! What wins, what is refused, and that every key reaches the server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::base::Pattern;
use crate::config::unit::DAY;
use crate::maintenance::{CollectorOptions, ScrubOptions};
use crate::meta::{KeepOrder, KeepRule, Policy, Untagged};
use crate::registry::Storage;
use crate::server::ServerOptions;

/// Every key, with a value that is not its default.
const FULL: &str = r#"
data = "/var/lib/pulk"
listen = ["[::]:5001", ":5002", "unix:/run/pulk/http.sock"]
control_socket = "/run/pulk/control.sock"
ephemeral = true
on_sync_failure = "exit"
sparse_indexes = true
journal_clients = false
journal_history = "1GiB"
log = "debug"

[limits]
connections = 7
upload_sessions = 8
manifest_bytes = "8MiB"
upload_idle = "7d"
reserve_bytes = "1GiB"
head_bytes = 16384
head_time = "5s"
keep_alive = "10m"
body_progress = "2m"
stop_time = "0s"

[scrub]
enabled = false
rate = "1MiB/s"
interval = "7d"

[collector]
enabled = false
interval = "10m"
lease = "1m"
grace = "0s"
pace = 50

[history]
keep = "30d"

[[policy]]
repositories = ["team/*", "app"]
keep = [
    { tags = ["v*", "regex:[0-9]+"], last = 3, order = "semver", pushed_within = "1d", pulled_within = "2d" },
]
untagged = "remove after 7d"
immutable = ["v*"]
quota = "10 GiB"

[[policy]]
repositories = ["*"]

[[policy.keep]]
pushed_within = "30d"
pulled_within = "90d"

[[policy.keep]]
tags = ["*"]
"#;

fn read(text: &str) -> Result<Config, ConfigError> {
    Config::from_document(&Document::of(text))
}

fn pattern(text: &str) -> Pattern {
    text.parse().unwrap()
}

fn refusal(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

fn overridden(mut config: Config, overrides: Overrides) -> Config {
    config.put_over(overrides);
    config
}

fn overrides() -> Overrides {
    Overrides {
        data: Some(PathBuf::from("elsewhere")),
        listen: Some(vec![SocketAddr::from(([127, 0, 0, 2], 9)).into()]),
        ephemeral: Some(false),
        log: Some("warn".to_owned()),
        copy_index_from_bytes: Some(3),
    }
}

#[test]
fn an_empty_file_changes_nothing() {
    assert_eq!(read("").unwrap().to_string(), Config::default().to_string());
    assert_eq!(read("[limits]\n").unwrap().to_string(), Config::default().to_string());
}

#[test]
fn every_key_of_the_file_wins_over_its_default() {
    let (default, full) = (Config::default().to_string(), read(FULL).unwrap().to_string());
    let lines = |text: &str, section: &str| -> Vec<String> {
        let heads = [format!("[{section}]"), format!("[[{section}]]")];
        let inside =
            text.lines().skip_while(|line| !section.is_empty() && !heads.contains(&(*line).to_owned()));
        let inside = inside.skip(usize::from(!section.is_empty()));
        inside.take_while(|line| !line.starts_with('[')).map(str::to_owned).collect()
    };
    // `keep` is a table, and its keys are here as well.
    for KeyInfo { section, name, .. } in keys().into_iter().filter(|key| key.name != "keep") {
        let start = format!("{name} = ");
        let value = |text| lines(text, section).into_iter().find(|line| line.starts_with(&start));
        let (default, full) = (value(&default), value(&full));
        assert!(full.is_some() && full != default, "{section}.{name}: {full:?}, by default {default:?}");
    }
}

#[test]
fn every_key_reaches_the_server() {
    let config = read(FULL).unwrap();
    assert_eq!((config.data.to_str(), config.ephemeral), (Some("/var/lib/pulk"), true));
    assert_eq!(config.log, "debug");
    let seconds = Duration::from_secs;
    let options = config.server_options();
    let listen = ["[::]:5001", ":5002", "unix:/run/pulk/http.sock"].map(|text| text.parse().unwrap());
    assert_eq!(options.listen, listen);
    assert_eq!(options.control_socket, Some(PathBuf::from("/run/pulk/control.sock")));
    let ServerOptions { wire, registry, .. } = &options;
    assert_eq!(wire.connections_max, 7);
    assert_eq!((wire.head_size_max_bytes, wire.head_time_max), (16_384, seconds(5)));
    assert_eq!((wire.keep_alive_idle_max, wire.body_progress_time_max), (seconds(600), seconds(120)));
    assert_eq!(registry.upload_sessions_max, 8);
    assert_eq!((registry.manifest_size_max_bytes, registry.reserve_bytes), (8 << 20, 1 << 30));
    assert_eq!((registry.upload_idle_max, options.stop_time_max), (seconds(7 * DAY), Duration::ZERO));
    assert_eq!((registry.lease, registry.grace), (seconds(60), Duration::ZERO));
    assert!(registry.sparse_indexes && !registry.journal_clients);
    assert_eq!(registry.journal_history_bytes, 1 << 30);
    assert_eq!(registry.history_keep, seconds(30 * DAY));
    let scrub = ScrubOptions { enabled: false, rate_bytes: 1 << 20, interval: seconds(7 * DAY) };
    let collector = CollectorOptions { enabled: false, interval: seconds(600), pace_percent: 50 };
    assert_eq!((options.scrub, options.collector), (scrub, collector));
    let policies = [
        Policy {
            repositories: vec![pattern("team/*"), pattern("app")],
            keep: vec![KeepRule {
                tags: vec!["v*".parse().unwrap(), "regex:[0-9]+".parse().unwrap()],
                last: Some(3),
                order: KeepOrder::Semver,
                pushed_within: Some(seconds(DAY)),
                pulled_within: Some(seconds(2 * DAY)),
            }],
            untagged: Some(Untagged::RemoveAfter(seconds(7 * DAY))),
            immutable: vec![pattern("v*")],
            quota_bytes: Some(10 << 30),
        },
        Policy {
            repositories: vec![pattern("*")],
            keep: vec![
                KeepRule {
                    pushed_within: Some(seconds(30 * DAY)),
                    pulled_within: Some(seconds(90 * DAY)),
                    ..KeepRule::default()
                },
                KeepRule::tagged("*".parse().unwrap()),
            ],
            ..Policy::default()
        },
    ];
    assert_eq!(options.registry.policies.all(), policies);
}

#[test]
fn the_defaults_are_those_of_the_library_but_for_the_port() {
    let (configured, plain) = (Config::default().server_options(), ServerOptions::new("data"));
    let listen = vec![SocketAddr::from(([127, 0, 0, 1], 5000)).into()];
    assert_eq!(format!("{configured:?}"), format!("{:?}", ServerOptions { listen, ..plain }));
}

#[test]
fn an_ephemeral_server_has_no_folder() {
    let config = read("ephemeral = true").unwrap();
    assert_eq!(config.server_options().registry.storage, Storage::Memory);
}

#[test]
fn overrides_win_over_the_file_key_by_key() {
    let file = read(FULL).unwrap();
    let config = overridden(file.clone(), overrides());
    assert_eq!(config.data, PathBuf::from("elsewhere"));
    assert_eq!(config.server.listen, [SocketAddr::from(([127, 0, 0, 2], 9)).into()]);
    assert!(!config.ephemeral);
    assert_eq!(config.log, "warn");
    assert_eq!(config.server.registry.index_worthwhile_bytes, 3);
    assert_eq!((&config.server.wire, &config.server.http), (&file.server.wire, &file.server.http));
}

#[test]
fn absent_overrides_leave_the_file_alone() {
    let file = read(FULL).unwrap();
    assert_eq!(overridden(file.clone(), Overrides::default()).to_string(), file.to_string());
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_known_ones() {
    let message = refusal("data = \"d\"\n\nlisen = \"127.0.0.1:1\"\n");
    assert!(message.starts_with("pulk.toml:3: lisen: "), "{message}");
    assert!(message.contains("`listen`"), "{message}");
    let message = refusal("[limits]\nconections = 1\n");
    assert!(message.starts_with("pulk.toml:2: limits.conections: "), "{message}");
    assert!(message.contains("`connections`"), "{message}");
}

#[test]
fn a_bad_value_is_refused_with_its_line_its_key_and_a_right_one() {
    let cases = [
        ("listen = \"localhost\"", "pulk.toml:1: listen: ", "127.0.0.1:5000"),
        ("\nlisten = 5000", "pulk.toml:2: listen: ", "string"),
        ("listen = []", "pulk.toml:1: listen: ", "empty"),
        ("listen = [\"127.0.0.1:1\", \"x\"]", "pulk.toml:1: listen: ", "127.0.0.1:5000"),
        ("data = \"\"", "pulk.toml:1: data: ", "/var/lib/pulk"),
        ("ephemeral = \"yes\"", "pulk.toml:1: ephemeral: ", "a boolean"),
        ("log = \"pulk=loud\"", "pulk.toml:1: log: ", "\"info\""),
        ("log = \"verbose\"", "pulk.toml:1: log: ", "verbose is no level"),
        ("log = \"warm,pulk::meta=debug\"", "pulk.toml:1: log: ", "warm is no level"),
        ("[limits]\n\nhead_time = 30", "pulk.toml:3: limits.head_time: ", "\"30s\""),
        ("[limits]\nmanifest_bytes = \"4MB\"", "pulk.toml:2: limits.manifest_bytes: ", "\"4MiB\""),
        ("limits = 1", "pulk.toml:1: limits: ", "[limits]"),
        ("[[policy]]\nrepositories = [\"a b\"]", "pulk.toml:2: policy.repositories: ", "\"team/*\""),
        ("[[policy]]\nrepositories = []", "pulk.toml:2: ", "[\"*\"]"),
        ("[[policy]]\nrepositories = [\"*\"]\nuntagged = \"go\"", "pulk.toml:3: ", "\"remove after 7d\""),
        ("policy = 1", "pulk.toml:1: policy: ", "[[policy]]"),
        ("[[policy]]\nquota = 1", "pulk.toml:1: policy: ", "repositories = [\"*\"]"),
        (
            "[[policy]]\nrepositories = [\"*\"]\nkeep = 1",
            "pulk.toml:3: policy.keep: ",
            "keep = [{ tags = [\"v*\"], last = 10 }]",
        ),
        ("[limits]\nconnections = -1", "pulk.toml:2: limits.connections: ", "negative"),
        ("[limits]\nconnections = \"many\"", "pulk.toml:2: limits.connections: ", "a whole number"),
        ("[collector]\npace = 0", "pulk.toml:2: collector.pace: ", "at most 100"),
    ];
    for (text, start, hint) in cases {
        let message = refusal(text);
        assert!(message.starts_with(start), "{message}");
        assert!(message.contains(hint), "{message}");
    }
}

#[test]
fn a_rule_that_keeps_nothing_or_cannot_be_read_is_refused_with_a_right_one() {
    let cases = [
        ("keep = [{ last = 0 }]", "3: policy.keep: last = 0 keeps nothing", "write last = 1"),
        ("keep = [{ tags = [\"v*\"], order = \"semver\" }]", "3: policy.keep: order", "write last = 10"),
        ("keep = [{}]", "3: policy.keep: the rule says nothing", "{ tags = [\"*\"] }"),
        ("keep = [\"v*\"]", "3: policy.keep: this is a list of rules", "last = 10"),
        ("keep = [{ tags = [] }]", "3: policy.keep.tags: the list is empty", "[\"*\"]"),
        ("keep = [{ tags = [\"regex:(\"] }]", "3: policy.keep.tags: \"regex:(\" is not", "regex:v[0-9]+"),
        ("keep = [{ last = 1, order = \"age\" }]", "3: policy.keep.order: \"age\"", "\"semver\""),
        ("keep = [{ pushed_within = \"0s\" }]", "3: policy.keep.pushed_within: 0s", "at least 1s"),
        ("[[policy.keep]]\nlast = 1\n\n[[policy.keep]]\nlats = 1", "7: policy.keep.lats: unknown", "`last`"),
        ("[[policy.keep]]\ntags = [\"a\"]\n[[policy.keep]]\nlast = 0", "5: policy.keep: last", "last = 1"),
    ];
    for (text, start, hint) in cases {
        let message = refusal(&format!("[[policy]]\nrepositories = [\"*\"]\n{text}"));
        assert!(message.starts_with(&format!("pulk.toml:{start}")), "{message}");
        assert!(message.contains(hint), "{message}");
    }
}

#[test]
fn keys_that_rules_replaced_are_refused_with_the_rules() {
    let cases = [
        ("keep_last = 3", "keep_last: write keep = [{ last = 3 }]"),
        ("keep_tags = [\"v*\", \"a\"]", "keep_tags: write keep = [{ tags = [\"v*\", \"a\"] }]"),
        ("keep_younger_than = \"30d\"", "keep_younger_than: write keep = [{ pushed_within = \"30d\" }]"),
        (
            "keep_last = 2\nkeep_tags = [\"v*\"]",
            "keep_last: write keep = [{ tags = [\"v*\"] }, { last = 2 }]",
        ),
        ("keep_last = 0", "keep_last: write rules for what is to stay, such as keep = [{ last = 1 }]"),
        ("remove_orphan_referrers = true", "remove_orphan_referrers: leave it out: referrers share"),
    ];
    for (text, right) in cases {
        let message = refusal(&format!("[[policy]]\nrepositories = [\"*\"]\n{text}"));
        assert!(message.starts_with(&format!("pulk.toml:3: policy.{right}")), "{message}");
    }
}

#[test]
fn a_limit_out_of_bounds_is_refused_with_its_bounds() {
    let cases = [
        ("connections = 0", "limits.connections: 0 is out", "at least 1 and at most 65536"),
        ("upload_sessions = 65537", "limits.upload_sessions: 65537 is out", "at least 1 and at most 65536"),
        (
            "manifest_bytes = \"1MiB\"",
            "limits.manifest_bytes: 1MiB is out",
            "at least 4MiB and at most 64MiB",
        ),
        (
            "reserve_bytes = \"2048GiB\"",
            "limits.reserve_bytes: 2048GiB is out",
            "at least 0B and at most 1024GiB",
        ),
        ("upload_idle = \"59s\"", "limits.upload_idle: 59s is out", "at least 1m and at most 365d"),
        ("head_bytes = 1", "limits.head_bytes: 1B is out", "at least 8KiB and at most 1MiB"),
        ("head_time = \"0s\"", "limits.head_time: 0s is out", "at least 1s and at most 1h"),
        ("keep_alive = \"2h\"", "limits.keep_alive: 2h is out", "at least 1s and at most 1h"),
        ("body_progress = \"0s\"", "limits.body_progress: 0s is out", "at least 1s and at most 1h"),
        ("stop_time = \"61m\"", "limits.stop_time: 61m is out", "at least 0s and at most 1h"),
    ];
    for (line, start, bounds) in cases {
        let message = refusal(&format!("[limits]\n{line}\n"));
        assert!(message.starts_with(&format!("pulk.toml:2: {start}")), "{message}");
        assert!(message.ends_with(bounds), "{message}");
    }
}

#[test]
fn a_file_that_is_no_toml_is_refused_with_its_line() {
    let message = refusal("data = \"d\"\nlisten = \n");
    assert!(message.starts_with("pulk.toml:2: "), "{message}");
}

#[test]
fn a_file_that_was_asked_for_and_is_not_there_is_an_error() {
    let error = Config::load(Some(Path::new("no/such/pulk.toml")), Overrides::default()).unwrap_err();
    assert!(
        error.to_string().starts_with("cannot read the configuration file no/such/pulk.toml: "),
        "{error}"
    );
}

#[test]
fn what_is_printed_reads_back_as_the_same() {
    let over = overridden(read(FULL).unwrap(), overrides());
    for config in [Config::default(), read(FULL).unwrap(), over] {
        assert_eq!(read(&config.to_string()).unwrap().to_string(), config.to_string());
    }
}
