/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants
 * 1. min <= limit <= max, so that nothing is ever refused for ever.
 * 2. in_flight is what was admitted and has not left; it may be above a limit that has just gone down.
 * 3. The limit grows only where it was used: else a quiet night would end with a limit that holds nothing back.
 *
 * Rejected: percentiles of a sketch (128 samples are enough for a median, and sorting them ten times a second costs nothing);
 * AIMD on time-outs (it needs failures to learn from); the minimum of all samples as base (one lucky cache hit would hold it down).
 */
#include "domain/overload/limiter.h"

#include <math.h>

static const double gradient_min = 0.5, gradient_max = 2, rise = 0.1;

enum { SHEDDABLE_QUARTERS = 3, RESERVE = 8, OVER = 4, SERVED_KNOWN = 4 };

static double clamp(double x, double least, double most)
{
    return x < least ? least : x > most ? most : x;
}

void px_limiter_init(struct px_limiter *limiter, const struct px_limiter_policy *policy,
                     uint64_t now_ns)
{
    *limiter = (struct px_limiter){
        .policy = *policy,
        .limit = policy->adapts ? policy->start : policy->max,
        .gradient = 1,
        .excess = 1,
        .opened_ns = now_ns,
    };
}

/* ---- entering ---- */

unsigned px_limiter_share(const struct px_limiter *limiter, enum px_criticality criticality)
{
    unsigned limit = (unsigned)limiter->limit, max = limiter->policy.max;
    unsigned over = limit / OVER ? limit / OVER : 1;
    unsigned most = max - (max / RESERVE ? max / RESERVE : 1);
    unsigned usual = limit < most ? limit : most, share = usual;
    if (criticality == PX_CRITICALITY_CRITICAL)
        share = limit + over < max ? limit + over : max;
    else if (criticality == PX_CRITICALITY_SHEDDABLE)
        share = limit * SHEDDABLE_QUARTERS / 4;
    if (criticality == PX_CRITICALITY_SHEDDABLE && share >= usual)
        share = usual ? usual - 1 : 0;
    return share ? share : 1;
}

enum px_limiter_verdict px_limiter_enter(struct px_limiter *limiter,
                                         enum px_criticality criticality)
{
    if (limiter->in_flight >= px_limiter_share(limiter, criticality)) {
        limiter->n_refused++;
        bool is_first = criticality == PX_CRITICALITY_SHEDDABLE &&
                        limiter->in_flight < px_limiter_share(limiter, PX_CRITICALITY_CRITICAL);
        return is_first ? PX_LIMITER_SHEDDING : PX_LIMITER_FULL;
    }
    limiter->n_admitted++;
    limiter->in_flight++;
    if (limiter->in_flight > limiter->peak)
        limiter->peak = limiter->in_flight;
    return PX_LIMITER_ADMITTED;
}

/* ---- learning ---- */

static void sort(double *values, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        double value = values[i];
        size_t at = i;
        for (; at > 0 && values[at - 1] > value; at--)
            values[at] = values[at - 1];
        values[at] = value;
    }
}

/* Sorts them. */
static double median(double *values, size_t n_seen)
{
    size_t n = n_seen < PX_LIMITER_SAMPLES ? n_seen : PX_LIMITER_SAMPLES;
    sort(values, n);
    return values[n / 2];
}

static void keep(double *values, size_t *n_seen, double value)
{
    values[(*n_seen)++ % PX_LIMITER_SAMPLES] = value;
}

static bool was_used(const struct px_limiter *limiter)
{
    return limiter->n_refused > 0 || 2.0 * limiter->peak >= limiter->limit;
}

/* Of requests that do not say how long they were served. */
static double learned_base(const struct px_limiter *limiter)
{
    double base = limiter->base_ns, sample = limiter->sample_ns;
    if (base == 0 || sample < base || limiter->n_at_least >= PX_LIMITER_AT_LEAST)
        return sample;
    return was_used(limiter) ? base : base + rise * (sample - base);
}

static double find_base(struct px_limiter *limiter)
{
    bool is_told = limiter->n_served * SERVED_KNOWN >= limiter->n_samples;
    if (!is_told || limiter->n_served == 0)
        return learned_base(limiter);
    return limiter->policy.turns * median(limiter->served, limiter->n_served);
}

static void adapt(struct px_limiter *limiter)
{
    const struct px_limiter_policy *policy = &limiter->policy;
    double buffer_ns = policy->buffer * limiter->base_ns;
    if (buffer_ns < PX_LIMITER_BUFFER_NS)
        buffer_ns = PX_LIMITER_BUFFER_NS;
    double ratio =
        (limiter->base_ns + buffer_ns) / (limiter->sample_ns > 1 ? limiter->sample_ns : 1);
    limiter->gradient = clamp(ratio, gradient_min, gradient_max);
    double next = limiter->gradient * limiter->limit;
    limiter->limit = clamp(next + sqrt(next), policy->min, policy->max);
}

static void open_window(struct px_limiter *limiter, uint64_t now_ns)
{
    limiter->opened_ns = now_ns;
    limiter->peak = limiter->in_flight;
    limiter->n_admitted = limiter->n_refused = 0;
    limiter->n_samples = limiter->n_served = 0;
}

static void close_window(struct px_limiter *limiter, uint64_t now_ns)
{
    uint64_t admitted = limiter->n_admitted ? limiter->n_admitted : 1;
    limiter->excess = 1 + (double)limiter->n_refused / (double)admitted;
    limiter->sample_ns = median(limiter->samples, limiter->n_samples);
    limiter->base_ns = find_base(limiter);
    if (limiter->policy.adapts && was_used(limiter))
        adapt(limiter);
    bool at_least = limiter->limit <= limiter->policy.min || limiter->limit <= PX_LIMITER_LOW;
    limiter->n_at_least =
        at_least && limiter->n_at_least < PX_LIMITER_AT_LEAST ? limiter->n_at_least + 1 : 0;
    open_window(limiter, now_ns);
}

void px_limiter_leave(struct px_limiter *limiter, const struct px_limiter_sample *sample,
                      uint64_t now_ns)
{
    limiter->in_flight--;
    if (!sample || sample->began_ns < limiter->opened_ns || sample->ended_ns < sample->began_ns)
        return;
    keep(limiter->samples, &limiter->n_samples, (double)(sample->ended_ns - sample->began_ns));
    if (sample->served_ns)
        keep(limiter->served, &limiter->n_served, (double)sample->served_ns);
    if (now_ns - limiter->opened_ns >= limiter->policy.window_ns &&
        limiter->n_samples >= limiter->policy.window_samples)
        close_window(limiter, now_ns);
}

uint64_t px_limiter_retry_ns(const struct px_limiter *limiter)
{
    uint64_t admitted = limiter->n_admitted ? limiter->n_admitted : 1;
    double now = 1 + (double)limiter->n_refused / (double)admitted;
    return (uint64_t)(limiter->sample_ns * (now > limiter->excess ? now : limiter->excess));
}
