/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of several equal servers gets the next request, and which is left out for a while.
 *
 * Concepts
 * - Outstanding: requests sent to an endpoint and not answered yet. It is the only load that a client knows without asking.
 * - Power of two choices: of two endpoints drawn at random, the one with less outstanding. Close to the best choice, and
 *   clients that do not know of each other do not all run to the same idle server, as they do with least outstanding.
 * - Ejection: an endpoint that fails where others do not is not asked for a while. Two detectors: failures in a row, and a success rate
 *   far below that of the others (mean - 1.9 deviations, as Envoy does). The time grows with each ejection
 *   in a row and shrinks again with each interval without one. Never more than `ejected_max_percent` are out (at least one may be, and one
 *   always stays), for a fault that all share is not the fault of one.
 * - Health: what active checks found; told by the caller.
 * - When no endpoint is available, all are asked (panic): a guess beats a certain refusal.
 *
 * Ownership: the caller's struct, nothing is allocated. Threads: one at a time. Times are monotonic and only compared.
 */
#ifndef PX_DOMAIN_BALANCING_BALANCING_H
#define PX_DOMAIN_BALANCING_BALANCING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PX_ENDPOINTS_MAX = 64,
    PX_EJECTIONS_MAX = 32, /* in a row that make the time grow */
};

enum px_balance { PX_BALANCE_POWER_OF_TWO, PX_BALANCE_LEAST_OUTSTANDING };

struct px_ejection_rules {
    unsigned consecutive_errors; /* failures in a row that eject; 0: this detector is off */
    double success_rate_factor;  /* deviations below the mean that eject; 0: this detector is off */
    unsigned success_rate_hosts; /* endpoints with enough requests that a mean needs */
    unsigned success_rate_requests; /* requests of an interval that are enough */
    uint64_t interval_ns;           /* how often success rates are compared */
    uint64_t base_ns, max_ns;       /* time out: base x ejections in a row, at most max */
    unsigned ejected_max_percent;   /* of the endpoints */
};

/* Envoy's defaults, but half of the endpoints may be out: its 10 percent are for large clusters. */
struct px_ejection_rules px_ejection_rules_default(void);

enum px_endpoint_outcome {
    PX_ENDPOINT_SUCCEEDED,
    PX_ENDPOINT_FAILED,
    PX_ENDPOINT_ABANDONED, /* cancelled by us: says nothing about the endpoint */
};

struct px_endpoint {
    unsigned outstanding;
    bool unhealthy; /* says the active check */
    unsigned errors_in_a_row;
    unsigned ejections_in_a_row;
    uint64_t ejected_until_ns; /* 0: not ejected */
    bool ejected_in_interval;
    uint64_t n_interval, n_interval_ok;           /* requests that ended in this interval */
    uint64_t n_requests, n_failures, n_ejections; /* since the beginning */
};

struct px_balancer {
    struct px_endpoint list[PX_ENDPOINTS_MAX];
    size_t n;
    enum px_balance balance;
    struct px_ejection_rules rules;
    uint64_t interval_end_ns;
};

/* `n` from 1 to PX_ENDPOINTS_MAX. */
void px_balancer_init(struct px_balancer *self, size_t n, enum px_balance balance,
                      const struct px_ejection_rules *rules, uint64_t now_ns);

/*
 * The endpoint for the next request. Those whose bit in `tried` is set are taken only when there is no other. `random` are 64
 * random bits.
 */
size_t px_balancer_pick(struct px_balancer *self, uint64_t tried, uint64_t random, uint64_t now_ns);

/*
 * The endpoint of a key, the same one as long as it is available; when endpoints come and go, only keys of those move
 * (rendezvous hashing). For requests that belong together, such as steps of a sequence.
 */
size_t px_balancer_pick_sticky(struct px_balancer *self, uint64_t tried, uint64_t key,
                               uint64_t now_ns);

/* A request goes to the endpoint, and has ended. */
void px_balancer_begin(struct px_balancer *self, size_t index);
void px_balancer_end(struct px_balancer *self, size_t index, enum px_endpoint_outcome outcome,
                     uint64_t now_ns);

/* What an active check found. A healthy one ends an ejection: it has been seen to work. */
void px_balancer_set_health(struct px_balancer *self, size_t index, bool healthy);

/* Is the endpoint neither ejected nor unhealthy? */
bool px_balancer_is_available(const struct px_balancer *self, size_t index, uint64_t now_ns);

#endif
