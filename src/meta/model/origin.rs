//! Where a change comes from: the request, the rule or the command that it was made for.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize};

/// The longest origin as it stands in the journal, in bytes of JSON.
#[cfg(test)]
pub(in crate::meta) const ORIGIN_SIZE_MAX_BYTES: usize = 512;

/// The rule that a transaction names which only notes pulls.
const PULLS_RULE: &str = "pulled";

/// A text of at most `MAX` bytes, all of them printable ASCII. It can neither end a line nor a string of
/// JSON, nor speak to a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
struct ShortText<const MAX: usize>(Box<str>);

impl<const MAX: usize> ShortText<MAX> {
    /// Cuts a text, and replaces what is not printable. Returns `None` for an empty one.
    fn of(text: &str) -> Option<Self> {
        let is_plain = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
        let plain = |c: char| if is_plain(c) { c } else { '?' };
        let kept: String = text.trim().chars().take(MAX).map(plain).collect();
        (!kept.is_empty()).then(|| Self(kept.into()))
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for ShortText<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Ok(Self::of(&text).unwrap_or_else(|| Self(Box::default())))
    }
}

/// Where a change comes from, as far as it is known. It stands beside the facts of a transaction, and nothing
/// is decided by it.
///
/// Texts are cut and made printable, so that all of it fits into 512 bytes of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Origin {
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<ShortText<64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<ShortText<64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<ShortText<80>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<ShortText<32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<ShortText<16>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<ShortText<104>>,
}

impl Origin {
    /// Notes the account that the client has authenticated as.
    pub fn account(self, account: &str) -> Self {
        Self { account: ShortText::of(account), ..self }
    }

    /// Notes the address of the client.
    pub fn address(self, address: IpAddr) -> Self {
        Self { address: Some(address.to_canonical()), ..self }
    }

    /// Notes the id of the request, as the access log has it.
    pub fn request(self, id: &str) -> Self {
        Self { request: ShortText::of(id), ..self }
    }

    /// Notes what the client calls itself: its `User-Agent`.
    pub fn client(self, user_agent: &str) -> Self {
        Self { client: ShortText::of(user_agent), ..self }
    }

    /// Notes the rule that asked for the change where no client did.
    pub fn rule(self, rule: &str) -> Self {
        Self { rule: ShortText::of(rule), ..self }
    }

    /// Notes the command of an administrator.
    pub fn command(self, command: &str) -> Self {
        Self { command: ShortText::of(command), ..self }
    }

    /// Notes the reason.
    pub fn why(self, why: &str) -> Self {
        Self { why: ShortText::of(why), ..self }
    }

    /// Returns the origin of notes of pulls: they change nothing that clients see.
    pub(in crate::meta) fn of_pulls() -> Self {
        Self::default().rule(PULLS_RULE)
    }

    /// Tells whether a transaction with this origin only notes pulls.
    pub(crate) fn notes_pulls(&self) -> bool {
        self.rule.as_ref().is_some_and(|rule| &*rule.0 == PULLS_RULE)
    }

    /// Forgets what tells one client from another.
    pub(crate) fn without_client(self) -> Self {
        Self { account: None, address: None, request: None, client: None, ..self }
    }

    /// Tells whether nothing is known.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Origin {
    /// Writes it in words, on one line: `gc, policy: no line of the policy keeps it`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, address, request, client, rule, command, why } = self;
        let address = address.as_ref().map(IpAddr::to_string);
        let request = request.as_ref().map(|id| format!("request {}", id.0));
        let words = [
            account.as_ref().map(|text| &*text.0),
            address.as_deref(),
            client.as_ref().map(|text| &*text.0),
            command.as_ref().map(|text| &*text.0),
            rule.as_ref().map(|text| &*text.0),
            request.as_deref(),
        ];
        let words: Vec<&str> = words.into_iter().flatten().collect();
        formatter.write_str(&words.join(", "))?;
        match why {
            Some(why) if words.is_empty() => formatter.write_str(&why.0),
            Some(why) => write!(formatter, ": {}", why.0),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Origin {
        let origin = Origin::default().account(text).request(text).client(text).rule(text).command(text);
        origin.why(text).address("1234:5678:9abc:def0:1234:5678:9abc:def0".parse().unwrap())
    }

    #[test]
    fn an_origin_comes_back_as_it_was() {
        for origin in [Origin::default(), Origin::default().command("gc"), whole("a text")] {
            let rendered = serde_json::to_string(&origin).unwrap();
            assert_eq!(serde_json::from_str::<Origin>(&rendered).unwrap(), origin);
        }
        assert_eq!(serde_json::to_string(&Origin::default()).unwrap(), "{}");
    }

    #[test]
    fn an_origin_is_short_and_printable_whatever_a_client_sends() {
        let hostile = ["\"", "\\", "\u{0}", "\n", "\u{1b}[31m", "\u{202e}", "é", "\u{7f}", "\u{1f600}", "x"];
        for text in hostile.map(|text| text.repeat(5000)) {
            let origin = whole(&text);
            let rendered = serde_json::to_string(&origin).unwrap();
            assert!(rendered.len() <= ORIGIN_SIZE_MAX_BYTES, "{}: {rendered}", rendered.len());
            assert!(!rendered.contains('\\'), "{rendered}");
            let words = origin.to_string();
            assert!(words.bytes().chain(rendered.bytes()).all(|byte| (b' '..=b'~').contains(&byte)));
        }
    }

    #[test]
    fn what_a_line_says_is_made_printable_again() {
        let read: Origin = serde_json::from_str(r#"{"client":"a\nb","later":[1],"why":""}"#).unwrap();
        assert_eq!(read.to_string(), "a?b: ");
        let long = format!(r#"{{"client":"{}"}}"#, "y".repeat(5000));
        let read: Origin = serde_json::from_str(&long).unwrap();
        assert_eq!(read, Origin::default().client(&"y".repeat(80)));
    }

    #[test]
    fn an_origin_reads_as_a_sentence() {
        let client = Origin::default().address("192.0.2.7".parse().unwrap()).client("oras/1.2").request("r1");
        assert_eq!(client.to_string(), "192.0.2.7, oras/1.2, request r1");
        let rule = Origin::default().rule("policy").command("gc").why("no line keeps it");
        assert_eq!(rule.to_string(), "gc, policy: no line keeps it");
        assert_eq!(client.without_client(), Origin::default());
    }
}
