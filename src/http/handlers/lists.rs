//! Lists: tags (end-8), and the extensions `_catalog` and `_oci`.

use serde::Serialize;
use tide::http::Response;

use super::call::Call;
use crate::http::api::{Failure, link, render};
use crate::http::large_answers::SMALL_MAX_BYTES;
use crate::registry::{Listing, Page};
use crate::spec::{RepoName, Tag};

/// What the names of a list may take: it is a small body whatever is around them.
const NAMES_MAX_BYTES: usize = SMALL_MAX_BYTES - 1024;

/// What a name takes in JSON beside its own length.
const NAME_EXTRA_BYTES: usize = 3;

#[derive(Serialize)]
struct Tags<'a> {
    name: &'a RepoName,
    tags: &'a [Tag],
}

#[derive(Serialize)]
struct Catalog<'a> {
    repositories: &'a [RepoName],
}

#[derive(Serialize)]
struct Discovery {
    extensions: &'static [Extension],
}

#[derive(Serialize)]
struct Extension {
    name: &'static str,
    url: &'static str,
    description: &'static str,
    endpoints: &'static [&'static str],
}

const EXTENSIONS: &[Extension] = &[
    Extension {
        name: "_oci",
        url: "https://github.com/opencontainers/distribution-spec/tree/main/extensions",
        description: "Lists the extensions of this registry.",
        endpoints: &["/v2/_oci/ext/discover"],
    },
    Extension {
        name: "_catalog",
        url: "https://distribution.github.io/distribution/spec/api/#catalog",
        description: "Lists the repositories of this registry.",
        endpoints: &["/v2/_catalog"],
    },
];

/// Answers `tags/list`.
pub(in crate::http) async fn tags(call: &Call, repo: &RepoName) -> Result<Response, Failure> {
    let page = page(call)?;
    let mut listing = call.registry().tags(repo, &page).await?;
    keep_short(&mut listing, Tag::as_str);
    let mut response = render::json(&Tags { name: repo, tags: &listing.items })?;
    link_next(&mut response, &format!("/v2/{repo}/tags/list"), &page, &listing);
    Ok(response)
}

/// Answers `_catalog`.
pub(in crate::http) async fn catalog(call: &Call) -> Result<Response, Failure> {
    let page = page(call)?;
    let mut listing = call.registry().repositories(&page).await?;
    keep_short(&mut listing, RepoName::as_str);
    let mut response = render::json(&Catalog { repositories: &listing.items })?;
    link_next(&mut response, "/v2/_catalog", &page, &listing);
    Ok(response)
}

/// Answers `_oci/ext/discover`.
pub(in crate::http) fn discovery() -> Result<Response, Failure> {
    Ok(render::json(&Discovery { extensions: EXTENSIONS })?)
}

/// Parses which part is wanted. docker, skopeo and oras send no `n`; they get all up to the cap and then a
/// link.
fn page(call: &Call) -> Result<Page, Failure> {
    let limit = call.query.limit(call.shared.options.list_max_names)?;
    // An empty `last` is the position before everything, as if it were not there.
    Ok(Page { last: call.query.first("last").map(str::to_owned), limit })
}

/// Leaves names to the next part where they are so long that the body would be a long one (L3 allows it).
fn keep_short<T>(listing: &mut Listing<T>, text: impl Fn(&T) -> &str) {
    let mut length = 0;
    let fit = listing.items.iter().take_while(|item| {
        length += text(item).len() + NAME_EXTRA_BYTES;
        length <= NAMES_MAX_BYTES
    });
    let count = fit.count();
    listing.more |= count < listing.items.len();
    listing.items.truncate(count);
}

/// L4, L5: links to the next part when there is one. `n=0` has none: it would never get anywhere.
fn link_next<T: ToString>(response: &mut Response, path: &str, page: &Page, listing: &Listing<T>) {
    if let (true, Some(last)) = (listing.more, listing.items.last()) {
        let parameters = [("n", page.limit.to_string()), ("last", last.to_string())];
        let [n, last] = &parameters;
        response.insert_header(render::LINK, link::next(path, &[(n.0, &n.1), (last.0, &last.1)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(items: &[&str], more: bool) -> Listing<Tag> {
        Listing { items: items.iter().map(|text| text.parse().unwrap()).collect(), more }
    }

    fn link(limit: usize, listing: &Listing<Tag>) -> Option<String> {
        let mut response = Response::new(200);
        link_next(&mut response, "/v2/a/tags/list", &Page { last: None, limit }, listing);
        response.header(render::LINK).map(|values| values.last().as_str().to_owned())
    }

    /// L5: the link continues after the last listed name.
    #[test]
    fn a_list_that_goes_on_links_to_its_next_part() {
        let expected = "</v2/a/tags/list?n=2&last=v2>; rel=\"next\"";
        assert_eq!(link(2, &listing(&["v1", "v2"], true)).as_deref(), Some(expected));
        assert_eq!(link(2, &listing(&["v1", "v2"], false)), None);
    }

    /// L4: `n=0` has no link.
    #[test]
    fn an_empty_part_has_no_link() {
        assert_eq!(link(0, &listing(&[], true)), None);
    }

    /// L3: a list may end early where it links on.
    #[test]
    fn a_list_of_long_names_ends_before_it_is_a_long_body_and_goes_on_behind_a_link() {
        let names: Vec<String> = (0..1000).map(|number| format!("{number:0>128}")).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut long = listing(&all, false);
        keep_short(&mut long, Tag::as_str);
        let count = long.items.len();
        assert!(long.more && count > 400);
        let name = "a".repeat(255).parse().unwrap();
        let text = serde_json::to_string(&Tags { name: &name, tags: &long.items }).unwrap();
        assert!(text.len() <= SMALL_MAX_BYTES);
        assert!(link(1000, &long).unwrap().contains(&format!("last={}", names[count - 1])));
        let mut short = listing(&all[..count], false);
        keep_short(&mut short, Tag::as_str);
        assert!(!short.more && short.items.len() == count);
    }

    /// L1: an empty list is `[]`, never `null`.
    #[test]
    fn an_empty_list_is_an_empty_array() {
        let name = "a/b".parse().unwrap();
        let text = serde_json::to_string(&Tags { name: &name, tags: &[] }).unwrap();
        assert_eq!(text, r#"{"name":"a/b","tags":[]}"#);
        assert_eq!(serde_json::to_string(&Catalog { repositories: &[] }).unwrap(), r#"{"repositories":[]}"#);
    }

    #[test]
    fn discovery_names_the_extensions_with_their_endpoints() {
        let mut response = discovery().unwrap();
        let body: serde_json::Value = smol::block_on(response.body_json()).unwrap();
        assert_eq!(body.pointer("/extensions/1/name").unwrap(), "_catalog");
        assert_eq!(body.pointer("/extensions/1/endpoints/0").unwrap(), "/v2/_catalog");
    }
}
