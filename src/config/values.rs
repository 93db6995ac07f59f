//! Values that a flag, the environment and the file give alike, each with one parser.
//! The messages say what would be right.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::unit::{self, Unit};
use crate::registry::OnSyncFailure;
use crate::wire::{ListenAddress, ListenAddressError};

const REOPEN: &str = "reopen";
const EXIT: &str = "exit";

/// Parses the data directory.
pub(crate) fn data(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("the data directory is empty; write a path such as \"/var/lib/pulk\"".to_owned());
    }
    Ok(PathBuf::from(text))
}

/// Parses the path of the control socket.
pub(crate) fn socket(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if text.ends_with('/') || path.file_name().is_none() {
        return Err(format!("\"{text}\" is not the path of a socket such as \"/run/pulk/control.sock\""));
    }
    Ok(path)
}

/// Parses an address to listen on.
pub(crate) fn listen(text: &str) -> Result<ListenAddress, String> {
    text.parse().map_err(|error: ListenAddressError| error.to_string())
}

/// Parses a duration.
pub(crate) fn period(text: &str) -> Result<Duration, String> {
    unit::period(text).ok_or_else(|| format!("\"{text}\" is not {}", Unit::Period.form()))
}

/// Parses what to log.
pub(crate) fn log(text: &str) -> Result<String, String> {
    let refused = |why: String| {
        format!("\"{text}\" is not a log filter such as \"info\" or \"warn,pulk::meta=debug\" ({why})")
    };
    env_filter::Builder::new().try_parse(text).map_err(|error| refused(error.to_string()))?;
    // The filter takes any other word for the name of a module, and then logs nothing else.
    let directives = text.split('/').next().unwrap_or_default().split(',').map(str::trim);
    let is_known = |word: &str| {
        word.is_empty()
            || word.contains('=')
            || word.contains("::")
            || word == env!("CARGO_PKG_NAME")
            || word.parse::<log::LevelFilter>().is_ok()
    };
    match directives.into_iter().find(|word| !is_known(word)) {
        None => Ok(text.to_owned()),
        Some(word) => Err(refused(format!("{word} is no level"))),
    }
}

/// Parses what happens after a failed sync.
pub(crate) fn on_sync_failure(text: &str) -> Result<OnSyncFailure, String> {
    match text {
        REOPEN => Ok(OnSyncFailure::Reopen),
        EXIT => Ok(OnSyncFailure::Exit),
        _ => Err(format!("\"{text}\" is neither \"{REOPEN}\" nor \"{EXIT}\"")),
    }
}

/// Writes what happens after a failed sync.
pub(crate) fn on_sync_failure_text(policy: OnSyncFailure) -> String {
    match policy {
        OnSyncFailure::Reopen => REOPEN.to_owned(),
        OnSyncFailure::Exit => EXIT.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failed_sync_the_store_is_reopened_or_the_server_exits() {
        for text in ["reopen", "exit"] {
            assert_eq!(on_sync_failure(text).map(on_sync_failure_text).as_deref(), Ok(text));
        }
        assert!(on_sync_failure("ignore").unwrap_err().contains("\"reopen\""));
    }

    #[test]
    fn an_address_needs_a_port() {
        assert!(listen("127.0.0.1:0").is_ok());
        for text in ["[::1]:5000", ":5000", "registry.example:5000", "unix:/run/pulk/http.sock"] {
            assert!(listen(text).is_ok(), "{text}");
        }
        for text in ["127.0.0.1", "5000", "", "127.0.0.1:70000"] {
            assert!(listen(text).unwrap_err().contains("127.0.0.1:5000"), "{text:?}");
        }
    }

    #[test]
    fn a_log_filter_names_levels_and_modules() {
        for text in ["info", "off", "warn,pulk::meta=debug"] {
            assert_eq!(log(text).as_deref(), Ok(text));
        }
        assert!(log("pulk=loud").unwrap_err().contains("\"info\""));
    }

    #[test]
    fn a_socket_has_a_name() {
        assert_eq!(socket("control.sock"), Ok(PathBuf::from("control.sock")));
        assert_eq!(socket("/run/pulk.sock"), Ok(PathBuf::from("/run/pulk.sock")));
        for text in ["", "/", "..", "/run/"] {
            assert!(socket(text).unwrap_err().contains("/run/pulk/control.sock"), "{text:?}");
        }
    }

    #[test]
    fn an_empty_data_directory_is_refused() {
        assert!(data("").is_err());
        assert_eq!(data("d"), Ok(PathBuf::from("d")));
    }
}
