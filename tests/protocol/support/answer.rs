//! An answer, and what must hold of every answer.

use serde_json::Value;

/// An answer, exactly as received.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// Asserts the status.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?} {}", self.headers, self.text());
        self
    }

    /// Asserts the status and the code of an error.
    #[track_caller]
    pub fn fails(self, status: u16, code: &str) -> Self {
        let answer = self.is(status);
        assert_eq!(answer.code(), code, "{}", answer.text());
        answer
    }

    /// Returns the value of every line of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = |(key, _): &&(String, String)| key.eq_ignore_ascii_case(name);
        self.headers.iter().filter(named).map(|(_, value)| value.as_str()).collect()
    }

    /// Returns the value of a header that may occur at most once.
    #[track_caller]
    pub fn maybe(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() <= 1, "{name} came several times: {values:?}");
        values.first().copied()
    }

    /// Returns the value of a header that must occur exactly once.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        match self.maybe(name) {
            Some(value) => value,
            None => panic!("no {name} among {:?}", self.headers),
        }
    }

    /// Returns the Location, which is a path.
    #[track_caller]
    pub fn location(&self) -> String {
        let location = self.header("Location");
        assert!(location.starts_with("/v2/"), "{location}");
        location.to_owned()
    }

    /// Returns the digest header.
    #[track_caller]
    pub fn digest(&self) -> &str {
        self.header("Docker-Content-Digest")
    }

    /// Returns the body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{error}: {}", self.text()),
        }
    }

    /// Returns the texts of an array in the body.
    #[track_caller]
    pub fn texts(&self, field: &str) -> Vec<String> {
        let value = self.json();
        let Some(array) = value[field].as_array() else { panic!("no array {field} in {value}") };
        array.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    }

    /// Returns the first and last offset and the bytes of each part of several ranges. The body must have
    /// nothing else (RFC 9110, section 14.6).
    #[track_caller]
    pub fn parts(&self, total: usize) -> Vec<(usize, usize, &[u8])> {
        let boundary = self.header("Content-Type").strip_prefix("multipart/byteranges; boundary=").unwrap();
        assert_eq!(self.maybe("Content-Range"), None, "only the parts have it");
        let (mut rest, mut parts) = (&*self.body, Vec::new());
        let end = format!("\r\n--{boundary}--\r\n");
        while rest != end.as_bytes() {
            let line_end = if parts.is_empty() { "" } else { "\r\n" };
            let begin = format!(
                "{line_end}--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes "
            );
            rest = rest.strip_prefix(begin.as_bytes()).unwrap();
            let head = rest.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
            let range = std::str::from_utf8(&rest[..head]).unwrap();
            let (range, length) = range.split_once('/').unwrap();
            assert_eq!(length, total.to_string());
            let (first, last) = range.split_once('-').unwrap();
            let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
            let (bytes, after) = rest[head + 4..].split_at(last - first + 1);
            parts.push((first, last, bytes));
            rest = after;
        }
        parts
    }

    /// Returns the code of an error.
    #[track_caller]
    pub fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Returns the target of the link to the next page, if there is one (RFC 8288).
    #[track_caller]
    pub fn next(&self) -> Option<String> {
        let link = self.maybe("Link")?;
        let (target, parameters) = link.strip_prefix('<').unwrap().split_once('>').unwrap();
        assert_eq!(parameters, "; rel=\"next\"");
        assert!(target.starts_with("/v2/"), "a path of the same origin, not {target}");
        Some(target.to_owned())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(1000).collect()
    }

    /// Asserts what must hold of every answer: no coding, an exact length, no body where none is allowed, and
    /// errors in the specification's form.
    #[track_caller]
    pub fn check(&self, method: &str) {
        assert_eq!(self.maybe("Content-Encoding"), None, "H5");
        assert_eq!(self.maybe("Transfer-Encoding"), None, "H4, M5");
        if matches!(self.status, 204 | 304) {
            assert!(self.body.is_empty());
            assert_eq!(self.maybe("Content-Type"), None, "there is no body");
            return;
        }
        let length: usize = self.header("Content-Length").parse().unwrap();
        if method == "HEAD" {
            assert!(self.body.is_empty(), "H4");
            return;
        }
        assert_eq!(length, self.body.len(), "M5");
        // An empty blob has a type, a status without content has none.
        if length == 0 && self.status != 200 {
            assert_eq!(self.maybe("Content-Type"), None, "there is no body");
        }
        if self.status >= 400 {
            self.check_error();
        }
    }

    /// E1, E2, E3
    #[track_caller]
    fn check_error(&self) {
        assert_eq!(self.header("Content-Type"), "application/json", "E3");
        let body = self.json();
        let members: Vec<_> = body.as_object().unwrap().keys().collect();
        assert_eq!(members, ["errors"], "E1");
        let errors = body["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "clients show one");
        let error = errors[0].as_object().unwrap();
        assert!(error.keys().all(|key| ["code", "message", "detail"].contains(&key.as_str())), "E1: {body}");
        let code = error["code"].as_str().unwrap();
        assert!(pulk::ErrorCode::ALL.iter().any(|known| known.as_str() == code), "E2: {code}");
        assert!(error.get("message").is_none_or(Value::is_string), "E1: {body}");
    }
}
