/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict HTTP/1.1 request parser (RFC 9110, RFC 9112) without I/O.
 *
 * Concepts
 * - The caller owns one buffer per connection and appends to it what the socket brings. After each
 *   append it calls px_http1_parse with the bytes from the start of the current request on. The
 *   answer is DONE (the request is complete), MORE (append and call again) or BAD (`err` says why;
 *   answer with that error and close, because nobody can know where the next request begins).
 * - A line is judged once, when its end has arrived, so the outcome never depends on how the bytes
 *   were cut into packets. The fuzz target proves that.
 * - The request borrows from the buffer. The buffer may move between calls (the parser notices) but
 *   not between DONE and the end of the request's use.
 * - A chunked body is joined in place; the bytes of chunk lines are removed from the buffer.
 * - A body may be taken in pieces instead (px_http1_stream): then the head moves to memory of its own, and after each
 *   call the body that has come is `piece`, which px_http1_drop_piece removes.
 *
 * What is refused, and why, is in docs/architecture/http1.md. Allocates nothing. Threads: one at a time.
 */
#ifndef PX_INFRASTRUCTURE_NET_HTTP1_HTTP1_H
#define PX_INFRASTRUCTURE_NET_HTTP1_HTTP1_H

#include "application/ports/http.h"

enum {
    PX_HTTP1_HEADERS_MAX = 100,    /* fields of one request; more are answered 431 */
    PX_HTTP1_CHUNK_LINE_MAX = 256, /* a chunk's size with its extensions, CRLF included */
};

enum px_http1_result {
    PX_HTTP1_DONE = 1,
    PX_HTTP1_MORE,
    PX_HTTP1_BAD,
    PX_HTTP1_HEAD, /* with stops_at_head, once: the head is complete; call again for the body */
};

enum px_http1_stage {
    PX_HTTP1_START = 0, /* before the request line; one empty line is passed over */
    PX_HTTP1_REQUEST_LINE,
    PX_HTTP1_HEADERS,
    PX_HTTP1_BODY, /* with Content-Length */
    PX_HTTP1_CHUNK_LINE,
    PX_HTTP1_CHUNK_DATA,
    PX_HTTP1_CHUNK_END, /* the CRLF after a chunk's data */
    PX_HTTP1_TRAILERS,
    PX_HTTP1_COMPLETE,
};

struct px_http1_limits {
    size_t header_bytes_max; /* request line, headers and the empty line; trailers again as much */
    size_t body_bytes_max;   /* after joining chunks */
};

struct px_http1 {
    bool stops_at_head; /* set by the caller, kept by reset */
    /* What has been parsed; complete at DONE. After BAD it holds what came before the fault. */
    struct px_http_request request;
    bool keep_alive;      /* at DONE: the client wants the connection to stay open */
    bool http10;          /* at DONE: the client speaks HTTP/1.0 */
    bool expect_continue; /* the client waits for "100 Continue" before it sends the body */
    size_t consumed;      /* at DONE: length of this request in the buffer */

    /* private */
    struct px_http1_limits limits;
    enum px_http1_stage stage;
    const char *base;   /* where the buffer was at the last call */
    size_t at;          /* start of what is not parsed yet */
    size_t scanned;     /* no line end lies between `at` and here */
    size_t line_budget; /* bytes that lines of this section may still use */
    size_t body_at;     /* the body begins here */
    size_t body_end;    /* and, as far as it is joined, ends here */
    uint64_t body_left; /* of the Content-Length or of the current chunk */
    bool has_host, has_length, chunked, wants_close, wants_keep_alive;
    bool streams; /* the body is taken in pieces; `request` is not in the buffer */
    struct px_http_header headers[PX_HTTP1_HEADERS_MAX];
};

/* Before the first request of a connection. */
void px_http1_init(struct px_http1 *parser, const struct px_http1_limits *limits);

/* Before each further request. */
void px_http1_reset(struct px_http1 *parser);

/*
 * Parses on. `bytes` begins with the current request and holds *len bytes; with MORE, *len may have
 * become smaller (chunk lines were removed) and the next bytes belong at bytes + *len.
 * Codes of BAD: INVALID, URI_TOO_LONG, HEADER_TOO_LARGE, TOO_LARGE, VERSION_NOT_SUPPORTED,
 * UNSUPPORTED (a transfer coding), EXPECTATION_FAILED.
 */
enum px_http1_result px_http1_parse(struct px_http1 *parser, char *bytes, size_t *len,
                                    struct px_err *err);

/* Is the head complete? */
static inline bool px_http1_has_head(const struct px_http1 *parser)
{
    return parser->stage >= PX_HTTP1_BODY;
}

/*
 * At HEAD: the body will be taken in pieces, without a limit on their sum. `head` is a copy of the first px_http1_head_len bytes
 * of the buffer, and the request borrows from it from now on; the buffer goes on behind them.
 */
void px_http1_stream(struct px_http1 *parser, const char *head);

static inline size_t px_http1_head_len(const struct px_http1 *parser)
{
    return parser->at;
}

/* After px_http1_parse of a stream's body, MORE or DONE: the body at the start of `bytes`. */
static inline struct px_str px_http1_piece(const struct px_http1 *parser, const char *bytes)
{
    return px_str_n(bytes, parser->body_end);
}

/* After MORE: forgets the piece; returns how many bytes the caller removes from the start of the buffer. */
size_t px_http1_drop_piece(struct px_http1 *parser);

/* Bytes that are known to be missing from a buffer of `len`; 0 when unknown. */
size_t px_http1_missing(const struct px_http1 *parser, size_t len);

/* What HTTP/2 judges in the same way. */
enum px_http_method px_http1_method(struct px_str name);
/* Sets path and query of "/path?query" or "*"; false when it is neither. */
bool px_http1_read_path(struct px_http_request *request, struct px_str path);
bool px_http1_is_host(struct px_str value);

#endif
