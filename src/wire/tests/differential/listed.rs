//! Where pulk and hyper may differ, and why.

/// What pulk refuses and hyper takes: how pulk says it, why it is right to, and an example.
///
/// hyper takes these in one sure way. A proxy in front may take them in another, and the two then disagree
/// on where a request ends or what it asks for; pulk can't know the proxy, so it refuses.
pub(super) const STRICTER: [(&str, &str, &str); 18] = [
    (
        "a body has a length and a transfer coding",
        "CL.TE and TE.CL: RFC 9112, section 6.3, lets a server refuse; hyper goes by the coding",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "the transfer coding is not supported",
        "TE.TE: hyper takes any list that ends in chunked; pulk knows no other coding, and none doubled",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "the request has several Content-Length headers",
        "hyper takes equal ones; a proxy may have taken either for the only one",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    ),
    (
        "the Content-Length is not a length",
        "hyper does not look at it beside a transfer coding",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: +1\r\n\r\n0\r\n\r\n",
    ),
    (
        "a line of the request's head ends in a line feed alone",
        "RFC 9112, section 2.2, lets a server take it; readers differ",
        "GET / HTTP/1.1\nHost: a\n\n",
    ),
    (
        "the request starts with empty lines",
        "hyper takes any number; one is what old clients send",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    (
        "the chunks of the body are broken: the size of a chunk is not a number",
        "hyper takes spaces after it",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\nx\r\n0\r\n\r\n",
    ),
    (
        "the chunks of the body are broken: there is a control character between chunks",
        "hyper takes a line feed alone at the end of a trailer",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n\r\n",
    ),
    (
        "the chunks of the body are broken: a trailer's name is not valid",
        "hyper takes a line feed alone for the empty line at the end, or reads over what follows it",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\nGET / HTTP/1.1\r\n\r\n",
    ),
    (
        "the chunks of the body are broken: the size of a chunk is too long",
        "hyper takes any number of zeros before it",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000001\r\nx\r\n0\r\n\r\n",
    ),
    (
        "the request has no Host header",
        "RFC 9112, section 3.2, asks for it; hyper leaves it to the application",
        "GET / HTTP/1.1\r\n\r\n",
    ),
    (
        "the request has several Host headers",
        "RFC 9112, section 3.2, asks for 400; hyper leaves it to the application",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    ),
    (
        "the request's host is not valid",
        "RFC 9112, section 3.2, asks for 400; hyper leaves it to the application",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    ),
    (
        "the request's target has a byte that no target may have",
        "readers of URLs take a backslash for a slash, and a fragment for the end",
        "GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    (
        "the request's target is not a path",
        "authority and asterisk form, of which a registry has no use",
        "GET b.example:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    (
        "the request's path has a segment of dots",
        "proxies resolve them: the rule that let the request pass may have been another path's",
        "GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    (
        "the method is not supported",
        "none of HTTP's; hyper leaves it to the application",
        "BREW / HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    (
        "the expectation is not supported",
        "RFC 9110, section 10.1.1: 417; hyper leaves it to the application",
        "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\nx",
    ),
];

/// What is over a limit of pulk and not over hyper's, which is larger. pulk limits by themselves a target
/// and a head; the examples are made where they are needed.
pub(super) const LIMITS: [&str; 2] = ["the request's target is too long", "the request's head is too large"];

pub(super) fn example_of_limit(listed: &str) -> String {
    let long = "a".repeat(40_000);
    if listed.contains("target") {
        format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n")
    } else {
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n")
    }
}

/// What pulk takes and hyper refuses: how hyper says it, why that does no harm, and an example.
pub(super) const LAXER: [(&str, &str, &str); 1] = [(
    "invalid URI",
    "some ASCII that RFC 3986 wants encoded: it is taken as it stands, as a part of the path or the query",
    "GET /a`b HTTP/1.1\r\nHost: a\r\n\r\n",
)];
