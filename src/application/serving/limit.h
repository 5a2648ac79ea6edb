/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limit of one model version: how many of its requests may be on their way, for all and for each client. Shared by the loops.
 *
 * Threads: any. A mutex (docs/locks.md) is held for some comparisons, and ten times a second for the sorting of 128 numbers.
 */
#ifndef PX_APPLICATION_SERVING_LIMIT_H
#define PX_APPLICATION_SERVING_LIMIT_H

#include "application/lifecycle/model_limits.h"
#include "application/ports/engine.h"
#include "domain/overload/limiter.h"

/* Why a request was refused; the labels of phoenix_refused_total. */
enum px_refusal {
    PX_REFUSAL_NONE = 0,
    PX_REFUSAL_LIMIT,     /* as many as the limit are on their way; of explanations, as much work */
    PX_REFUSAL_SHEDDABLE, /* what is left of the limit is for more critical requests */
    PX_REFUSAL_CLIENT,    /* the client has as many on their way as one may */
    PX_REFUSAL_HOPELESS,  /* it would not have been in time, says the limit or the engine's queue */
    PX_REFUSAL_QUEUE,     /* the engine had no place for it, or had waited too long */
    PX_REFUSAL_DEADLINE,  /* its time passed before it was computed */
    PX_REFUSAL_MEMORY,    /* requests hold all the memory that there is for them */
    PX_REFUSALS,
};
const char *px_refusal_name(enum px_refusal refusal); /* "limit", "sheddable", ... */

struct px_limit;

/* `*ret` is NULL when the settings are off. */
PX_MUST_USE enum px_code px_limit_create(const struct px_model_limits *settings,
                                         const struct px_engine *engine, struct px_limit **ret,
                                         struct px_err *err);
void px_limit_destroy(struct px_limit *limit); /* NULL is fine */

struct px_limit_request {
    struct px_urgency urgency;
    uint64_t now_ns, deadline_ns; /* monotonic; deadline 0: none */
};

/* PX_REFUSAL_NONE: it counts until px_limit_leave. Else `err` says why, and when to come again. */
PX_MUST_USE enum px_refusal px_limit_enter(struct px_limit *limit,
                                           const struct px_limit_request *request,
                                           struct px_err *err);

/* How one ended: `code` of its run, and when its computation began, 0 if nobody knows. */
struct px_limit_end {
    uint64_t client;
    uint64_t began_ns, started_ns, ended_ns;
    enum px_code code;
};
void px_limit_leave(struct px_limit *limit, const struct px_limit_end *end);

struct px_limit_report {
    bool adapts, is_open; /* open: only clients are limited; `limit`, `min` and `max` say nothing */
    unsigned min, max, limit, in_flight, per_client;
    double gradient, base_ns, sample_ns;
};
void px_limit_report(struct px_limit *limit, struct px_limit_report *ret);

#endif
