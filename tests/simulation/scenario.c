/* SPDX-License-Identifier: Apache-2.0 */
/* Scenarios: policies, loads and engines drawn at random. */
#include "simulation.h"

#include <string.h>

static uint64_t between(struct px_rng *rng, uint64_t low, uint64_t high)
{
    return low + px_rng_below(rng, high - low + 1);
}

static bool chance(struct px_rng *rng, double share)
{
    return px_rng_unit(rng) < share;
}

/* Small numbers are as likely as large ones. */
static uint64_t any_size(struct px_rng *rng, unsigned bits)
{
    return between(rng, 1, UINT64_C(1) << px_rng_below(rng, bits + 1));
}

static void draw_levels(struct px_rng *rng, struct px_batch_policy *policy)
{
    policy->n_levels = chance(rng, 0.5) ? 1 : (unsigned)between(rng, 2, 5);
    policy->default_level = (unsigned)between(rng, 1, policy->n_levels);
    for (unsigned l = 0; l < policy->n_levels; l++) {
        policy->levels[l] = (struct px_batch_level){
            .items_max = chance(rng, 0.3) ? any_size(rng, 5) : 0,
            .timeout_ns = chance(rng, 0.4) ? any_size(rng, 6) * MS : 0,
            .demotes = chance(rng, 0.5),
        };
    }
}

static void draw_preferred(struct px_rng *rng, struct px_batch_policy *policy)
{
    size_t size = 0;
    if (!chance(rng, 0.3))
        return;
    while (policy->n_preferred < 3) {
        size += between(rng, 1, 6);
        if (size > policy->rows_max)
            return;
        policy->preferred[policy->n_preferred++] = size;
    }
}

static void draw_policy(struct px_rng *rng, struct scenario *s)
{
    struct px_batch_policy *policy = &s->policy;
    policy->rows_max = any_size(rng, 6);
    policy->together_max = chance(rng, 0.2) ? any_size(rng, 4) : 0;
    policy->delay_ns = chance(rng, 0.5) ? any_size(rng, 5) * MS : 0;
    policy->tunes_delay = chance(rng, 0.4);
    policy->splits = chance(rng, 0.6);
    policy->turns_around = chance(rng, 0.3);
    policy->standing_ns = any_size(rng, 5) * MS;
    policy->items_max = any_size(rng, 8);
    draw_levels(rng, policy);
    draw_preferred(rng, policy);
    for (size_t i = 0; chance(rng, 0.5) && i < CLIENTS_MAX - 1; i++)
        policy->weights[policy->n_weights++] =
            (struct px_batch_weight){i, (unsigned)any_size(rng, 9)};
}

static void draw_engine(struct px_rng *rng, struct scenario *s)
{
    s->n_instances = (unsigned)between(rng, 1, INSTANCES_MAX);
    s->n_parts_max = chance(rng, 0.2) ? any_size(rng, 4) : PARTS_MAX;
    s->fixed_ns = (double)any_size(rng, 12) * 2e3;
    s->one_ns = (double)any_size(rng, 9) * 1e3;
    s->noise = chance(rng, 0.3) ? 0 : px_rng_unit(rng) * 0.5;
    s->fails = chance(rng, 0.3) ? px_rng_unit(rng) * 0.3 : 0;
    s->hangs = chance(rng, 0.2) ? px_rng_unit(rng) * 0.05 : 0;
}

/* Rows in a nanosecond that the instances can compute at best. */
static double capacity(const struct scenario *s)
{
    double rows = (double)s->policy.rows_max;
    return s->n_instances * rows / (s->fixed_ns + s->one_ns * rows);
}

static void draw_load(struct px_rng *rng, struct scenario *s)
{
    static const double loads[] = {0.1, 0.5, 0.9, 1, 2, 10};
    double load = loads[px_rng_below(rng, sizeof loads / sizeof *loads)];
    s->n_requests = between(rng, 5, 150);
    s->burst = chance(rng, 0.4) ? px_rng_unit(rng) * 0.95 : 0;
    s->rows_most = chance(rng, 0.4) ? 1 : any_size(rng, 7);
    s->n_shapes = chance(rng, 0.6) ? 1 : (unsigned)between(rng, 2, 4);
    s->n_clients = (unsigned)between(rng, 1, CLIENTS_MAX);
    s->has_deadline = chance(rng, 0.3) ? 0 : px_rng_unit(rng);
    s->is_cancelled = chance(rng, 0.6) ? 0 : px_rng_unit(rng) * 0.4;
    s->deadline_ns = any_size(rng, 8) * MS;
    s->gap_ns = ((double)s->rows_most + 1) / 2 / capacity(s) / load / (1 - s->burst);
    s->jitter_ns = chance(rng, 0.5) ? 0 : any_size(rng, 9) * 1000;
    s->drains_ns = chance(rng, 0.1) ? any_size(rng, 5) * MS : 0;
}

/* Nothing but clients that want more than there is. */
static void draw_shares(struct px_rng *rng, struct scenario *s)
{
    s->policy = (struct px_batch_policy){
        .rows_max = any_size(rng, 6), .splits = chance(rng, 0.5), .items_max = REQUESTS_MAX};
    s->n_clients = (unsigned)between(rng, 2, CLIENTS_MAX);
    for (size_t i = 0; i + 1 < s->n_clients; i++)
        s->policy.weights[s->policy.n_weights++] =
            (struct px_batch_weight){i, (unsigned)between(rng, 1, 20)};
    draw_engine(rng, s);
    s->n_requests = between(rng, 60, 300);
    s->rows_most = s->policy.splits ? any_size(rng, 7) : between(rng, 1, s->policy.rows_max);
    s->n_shapes = 1;
    s->gap_ns = 0;
}

/* Engines worth batching, twice to ten times what they can do, and a deadline for everybody. */
static void draw_overload(struct px_rng *rng, struct scenario *s)
{
    double load = chance(rng, 0.7) ? 2 : 10;
    s->policy =
        (struct px_batch_policy){.rows_max = between(rng, 4, load > 2 ? 8 : 32), .items_max = 500};
    s->policy.turns_around = chance(rng, 0.3);
    draw_engine(rng, s);
    s->n_parts_max = PARTS_MAX;
    s->fails = s->hangs = 0;
    s->noise = px_rng_unit(rng) * 0.2;
    s->fixed_ns = (double)between(rng, 200, 5000) * 1e3;
    s->one_ns = (double)between(rng, 20, 400) * 1e3;
    s->n_requests = REQUESTS_MAX;
    s->rows_most = between(rng, 1, 3);
    s->n_shapes = 1;
    s->n_clients = (unsigned)between(rng, 1, CLIENTS_MAX);
    s->has_deadline = 1;
    double batch_ns = s->fixed_ns + s->one_ns * (double)s->policy.rows_max;
    s->deadline_ns = (uint64_t)(batch_ns * (5 + 15 * px_rng_unit(rng)));
    s->policy.standing_ns = s->deadline_ns / 4;
    s->gap_ns = ((double)s->rows_most + 1) / 2 / capacity(s) / load;
    if (chance(rng, 0.3))
        s->slow_until_ns = (uint64_t)(s->gap_ns * (double)s->n_requests / 6);
}

struct scenario scenario_make_kind(uint64_t seed, enum scenario_kind kind)
{
    struct scenario s = {.seed = seed, .kind = kind};
    struct px_rng rng = px_rng(seed);
    if (kind == SHARES) {
        draw_shares(&rng, &s);
    } else if (kind == OVERLOAD) {
        draw_overload(&rng, &s);
    } else {
        draw_policy(&rng, &s);
        draw_engine(&rng, &s);
        draw_load(&rng, &s);
    }
    return s;
}

struct scenario scenario_make(uint64_t seed)
{
    return scenario_make_kind(seed, seed % 8 == 7 ? SHARES : ANYTHING);
}
