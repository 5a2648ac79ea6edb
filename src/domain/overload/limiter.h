/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Concurrency limiter: how many requests of one model may be on their way at a time.
 *
 *     px_limiter_init(&limiter, &policy, now_ns);
 *     verdict = px_limiter_enter(&limiter, criticality);                   // PX_LIMITER_ADMITTED: it counts
 *     px_limiter_leave(&limiter, &(struct px_limiter_sample){...}, now_ns) // it has ended
 *
 * Concepts
 * - By Little's law a system that computes c requests at a time needs c of them on their way, and some that wait so that nothing idles.
 *   More do not make it faster: they only wait. How many c is nobody has to say; it is seen in how long requests take.
 * - The gradient method (Netflix' concurrency-limits, 2018; Envoy's adaptive concurrency filter): at the end of a window
 *       gradient = clamp((base + buffer) / sample, 0.5, 2)
 *       limit    = gradient * limit + sqrt(gradient * limit)
 *   where `sample` is the median time of the requests of the window and `base` what they would take if nobody was before them.
 *   For a fixed number of servers that ends at a queue of about a quarter of them plus the root of their number.
 * - `base` is not measured by holding traffic back, as Envoy does. A request that says when its computation began tells how long it was
 *   served: base is the median of that, times `turns`: 1 where a request that is served at once takes its own service, 2 where it comes
 *   while a batch is computed and waits for the next. Then a model that becomes slower keeps its limit, as Little's law says it should.
 *   Where nothing is told, base is the shortest sample, which goes up by a tenth of the difference in windows with little traffic and is
 *   learned anew when the limit has been at its least, or not above PX_LIMITER_LOW, for PX_LIMITER_AT_LEAST windows; such a limiter
 *   starts low, since what it sees first is what it takes for short.
 * - A window is over when both `window_ns` and `window_samples` have passed. Requests that began before it tell about the limit
 *   before it: their samples are dropped. A window that did not use half of the limit leaves it as it is.
 * - What may be admitted falls with criticality: sheddable requests up to three quarters of the limit and below what default ones have, these up to all of it (and
 *   of `max`, but for an eighth of that, and at least one place), critical ones a quarter above it, and at least one, up to `max`. All are
 *   rounded down. One of any kind may always be on its way, so a limit of 1 keeps nothing for the critical.
 *
 * Pure values: no clock, no threads, no memory. Entering is some comparisons, leaving too, but for the end of a window, which sorts its samples.
 */
#ifndef PX_DOMAIN_OVERLOAD_LIMITER_H
#define PX_DOMAIN_OVERLOAD_LIMITER_H

#include "domain/batching/batching.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PX_LIMITER_MAX = 1 << 16,
    PX_LIMITER_SAMPLES = 128, /* of a window the latest so many count */
    PX_LIMITER_AT_LEAST = 5,
    PX_LIMITER_LOW = 5,             /* requests at a time that hardly are in each other's way */
    PX_LIMITER_BUFFER_NS = 1000000, /* the buffer is at least this: handing over takes time, too */
};

struct px_limiter_policy {
    bool adapts;              /* else the limit is `max` */
    unsigned min, max, start; /* 1 <= min <= start <= max <= PX_LIMITER_MAX */
    uint64_t window_ns;
    unsigned window_samples; /* 1..PX_LIMITER_SAMPLES */
    double buffer;           /* share of base that requests may wait */
    unsigned turns;          /* 1 or 2, see above */
};

/* How long a request was on its way. */
struct px_limiter_sample {
    uint64_t began_ns, ended_ns;
    uint64_t served_ns; /* of that it was computed; 0: not known */
};

enum px_limiter_verdict {
    PX_LIMITER_ADMITTED = 0,
    PX_LIMITER_FULL,     /* as many as the limit are on their way */
    PX_LIMITER_SHEDDING, /* what is left is for more critical requests */
};

struct px_limiter {
    struct px_limiter_policy policy;
    double limit, gradient;
    unsigned in_flight;
    double base_ns, sample_ns; /* of the latest window; 0: none yet */
    double excess; /* requests that came for each that was admitted, in the latest window */

    /* of the present window */
    uint64_t opened_ns;
    unsigned peak; /* most that were on their way */
    uint64_t n_admitted, n_refused;
    size_t n_samples, n_served; /* seen; at most PX_LIMITER_SAMPLES of each are kept */
    double samples[PX_LIMITER_SAMPLES], served[PX_LIMITER_SAMPLES];
    unsigned n_at_least; /* windows in a row */
};

/* The policy must be within the limits above. */
void px_limiter_init(struct px_limiter *limiter, const struct px_limiter_policy *policy,
                     uint64_t now_ns);

enum px_limiter_verdict px_limiter_enter(struct px_limiter *limiter,
                                         enum px_criticality criticality);

/* One that was admitted has ended. `sample` NULL: how long it took says nothing (it failed at once). */
void px_limiter_leave(struct px_limiter *limiter, const struct px_limiter_sample *sample,
                      uint64_t now_ns);

/* How many of that kind may be on their way. */
unsigned px_limiter_share(const struct px_limiter *limiter, enum px_criticality criticality);

/*
 * When a refused request should come again: after what those on their way take, times as many as came for each
 * that found a place, so that those who wait come back one after the other. 0: nothing is known yet.
 */
uint64_t px_limiter_retry_ns(const struct px_limiter *limiter);

#endif
