/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limiter, against what limiter.h says: who finds a place, which samples count, when a window is over, what the gradient is, and where
 * the limit goes. In half of the scenarios requests tell how long they were served.
 */
#include "beside.h"

#include "domain/overload/limiter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LIMITER_BIT = 5 };

static struct {
    bool is_on, tells;
    struct px_limiter limiter;
    bool is_in[REQUESTS_MAX];
    unsigned n;
    /* the account of the window */
    double took[REQUESTS_MAX], served[REQUESTS_MAX];
    size_t n_took, n_served;
    unsigned peak;
    size_t n_refused;
    uint64_t opened_ns;
} limiting;

static void open_window(uint64_t now_ns)
{
    limiting.n_took = limiting.n_served = limiting.n_refused = 0;
    limiting.peak = limiting.n;
    limiting.opened_ns = now_ns;
}

static void begin(struct world *world)
{
    struct px_rng rng = beside_draws(world, LIMITER_BIT);
    unsigned min = 1 + (unsigned)px_rng_below(&rng, 8), more = (unsigned)px_rng_below(&rng, 40);
    const struct px_limiter_policy policy = {
        .adapts = px_rng_below(&rng, 4) > 0,
        .min = min,
        .start = min + more / 4,
        .max = min + more,
        .window_ns = 1 + px_rng_below(&rng, 10 * beside_step_ns(world)),
        .window_samples = 1 + (unsigned)px_rng_below(&rng, 10),
        .buffer = px_rng_unit(&rng),
        .turns = 1 + (unsigned)px_rng_below(&rng, 2),
    };
    limiting.is_on = beside_takes_part(world, LIMITER_BIT);
    limiting.tells = px_rng_below(&rng, 2);
    limiting.n = 0;
    memset(limiting.is_in, 0, world->scenario.n_requests);
    open_window(0);
    px_limiter_init(&limiting.limiter, &policy, 0);
}

static void check(struct world *world)
{
    const struct px_limiter *limiter = &limiting.limiter;
    const struct px_limiter_policy *policy = &limiter->policy;
    if (!limiting.is_on)
        return;
    check_that(world, limiter->in_flight == limiting.n, "a limiter has lost count", NULL);
    check_that(world, limiter->in_flight <= policy->max, "more than the most are on their way",
               NULL);
    check_that(world, limiter->limit >= policy->min && limiter->limit <= policy->max,
               "a limit out of its bounds", NULL);
    check_that(world, policy->adapts || limiter->limit == policy->max, "a fixed limit moves", NULL);
}

/* The less critical a request is, the fewer of its kind may be on their way. */
static void check_places(struct world *world)
{
    const struct px_limiter *limiter = &limiting.limiter;
    unsigned limit = (unsigned)limiter->limit;
    unsigned sheddable = px_limiter_share(limiter, PX_CRITICALITY_SHEDDABLE);
    unsigned usual = px_limiter_share(limiter, PX_CRITICALITY_DEFAULT);
    unsigned critical = px_limiter_share(limiter, PX_CRITICALITY_CRITICAL);
    check_that(world, limit < 4 || (sheddable >= limit / 2 && sheddable < usual),
               "sheddable requests get another share than they should", NULL);
    check_that(world, limiter->policy.max < 2 || usual < critical,
               "critical requests get no more than others", NULL);
    check_that(world, sheddable >= 1 && usual >= sheddable && critical >= usual,
               "shares are in another order", NULL);
}

static bool arrives(struct world *world, struct request *request)
{
    struct px_limiter *limiter = &limiting.limiter;
    enum px_criticality criticality = request->item.urgency.criticality;
    if (!limiting.is_on)
        return true;
    unsigned share = px_limiter_share(limiter, criticality);
    bool is_in = px_limiter_enter(limiter, criticality) == PX_LIMITER_ADMITTED;
    check_that(world, limiting.n > 0 || is_in, "refused though nobody is on the way", request);
    check_that(world, is_in == (limiting.n < share), "a limit is not what it says", request);
    limiting.is_in[request->rank] = is_in;
    limiting.n += is_in;
    limiting.n_refused += !is_in;
    limiting.peak = limiting.n > limiting.peak ? limiting.n : limiting.peak;
    check(world);
    check_places(world);
    if (!is_in)
        world_answer(world, request, REFUSED);
    return is_in;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of the latest PX_LIMITER_SAMPLES; sorts them. */
static double median(double *values, size_t n)
{
    double *latest = n > PX_LIMITER_SAMPLES ? values + n - PX_LIMITER_SAMPLES : values;
    n = n > PX_LIMITER_SAMPLES ? PX_LIMITER_SAMPLES : n;
    qsort(latest, n, sizeof *latest, compare);
    return latest[n / 2];
}

static bool is_near(double a, double b)
{
    return fabs(a - b) <= 1e-9 * (fabs(a) + fabs(b));
}

/* A base that nobody tells is at most the sample, and goes up only in windows with little traffic or after a time at the least limit. */
static void check_base(struct world *world, const struct px_limiter *before, bool was_used)
{
    const struct px_limiter *after = &limiting.limiter;
    if (limiting.n_served) {
        double base = after->policy.turns * median(limiting.served, limiting.n_served);
        check_that(world, is_near(after->base_ns, base), "a base that is not what was told", NULL);
        return;
    }
    check_that(world, after->base_ns <= after->sample_ns * (1 + 1e-9), "a base above the sample",
               NULL);
    bool may_rise = before->base_ns == 0 || !was_used || before->n_at_least >= PX_LIMITER_AT_LEAST;
    check_that(world, may_rise || after->base_ns <= before->base_ns, "a base that rises under load",
               NULL);
}

static void check_window(struct world *world, const struct px_limiter *before)
{
    const struct px_limiter *after = &limiting.limiter;
    const struct px_limiter_policy *policy = &after->policy;
    bool was_used = limiting.n_refused > 0 || 2.0 * limiting.peak >= before->limit;
    check_that(world, is_near(after->sample_ns, median(limiting.took, limiting.n_took)),
               "a sample that is not the median", NULL);
    check_base(world, before, was_used);
    world->tally.n_windows++;
    if (!policy->adapts || !was_used) {
        check_that(world, after->limit == before->limit, "a limit moves that was not used", NULL);
        return;
    }
    double buffer_ns = fmax(policy->buffer * after->base_ns, PX_LIMITER_BUFFER_NS);
    double gradient = fmin(fmax((after->base_ns + buffer_ns) / fmax(after->sample_ns, 1), 0.5), 2);
    double limit = gradient * before->limit;
    limit = fmin(fmax(limit + sqrt(limit), policy->min), policy->max);
    check_that(world, is_near(after->gradient, gradient), "another gradient", NULL);
    check_that(world, is_near(after->limit, limit), "the limit goes elsewhere", NULL);
    world->tally.n_raised += after->limit > before->limit;
    world->tally.n_lowered += after->limit < before->limit;
}

static void ends(struct world *world, const struct request *request)
{
    struct px_limiter_sample sample = {.began_ns = request->sent_ns, .ended_ns = world->now_ns};
    if (!limiting.is_on || !limiting.is_in[request->rank])
        return;
    limiting.is_in[request->rank] = false;
    limiting.n--;
    bool says = request->outcome == ANSWERED && sample.began_ns >= limiting.opened_ns;
    if (limiting.tells)
        sample.served_ns = (sample.ended_ns - sample.began_ns) / 2 + 1;
    if (says)
        limiting.took[limiting.n_took++] = (double)(sample.ended_ns - sample.began_ns);
    if (says && limiting.tells)
        limiting.served[limiting.n_served++] = (double)sample.served_ns;
    struct px_limiter before = limiting.limiter;
    const struct px_limiter_policy *policy = &before.policy;
    px_limiter_leave(&limiting.limiter, request->outcome == ANSWERED ? &sample : NULL,
                     world->now_ns);
    check(world);
    if (says && limiting.n_took >= policy->window_samples &&
        world->now_ns - limiting.opened_ns >= policy->window_ns) {
        check_window(world, &before);
        open_window(world->now_ns);
    } else {
        check_that(world, limiting.limiter.limit == before.limit, "a limit moves within a window",
                   NULL);
    }
}

static void end(struct world *world)
{
    check(world);
    check_that(world, !limiting.is_on || limiting.n == 0, "somebody never left the limiter", NULL);
}

const struct mechanism beside_limiter = {"limiter", begin, arrives, ends, end};
