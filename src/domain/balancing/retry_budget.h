/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retries as a share of the requests, so that a server in trouble is not buried under copies of what it cannot answer.
 *
 * A bucket of tokens: each request puts in `percent` hundredths of a token, time puts in `minimum_per_s` tokens a second (so
 * that a service with few requests can retry at all), each retry and each hedge takes one. The bucket holds
 * at most what ten seconds of the minimum give, and at least ten tokens. It begins full of the minimum of one second.
 *
 * Threads: one at a time.
 */
#ifndef PX_DOMAIN_BALANCING_RETRY_BUDGET_H
#define PX_DOMAIN_BALANCING_RETRY_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

struct px_retry_budget {
    double percent, minimum_per_s;
    double tokens;
    uint64_t filled_ns; /* when time last put tokens in */
};

struct px_retry_budget px_retry_budget(double percent, double minimum_per_s, uint64_t now_ns);

/* A request has come (not a retry of one). */
void px_retry_budget_request(struct px_retry_budget *self, uint64_t now_ns);

/* Takes a token; false when there is none. */
bool px_retry_budget_take(struct px_retry_budget *self, uint64_t now_ns);

#endif
