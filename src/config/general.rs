//! The keys outside of any section.

use crate::config::key::{ConfigKey, Form, number, switch};
use crate::config::unit::Unit::Size;
use crate::config::{Config, values};

/// The most history that can be asked for: `"1TiB"`.
const TIB: u64 = 1 << 40;

/// The keys, in the order in which they are read and written.
pub(in crate::config) const KEYS: &[ConfigKey<Config>] = &[
    ConfigKey::new(
        "data",
        Form::Text {
            read: |config, text| values::data(text).map(|data| config.data = data),
            write: |config| Some(config.data.to_string_lossy().into_owned()),
        },
        "the data directory",
    ),
    ConfigKey::new(
        "listen",
        Form::Texts {
            read: |config, texts| {
                let addresses = texts.iter().map(|text| values::listen(text));
                addresses.collect::<Result<_, _>>().map(|addresses| config.server.listen = addresses)
            },
            write: |config| config.server.listen.iter().map(ToString::to_string).collect(),
        },
        "address or name, and port; `:5000` for all networks, `unix:/path`; a list for several",
    ),
    ConfigKey::new(
        "control_socket",
        Form::Text {
            read: |config, text| values::socket(text).map(|path| config.server.control_socket = Some(path)),
            write: |config| Some(config.control_socket_setting().to_string_lossy().into_owned()),
        },
        "where commands reach the server, relative to `data`; move it where `data` cannot have sockets",
    ),
    ConfigKey::new(
        "ephemeral",
        switch(|config| &mut config.ephemeral),
        "keep everything in memory and write nothing",
    ),
    ConfigKey::new(
        "sparse_indexes",
        switch(|config| &mut config.server.registry.sparse_indexes),
        "accept an index before the manifests that it lists",
    ),
    ConfigKey::new(
        "on_sync_failure",
        Form::Text {
            read: |config, text| {
                values::on_sync_failure(text).map(|policy| config.server.registry.on_sync_failure = policy)
            },
            write: |config| Some(values::on_sync_failure_text(config.server.registry.on_sync_failure)),
        },
        "after a failed sync: `reopen` the store, or `exit`",
    ),
    ConfigKey::new(
        "journal_clients",
        switch(|config| &mut config.server.registry.journal_clients),
        "note address, request id and `User-Agent` of the client with each change in the journal",
    ),
    ConfigKey::new(
        "journal_history",
        number(Size, 0..=TIB, |config| &mut config.server.registry.journal_history_bytes),
        "size of the old journal files that are kept as history, for `pulk log`",
    ),
    ConfigKey::new(
        "log",
        Form::Text {
            read: |config, text| values::log(text).map(|filter| config.log = filter),
            write: |config| Some(config.log.clone()),
        },
        "log level, also by module: `warn,pulk::meta=debug`",
    ),
];
