//! Limits of the process: its descriptors, and how many connections those suffice for; the size of its files.
//!
//! A server without descriptors fails where that costs most: while it makes something durable. So the number
//! of connections is limited to what the descriptors suffice for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for everything but counted connections: the store, idle uploads, connections that are refused
/// because of the limit, and work on the disk.
const KEPT_FOR_THE_REST: u64 = 256;

/// A connection is a socket and, while it pulls, a blob.
const PER_CONNECTION: u64 = 2;

/// Raises the process's limit of descriptors to the most that its user may have. Systems start with a lower
/// limit for the sake of old programs.
pub fn raise_descriptor_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        log::debug!("cannot raise the limit of open files: {error}");
    }
}

/// Warns that files may only have a certain size.
pub fn warn_of_file_size_limit() {
    if let Some(limit) = getrlimit(Resource::Fsize).current {
        log::warn!(
            "the system allows this process files of {limit} bytes at most: larger content is refused; raise \
             it (ulimit -f, LimitFSIZE=)"
        );
    }
}

/// Returns the greatest number of connections: `wanted`, or as many as the descriptors suffice for.
pub(super) fn connections_max(wanted: usize) -> usize {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return wanted };
    let possible = enough_for(limit);
    if possible < wanted {
        log::warn!(
            "the limit of {limit} open files allows {possible} connections instead of {wanted}: raise it \
             (ulimit -n, LimitNOFILE=)"
        );
    }
    possible.min(wanted)
}

fn enough_for(limit: u64) -> usize {
    let possible = limit.saturating_sub(KEPT_FOR_THE_REST) / PER_CONNECTION;
    usize::try_from(possible).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_what_they_ask_for_and_for_the_rest() {
        assert_eq!(enough_for(1024), 384);
        assert_eq!(enough_for(2 * 1024 + KEPT_FOR_THE_REST), 1024);
        assert_eq!(enough_for(64), 1, "one client can always connect");
        assert_eq!(enough_for(u64::MAX), usize::try_from((u64::MAX - KEPT_FOR_THE_REST) / 2).unwrap());
    }
}
