/* SPDX-License-Identifier: Apache-2.0 */
#include "application/bench/open_loop.h"

#include "shared/clock.h"
#include "shared/compiler.h"

#include <math.h>

const char *px_load_outcome_name(enum px_load_outcome outcome)
{
    static const char *const names[PX_LOAD_OUTCOMES] = {
        [PX_LOAD_OK] = "ok",           [PX_LOAD_STATUS] = "status",
        [PX_LOAD_CONNECT] = "connect", [PX_LOAD_CLOSED] = "closed",
        [PX_LOAD_TIMEOUT] = "timeout", [PX_LOAD_BAD_REPLY] = "bad_reply",
        [PX_LOAD_UNSENT] = "unsent",
    };
    PX_ASSERT(outcome < PX_LOAD_OUTCOMES);
    return names[outcome];
}

void px_load_tally_merge(struct px_load_tally *into, const struct px_load_tally *from)
{
    px_latencies_merge(&into->latency, &from->latency);
    px_latencies_merge(&into->service, &from->service);
    px_latencies_merge(&into->lag, &from->lag);
    for (size_t i = 0; i < PX_LOAD_OUTCOMES; i++)
        into->outcomes[i] += from->outcomes[i];
    for (size_t i = 0; i < PX_ARRAY_LEN(into->statuses); i++)
        into->statuses[i] += from->statuses[i];
    into->offered += from->offered;
    into->replies += from->replies;
    into->good += from->good;
    into->waited += from->waited;
}

/* An exponential gap with mean 1; 1 - u is above 0. */
static double random_gap(struct px_rng *rng)
{
    return -log(1.0 - px_rng_unit(rng));
}

/* A fixed schedule is computed from the number of the request, so that rounding does not add up. */
static void schedule_next(struct px_open_loop *loop)
{
    const struct px_open_loop_config *c = &loop->config;
    double gap_ns = (double)PX_NS_PER_S / c->rate;
    if (c->arrivals == PX_LOAD_POISSON)
        loop->offset_ns += gap_ns * random_gap(&loop->rng);
    else
        loop->offset_ns = gap_ns * ((double)loop->n_taken + c->phase);
    loop->n_taken++;
    /* Compared as doubles: beyond the end, and at a rate near 0 (infinite, or no number), there is no integer. */
    bool in_time = loop->offset_ns < (double)(c->end_ns - c->start_ns);
    loop->next_ns = in_time ? c->start_ns + (uint64_t)loop->offset_ns : UINT64_MAX;
}

void px_open_loop_init(struct px_open_loop *loop, const struct px_open_loop_config *config)
{
    PX_ASSERT(config->rate > 0 && config->start_ns <= config->measured_ns &&
              config->measured_ns <= config->end_ns);
    *loop = (struct px_open_loop){.config = *config, .rng = px_rng(config->seed)};
    schedule_next(loop);
}

static bool is_measured(const struct px_open_loop *loop, uint64_t intended_ns)
{
    return intended_ns >= loop->config.measured_ns;
}

static uint64_t since(uint64_t then_ns, uint64_t now_ns)
{
    return now_ns > then_ns ? now_ns - then_ns : 0;
}

void px_open_loop_idle(struct px_open_loop *loop, uint64_t now_ns)
{
    if (loop->n_idle++ == 0)
        loop->idle_since_ns = now_ns;
}

/* Counts the next request as never sent. */
static void give_up(struct px_open_loop *loop, uint64_t now_ns)
{
    if (is_measured(loop, loop->next_ns)) {
        loop->tally.offered++;
        loop->tally.outcomes[PX_LOAD_UNSENT]++;
        loop->tally.waited++;
        px_latencies_add(&loop->tally.latency, since(loop->next_ns, now_ns));
    }
    schedule_next(loop);
}

bool px_open_loop_take(struct px_open_loop *loop, uint64_t now_ns, struct px_load_attempt *ret)
{
    uint64_t patience_ns = loop->config.patience_ns;
    while (loop->next_ns < now_ns && now_ns - loop->next_ns > patience_ns)
        give_up(loop, now_ns);
    if (loop->n_idle == 0 || loop->next_ns > now_ns)
        return false;
    *ret = (struct px_load_attempt){.intended_ns = loop->next_ns, .sent_ns = now_ns};
    if (is_measured(loop, ret->intended_ns)) {
        bool waited = loop->idle_since_ns > ret->intended_ns;
        loop->tally.offered++;
        loop->tally.waited += waited;
        px_latencies_add(&loop->tally.lag,
                         since(waited ? loop->idle_since_ns : ret->intended_ns, now_ns));
    }
    loop->n_idle--;
    schedule_next(loop);
    return true;
}

void px_open_loop_done(struct px_open_loop *loop, const struct px_load_attempt *attempt,
                       enum px_load_outcome outcome, int status, uint64_t now_ns)
{
    struct px_load_tally *tally = &loop->tally;
    const struct px_open_loop_config *c = &loop->config;
    if (outcome == PX_LOAD_OK && now_ns >= c->measured_ns && now_ns < c->end_ns)
        tally->replies++;
    if (!is_measured(loop, attempt->intended_ns))
        return;
    uint64_t latency_ns = since(attempt->intended_ns, now_ns);
    tally->outcomes[outcome]++;
    if (outcome == PX_LOAD_OK || outcome == PX_LOAD_STATUS) {
        PX_ASSERT(status >= PX_LOAD_STATUS_MIN && status <= PX_LOAD_STATUS_MAX);
        tally->statuses[status - PX_LOAD_STATUS_MIN]++;
    }
    if (outcome == PX_LOAD_OK || outcome == PX_LOAD_TIMEOUT)
        px_latencies_add(&tally->latency, latency_ns);
    if (outcome == PX_LOAD_OK)
        px_latencies_add(&tally->service, since(attempt->sent_ns, now_ns));
    if (outcome == PX_LOAD_OK && latency_ns <= c->limit_ns)
        tally->good++;
}

void px_open_loop_finish(struct px_open_loop *loop, uint64_t now_ns)
{
    while (loop->next_ns <= now_ns)
        give_up(loop, now_ns);
    loop->next_ns = UINT64_MAX;
}
