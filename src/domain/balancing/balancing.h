/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of several equal servers gets the next request, and which is left out for a while.
 *
 *     index = px_balancer_pick(&balancer, tried, random, now_ns);      // not PX_ENDPOINT_NONE: the request goes there, and
 *     px_balancer_begin(&balancer, index, now_ns, &ticket);
 *     px_balancer_end(&balancer, index, &ticket, outcome, now_ns);     // every request that began ends once
 *
 * Concepts
 * - Outstanding: requests sent to an endpoint and not answered yet. It is the only load that a client knows without asking.
 * - Power of two choices: of two endpoints drawn at random, the one with less outstanding. Close to the best choice, and
 *   clients that do not know of each other do not all run to the same idle server, as they do with least outstanding.
 * - Breaker: each endpoint has one (domain/overload/breaker.h). While it is open the endpoint gets nothing; while it is half open it gets
 *   the probes, which are ordinary requests: that a computation works is shown by a computation, and one that fails can be tried elsewhere.
 * - Health: what active checks found; told by the caller. It says that somebody listens. A check that passes after one that failed lets
 *   the probes come at once, for something has changed; one that has always passed says nothing against the breaker.
 * - When no endpoint is healthy, those are asked whose breaker lets them (panic): a guess beats a refusal. When all breakers are
 *   open, nobody is: they have been asked, and how it ended is known.
 *
 * Ownership: the caller's structs, nothing is allocated. Threads: one at a time. Times are monotonic and only compared.
 */
#ifndef PX_DOMAIN_BALANCING_BALANCING_H
#define PX_DOMAIN_BALANCING_BALANCING_H

#include "domain/overload/overload.h"

enum { PX_ENDPOINTS_MAX = 64 };

#define PX_ENDPOINT_NONE SIZE_MAX

enum px_balance { PX_BALANCE_POWER_OF_TWO, PX_BALANCE_LEAST_OUTSTANDING };

struct px_endpoint {
    unsigned outstanding;
    bool unhealthy;                          /* says the active check */
    uint64_t n_requests, n_failures, n_late; /* since the beginning; late: as PX_BREAKER_LATE */
};

struct px_balancer {
    struct px_endpoint list[PX_ENDPOINTS_MAX];
    size_t n;
    enum px_balance balance;
    struct px_breaker *breakers; /* of each endpoint; NULL: none has one */
};

/* `n` from 1 to PX_ENDPOINTS_MAX; `breakers` as many, initialised, or NULL. */
void px_balancer_init(struct px_balancer *self, size_t n, enum px_balance balance,
                      struct px_breaker *breakers);

/*
 * The endpoint for the next request; PX_ENDPOINT_NONE: all breakers are open. Those whose bit in `tried` is set are taken only when there
 * is no other. `random` are 64 random bits.
 */
size_t px_balancer_pick(struct px_balancer *self, uint64_t tried, uint64_t random, uint64_t now_ns);

/*
 * The endpoint of a key, the same one as long as it is available; when endpoints come and go, only keys of those move
 * (rendezvous hashing). For requests that belong together, such as steps of a sequence.
 */
size_t px_balancer_pick_sticky(struct px_balancer *self, uint64_t tried, uint64_t key,
                               uint64_t now_ns);

/* Would px_balancer_pick find one? Changes nothing. */
bool px_balancer_passes(const struct px_balancer *self, uint64_t now_ns);

/* When all breakers are open: after what time the first may let something pass. */
uint64_t px_balancer_retry_ns(const struct px_balancer *self, uint64_t now_ns);

/* A request goes to the endpoint that was picked at the same time, and has ended. */
void px_balancer_begin(struct px_balancer *self, size_t index, uint64_t now_ns,
                       struct px_breaker_ticket *ret);
void px_balancer_end(struct px_balancer *self, size_t index, const struct px_breaker_ticket *ticket,
                     enum px_breaker_outcome outcome, uint64_t now_ns);

/* What active checks found. */
void px_balancer_set_health(struct px_balancer *self, size_t index, bool healthy);
/* A check has passed after one that failed. */
void px_balancer_probe_now(struct px_balancer *self, size_t index, uint64_t now_ns);

/* Is the endpoint healthy, and its breaker not open? */
bool px_balancer_is_available(const struct px_balancer *self, size_t index, uint64_t now_ns);

#endif
