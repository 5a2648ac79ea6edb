/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port: HTTP exchanges, between a transport (infrastructure/net) and what answers (interfaces).
 *
 * Life of an exchange, whatever version of HTTP brought it
 *   whole     The transport collects the request, calls `handle`, and sends the response once it is finished.
 *             The handler finishes before it returns (px_http_finish) or later in the same wave: `wave` is called
 *             once after every request that one wake-up of the loop brought has been handled. That is how a batch
 *             grows with load while an idle call waits for nothing (design: wave batching).
 *   deferred  The answer takes longer than a wave may (a model is loaded): the handler calls px_http_defer
 *             before the wave ends, and px_http_finish later on the loop's own thread (ports/loops.h).
 *   streamed  `streams` said yes when the head was complete: `handle` is called without a body, `piece` for each
 *             part of the body as it arrives, the last one marked. The handler appends to `body` and calls
 *             px_http_send whenever bytes should leave, and px_http_finish at its end, before or after the
 *             client's. Status and headers leave with the first bytes. A transport that cannot stream (HTTP/1.0)
 *             collects the body and calls `handle` as for a whole exchange.
 *
 * Rules
 * - Everything in the request is borrowed from the transport and valid until px_http_finish; a piece until
 *   `piece` returns.
 * - `arena` belongs to the exchange and is reset when the response has been handed to the socket. A stream that lasts
 *   keeps what it needs per message elsewhere.
 * - A handler finishes every exchange that it has neither deferred nor streams by the end of the `wave` that
 *   follows it.
 * - `abandon` tells a handler that nobody waits for an unfinished exchange any more (the client has gone, or
 *   deadline_ns has passed). The handler stops what it can and still calls px_http_finish, at once or later; only
 *   then does the exchange end. After PX_HTTP_LATE the response is still sent.
 * - All calls for one exchange happen on its loop's thread; `loop` numbers that thread from 0.
 */
#ifndef PX_APPLICATION_PORTS_HTTP_H
#define PX_APPLICATION_PORTS_HTTP_H

#include "application/ports/coding.h"
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

enum px_http_version { PX_HTTP_1_0 = 10, PX_HTTP_1_1 = 11, PX_HTTP_2 = 20 };

struct px_http_header {
    struct px_str name; /* as sent, HTTP/2 sends lower case; compare without case */
    struct px_str value;
};

struct px_http_request {
    enum px_http_version version;
    enum px_http_method method;
    struct px_str path;  /* still percent-encoded, without the query; begins with '/', or is "*" */
    struct px_str query; /* without '?', {NULL, 0} when absent */
    /* Of HTTP/2: ":authority" as "host", and no other pseudo-field. */
    const struct px_http_header *headers;
    size_t n_headers;
    struct px_str body;   /* whole, de-chunked, and decoded but for `coding` */
    struct px_str coding; /* Content-Encoding that the transport did not undo; empty when all is */
    struct px_str client_name; /* subject of the client's verified certificate; empty without one */
    uint64_t peer;        /* hash of the address it came from, as text without the port; 0: none */
    uint64_t received_ns; /* monotonic, when its last byte was read */
};

/* Why nobody waits for an exchange any more. */
enum px_http_end { PX_HTTP_GONE = 1, PX_HTTP_LATE };

struct px_http_exchange {
    struct px_http_request request;
    struct px_arena *arena;
    unsigned loop;

    /* The response, filled by the handler before px_http_finish, of a stream before the first px_http_send. */
    int status;                /* 200 ... */
    const char *content_type;  /* static storage; NULL when there is no body */
    const char *extra_headers; /* "Name: value\r\n..." or NULL; static or in `arena` */
    struct px_buf *body;       /* append the body here; empty at the start */
    struct px_str static_body; /* sent instead of `body` when not empty; outlives the process */
    bool may_compress;         /* as the client's Accept-Encoding asks */

    /* As extra_headers, behind the body: HTTP/2 and streamed HTTP/1.1; of no effect elsewhere. */
    const char *trailers;

    /* Monotonic, 0 = none; set by the handler, acts on deferred and streamed exchanges. */
    uint64_t deadline_ns;
    void *state; /* the handler's own */

    /* private to the transport */
    bool finished, deferred, streamed, abandoned;
    enum px_coding coding; /* of the response's body */
    void (*resume)(struct px_http_exchange *exchange);
};

/* The value of a header (name without case), or {NULL, 0}. */
struct px_str px_http_header(const struct px_http_request *request, const char *name);

/* Marks the response as complete; the transport sends it after `handle`, `wave` or the loop's task returns. */
static inline void px_http_finish(struct px_http_exchange *exchange)
{
    PX_ASSERT(!exchange->finished && (exchange->status >= 200 || exchange->abandoned));
    exchange->finished = true;
    if (exchange->resume && (exchange->deferred || exchange->streamed || exchange->abandoned))
        exchange->resume(exchange);
}

/* The exchange will be finished after its wave; not for streamed ones, which always may be. */
static inline void px_http_defer(struct px_http_exchange *exchange)
{
    PX_ASSERT(!exchange->finished && !exchange->streamed);
    exchange->deferred = true;
}

/* Of a streamed exchange: what `body` holds may leave. */
static inline void px_http_send(struct px_http_exchange *exchange)
{
    PX_ASSERT(exchange->streamed && exchange->status >= 200);
    exchange->resume(exchange);
}

/* What answers; implemented by interfaces, called by infrastructure/net. */
struct px_http_handler {
    void *context;
    void (*handle)(void *context, struct px_http_exchange *exchange);
    /* End of a wake-up of loop `loop`: finish everything that was parked. */
    void (*wave)(void *context, unsigned loop);
    /*
     * A request that never became one (malformed, too large, timed out, too many connections): fill
     * the response for `err`; px_http_finish is optional. `request` holds what was parsed so far,
     * possibly only the path, possibly nothing. Not part of a wave. Over HTTP/1 the connection closes afterwards.
     */
    void (*refuse)(void *context, struct px_http_exchange *exchange, const struct px_err *err);
    /* How long the loop was busy in one wake-up, for the loop-lag metric; may be NULL. */
    void (*loop_busy)(void *context, unsigned loop, uint64_t busy_ns);

    /* Streams; both or none. `streams` sees a complete head. */
    bool (*streams)(void *context, const struct px_http_request *request);
    void (*piece)(void *context, struct px_http_exchange *exchange, struct px_str piece,
                  bool is_last);
    /* Of streams, and of deferred and parked exchanges; without streams it may be NULL. */
    void (*abandon)(void *context, struct px_http_exchange *exchange, enum px_http_end why);
};

#endif
