/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include "infrastructure/load/reply.h"

static struct px_reply_parser parser;
static struct px_err err;
static char memory[256];
static struct px_buf body;
static size_t used;

/* Feeds `text` in portions of `portion` bytes, until it is not MORE. */
static enum px_reply_result feed(const char *text, size_t portion)
{
    size_t len = strlen(text), at = 0, n;
    enum px_reply_result result = PX_REPLY_MORE;
    body = px_buf_fixed(memory, sizeof memory);
    px_reply_begin(&parser, &body, 100);
    while (at < len && result == PX_REPLY_MORE) {
        size_t more = len - at < portion ? len - at : portion;
        result = px_reply_feed(&parser, text + at, more, &n, &err);
        at += n;
    }
    used = at;
    return result;
}

/* The same result however the bytes are cut. */
static enum px_reply_result parse(const char *text)
{
    enum px_reply_result whole = feed(text, 1 << 20);
    for (size_t portion = 1; portion < 9; portion++)
        CHECK_INT(feed(text, portion), whole);
    return whole;
}

PX_TEST(a_reply_with_a_length)
{
    CHECK_INT(
        parse("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhelloX"),
        PX_REPLY_DONE);
    CHECK_INT(parser.status, 200);
    CHECK(parser.keep_alive);
    CHECK_INT(parser.body_len, 5);
    CHECK_STR(px_buf_view(&body), "hello");
}

PX_TEST(bytes_after_a_reply_are_left)
{
    CHECK_INT(feed("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1", 1 << 20), PX_REPLY_DONE);
    CHECK_INT(used, 27);
}

PX_TEST(a_reply_in_chunks)
{
    CHECK_INT(
        parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0A\r\n, "
              "world!!!\r\n0\r\nTrailer: x\r\n\r\n"),
        PX_REPLY_DONE);
    CHECK_STR(px_buf_view(&body), "hello, world!!!");
    CHECK(parser.keep_alive);
}

PX_TEST(a_reply_that_ends_with_the_connection)
{
    CHECK_INT(parse("HTTP/1.1 200 OK\r\n\r\nabc"), PX_REPLY_MORE);
    CHECK_INT(px_reply_end(&parser, &err), PX_REPLY_DONE);
    CHECK(!parser.keep_alive);
    CHECK_STR(px_buf_view(&body), "abc");
}

PX_TEST(replies_without_a_body)
{
    CHECK_INT(parse("HTTP/1.1 204 No Content\r\n\r\n"), PX_REPLY_DONE);
    CHECK_INT(parse("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"), PX_REPLY_DONE);
    CHECK_INT(parse("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), PX_REPLY_DONE);
    CHECK_INT(parse("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"), PX_REPLY_DONE);
    CHECK_INT(parse("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), PX_REPLY_DONE);
}

PX_TEST(interim_replies_are_passed_over)
{
    CHECK_INT(parse("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\nHTTP/1.1 500 "
                    "No\r\nContent-Length: 1\r\n\r\nx"),
              PX_REPLY_DONE);
    CHECK_INT(parser.status, 500);
}

PX_TEST(who_keeps_the_connection_open)
{
    static const struct {
        const char *text;
        bool keeps;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", false},
        {"HTTP/1.1 200 OK\r\nconnection: Upgrade, CLOSE\r\nContent-Length: 0\r\n\r\n", false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false},
        {"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n", true},
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        CHECK_INT(parse(cases[i].text), PX_REPLY_DONE);
        CHECK_INT(parser.keep_alive, cases[i].keeps);
    }
}

PX_TEST(what_is_no_reply_is_refused)
{
    static const char *const cases[] = {
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 +20 OK\r\n\r\n",
        "HTTP/1.1 101 Switching\r\n\r\n",
        "HTTP/1.1 200 OK\n",
        "HTTP/1.1 200 OK\r\nA\r\n",
        "HTTP/1.1 200 OK\r\n: b\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n",
        "HTTP/1.1 200 OK\r\nA: b\rc\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffff\r\n",
        /* limits */
        "HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n",
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        if (parse(cases[i]) != PX_REPLY_BAD)
            fprintf(stderr, "case %zu\n", i);
        CHECK_INT(parse(cases[i]), PX_REPLY_BAD);
        CHECK(err.message[0] != '\0');
    }
}

PX_TEST(a_head_without_an_end_is_refused)
{
    static char text[200000];
    snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\n");
    size_t len = strlen(text);
    memset(text + len, 'a', PX_REPLY_LINE_MAX + 1);
    CHECK_INT(feed(text, 1 << 20), PX_REPLY_BAD);
    for (size_t i = 0; i < 20000; i++)
        memcpy(text + len + 6 * i, "a: b\r\n", 7);
    CHECK_INT(feed(text, 1 << 20), PX_REPLY_BAD);
    CHECK_INT(feed(text, 1000), PX_REPLY_BAD);
}

PX_TEST(a_body_over_the_limit_that_nobody_announced_is_refused)
{
    static char text[400];
    snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\n\r\n%0101d", 7);
    CHECK_INT(parse(text), PX_REPLY_BAD);
    CHECK_CONTAINS(err.message, "100 bytes");
}

PX_TEST(an_early_end_is_told_from_no_reply)
{
    CHECK_INT(feed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", 3), PX_REPLY_MORE);
    CHECK_INT(px_reply_end(&parser, &err), PX_REPLY_BAD);
    CHECK_CONTAINS(err.message, "middle");
    CHECK_INT(feed("", 1), PX_REPLY_MORE);
    CHECK_INT(px_reply_end(&parser, &err), PX_REPLY_BAD);
    CHECK_CONTAINS(err.message, "without a reply");
}

PX_TEST(only_what_fits_of_the_body_is_kept)
{
    static char text[200];
    char small[4];
    size_t n;
    snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789");
    struct px_buf kept = px_buf_fixed(small, sizeof small);
    px_reply_begin(&parser, &kept, 100);
    CHECK_INT(px_reply_feed(&parser, text, strlen(text), &n, NULL), PX_REPLY_DONE);
    CHECK_STR(px_buf_view(&kept), "012");
    CHECK(!kept.failed);
    CHECK_INT(parser.body_len, 10);
}

PX_TEST_MAIN(T(a_reply_with_a_length) T(bytes_after_a_reply_are_left) T(a_reply_in_chunks)
                 T(a_reply_that_ends_with_the_connection) T(replies_without_a_body)
                     T(interim_replies_are_passed_over) T(who_keeps_the_connection_open)
                         T(what_is_no_reply_is_refused) T(a_head_without_an_end_is_refused)
                             T(a_body_over_the_limit_that_nobody_announced_is_refused)
                                 T(an_early_end_is_told_from_no_reply)
                                     T(only_what_fits_of_the_body_is_kept))
