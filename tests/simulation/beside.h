/* SPDX-License-Identifier: Apache-2.0 */
/* What stands beside the queue, a file each; see README.md. */
#ifndef PX_TESTS_SIMULATION_BESIDE_H
#define PX_TESTS_SIMULATION_BESIDE_H

#include "simulation.h"

/* Each takes part in half of the scenarios of the kind ANYTHING, by its own bit of the seed. */
static inline bool beside_takes_part(const struct world *world, unsigned bit)
{
    return world->scenario.kind == ANYTHING && (world->scenario.seed * 0x9e3779b9u >> bit & 1);
}

/* Draws of their own, so that the rest of a seed stays as it is. */
static inline struct px_rng beside_draws(const struct world *world, unsigned bit)
{
    return px_rng(world->scenario.seed + bit);
}

/* What times are made of that something happens in: an arrival, and computing a batch. */
static inline uint64_t beside_step_ns(const struct world *world)
{
    const struct scenario *s = &world->scenario;
    return (uint64_t)(s->gap_ns + s->fixed_ns + s->one_ns * (double)s->policy.rows_max) + 1;
}

extern const struct mechanism beside_answers, beside_limiter, beside_breaker;

#endif
