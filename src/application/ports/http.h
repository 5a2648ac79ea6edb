/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port: HTTP exchanges, between a transport (infrastructure/net) and what answers (interfaces).
 *
 * The transport parses a whole request, calls `handle`, and sends the response once it is finished. The
 * handler may finish before it returns (px_http_finish) or later in the same wave: the transport calls
 * `wave` once after it has handled every request that one wake-up of its loop brought, and the handler
 * finishes there what it parked. That is how a batch grows with load while an idle call waits for
 * nothing (design: wave batching).
 *
 * Rules
 * - Everything in the request is borrowed from the connection's buffer and valid until px_http_finish.
 * - `arena` belongs to the exchange and is reset when the response has been handed to the socket.
 * - A handler must finish every exchange by the end of the `wave` that follows it.
 * - All calls for one exchange happen on its loop's thread; `loop` numbers that thread from 0.
 */
#ifndef PX_APPLICATION_PORTS_HTTP_H
#define PX_APPLICATION_PORTS_HTTP_H

#include "shared/arena.h"
#include "shared/buf.h"

enum px_http_method {
    PX_HTTP_OTHER = 0,
    PX_HTTP_GET,
    PX_HTTP_HEAD,
    PX_HTTP_POST,
    PX_HTTP_PUT,
    PX_HTTP_DELETE,
    PX_HTTP_OPTIONS,
    PX_HTTP_PATCH,
};

struct px_http_header {
    struct px_str name; /* as sent; compare without case */
    struct px_str value;
};

struct px_http_request {
    enum px_http_method method;
    struct px_str path;  /* still percent-encoded, without the query; begins with '/', or is "*" */
    struct px_str query; /* without '?', {NULL, 0} when absent */
    const struct px_http_header *headers;
    size_t n_headers;
    struct px_str body;   /* whole and de-chunked */
    uint64_t received_ns; /* monotonic, when its last byte was read */
};

struct px_http_exchange {
    struct px_http_request request;
    struct px_arena *arena;
    unsigned loop;

    /* The response, filled by the handler before px_http_finish. */
    int status;                /* 200 ... */
    const char *content_type;  /* static storage; NULL when there is no body */
    const char *extra_headers; /* "Name: value\r\n..." or NULL; static or in `arena` */
    struct px_buf *body;       /* append the body here; empty at the start */
    struct px_str static_body; /* sent instead of `body` when not empty; outlives the process */

    void *state; /* the handler's own */

    /* private to the transport */
    bool finished;
};

/* The value of a header (name without case), or {NULL, 0}. */
struct px_str px_http_header(const struct px_http_request *request, const char *name);

/* Marks the response as complete; the transport sends it after `handle` or `wave` returns. */
static inline void px_http_finish(struct px_http_exchange *exchange)
{
    PX_ASSERT(!exchange->finished && exchange->status >= 200);
    exchange->finished = true;
}

/* What answers; implemented by interfaces/rest, called by infrastructure/net. */
struct px_http_handler {
    void *context;
    void (*handle)(void *context, struct px_http_exchange *exchange);
    /* End of a wake-up of loop `loop`: finish everything that was parked. */
    void (*wave)(void *context, unsigned loop);
    /*
     * A request that never became one (malformed, too large, timed out, too many connections): fill
     * the response for `err`; px_http_finish is optional. `request` holds what was parsed so far,
     * possibly only the path, possibly nothing. The connection closes afterwards. Not part of a wave.
     */
    void (*refuse)(void *context, struct px_http_exchange *exchange, const struct px_err *err);
    /* How long the loop was busy in one wake-up, for the loop-lag metric; may be NULL. */
    void (*loop_busy)(void *context, unsigned loop, uint64_t busy_ns);
};

#endif
