//! Messages on the control socket.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::admin::{AdminError, AdminErrorKind, Request};

/// The version of the protocol. Additions keep it; other changes increase it.
const PROTOCOL_VERSION: u32 = 1;

/// The longest request.
pub(super) const REQUEST_SIZE_MAX_BYTES: usize = 64 * 1024;

/// The longest line of an answer.
pub(super) const EVENT_SIZE_MAX_BYTES: usize = 4 * 1024 * 1024;

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AnswerPart {
    /// Progress.
    Progress {
        /// What is being done.
        what: String,
        /// How much of it is done.
        done: u64,
        /// Out of how much; 0 where it is not known.
        total: u64,
    },
    /// An item.
    Item(Value),
    /// The report of a request that succeeded; nothing follows.
    Result(Value),
    /// The error of a request that failed; nothing follows.
    Failure(AdminError),
}

/// A request as it is sent.
#[derive(Serialize, Deserialize)]
struct RequestLine<R> {
    /// The protocol's version.
    pulk: u32,
    #[serde(flatten)]
    request: R,
}

/// Only the version: another one may have anything else in it.
#[derive(Deserialize)]
struct VersionLine {
    pulk: u32,
}

/// Renders a request as a line.
pub(super) fn encode_request(request: &Request) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(&RequestLine { pulk: PROTOCOL_VERSION, request })?;
    line.push(b'\n');
    Ok(line)
}

/// Reads a request, which comes without its line feed.
pub(super) fn decode_request(line: &[u8]) -> Result<Request, AdminError> {
    let refused = |why: String| AdminError::new(AdminErrorKind::Refused, why);
    let version: VersionLine = serde_json::from_slice(line)
        .map_err(|error| refused(format!("not a request of pulk's command line: {error}")))?;
    if version.pulk != PROTOCOL_VERSION {
        return Err(refused(format!(
            "the server speaks version {PROTOCOL_VERSION} of its control protocol, not {}: use the command \
             line of the pulk that runs",
            version.pulk
        )));
    }
    let envelope: RequestLine<Request> = serde_json::from_slice(line)
        .map_err(|error| refused(format!("the server does not know this request: {error}")))?;
    Ok(envelope.request)
}

/// Renders an event as a line.
pub(super) fn encode_event(event: &AnswerPart) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{DuRequest, RmRequest, RmTarget, StatusRequest, TagsRequest};
    use crate::spec::RepoName;

    #[test]
    fn a_request_comes_back_as_it_was() {
        let repo: RepoName = "team/app".parse().unwrap();
        let requests: [Request; 5] = [
            StatusRequest {}.into(),
            TagsRequest { repo: repo.clone() }.into(),
            DuRequest {}.into(),
            RmRequest { repo: repo.clone(), what: RmTarget::Tag("v1".parse().unwrap()) }.into(),
            RmRequest { repo, what: RmTarget::All }.into(),
        ];
        for request in requests {
            let line = encode_request(&request).unwrap();
            assert_eq!(decode_request(line.strip_suffix(b"\n").unwrap()), Ok(request));
        }
    }

    #[test]
    fn another_version_and_an_unknown_command_are_refused_with_a_reason() {
        let why = |line: &str| decode_request(line.as_bytes()).unwrap_err().message;
        assert!(why("{\"pulk\":2,\"command\":\"status\"}").contains("not 2"));
        assert!(why("{\"pulk\":1,\"command\":\"fly\"}").contains("does not know this request"));
        assert!(why("{\"pulk\":1,\"command\":\"tags\",\"repo\":\"../x\"}").contains("does not know"));
        assert!(why("GET / HTTP/1.1").contains("not a request"));
    }
}
