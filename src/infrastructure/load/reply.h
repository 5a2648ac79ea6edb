/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict parser of HTTP/1.1 replies (RFC 9112) without I/O, for a client that wants the status, the end
 * of the reply, and at most the first bytes of the body.
 *
 * Bytes are fed as they come and are not kept, but for the line that is being read; the outcome does not
 * depend on how they were cut. A body is framed by Content-Length, by chunks, by its status (none after
 * 1xx, 204, 304), or ends with the connection. 1xx replies are passed over. Threads: one at a time.
 */
#ifndef PX_INFRASTRUCTURE_LOAD_REPLY_H
#define PX_INFRASTRUCTURE_LOAD_REPLY_H

#include "shared/buf.h"

enum {
    PX_REPLY_LINE_MAX = 8 << 10,  /* a status or header line, CRLF included */
    PX_REPLY_HEAD_MAX = 64 << 10, /* all of them, and all trailers */
};

enum px_reply_result { PX_REPLY_DONE = 1, PX_REPLY_MORE, PX_REPLY_BAD };

struct px_reply_parser {
    /* at DONE */
    int status;
    bool keep_alive; /* the connection can carry another request */
    uint64_t body_len;

    /* where the body goes, as far as it fits; NULL = nowhere */
    struct px_buf *body;
    uint64_t body_max; /* a longer body is BAD */

    /* private */
    int stage;
    bool began, has_length, chunked, until_close, closes;
    uint64_t left; /* of the body or of the chunk */
    size_t head_budget, line_len;
    char line[PX_REPLY_LINE_MAX];
};

/* Before each reply. `body` may be NULL. */
void px_reply_begin(struct px_reply_parser *parser, struct px_buf *body, uint64_t body_max);

/* Parses on; *ret_used bytes were taken (all of them with MORE). `err` (may be NULL) says why BAD. */
enum px_reply_result px_reply_feed(struct px_reply_parser *parser, const char *bytes, size_t len,
                                   size_t *ret_used, struct px_err *err);

/* The connection has ended: DONE when that is how this reply ends, else BAD. */
enum px_reply_result px_reply_end(struct px_reply_parser *parser, struct px_err *err);

#endif
