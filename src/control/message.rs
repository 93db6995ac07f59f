//! Messages on the control socket.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

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

/// Which folder a data directory is, whatever path leads to it: its device and its inode.
///
/// A socket outside of the data directory may be that of another one's server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DataIdentity(u64, u64);

impl DataIdentity {
    /// Identifies a data directory.
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let status = fs::metadata(folder)?;
        Ok(Self(status.dev(), status.ino()))
    }
}

/// A request as it is sent.
#[derive(Serialize, Deserialize)]
struct RequestLine<R> {
    /// The protocol's version.
    pulk: u32,
    /// The data directory that the request is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<DataIdentity>,
    #[serde(flatten)]
    request: R,
}

/// Only the version: another one may have anything else in it.
#[derive(Deserialize)]
struct VersionLine {
    pulk: u32,
}

/// Renders a request as a line.
pub(super) fn encode_request(request: &Request, data: DataIdentity) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(&RequestLine { pulk: PROTOCOL_VERSION, data: Some(data), request })?;
    line.push(b'\n');
    Ok(line)
}

/// Reads a request, which comes without its line feed, for the server of a data directory.
pub(super) fn decode_request(line: &[u8], data: DataIdentity) -> Result<Request, AdminError> {
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
    if envelope.data.is_some_and(|said| said != data) {
        return Err(refused("the server at this control socket uses another data directory".to_owned()));
    }
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

    const DATA: DataIdentity = DataIdentity(1, 2);

    #[test]
    fn a_request_comes_back_as_it_was() {
        let repo: RepoName = "team/app".parse().unwrap();
        let requests: [Request; 5] = [
            StatusRequest { all: false }.into(),
            TagsRequest { repo: repo.clone() }.into(),
            DuRequest {}.into(),
            RmRequest { repo: repo.clone(), what: RmTarget::Tag("v1".parse().unwrap()), force: false }.into(),
            RmRequest { repo, what: RmTarget::All, force: true }.into(),
        ];
        for request in requests {
            let line = encode_request(&request, DATA).unwrap();
            let line = line.strip_suffix(b"\n").unwrap();
            assert_eq!(decode_request(line, DATA), Ok(request));
            let other = decode_request(line, DataIdentity(1, 3)).unwrap_err().message;
            assert!(other.contains("another data directory"), "{other}");
        }
    }

    #[test]
    fn another_version_and_an_unknown_command_are_refused_with_a_reason() {
        let why = |line: &str| decode_request(line.as_bytes(), DATA).unwrap_err().message;
        assert!(why("{\"pulk\":2,\"command\":\"status\"}").contains("not 2"));
        assert!(why("{\"pulk\":1,\"command\":\"fly\"}").contains("does not know this request"));
        assert!(why("{\"pulk\":1,\"command\":\"tags\",\"repo\":\"../x\"}").contains("does not know"));
        assert!(why("GET / HTTP/1.1").contains("not a request"));
    }
}
