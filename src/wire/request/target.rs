//! The request's target and host (RFC 9112 section 3.2).

use tide::http::Url;

use crate::wire::rejection::Rejection;

/// The longest `Host` that is accepted: a DNS name and a port.
const HOST_LENGTH_MAX_BYTES: usize = 260;

/// Stands for the host in the URL of every request. The host that the client sent is in the `Host` header
/// alone: the parser of URLs refuses hosts that are valid, such as `registry.1` or a wrong `xn--` label.
const URL_HOST: &str = "localhost";

/// A target as it was sent, in origin form or made so from absolute form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ParsedTarget<'a> {
    /// The host of an absolute-form target, which takes the place of the `Host` header.
    pub(in crate::wire) host: Option<&'a str>,
    /// Path and query, exactly as sent.
    pub(in crate::wire) path_and_query: &'a str,
}

/// Takes a target apart.
///
/// Refused is what another reader (a proxy in front, the parser of URLs after it) could take for a different
/// path: dot segments, backslashes, fragments, and bytes outside of ASCII.
pub(super) fn parse_target(target: &str) -> Result<ParsedTarget<'_>, Rejection> {
    if !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'\\') {
        return Err(Rejection::BadRequest("the request's target has a byte that no target may have"));
    }
    let parsed = match strip_scheme(target) {
        None => ParsedTarget { host: None, path_and_query: target },
        Some(rest) => {
            let split = rest.find(['/', '?']).unwrap_or(rest.len());
            let (host, path_and_query) = rest.split_at(split);
            ParsedTarget {
                host: Some(host),
                path_and_query: if split == rest.len() { "/" } else { path_and_query },
            }
        }
    };
    if !parsed.path_and_query.starts_with('/') {
        return Err(Rejection::BadRequest("the request's target is not a path"));
    }
    let path = parsed.path_and_query.split('?').next().unwrap_or_default();
    if path.split('/').any(is_dot_segment) {
        return Err(Rejection::BadRequest("the request's path has a segment of dots"));
    }
    Ok(parsed)
}

fn strip_scheme(target: &str) -> Option<&str> {
    ["http://", "https://"].iter().find_map(|scheme| {
        let (head, rest) = target.split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

fn is_dot_segment(segment: &str) -> bool {
    if !matches!(segment.len(), 1..=6) || !segment.starts_with(['.', '%']) {
        return false;
    }
    let plain = segment.replace("%2e", ".").replace("%2E", ".");
    plain == "." || plain == ".."
}

/// Returns whether this is a host, with or without a port: a name, an IPv4 address or a bracketed IPv6
/// address.
fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => {
                ("bracketed", if port.is_empty() { None } else { Some(port) })
            }
            _ => return false,
        },
        None => match host.find(':') {
            Some(colon) => {
                let (name, port) = host.split_at(colon);
                (name, Some(port))
            }
            None => (host, None),
        },
    };
    let port_is_valid = port.is_none_or(|port| {
        port.strip_prefix(':').is_some_and(|digits| {
            digits.bytes().all(|byte| byte.is_ascii_digit())
                && (digits.is_empty() || digits.parse::<u16>().is_ok())
        })
    });
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    host.len() <= HOST_LENGTH_MAX_BYTES && !name.is_empty() && name.bytes().all(is_name_byte) && port_is_valid
}

/// Refuses what is not a host, with or without a port.
pub(super) fn check_host(host: &str) -> Result<(), Rejection> {
    if is_host(host) { Ok(()) } else { Err(Rejection::BadRequest("the request's host is not valid")) }
}

/// Makes the URL of a request, without its host.
pub(in crate::wire) fn url(path_and_query: &str) -> Result<Url, Rejection> {
    Url::parse(&format!("http://{URL_HOST}{path_and_query}"))
        .map_err(|_| Rejection::BadRequest("the request's target is not valid"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_come_through_as_sent() {
        for target in [
            "/",
            "/v2/",
            "//v2//a//",
            "/v2/wire%2Fdocker/manifests/a?n=1",
            "/v2/a/blobs/sha256:0a?digest=sha256%3A00&from=a/b",
            "/v2/a/b?mount=sha256:00&artifactType=application/x+json;q=%20,1&&x",
            "/v2/...",
            "/v2/.a/a../%2e%2e%2e",
            "/a?q=/../b",
            "/a?",
        ] {
            let parsed = parse_target(target).unwrap();
            assert_eq!(parsed, ParsedTarget { host: None, path_and_query: target });
            let url = url(parsed.path_and_query).unwrap();
            assert_eq!(url.as_str(), format!("http://localhost{target}"));
        }
    }

    #[test]
    fn an_absolute_target_gives_host_and_path() {
        for (target, host, path_and_query) in [
            ("http://a.example/v2/?n=1", "a.example", "/v2/?n=1"),
            ("HTTPS://a.example:5000", "a.example:5000", "/"),
            ("http:///x", "", "/x"),
        ] {
            assert_eq!(parse_target(target).unwrap(), ParsedTarget { host: Some(host), path_and_query });
        }
    }

    #[test]
    fn ambiguous_targets_are_refused() {
        for target in [
            "*",
            "a.example:443",
            "v2/",
            "http://a.example?x",
            "/a#b",
            "/a\\b",
            "/a/../b",
            "/a/./b",
            "/a/..",
            "/%2e%2E/b",
            "/.%2e/",
            "/a\u{e9}",
            "/a b",
            "ftp://a.example/",
            "?a",
            "",
        ] {
            assert!(parse_target(target).is_err(), "{target}");
        }
    }

    #[test]
    fn hosts_that_are_none_are_refused() {
        let addresses = ["127.0.0.1:80", "[::1]", "[::1]:5000", "1.2.3.999"];
        let names =
            ["a", "a.example", "a_b-c:5000", "a:", "registry.1:5000", "0x7f.1", "xn--a", "xn--.example"];
        for host in addresses.iter().chain(&names) {
            assert!(check_host(host).is_ok(), "{host}");
        }
        for host in [
            "", ":80", "a b", "a,b", "a@b", "a/b", "[::1", "[::g]", "[::1]x", "a:b", "a:99999", "a:1:2",
            "%61", "a?b",
        ] {
            assert!(check_host(host).is_err(), "{host}");
        }
        assert!(check_host(&"a".repeat(300)).is_err());
    }
}
