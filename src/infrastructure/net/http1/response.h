/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of a response: status line and headers, as bytes. No I/O. Threads: one at a time.
 *
 * Written: Date, Content-Type and Content-Length as the status allows them, Connection where the
 * default of the client's protocol version would be wrong, then the handler's own headers.
 */
#ifndef PX_INFRASTRUCTURE_NET_HTTP1_RESPONSE_H
#define PX_INFRASTRUCTURE_NET_HTTP1_RESPONSE_H

#include "application/ports/http.h"

/* As the length of a body: it is sent in chunks. */
#define PX_RESPONSE_CHUNKED SIZE_MAX

enum { PX_RESPONSE_DATE_LEN = 29 }; /* "Sun, 06 Nov 1994 08:49:37 GMT" */

/* The Date header's text, made anew when a second has passed. Zeroed is valid. */
struct px_response_date {
    char text[PX_RESPONSE_DATE_LEN + 1];
    uint64_t valid_until_ns; /* monotonic */
};

/* What the Connection header has to say. */
enum px_response_connection {
    PX_RESPONSE_DEFAULT = 0, /* HTTP/1.1 stays open: no header */
    PX_RESPONSE_KEEP_ALIVE,  /* HTTP/1.0 stays open because the client asked for it */
    PX_RESPONSE_CLOSE,
};

void px_response_update_date(struct px_response_date *date, uint64_t monotonic_ns);

/* May a response with this status have a body (RFC 9110, 6.4.1)? */
bool px_response_has_body(int status);

/* Appends the head of `exchange`'s response with a body of `body_len` bytes (or PX_RESPONSE_CHUNKED) to `out`. */
void px_response_write_head(struct px_buf *out, const struct px_http_exchange *exchange,
                            size_t body_len, const struct px_response_date *date,
                            enum px_response_connection connection);

#endif
