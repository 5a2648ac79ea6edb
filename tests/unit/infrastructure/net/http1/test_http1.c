/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP/1.1 parser: what it accepts, what it refuses and with which code, however bytes are cut. */
#include "http1_feed.h"

#define GET     "GET / HTTP/1.1\r\nHost: h\r\n"
#define POST    "POST / HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
#define TEXT(s) px_str_n(s, sizeof(s) - 1)

static void check_same_str(struct px_str a, struct px_str b)
{
    CHECK(px_str_eq(a, b));
}

static void check_same(const struct feed *a, const struct feed *b)
{
    const struct px_http_request *x = &a->parser.request, *y = &b->parser.request;
    CHECK_INT(a->result, b->result);
    CHECK_INT(a->err.code, b->err.code);
    CHECK(strcmp(a->err.message, b->err.message) == 0);
    CHECK_INT(x->method, y->method);
    CHECK_INT(x->n_headers, y->n_headers);
    check_same_str(x->path, y->path);
    check_same_str(x->query, y->query);
    check_same_str(x->body, y->body);
    for (size_t i = 0; i < x->n_headers; i++) {
        check_same_str(x->headers[i].name, y->headers[i].name);
        check_same_str(x->headers[i].value, y->headers[i].value);
    }
    CHECK_INT(a->parser.keep_alive, b->parser.keep_alive);
    CHECK_INT(a->parser.expect_continue, b->parser.expect_continue);
}

/* Every way to cut must end alike. The caller deinits `ret`, which was fed at once. */
static void parse_every_way(struct feed *ret, struct px_str text)
{
    static const size_t portions[] = {1, 2, 3, 5, 7, 16, 61};
    feed_init(ret, text, 0);
    for (size_t i = 0; i < PX_ARRAY_LEN(portions); i++) {
        struct feed cut;
        feed_init(&cut, text, portions[i]);
        check_same(ret, &cut);
        feed_deinit(&cut);
    }
}

static void check_bad(struct px_str text, enum px_code code, const char *message)
{
    struct feed feed;
    parse_every_way(&feed, text);
    CHECK_INT(feed.result, PX_HTTP1_BAD);
    CHECK_INT(feed.err.code, code);
    CHECK_CONTAINS(feed.err.message, message);
    feed_deinit(&feed);
}

struct attack {
    const char *name;
    struct px_str bytes;
    enum px_code code;
    const char *message;
};

static void run_attacks(const struct attack *attacks, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        printf("     %s\n", attacks[i].name);
        check_bad(attacks[i].bytes, attacks[i].code, attacks[i].message);
    }
}

#define ATTACK(name, bytes, code, message)                                                         \
    {                                                                                              \
        name, PX_STR(bytes), PX_E_##code, message                                                  \
    }

PX_TEST(refuses_smuggling_by_length)
{
    static const struct attack attacks[] = {
        ATTACK("both CL and TE", POST "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
               INVALID, "exclude each other"),
        ATTACK("both TE and CL", POST "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
               INVALID, "exclude each other"),
        ATTACK("two differing CL", POST "Content-Length: 4\r\nContent-Length: 5\r\n\r\n", INVALID,
               "second one"),
        ATTACK("two equal CL", POST "Content-Length: 4\r\ncontent-length: 4\r\n\r\n", INVALID,
               "second one"),
        ATTACK("CL list", POST "Content-Length: 4, 4\r\n\r\n", INVALID, "decimal"),
        ATTACK("CL with plus", POST "Content-Length: +4\r\n\r\n", INVALID, "decimal"),
        ATTACK("CL with minus", POST "Content-Length: -4\r\n\r\n", INVALID, "decimal"),
        ATTACK("CL with inner space", POST "Content-Length: 1 0\r\n\r\n", INVALID, "decimal"),
        ATTACK("CL hexadecimal", POST "Content-Length: 0x4\r\n\r\n", INVALID, "decimal"),
        ATTACK("CL fraction", POST "Content-Length: 4.0\r\n\r\n", INVALID, "decimal"),
        ATTACK("CL empty", POST "Content-Length:\r\n\r\n", INVALID, "decimal"),
        ATTACK("CL of 2^64", POST "Content-Length: 18446744073709551616\r\n\r\n", INVALID,
               "decimal"),
        ATTACK("CL with other digits", POST "Content-Length: \xD9\xA4\r\n\r\n", INVALID, "decimal"),
        ATTACK("CL above the limit", POST "Content-Length: 101\r\n\r\n", TOO_LARGE, "100 bytes"),
        ATTACK("CL of 2^64-1", POST "Content-Length: 18446744073709551615\r\n\r\n", TOO_LARGE,
               "100 bytes"),
    };
    run_attacks(attacks, PX_ARRAY_LEN(attacks));
}

PX_TEST(refuses_smuggling_by_coding)
{
    static const struct attack attacks[] = {
        ATTACK("TE gzip, chunked", POST "Transfer-Encoding: gzip, chunked\r\n\r\n", UNSUPPORTED,
               "only supported"),
        ATTACK("TE identity", POST "Transfer-Encoding: identity\r\n\r\n", UNSUPPORTED, "chunked"),
        ATTACK("TE xchunked", POST "Transfer-Encoding: xchunked\r\n\r\n", UNSUPPORTED, "chunked"),
        ATTACK("TE chunked with parameter", POST "Transfer-Encoding: chunked;q=1\r\n\r\n",
               UNSUPPORTED, "chunked"),
        ATTACK("TE quoted", POST "Transfer-Encoding: \"chunked\"\r\n\r\n", UNSUPPORTED, "chunked"),
        ATTACK("TE empty", POST "Transfer-Encoding:\r\n\r\n", UNSUPPORTED, "chunked"),
        ATTACK("TE with vertical tab", POST "Transfer-Encoding: \vchunked\r\n\r\n", INVALID,
               "0x0b"),
        ATTACK("TE twice", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
               INVALID, "second one"),
        ATTACK("TE then identity",
               POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", INVALID,
               "second one"),
        ATTACK("TE in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", INVALID,
               "HTTP/1.0"),
        ATTACK("TE hidden by space before colon", POST "Transfer-Encoding : chunked\r\n\r\n",
               INVALID, "white space"),
        ATTACK("TE hidden by tab before colon", POST "Transfer-Encoding\t: chunked\r\n\r\n",
               INVALID, "white space"),
        ATTACK("TE hidden by a leading space", POST " Transfer-Encoding: chunked\r\n\r\n", INVALID,
               "line folding"),
        ATTACK("TE hidden by NUL", POST "Transfer-Encoding\0: chunked\r\n\r\n", INVALID, "0x00"),
    };
    run_attacks(attacks, PX_ARRAY_LEN(attacks));
}

PX_TEST(refuses_bad_line_ends_and_bytes)
{
    static const struct attack attacks[] = {
        ATTACK("bare LF after the request line", "GET / HTTP/1.1\nHost: h\r\n\r\n", INVALID,
               "bare LF"),
        ATTACK("bare LF after a header", "GET / HTTP/1.1\r\nHost: h\n\r\n", INVALID, "bare LF"),
        ATTACK("bare LF as the empty line", GET "\n", INVALID, "bare LF"),
        ATTACK("only bare LFs", "GET / HTTP/1.1\n\n", INVALID, "bare LF"),
        ATTACK("bare CR in a value", GET "A: b\rX: c\r\n\r\n", INVALID, "after CR"),
        ATTACK("CR CR LF", GET "A: b\r\r\n\r\n", INVALID, "after CR"),
        ATTACK("NUL in a value", GET "A: b\0c\r\n\r\n", INVALID, "0x00"),
        ATTACK("DEL in a value", GET "A: b\x7F\r\n\r\n", INVALID, "0x7f"),
        ATTACK("ESC in a name", GET "A\x1B: b\r\n\r\n", INVALID, "0x1b"),
        ATTACK("obs-fold with space", GET "A: b\r\n c\r\n\r\n", INVALID, "line folding"),
        ATTACK("obs-fold with tab", GET "A: b\r\n\tc\r\n\r\n", INVALID, "line folding"),
        ATTACK("fold before the first header", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", INVALID,
               "line folding"),
        ATTACK("empty name", GET ": b\r\n\r\n", INVALID, "name is empty"),
        ATTACK("no colon", GET "Abc\r\n\r\n", INVALID, "without ':'"),
        ATTACK("space in a name", GET "A b: c\r\n\r\n", INVALID, "white space"),
        ATTACK("byte above ASCII in a name", GET "A\xE9: c\r\n\r\n", INVALID, "0xe9"),
        ATTACK("brackets in a name", GET "A[b]: c\r\n\r\n", INVALID, "0x5b"),
        ATTACK("two empty lines first", "\r\n\r\n" GET "\r\n", INVALID, "method"),
    };
    run_attacks(attacks, PX_ARRAY_LEN(attacks));
}

#define HOST "\r\nHost: h\r\n\r\n"

PX_TEST(refuses_bad_request_lines)
{
    static const struct attack attacks[] = {
        ATTACK("leading space", " GET / HTTP/1.1" HOST, INVALID, "method"),
        ATTACK("tab after method", "GET\t/ HTTP/1.1" HOST, INVALID, "method"),
        ATTACK("two spaces", "GET  / HTTP/1.1" HOST, INVALID, "nothing else"),
        ATTACK("space in target", "GET /a b HTTP/1.1" HOST, INVALID, "nothing else"),
        ATTACK("tab in target", "GET /a\tb HTTP/1.1" HOST, INVALID, "target"),
        ATTACK("trailing space", "GET / HTTP/1.1 " HOST, INVALID, "nothing else"),
        ATTACK("tab before version", "GET /\tHTTP/1.1" HOST, INVALID, "target"),
        ATTACK("HTTP/0.9", "GET /" HOST, INVALID, "target"),
        ATTACK("only a method", "GET" HOST, INVALID, "method"),
        ATTACK("method with colon", "GE:T / HTTP/1.1" HOST, INVALID, "method"),
        ATTACK("relative target", "GET a HTTP/1.1" HOST, INVALID, "begins with '/'"),
        ATTACK("authority target", "CONNECT h:80 HTTP/1.1" HOST, INVALID, "begins with '/'"),
        ATTACK("asterisk for GET", "GET * HTTP/1.1" HOST, INVALID, "begins with '/'"),
        ATTACK("other scheme", "GET ftp://h/ HTTP/1.1" HOST, INVALID, "begins with '/'"),
        ATTACK("scheme without host", "GET http:///a HTTP/1.1" HOST, INVALID, "begins with '/'"),
        ATTACK("scheme only", "GET http:// HTTP/1.1" HOST, INVALID, "begins with '/'"),
        ATTACK("user in host", "GET http://u@h/ HTTP/1.1" HOST, INVALID, "begins with '/'"),
        ATTACK("fragment", "GET /a#b HTTP/1.1" HOST, INVALID, "target"),
        ATTACK("byte above ASCII in target", "GET /\xC3\xA9 HTTP/1.1" HOST, INVALID, "target"),
        ATTACK("lower-case version", "GET / http/1.1" HOST, INVALID, "HTTP/1.1"),
        ATTACK("two-digit minor", "GET / HTTP/1.10" HOST, INVALID, "HTTP/1.1"),
        ATTACK("version without minor", "GET / HTTP/1" HOST, INVALID, "HTTP/1.1"),
        ATTACK("letters for digits", "GET / HTTP/x.y" HOST, INVALID, "HTTP/1.1"),
        ATTACK("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", VERSION_NOT_SUPPORTED,
               "HTTP/2.0"),
        ATTACK("HTTP/0.9 by name", "GET / HTTP/0.9" HOST, VERSION_NOT_SUPPORTED, "HTTP/0.9"),
        ATTACK("TLS client hello", "\x16\x03\x01\x02\x00\x01", INVALID, "0x16"),
    };
    run_attacks(attacks, PX_ARRAY_LEN(attacks));
}

PX_TEST(refuses_bad_hosts_and_expectations)
{
    static const struct attack attacks[] = {
        ATTACK("no Host", "GET / HTTP/1.1\r\n\r\n", INVALID, "requires a Host"),
        ATTACK("two Hosts", GET "Host: h\r\n\r\n", INVALID, "second one"),
        ATTACK("two Hosts in 1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", INVALID,
               "second one"),
        ATTACK("Host with path", "GET / HTTP/1.1\r\nHost: h/x\r\n\r\n", INVALID, "host name"),
        ATTACK("Host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", INVALID, "host name"),
        ATTACK("Host with user", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", INVALID, "host name"),
        ATTACK("other expectation", GET "Expect: tea\r\n\r\n", EXPECTATION_FAILED, "100-continue"),
    };
    run_attacks(attacks, PX_ARRAY_LEN(attacks));
}

PX_TEST(refuses_bad_chunks)
{
    static const struct attack attacks[] = {
        ATTACK("size missing", CHUNKED "\r\n", INVALID, "hexadecimal"),
        ATTACK("size with 0x", CHUNKED "0x4\r\nabcd\r\n", INVALID, "hexadecimal"),
        ATTACK("size with sign", CHUNKED "+4\r\nabcd\r\n", INVALID, "hexadecimal"),
        ATTACK("size negative", CHUNKED "-1\r\n", INVALID, "hexadecimal"),
        ATTACK("size with space before", CHUNKED " 4\r\nabcd\r\n", INVALID, "hexadecimal"),
        ATTACK("size with space after", CHUNKED "4 \r\nabcd\r\n", INVALID, "hexadecimal"),
        ATTACK("size with letters", CHUNKED "4g\r\nabcd\r\n", INVALID, "hexadecimal"),
        ATTACK("size of 2^64", CHUNKED "10000000000000000\r\n", INVALID, "overflows"),
        ATTACK("size that wraps", CHUNKED "FFFFFFFFFFFFFFFF4\r\nabcd\r\n", INVALID, "overflows"),
        ATTACK("size of 2^64-1", CHUNKED "FFFFFFFFFFFFFFFF\r\n", TOO_LARGE, "100 bytes"),
        ATTACK("size above the limit", CHUNKED "65\r\n", TOO_LARGE, "100 bytes"),
        ATTACK("sizes above the limit together", CHUNKED "4\r\nabcd\r\n61\r\n", TOO_LARGE,
               "100 bytes"),
        ATTACK("bare LF after the size", CHUNKED "4\nabcd\r\n", INVALID, "bare LF"),
        ATTACK("bare LF in an extension", CHUNKED "4;a\nb\r\nabcd\r\n", INVALID, "bare LF"),
        ATTACK("bare CR in an extension", CHUNKED "4;a\rb\r\nabcd\r\n", INVALID, "after CR"),
        ATTACK("data too long", CHUNKED "4\r\nabcde\r\n", INVALID, "after a chunk's data"),
        ATTACK("data too long by the last byte so far", CHUNKED "4\r\nabcde", INVALID,
               "after a chunk's data"),
        ATTACK("data ended by bare LF", CHUNKED "4\r\nabcd\n0\r\n\r\n", INVALID,
               "after a chunk's data"),
        ATTACK("data ended by CR only", CHUNKED "4\r\nabcd\rx", INVALID, "after a chunk's data"),
        ATTACK("folded trailer", CHUNKED "0\r\n a: b\r\n\r\n", INVALID, "trailers"),
        ATTACK("trailer without colon", CHUNKED "0\r\nab\r\n\r\n", INVALID, "trailers"),
        ATTACK("space before colon in trailer", CHUNKED "0\r\na : b\r\n\r\n", INVALID, "trailers"),
        ATTACK("bare LF ends the trailers", CHUNKED "0\r\n\n", INVALID, "trailers"),
    };
    run_attacks(attacks, PX_ARRAY_LEN(attacks));
}

/* `prefix`, then `n` times `unit`, then `suffix`. */
static struct px_str repeat(char *out, const char *prefix, const char *unit, size_t n,
                            const char *suffix)
{
    char *to = out;
    memcpy(to, prefix, strlen(prefix));
    to += strlen(prefix);
    for (size_t i = 0; i < n; i++, to += strlen(unit))
        memcpy(to, unit, strlen(unit));
    memcpy(to, suffix, strlen(suffix));
    return px_str_n(out, (size_t)(to - out) + strlen(suffix));
}

PX_TEST(enforces_every_limit)
{
    static char text[8192];
    check_bad(repeat(text, "GET /", "a", 1100, " HTTP/1.1\r\n"), PX_E_URI_TOO_LONG, "1024 bytes");
    check_bad(repeat(text, GET "A: ", "a", 1100, "\r\n\r\n"), PX_E_HEADER_TOO_LARGE, "1024 bytes");
    check_bad(repeat(text, GET, "A: 789012\r\n", 98, "\r\n"), PX_E_HEADER_TOO_LARGE, "1024 bytes");
    check_bad(repeat(text, GET, "A:\r\n", 100, "\r\n"), PX_E_HEADER_TOO_LARGE, "100 fields");
    check_bad(repeat(text, CHUNKED "1;", "a", 300, "\r\n"), PX_E_INVALID, "256 bytes");
    check_bad(repeat(text, CHUNKED "0\r\n", "A: 789012\r\n", 98, "\r\n"), PX_E_HEADER_TOO_LARGE,
              "1024 bytes");
}

PX_TEST(accepts_what_fits_the_limits_exactly)
{
    static char text[8192];
    struct feed feed;
    size_t fixed = strlen(GET) + strlen("A: ") + strlen("\r\n\r\n");
    parse_every_way(&feed, repeat(text, GET "A: ", "a", 1024 - fixed, "\r\n\r\n"));
    CHECK_INT(feed.result, PX_HTTP1_DONE);
    CHECK_INT(feed.parser.consumed, 1024);
    feed_deinit(&feed);
    parse_every_way(&feed, repeat(text, GET "A: ", "a", 1025 - fixed, "\r\n\r\n"));
    CHECK_INT(feed.result, PX_HTTP1_BAD);
    feed_deinit(&feed);
    check_bad(repeat(text, GET "A: ", "a", 1026 - fixed, "\r\n"), PX_E_HEADER_TOO_LARGE, "1024");
    size_t trailer = strlen("A: ") + strlen("\r\n\r\n");
    parse_every_way(&feed, repeat(text, CHUNKED "0\r\nA: ", "a", 1024 - trailer, "\r\n\r\n"));
    CHECK_INT(feed.result, PX_HTTP1_DONE);
    feed_deinit(&feed);
    parse_every_way(&feed, repeat(text, GET, "A:\r\n", 99, "\r\n"));
    CHECK_INT(feed.result, PX_HTTP1_DONE);
    CHECK_INT(feed.parser.request.n_headers, 100);
    feed_deinit(&feed);
    parse_every_way(&feed, repeat(text, POST "Content-Length: 100\r\n\r\n", "a", 100, ""));
    CHECK_INT(feed.result, PX_HTTP1_DONE);
    CHECK_INT(feed.parser.request.body.len, 100);
    feed_deinit(&feed);
    parse_every_way(&feed, repeat(text, CHUNKED, "1\r\na\r\n", 100, "0\r\n\r\n"));
    CHECK_INT(feed.result, PX_HTTP1_DONE);
    CHECK_INT(feed.parser.request.body.len, 100);
    feed_deinit(&feed);
}

PX_TEST(parses_a_whole_request)
{
    struct feed feed;
    parse_every_way(&feed, TEXT("POST /v2/models/m/infer?a=1&b=%20 HTTP/1.1\r\n"
                                "Host: 127.0.0.1:8080\r\n"
                                "User-Agent: \t test/1.0 (x; y) \t\r\n"
                                "X-Empty:\r\n"
                                "X-Text: caf\xC3\xA9\tbar\r\n"
                                "content-LENGTH: 5\r\n"
                                "\r\n"
                                "hello"));
    const struct px_http_request *request = &feed.parser.request;
    CHECK_INT(feed.result, PX_HTTP1_DONE);
    CHECK_INT(request->method, PX_HTTP_POST);
    CHECK_STR(request->path, "/v2/models/m/infer");
    CHECK_STR(request->query, "a=1&b=%20");
    CHECK_INT(request->n_headers, 5);
    CHECK_STR(px_http_header(request, "USER-agent"), "test/1.0 (x; y)");
    CHECK_STR(px_http_header(request, "x-empty"), "");
    CHECK_STR(px_http_header(request, "x-text"), "caf\xC3\xA9\tbar");
    CHECK(px_http_header(request, "x-none").ptr == NULL);
    CHECK_STR(request->body, "hello");
    CHECK(feed.parser.keep_alive && !feed.parser.http10 && !feed.parser.expect_continue);
    CHECK_INT(feed.parser.consumed, feed.len);
    feed_deinit(&feed);
}

PX_TEST(knows_the_methods)
{
    static const struct {
        const char *name;
        enum px_http_method method;
    } rows[] = {
        {"GET", PX_HTTP_GET},     {"HEAD", PX_HTTP_HEAD},     {"POST", PX_HTTP_POST},
        {"PUT", PX_HTTP_PUT},     {"DELETE", PX_HTTP_DELETE}, {"OPTIONS", PX_HTTP_OPTIONS},
        {"PATCH", PX_HTTP_PATCH}, {"get", PX_HTTP_OTHER},     {"PROPFIND", PX_HTTP_OTHER},
        {"POSTS", PX_HTTP_OTHER},
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(rows); i++) {
        char text[64];
        struct feed feed;
        int len = snprintf(text, sizeof text, "%s / HTTP/1.1" HOST, rows[i].name);
        parse_every_way(&feed, px_str_n(text, (size_t)len));
        CHECK_INT(feed.result, PX_HTTP1_DONE);
        CHECK_INT(feed.parser.request.method, rows[i].method);
        feed_deinit(&feed);
    }
}

PX_TEST(accepts_every_target_form)
{
    static const struct {
        struct px_str text;
        const char *path, *query;
    } rows[] = {
        {PX_STR("GET / HTTP/1.1" HOST), "/", ""},
        {PX_STR("GET //a/../b HTTP/1.1" HOST), "//a/../b", ""},
        {PX_STR("GET /a? HTTP/1.1" HOST), "/a", ""},
        {PX_STR("GET /a?b?c=/ HTTP/1.1" HOST), "/a", "b?c=/"},
        {PX_STR("GET http://h:80/a?b HTTP/1.1" HOST), "/a", "b"},
        {PX_STR("GET HTTPS://[::1]:80/a HTTP/1.1" HOST), "/a", ""},
        {PX_STR("GET http://h HTTP/1.1" HOST), "/", ""},
        {PX_STR("GET http://h?b HTTP/1.1" HOST), "/", "b"},
        {PX_STR("OPTIONS * HTTP/1.1" HOST), "*", ""},
        {PX_STR("\r\nGET /after-an-empty-line HTTP/1.1" HOST), "/after-an-empty-line", ""},
        {PX_STR("GET /newer-minor HTTP/1.9" HOST), "/newer-minor", ""},
        {PX_STR("GET / HTTP/1.1\r\nHost:\r\n\r\n"), "/", ""},
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(rows); i++) {
        struct feed feed;
        parse_every_way(&feed, rows[i].text);
        CHECK_INT(feed.result, PX_HTTP1_DONE);
        CHECK_STR(feed.parser.request.path, rows[i].path);
        CHECK_STR(feed.parser.request.query, rows[i].query);
        CHECK_STR(feed.parser.request.body, "");
        feed_deinit(&feed);
    }
}

PX_TEST(decides_keep_alive_by_version_and_connection)
{
    static const struct {
        struct px_str text;
        bool keep_alive, http10;
    } rows[] = {
        {PX_STR(GET "\r\n"), true, false},
        {PX_STR(GET "Connection: close\r\n\r\n"), false, false},
        {PX_STR(GET "Connection: Close\r\n\r\n"), false, false},
        {PX_STR(GET "Connection: foo , close\r\n\r\n"), false, false},
        {PX_STR(GET "Connection: foo\r\nConnection: close\r\n\r\n"), false, false},
        {PX_STR(GET "Connection: keep-alive, close\r\n\r\n"), false, false},
        {PX_STR(GET "Connection: closed\r\n\r\n"), true, false},
        {PX_STR(GET "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n"), true, false},
        {PX_STR("GET / HTTP/1.0\r\n\r\n"), false, true},
        {PX_STR("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), true, true},
        {PX_STR("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"), false, true},
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(rows); i++) {
        struct feed feed;
        parse_every_way(&feed, rows[i].text);
        CHECK_INT(feed.result, PX_HTTP1_DONE);
        CHECK_INT(feed.parser.keep_alive, rows[i].keep_alive);
        CHECK_INT(feed.parser.http10, rows[i].http10);
        feed_deinit(&feed);
    }
}

PX_TEST(joins_chunks_in_place)
{
    static const struct {
        struct px_str text;
        const char *body;
    } rows[] = {
        {PX_STR(CHUNKED "0\r\n\r\n"), ""},
        {PX_STR(CHUNKED "000\r\n\r\n"), ""},
        {PX_STR(CHUNKED "5\r\nhello\r\n0\r\n\r\n"), "hello"},
        {PX_STR(CHUNKED "1\r\nh\r\n4\r\nello\r\n7\r\n, world\r\n0\r\n\r\n"), "hello, world"},
        {PX_STR(CHUNKED "000a\r\n0123456789\r\n0\r\n\r\n"), "0123456789"},
        {PX_STR(CHUNKED "A\r\n0123456789\r\n0\r\n\r\n"), "0123456789"},
        {PX_STR(CHUNKED "2;name=value;x=\"q\"\r\nab\r\n0;last\r\n\r\n"), "ab"},
        {PX_STR(CHUNKED "2 ;name\r\nab\r\n0\r\n\r\n"), "ab"},
        {PX_STR(CHUNKED "2\r\n\r\n\r\n0\r\n\r\n"), "\r\n"},
        {PX_STR(CHUNKED "2\r\nab\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n"), "ab"},
        {PX_STR(POST "transfer-encoding: Chunked \r\n\r\n1\r\na\r\n0\r\n\r\n"), "a"},
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(rows); i++) {
        struct feed feed;
        parse_every_way(&feed, rows[i].text);
        CHECK_INT(feed.result, PX_HTTP1_DONE);
        CHECK_STR(feed.parser.request.body, rows[i].body);
        CHECK_INT(feed.parser.consumed, feed.len);
        feed_deinit(&feed);
    }
}

PX_TEST(keeps_many_small_chunks_from_growing_the_buffer)
{
    struct feed feed;
    feed_init(&feed, TEXT(CHUNKED), 0);
    for (int i = 0; i < 100; i++) {
        feed_more(&feed, "1;extension=xxxxxxxxxxxxxxxx\r\na\r\n", 33);
        CHECK_INT(feed.result, PX_HTTP1_MORE);
        CHECK_INT(feed.len, sizeof CHUNKED - 1 + (size_t)i + 1);
    }
    feed_more(&feed, "0\r\n\r\n", 5);
    CHECK_INT(feed.result, PX_HTTP1_DONE);
    CHECK_INT(feed.parser.request.body.len, 100);
    feed_deinit(&feed);
}

PX_TEST(tells_what_a_body_still_needs)
{
    struct feed feed;
    feed_init(&feed, TEXT(POST "Content-Length: 10\r\n\r\nabc"), 0);
    CHECK_INT(feed.result, PX_HTTP1_MORE);
    CHECK(px_http1_has_head(&feed.parser));
    CHECK_INT(px_http1_missing(&feed.parser, feed.len), 7);
    feed_deinit(&feed);
    feed_init(&feed, TEXT(CHUNKED "a\r\nabc"), 0);
    CHECK_INT(px_http1_missing(&feed.parser, feed.len), 7);
    feed_deinit(&feed);
    feed_init(&feed, TEXT(GET), 0);
    CHECK(!px_http1_has_head(&feed.parser));
    CHECK_INT(px_http1_missing(&feed.parser, feed.len), 0);
    feed_deinit(&feed);
}

PX_TEST(asks_for_continue_only_in_http11)
{
    struct feed feed;
    feed_init(&feed, TEXT(POST "Expect: 100-Continue\r\nContent-Length: 4\r\n\r\n"), 0);
    CHECK_INT(feed.result, PX_HTTP1_MORE);
    CHECK(feed.parser.expect_continue);
    feed_deinit(&feed);
    feed_init(&feed, TEXT("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"),
              0);
    CHECK(!feed.parser.expect_continue);
    feed_deinit(&feed);
}

PX_TEST(leaves_the_next_request_alone)
{
    static const char first[] = CHUNKED "2\r\nab\r\n0\r\n\r\n", second[] = GET "\r\n";
    char text[sizeof first + sizeof second];
    snprintf(text, sizeof text, "%s%s", first, second);
    struct feed feed;
    feed_init(&feed, px_str(text), 0);
    CHECK_INT(feed.result, PX_HTTP1_DONE);
    CHECK_STR(feed.parser.request.body, "ab");
    size_t at = feed.parser.consumed, left = feed.len - at;
    px_http1_reset(&feed.parser);
    CHECK_INT(px_http1_parse(&feed.parser, feed.bytes + at, &left, &feed.err), PX_HTTP1_DONE);
    CHECK_INT(feed.parser.request.method, PX_HTTP_GET);
    CHECK_INT(at + feed.parser.consumed, feed.len);
    CHECK_STR(feed.parser.request.body, "");
    feed_deinit(&feed);
}

PX_TEST(keeps_what_was_parsed_before_the_fault)
{
    struct feed feed;
    feed_init(&feed, TEXT("GET /path HTTP/1.1\r\nHost: h\r\nbad\r\n"), 0);
    CHECK_INT(feed.result, PX_HTTP1_BAD);
    CHECK_STR(feed.parser.request.path, "/path");
    CHECK_INT(feed.parser.request.n_headers, 1);
    feed_deinit(&feed);
}

static bool accepts_byte(const char *before, int byte, const char *after)
{
    char text[128];
    struct feed feed;
    int len = snprintf(text, sizeof text, "%s%c%s", before, byte, after);
    feed_init(&feed, px_str_n(text, (size_t)len), 0);
    bool accepted = feed.result == PX_HTTP1_DONE;
    feed_deinit(&feed);
    return accepted;
}

PX_TEST(knows_every_byte_of_the_grammar)
{
    static const char alnum[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (int byte = 0; byte < 256; byte++) {
        bool letter = byte && strchr(alnum, byte);
        bool token = letter || (byte && strchr("!#$%&'*+-.^_`|~", byte));
        bool host = letter || (byte && strchr("-._~%!$&'()*+;=:[]", byte));
        bool target = byte > 0x20 && byte < 0x7F && byte != '#';
        bool value = byte == '\t' || (byte >= 0x20 && byte != 0x7F);
        CHECK_INT(accepts_byte("A", byte, " / HTTP/1.1" HOST), token);
        CHECK_INT(accepts_byte("GET /", byte, " HTTP/1.1" HOST), target);
        CHECK_INT(accepts_byte(GET "A", byte, "B: c\r\n\r\n"), token || byte == ':');
        CHECK_INT(accepts_byte(GET "A: b", byte, "c\r\n\r\n"), value);
        CHECK_INT(accepts_byte("GET / HTTP/1.1\r\nHost: a", byte, "b\r\n\r\n"), host);
    }
}

PX_TEST_MAIN(
    T(refuses_smuggling_by_length) T(refuses_smuggling_by_coding) T(refuses_bad_line_ends_and_bytes)
        T(refuses_bad_request_lines) T(refuses_bad_hosts_and_expectations) T(refuses_bad_chunks)
            T(enforces_every_limit) T(accepts_what_fits_the_limits_exactly)
                T(parses_a_whole_request) T(knows_the_methods) T(accepts_every_target_form)
                    T(decides_keep_alive_by_version_and_connection) T(joins_chunks_in_place)
                        T(keeps_many_small_chunks_from_growing_the_buffer)
                            T(tells_what_a_body_still_needs) T(asks_for_continue_only_in_http11)
                                T(leaves_the_next_request_alone)
                                    T(keeps_what_was_parsed_before_the_fault)
                                        T(knows_every_byte_of_the_grammar))
