/* SPDX-License-Identifier: Apache-2.0 */
/* The head of a response: status lines, dates, and the headers that each status may have. */
#include "harness.h"
#include "infrastructure/net/http1/response.h"
#include "shared/clock.h"

#include <time.h>

static const struct px_response_date date = {.text = "Sun, 06 Nov 1994 08:49:37 GMT"};

static void check_head(const struct px_http_exchange *exchange, size_t body_len,
                       enum px_response_connection connection, const char *want)
{
    struct px_buf out = px_buf(4096);
    px_response_write_head(&out, exchange, body_len, &date, connection);
    CHECK_STR(px_buf_view(&out), want);
    px_buf_deinit(&out);
}

PX_TEST(writes_type_length_and_extra_headers)
{
    struct px_http_exchange exchange = {
        .status = 200, .content_type = "application/json", .extra_headers = "A: b\r\nC: d\r\n"};
    check_head(&exchange, 12, PX_RESPONSE_DEFAULT,
               "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
               "Content-Type: application/json\r\nContent-Length: 12\r\nA: b\r\nC: d\r\n\r\n");
}

PX_TEST(an_empty_body_has_a_length_and_no_type)
{
    struct px_http_exchange exchange = {.status = 404, .content_type = "text/plain"};
    check_head(&exchange, 0, PX_RESPONSE_CLOSE,
               "HTTP/1.1 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
               "Content-Length: 0\r\nConnection: close\r\n\r\n");
}

PX_TEST(statuses_without_a_body_have_no_length)
{
    struct px_http_exchange exchange = {.status = 204, .content_type = "text/plain"};
    check_head(&exchange, 0, PX_RESPONSE_DEFAULT,
               "HTTP/1.1 204 No Content\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n");
    exchange.status = 304;
    exchange.extra_headers = "ETag: \"x\"\r\n";
    check_head(&exchange, 5, PX_RESPONSE_KEEP_ALIVE,
               "HTTP/1.1 304 Not Modified\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
               "Connection: keep-alive\r\nETag: \"x\"\r\n\r\n");
    CHECK(px_response_has_body(200) && px_response_has_body(500));
    CHECK(!px_response_has_body(204) && !px_response_has_body(304));
}

PX_TEST(an_unknown_status_has_an_empty_reason)
{
    struct px_http_exchange exchange = {.status = 299};
    check_head(&exchange, 0, PX_RESPONSE_DEFAULT,
               "HTTP/1.1 299 \r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n");
}

PX_TEST(every_error_code_has_a_reason)
{
#define PX_ERROR(name, number, http, grpc, retryable, text) PX_E_##name,
    static const enum px_code codes[] = {
#include "shared/errors.def"
    };
#undef PX_ERROR
    for (size_t i = 0; i < PX_ARRAY_LEN(codes); i++) {
        struct px_http_exchange exchange = {.status = px_code_http(codes[i])};
        struct px_buf out = px_buf(4096);
        px_response_write_head(&out, &exchange, 0, &date, PX_RESPONSE_DEFAULT);
        CHECK(px_buf_cstr(&out)[13] != '\r'); /* after "HTTP/1.1 NNN " */
        px_buf_deinit(&out);
    }
}

PX_TEST(the_date_is_made_once_per_second)
{
    struct px_response_date made = {0};
    uint64_t now_ns = 5 * PX_NS_PER_S;
    px_response_update_date(&made, now_ns);
    CHECK_INT(strlen(made.text), PX_RESPONSE_DATE_LEN);
    CHECK(made.valid_until_ns > now_ns && made.valid_until_ns <= now_ns + PX_NS_PER_S);
    /* In the form of RFC 9110, 5.6.7, whatever the locale says. */
    struct tm parsed = {0};
    const char *end = strptime(made.text, "%a, %d %b %Y %H:%M:%S GMT", &parsed);
    CHECK(end && *end == '\0');
    memset(made.text, '?', PX_RESPONSE_DATE_LEN);
    px_response_update_date(&made, now_ns);
    CHECK(made.text[0] == '?');
    px_response_update_date(&made, made.valid_until_ns);
    CHECK(made.text[0] != '?');
}

PX_TEST_MAIN(T(writes_type_length_and_extra_headers) T(an_empty_body_has_a_length_and_no_type)
                 T(statuses_without_a_body_have_no_length) T(an_unknown_status_has_an_empty_reason)
                     T(every_error_code_has_a_reason) T(the_date_is_made_once_per_second))
