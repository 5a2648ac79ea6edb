/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one HTTP/1 request needs while it is read, answered and sent: buffers, parser, arena; and the pool
 * that lends it.
 *
 * A connection borrows an exchange when bytes arrive and gives it back when everything that arrived
 * has been answered. So thousands of idle connections cost only their small struct, and a busy loop
 * works in the same few warm buffers. The pool keeps the memory of what is given back up to
 * PX_HTTP1_KEPT_BYTES_MAX, so that after warm-up a request allocates nothing, and a burst of large
 * requests does not stay in memory for ever.
 *
 * Threads: a pool belongs to one loop.
 */
#ifndef PX_INFRASTRUCTURE_NET_HTTP1_EXCHANGE_H
#define PX_INFRASTRUCTURE_NET_HTTP1_EXCHANGE_H

#include "infrastructure/net/exchange.h"
#include "infrastructure/net/http1/http1.h"

enum {
    PX_HTTP1_INPUT_FIRST = 16383,       /* bytes that one recv may bring to an empty buffer */
    PX_HTTP1_INPUT_STEP_MAX = 1 << 20,  /* and to one with a large body */
    PX_HTTP1_PIECE_MAX = 1 << 16,       /* and to one whose body is taken in pieces */
    PX_HTTP1_HEAD_MAX = 1 << 16,        /* of a response's head, with a small body */
    PX_HTTP1_RESPONSE_MAX = 1 << 30,    /* of a response's body */
    PX_HTTP1_KEPT_BYTES_MAX = 16 << 20, /* memory of unused exchanges, per pool */
    PX_HTTP1_KEPT_MAX = 256,            /* unused exchanges, per pool */
};

struct px_connection;

struct px_http1_exchange {
    struct px_net_exchange base;
    struct px_connection *connection; /* NULL when the client has gone before the end */
    struct px_http1 parser;
    struct px_arena arena;

    struct px_buf input;
    size_t input_at;        /* the current request begins here */
    size_t input_charged;   /* what it adds to the pool's input_bytes */
    uint64_t read_ns;       /* when the newest byte was read */
    uint64_t body_began_ns; /* when the head of the current request was complete; 0 = not yet */
    bool sent_continue;     /* "100 Continue" for the current request */

    struct px_buf head; /* of the response, and its body when that is small */
    struct px_buf body;
    struct px_str payload; /* what follows the head: `body`, `part` or static, may be empty */
    struct px_str tail;    /* what follows that: the end of a chunk, trailers */
    size_t sent;           /* bytes of head, payload and tail that the socket took */

    /* Of a streamed response. */
    struct px_buf part; /* what has been taken out of `body` to be sent */
    bool has_begun;     /* the head of the response is made */
    bool has_ended;     /* and so is its end */

    /* private to the pool */
    struct px_http1_exchange *next;
    size_t kept_bytes; /* estimate of the memory behind the buffers and the arena */
};

struct px_http1_pool {
    struct px_http1_limits limits;
    size_t arena_bytes_max;
    size_t input_bytes_max; /* of all requests that are being read, together */
    struct px_worker *worker;
    const struct px_exchange_kind *kind;
    bool stops_at_head; /* of the parsers */
    /* private */
    size_t input_bytes;
    struct px_http1_exchange *unused;
    size_t n_unused, kept_bytes;
};

/* NULL when memory is short. */
struct px_http1_exchange *px_http1_exchange_take(struct px_http1_pool *pool);
void px_http1_exchange_give(struct px_http1_pool *pool, struct px_http1_exchange *exchange);
/* Frees it, whatever its state. */
void px_http1_exchange_destroy(struct px_http1_pool *pool, struct px_http1_exchange *exchange);
void px_http1_pool_deinit(struct px_http1_pool *pool);

/*
 * The response is complete: the arena is not needed while it is sent. A large one is given back at once, as a
 * client that reads slowly would hold it.
 */
void px_http1_exchange_forget_request(struct px_http1_exchange *exchange);

/* Forgets the request that was answered; the next one begins behind it. */
void px_http1_exchange_next_request(struct px_http1_exchange *exchange);

/*
 * Room for what the socket brings next, sized by what the request still misses: *room bytes behind
 * the input's end. NULL when memory is short or the loop's input_bytes_max is reached; `err` says so.
 */
char *px_http1_exchange_input_room(struct px_http1_pool *pool, struct px_http1_exchange *exchange,
                                   size_t *room, struct px_err *err);

#endif
