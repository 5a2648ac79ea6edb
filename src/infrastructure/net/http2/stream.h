/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream of HTTP/2: one exchange, its buffers, and the pool that lends them. Private to net/http2.
 *
 * A stream is taken when the headers of a request begin and given back when the stream is closed, both ways or by a
 * reset, and its handler has finished. It may outlive its session: then session == NULL, and only the handler is
 * waited for.
 *
 * Threads: the worker's.
 */
#ifndef PX_INFRASTRUCTURE_NET_HTTP2_STREAM_H
#define PX_INFRASTRUCTURE_NET_HTTP2_STREAM_H

#include "infrastructure/net/exchange.h"
#include "infrastructure/net/loop/loop.h"

enum {
    PX_HTTP2_HEADERS_MAX = 100,         /* fields of one request; more are answered 431 */
    PX_HTTP2_RESPONSE_MAX = 1 << 30,    /* of a response's body */
    PX_HTTP2_KEPT_BYTES_MAX = 16 << 20, /* memory of unused streams, per loop */
    PX_HTTP2_KEPT_MAX = 1024,           /* unused streams, per loop */
    PX_HTTP2_LEFT_BEHIND_MAX =
        1024, /* unfinished streams that were reset; above it new ones are refused */
};

struct px_http2;
struct px_http2_pool;

struct px_http2_stream {
    struct px_net_exchange base;
    struct px_http2_pool *pool;
    struct px_http2 *session;                /* NULL once the stream is closed */
    struct px_http2_stream *previous, *next; /* of the session; `next` also unused in the pool */
    /* For the rest of the request, or for the client to take the response. */
    struct px_deadline deadline;
    int32_t id;

    /* The request. */
    struct px_http_request request;
    struct px_arena arena;
    struct px_buf input;     /* the body, unless it is taken in pieces */
    size_t input_charged;    /* what it adds to the loop's bytes of input */
    uint64_t body_began_ns;  /* when the head of a request whose body is collected was complete */
    size_t header_bytes;     /* as HTTP/2 counts them: 32 for each field */
    uint64_t content_length; /* UINT64_MAX = not declared */
    enum px_code fault;      /* of the head; PX_OK, or what it is answered with */
    struct px_str authority; /* as sent; {NULL, 0} without one */
    bool expects_continue;
    bool has_head;       /* END_HEADERS has come */
    bool has_request;    /* END_STREAM has come */
    bool is_refused;     /* what still comes of it is dropped */
    bool is_left_behind; /* closed, and its handler has not finished */
    size_t unconsumed;   /* bytes of pieces that the window has not been told of */

    /* The response. */
    struct px_buf body;
    struct px_str payload; /* of a whole response: `body` or static */
    size_t may_leave;      /* of a streamed one: bytes of `body` that the handler has let go */
    size_t sent;           /* bytes of either that are framed */
    bool is_submitted;     /* its head is with the session */
    bool is_paused;        /* the session waits for more of it */

    size_t kept_bytes; /* estimate of the memory behind the buffers and the arena */
    char length_text[24];
    struct px_http_header headers[PX_HTTP2_HEADERS_MAX];
};

/* NULL when memory is short, or when too many are left behind. */
struct px_http2_stream *px_http2_stream_take(struct px_http2_pool *pool);
void px_http2_streams_free(struct px_http2_pool *pool); /* the unused ones */

/* The stream has been closed, or its session ends: the handler is told if it has not finished. */
void px_http2_stream_detach(struct px_http2_stream *stream);

/* A field of the head. What is wrong with it is kept for px_http2_stream_end_head. */
void px_http2_stream_add_header(struct px_http2_stream *stream, struct px_str name,
                                struct px_str value);

/* The head is complete: to the handler, or on to the body. */
/* `has_body`: the head does not end the request. */
void px_http2_stream_end_head(struct px_http2_stream *stream, bool has_body);

/* Bytes of the body. Returns how many of them may be sent anew: those that wait for nothing. */
size_t px_http2_stream_add_body(struct px_http2_stream *stream, struct px_str bytes);

/* The request is complete. */
void px_http2_stream_end_request(struct px_http2_stream *stream);

/* The rest of the request has not come in time, or the client does not take the response. */
void px_http2_stream_expired(struct px_deadline *deadline);

/* Bytes of the response that may be framed now, and whether they are the last ones. */
struct px_str px_http2_stream_ready(const struct px_http2_stream *stream, bool *is_last);

/* `n` of them have been. Returns how many bytes of the request's body the window may be told of in return. */
size_t px_http2_stream_sent(struct px_http2_stream *stream, size_t n);

extern const struct px_exchange_kind px_http2_kind;

#endif
