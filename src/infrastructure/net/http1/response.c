/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/net/http1/response.h"

#include "shared/clock.h"

#include <stdio.h>
#include <time.h>

static const struct status_row {
    int status;
    struct px_str line; /* without "Date: " and what follows */
} status_rows[] = {
#define ROW(number, reason)                                                                        \
    {                                                                                              \
        number, PX_STR("HTTP/1.1 " #number " " reason "\r\n")                                      \
    }
    ROW(200, "OK"),
    ROW(201, "Created"),
    ROW(202, "Accepted"),
    ROW(204, "No Content"),
    ROW(301, "Moved Permanently"),
    ROW(302, "Found"),
    ROW(303, "See Other"),
    ROW(304, "Not Modified"),
    ROW(307, "Temporary Redirect"),
    ROW(308, "Permanent Redirect"),
    ROW(400, "Bad Request"),
    ROW(401, "Unauthorized"),
    ROW(403, "Forbidden"),
    ROW(404, "Not Found"),
    ROW(405, "Method Not Allowed"),
    ROW(406, "Not Acceptable"),
    ROW(408, "Request Timeout"),
    ROW(409, "Conflict"),
    ROW(410, "Gone"),
    ROW(412, "Precondition Failed"),
    ROW(413, "Content Too Large"),
    ROW(414, "URI Too Long"),
    ROW(415, "Unsupported Media Type"),
    ROW(417, "Expectation Failed"),
    ROW(422, "Unprocessable Content"),
    ROW(424, "Failed Dependency"),
    ROW(429, "Too Many Requests"),
    ROW(431, "Request Header Fields Too Large"),
    ROW(499, "Client Closed Request"),
    ROW(500, "Internal Server Error"),
    ROW(501, "Not Implemented"),
    ROW(502, "Bad Gateway"),
    ROW(503, "Service Unavailable"),
    ROW(504, "Gateway Timeout"),
    ROW(505, "HTTP Version Not Supported"),
#undef ROW
};

void px_response_update_date(struct px_response_date *date, uint64_t monotonic_ns)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    if (PX_LIKELY(monotonic_ns < date->valid_until_ns))
        return;
    uint64_t wall_ns = px_clock_wall_ns();
    time_t seconds = (time_t)(wall_ns / PX_NS_PER_S);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    /* By hand: strftime would follow the process's locale. */
    snprintf(date->text, sizeof date->text, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
             days + utc.tm_wday * 3, utc.tm_mday, months + utc.tm_mon * 3, utc.tm_year + 1900,
             utc.tm_hour, utc.tm_min, utc.tm_sec);
    date->valid_until_ns = monotonic_ns + PX_NS_PER_S - wall_ns % PX_NS_PER_S;
}

bool px_response_has_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

static void write_status_line(struct px_buf *out, int status)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(status_rows); i++) {
        if (status_rows[i].status == status) {
            px_buf_str(out, status_rows[i].line);
            return;
        }
    }
    px_buf_printf(out, "HTTP/1.1 %d \r\n", status);
}

static void write_literal(struct px_buf *out, struct px_str text)
{
    px_buf_append(out, text.ptr, text.len);
}

/* Content-Type, the coding, and how long the body is. */
static void write_body_headers(struct px_buf *out, const struct px_http_exchange *exchange,
                               size_t body_len)
{
    static const struct px_str crlf = PX_STR("\r\n"), type_name = PX_STR("Content-Type: "),
                               coding_name = PX_STR("Content-Encoding: "),
                               vary_line = PX_STR("Vary: Accept-Encoding\r\n"),
                               length_name = PX_STR("Content-Length: "),
                               chunked_line = PX_STR("Transfer-Encoding: chunked\r\n");
    if (exchange->content_type && body_len) {
        write_literal(out, type_name);
        px_buf_text(out, exchange->content_type);
        write_literal(out, crlf);
    }
    if (exchange->coding) {
        write_literal(out, coding_name);
        px_buf_text(out, px_coding_name(exchange->coding));
        write_literal(out, crlf);
    }
    if (exchange->may_compress)
        write_literal(out, vary_line);
    if (body_len == PX_RESPONSE_CHUNKED) {
        write_literal(out, chunked_line);
        return;
    }
    write_literal(out, length_name);
    px_buf_u64(out, body_len);
    write_literal(out, crlf);
}

void px_response_write_head(struct px_buf *out, const struct px_http_exchange *exchange,
                            size_t body_len, const struct px_response_date *date,
                            enum px_response_connection connection)
{
    static const struct px_str date_name = PX_STR("Date: "), crlf = PX_STR("\r\n"),
                               close_line = PX_STR("Connection: close\r\n"),
                               keep_alive_line = PX_STR("Connection: keep-alive\r\n");
    write_status_line(out, exchange->status);
    write_literal(out, date_name);
    px_buf_append(out, date->text, PX_RESPONSE_DATE_LEN);
    write_literal(out, crlf);
    if (px_response_has_body(exchange->status))
        write_body_headers(out, exchange, body_len);
    if (connection != PX_RESPONSE_DEFAULT)
        write_literal(out, connection == PX_RESPONSE_CLOSE ? close_line : keep_alive_line);
    if (exchange->extra_headers)
        px_buf_text(out, exchange->extra_headers);
    write_literal(out, crlf);
}
