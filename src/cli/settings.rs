//! Flags that several commands have.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};

use crate::cli::output::logging;
use crate::config::{Config, ConfigError, Overrides, values};
use crate::wire::ListenAddress;

/// What commands on a store log by default: the information that a server logs is of no use there.
const STORE_LOG: &str = "warn";

// A documentation comment on these would become the help of each command that has them.
#[derive(Debug, Args)]
pub(in crate::cli) struct StoreSettings {
    /// The data directory [default: data]
    #[arg(long, value_name = "DIR", env = "PULK_DATA")]
    data: Option<PathBuf>,

    /// The configuration file; without this, none is read
    #[arg(long, value_name = "FILE", env = "PULK_CONFIG")]
    config: Option<PathBuf>,

    /// Log level: error, warn, info, debug, trace or off, also by module [default: warn]
    #[arg(long, value_name = "FILTER", env = "PULK_LOG", value_parser = values::log)]
    log: Option<String>,
}

impl StoreSettings {
    /// Settles the configuration and starts logging.
    pub(in crate::cli) fn load(self) -> Result<Config, ConfigError> {
        let Self { data, config, log } = self;
        let filter = log.clone();
        let config = Config::load(config.as_deref(), Overrides { data, log, ..Overrides::default() })?;
        logging::start(filter.as_deref().unwrap_or(STORE_LOG));
        Ok(config)
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ServeSettings {
    /// The data directory [default: data]
    ///
    /// It is created if it does not exist. Only one pulk at a time uses it.
    #[arg(long, value_name = "DIR", env = "PULK_DATA")]
    data: Option<PathBuf>,

    /// Where to listen: IP address or name, and port; port 0 picks a free one [default: 127.0.0.1:5000]
    ///
    /// `:5000` is port 5000 of all networks, `unix:/run/pulk/http.sock` a Unix socket. Several are separated
    /// by commas, or have a flag each. The first line that pulk logs when it is ready names the addresses.
    /// While it recovers from a crash, it answers 503 there, with its progress at /readyz.
    #[arg(long, value_name = "ADDR", env = "PULK_LISTEN", value_delimiter = ',')]
    #[arg(value_parser = values::listen)]
    listen: Option<Vec<ListenAddress>>,

    /// The configuration file; without this, none is read
    #[arg(long, value_name = "FILE", env = "PULK_CONFIG")]
    config: Option<PathBuf>,

    /// Keep everything in memory and write nothing: all content is lost at the end
    #[arg(
        long,
        value_name = "BOOL",
        env = "PULK_EPHEMERAL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new()
    )]
    ephemeral: Option<bool>,

    /// Log level: error, warn, info, debug, trace or off, also by module [default: info]
    ///
    /// For example `warn,pulk::meta=debug`. Log lines go to standard error.
    #[arg(long, value_name = "FILTER", env = "PULK_LOG", value_parser = values::log)]
    log: Option<String>,

    /// Compact the index from this size on, if its files are far too large; 0: after each pass
    ///
    /// For tests, which would otherwise need a large store.
    #[arg(long, value_name = "BYTES", hide = true)]
    copy_index_from: Option<u64>,
}

impl ServeSettings {
    /// Settles the configuration.
    pub(in crate::cli) fn load(self) -> Result<Config, ConfigError> {
        let Self { data, listen, config, ephemeral, log, copy_index_from: copy_index_from_bytes } = self;
        let overrides = Overrides { data, listen, ephemeral, log, copy_index_from_bytes };
        Config::load(config.as_deref(), overrides)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct TestCli {
        #[command(flatten)]
        settings: ServeSettings,
    }

    #[test]
    fn ephemeral_is_a_flag_that_can_also_be_turned_off() {
        let ephemeral = |flags: &[&str]| {
            let words = ["pulk"].iter().chain(flags);
            TestCli::try_parse_from(words).unwrap().settings.ephemeral
        };
        assert_eq!(ephemeral(&["--ephemeral"]), Some(true));
        assert_eq!(ephemeral(&["--ephemeral=false"]), Some(false));
        assert_eq!(ephemeral(&["--ephemeral", "--data", "d"]), Some(true));
        assert_eq!(ephemeral(&[]), None);
    }
}
