/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What exchanges of every version of HTTP have in common: the way to the handler and back. Private to this folder.
 *
 * Life
 *     handed over -> (round) -> settled                     whole: finished by its handler within the wave
 *     handed over -> (round) -> long ... resumed -> (round) -> settled       deferred
 *     handed over -> long, (round) after every send and at the finish        streamed
 * `settle` belongs to the version of HTTP. It is called after the wave of a round for every exchange that the round
 * touched: it sends what there is to send, and gives the exchange back once it is finished and sent. Whatever a
 * handler does inside any callback only puts the exchange into the round, so nothing is freed under a caller's feet.
 *
 * A long exchange waits for its handler across wake-ups: it is in the worker's list, where deadlines are looked at every
 * PX_EXCHANGE_TICK_MS and where the end of the worker finds it. It may outlive its connection: then settle only
 * gives it back.
 *
 * Threads: the worker's.
 */
#ifndef PX_INFRASTRUCTURE_NET_EXCHANGE_H
#define PX_INFRASTRUCTURE_NET_EXCHANGE_H

#include "application/ports/http.h"
#include "infrastructure/net/queue.h"

enum {
    PX_EXCHANGE_TICK_MS = 16,
    PX_EXCHANGE_BODY_RATE_MIN =
        1024, /* bytes per second that a body must bring after body_timeout_ms */
};

struct px_worker;
struct px_net_exchange;

struct px_exchange_kind {
    void (*settle)(struct px_net_exchange *exchange);
    /* Frees an exchange that its handler has not finished; the worker has ended. */
    void (*destroy)(struct px_net_exchange *exchange);
};

struct px_net_exchange {
    struct px_http_exchange http;
    const struct px_exchange_kind *kind;
    struct px_worker *worker;
    struct px_queue_node in_round;
    struct px_net_exchange *next; /* while it is unused in a pool */
    struct px_net_exchange *long_previous, *long_next;
    size_t decoded_charged; /* what its decoded body adds to the loop's bytes of input */
    bool is_handed_over;    /* `handle` or `refuse` has been called */
    bool is_resumed;        /* its handler has called since, to send or to finish */
    bool is_long;           /* in the worker's list */
    bool is_encoded;        /* px_net_encode_response has seen the response */
};

/*
 * A body that is collected has body_timeout_ms from the end of its head on, at `began_ns`, and a second per BODY_RATE_MIN bytes
 * that have come: a client that drips a byte per pause would hold its buffer, a share of the loop's, for days. To be
 * asked when bytes arrive; when none do, the timeout for pauses ends the wait. PX_E_TIMEOUT when it is over.
 */
PX_MUST_USE enum px_code px_exchange_check_rate(const struct px_worker *worker, uint64_t began_ns,
                                                size_t received, struct px_err *err);

/* Makes `exchange` a new one for `request`; its arena and body are empty. */
void px_exchange_begin(struct px_net_exchange *exchange, const struct px_http_request *request,
                       struct px_arena *arena, struct px_buf *body);

/* Gives a complete request, or with `streamed` a complete head, to the handler. */
void px_exchange_hand_over(struct px_net_exchange *exchange, bool streamed);

/* The memory of its decoded body is free again; without one is fine. */
void px_exchange_forget_decoded(struct px_net_exchange *exchange);

/* Gives a part of a streamed request's body to the handler, unless that has finished or was told to stop. */
void px_exchange_piece(struct px_net_exchange *exchange, struct px_str piece, bool is_last);

/* Lets the handler fill the response for a request that never became one. */
void px_exchange_refuse(struct px_net_exchange *exchange, const struct px_err *err);

/* Tells the handler, once, that nobody waits any more; not when it has finished. */
void px_exchange_abandon(struct px_net_exchange *exchange, enum px_http_end why);

/* After the wave: encodes a whole response and lets the version of HTTP send it. */
void px_exchange_settle(struct px_net_exchange *exchange);

/* Into the round, if it is not there. */
void px_exchange_queue_up(struct px_net_exchange *exchange);
struct px_net_exchange *px_exchange_pop(struct px_queue *queue); /* of exchanges */

/* Into the worker's list of long exchanges, and out of it; in either state is fine. */
void px_exchange_enter_long(struct px_net_exchange *exchange);
void px_exchange_leave_long(struct px_net_exchange *exchange);

/* The tick: abandons the long exchanges whose deadline has passed. */
void px_exchange_tick(struct px_worker *worker);

#endif
