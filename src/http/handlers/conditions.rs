//! Conditional requests (RFC 9110, section 13). The entity tag of content is its digest.

use tide::http::headers::{ETAG, IF_MATCH, IF_NONE_MATCH};
use tide::http::{Response, StatusCode};

use super::call::Call;
use crate::http::api::{Failure, render};
use crate::registry::{Condition, RegistryError};
use crate::spec::{ContentDigest, Digest, ErrorAnswer};

/// One member of an `If-Match` or `If-None-Match` list.
#[derive(Debug, Clone, PartialEq, Eq)]
enum EntityTag {
    Any,
    Strong(String),
    Weak(String),
}

/// Decides a conditional GET or HEAD of content that exists. Returns the answer when the condition does.
pub(super) fn unmodified(call: &Call, digest: ContentDigest) -> Result<Option<Response>, Failure> {
    let (wanted, known) = (entity_tags(call.headers(IF_MATCH)), entity_tags(call.headers(IF_NONE_MATCH)));
    if wanted.is_empty() && known.is_empty() {
        return Ok(None);
    }
    let current = digest.to_string();
    let names_it = |tag: &EntityTag| match tag {
        EntityTag::Any => true,
        EntityTag::Strong(text) => *text == current,
        EntityTag::Weak(_) => false,
    };
    if !wanted.is_empty() && !wanted.iter().any(names_it) {
        let message = format!("If-Match does not name {current}");
        return Err(RegistryError::ConditionFailed(message).into());
    }
    let is_known = known.into_iter().any(|tag| match tag {
        EntityTag::Any => true,
        EntityTag::Strong(text) | EntityTag::Weak(text) => text == current,
    });
    if !is_known {
        return Ok(None);
    }
    let mut response = Response::new(StatusCode::NotModified);
    set_entity_tag(&mut response, digest);
    render::set_digest(&mut response, digest);
    Ok(Some(response))
}

/// Returns whether a range may be served: `If-Range`, if there, has to name the current content strongly.
pub(super) fn range_applies(call: &Call, digest: ContentDigest) -> bool {
    let Some(validator) = call.header("if-range") else { return true };
    validator.trim() == format!("\"{digest}\"")
}

/// Returns the condition of a request that changes something; the registry's writer decides it.
pub(super) fn of_change(call: &Call) -> Result<Condition, Failure> {
    condition(entity_tags(call.headers(IF_MATCH)), entity_tags(call.headers(IF_NONE_MATCH)))
}

/// Sets the entity tag.
pub(super) fn set_entity_tag(response: &mut Response, digest: ContentDigest) {
    response.insert_header(ETAG, format!("\"{digest}\""));
}

fn condition(matches: Vec<EntityTag>, matches_none: Vec<EntityTag>) -> Result<Condition, Failure> {
    match (matches.is_empty(), matches_none.is_empty()) {
        (true, true) => Ok(Condition::Always),
        (false, true) if matches.contains(&EntityTag::Any) => Ok(Condition::Exists),
        (true, false) if matches_none.contains(&EntityTag::Any) => Ok(Condition::Absent),
        // A weak tag never matches strongly, and what is no digest never names content: both are left out,
        // and an empty list that remains is a condition that can't hold.
        (false, true) => Ok(Condition::Matches(matches.into_iter().filter_map(strong_digest).collect())),
        (true, false) => Ok(Condition::MatchesNone(matches_none.into_iter().filter_map(digest).collect())),
        (false, false) => {
            Err(Failure::of(ErrorAnswer::BAD_REQUEST, "If-Match and If-None-Match cannot be combined"))
        }
    }
}

fn strong_digest(tag: EntityTag) -> Option<Digest> {
    match tag {
        EntityTag::Strong(text) => text.parse().ok(),
        EntityTag::Weak(_) | EntityTag::Any => None,
    }
}

fn digest(tag: EntityTag) -> Option<Digest> {
    match tag {
        EntityTag::Strong(text) | EntityTag::Weak(text) => text.parse().ok(),
        EntityTag::Any => None,
    }
}

/// Parses the lines of a list of entity tags. A tag without its quotes is taken as if it had them.
fn entity_tags<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<EntityTag> {
    let mut tags = Vec::new();
    for line in lines {
        let mut rest = line.trim_start_matches([' ', '\t', ',']);
        while !rest.is_empty() {
            let (weak, tagged) = rest.strip_prefix("W/").map_or((false, rest), |tagged| (true, tagged));
            let (text, behind) = match tagged.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
                None => tagged.split_once(',').unwrap_or((tagged, "")),
            };
            tags.push(match (weak, text.trim()) {
                (false, "*") if !tagged.starts_with('"') => EntityTag::Any,
                (false, text) => EntityTag::Strong(text.to_owned()),
                (true, text) => EntityTag::Weak(text.to_owned()),
            });
            rest = behind.trim_start_matches([' ', '\t', ',']);
        }
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strong(text: &str) -> EntityTag {
        EntityTag::Strong(text.to_owned())
    }

    fn weak(text: &str) -> EntityTag {
        EntityTag::Weak(text.to_owned())
    }

    fn tags(lines: &[&str]) -> Vec<EntityTag> {
        entity_tags(lines.iter().copied())
    }

    fn digest_text(character: &str) -> String {
        format!("sha256:{}", character.repeat(64))
    }

    /// M11: lists over several lines, weak tags, `*`, and tags without quotes.
    #[test]
    fn lists_of_entity_tags_are_parsed() {
        assert_eq!(tags(&[]), []);
        assert_eq!(tags(&["", " , "]), []);
        assert_eq!(tags(&["*"]), [EntityTag::Any]);
        assert_eq!(tags(&["\"*\""]), [strong("*")]);
        assert_eq!(
            tags(&["\"a\", W/\"b\" ,\"c,d\"", "\"e\""]),
            [strong("a"), weak("b"), strong("c,d"), strong("e")]
        );
        assert_eq!(tags(&["sha256:ab, \"x\""]), [strong("sha256:ab"), strong("x")]);
        assert_eq!(tags(&["\"open"]), [strong("open")]);
        assert_eq!(tags(&["\"\""]), [strong("")]);
    }

    /// M11: the conditions of a push.
    #[test]
    fn a_change_carries_its_condition() {
        let [a, b] = ["a", "b"].map(digest_text);
        let digests = vec![a.parse().unwrap(), b.parse().unwrap()];
        let given = |list: &str| tags(&[list]);
        let list = format!("\"{a}\", \"{b}\"");
        assert_eq!(condition(vec![], vec![]).unwrap(), Condition::Always);
        assert_eq!(condition(given("*"), vec![]).unwrap(), Condition::Exists);
        assert_eq!(condition(vec![], given("*")).unwrap(), Condition::Absent);
        assert_eq!(condition(given(&list), vec![]).unwrap(), Condition::Matches(digests.clone()));
        assert_eq!(condition(vec![], given(&list)).unwrap(), Condition::MatchesNone(digests));
    }

    /// M11: what can't match strongly is a condition that can't hold, not one that was never set.
    #[test]
    fn a_tag_that_names_no_content_makes_if_match_fail() {
        let weak = format!("W/\"{}\"", digest_text("a"));
        for list in ["\"no digest\"", weak.as_str()] {
            assert_eq!(condition(tags(&[list]), vec![]).unwrap(), Condition::Matches(vec![]), "{list}");
        }
        let none = Condition::MatchesNone(vec![digest_text("a").parse().unwrap()]);
        assert_eq!(condition(vec![], tags(&[&weak])).unwrap(), none);
    }

    #[test]
    fn both_conditions_at_once_are_refused_rather_than_half_kept() {
        let failure = condition(tags(&["*"]), tags(&["*"])).unwrap_err();
        assert_eq!(failure.status(), StatusCode::BadRequest);
    }
}
