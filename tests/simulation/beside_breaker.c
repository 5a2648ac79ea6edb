/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The breaker, against an account that is kept from what breaker.h says: which outcomes count, when that is too many, which probe decides, and for
 * how long it is open.
 *
 * A window of calls is accounted for exactly. Of one of time, which slides in slices, it is known from when to when it may reach: it must not
 * trip with too few in the longest, and must when all of the longest failed and the shortest has enough of them.
 */
#include "beside.h"

#include "domain/overload/breaker.h"

#include <string.h>

enum { BREAKER_BIT = 3 };

struct seen {
    uint64_t at_ns;
    bool failed, slow;
};

static struct {
    bool is_on;
    struct px_breaker breaker;
    struct px_breaker_ticket tickets[REQUESTS_MAX]; /* era 0: none */
    uint64_t n_refused;
    /* the account */
    struct seen seen[REQUESTS_MAX]; /* since it was closed */
    size_t n_seen;
    unsigned n_good;                      /* probes that came back well */
    uint64_t open_for_ns, closed_at_ns;   /* of the latest trip; its end */
    uint64_t good_least_ns, good_most_ns; /* what good ones took */
} breaking;

static void begin(struct world *world)
{
    struct px_rng rng = beside_draws(world, BREAKER_BIT);
    struct px_breaker_policy policy = px_breaker_policy_default();
    breaking.is_on = beside_takes_part(world, BREAKER_BIT);
    breaking.n_refused = breaking.n_seen = breaking.n_good = 0;
    breaking.open_for_ns = breaking.closed_at_ns = breaking.good_most_ns = 0;
    breaking.good_least_ns = UINT64_MAX;
    memset(breaking.tickets, 0, world->scenario.n_requests * sizeof *breaking.tickets);
    uint64_t step_ns = beside_step_ns(world);
    policy.window_calls = (unsigned)px_rng_below(&rng, 3) * (2 + (unsigned)px_rng_below(&rng, 18));
    policy.window_ns = 10 * PX_BREAKER_SLICES + px_rng_below(&rng, 50 * step_ns);
    policy.failures = 1 + (unsigned)px_rng_below(&rng, 4);
    policy.failure_rate = 0.05 + 0.6 * px_rng_unit(&rng);
    policy.slow_ns = px_rng_below(&rng, 2) * (1 + px_rng_below(&rng, 6 * step_ns));
    policy.open_ns = 1 + px_rng_below(&rng, 10 * step_ns);
    policy.open_max_ns = policy.open_ns + px_rng_below(&rng, 20 * step_ns);
    policy.probes = 1 + (unsigned)px_rng_below(&rng, 5);
    px_breaker_init(&breaking.breaker, &policy);
}

static void check(struct world *world)
{
    const struct px_breaker *b = &breaking.breaker;
    if (!breaking.is_on)
        return;
    check_that(world, b->probing + b->good <= b->policy.probes, "too many probes", NULL);
    check_that(world, b->now.failed + b->now.slow <= b->now.n, "a window does not add up", NULL);
    check_that(world, b->state == PX_BREAKER_CLOSED || b->now.n == 0,
               "a breaker that is not closed counts", NULL);
    check_that(world, b->n_refused == breaking.n_refused, "refusals are not counted", NULL);
    check_that(world, px_breaker_retry_ns(b, world->now_ns) <= b->policy.open_max_ns,
               "open for longer than the most", NULL);
}

/* ---- the account ---- */

/* It has just tripped: twice as long as before when that was one trip of a row, and no longer than the most. */
static void account_for_trip(struct world *world, enum px_breaker_state before)
{
    const struct px_breaker *b = &breaking.breaker;
    uint64_t closed_for_ns = world->now_ns - breaking.closed_at_ns;
    bool is_of_row = before == PX_BREAKER_HALF_OPEN || closed_for_ns < breaking.open_for_ns;
    uint64_t open_for_ns = is_of_row ? 2 * breaking.open_for_ns : b->policy.open_ns;
    if (open_for_ns > b->policy.open_max_ns)
        open_for_ns = b->policy.open_max_ns;
    check_that(world, b->until_ns - world->now_ns == open_for_ns,
               "open for another time than it says", NULL);
    breaking.open_for_ns = open_for_ns;
    breaking.n_seen = breaking.n_good = 0;
    world->tally.trips[b->reason]++;
}

static void account_for_closing(struct world *world)
{
    breaking.closed_at_ns = world->now_ns;
    breaking.n_seen = breaking.n_good = 0;
    world->tally.n_closed_again++;
}

struct span {
    size_t n, failed, slow;
};

/* Of the latest `calls` (0: of any number) that came after `from_ns`. */
static struct span count_seen(size_t calls, uint64_t from_ns)
{
    struct span span = {0};
    for (size_t i = breaking.n_seen; i-- > 0 && (calls == 0 || breaking.n_seen - i <= calls);) {
        const struct seen *seen = &breaking.seen[i];
        if (calls == 0 && seen->at_ns < from_ns)
            break;
        span.n++;
        span.failed += seen->failed;
        span.slow += seen->slow;
    }
    return span;
}

static bool is_too_many(size_t n, const struct span *span)
{
    const struct px_breaker_policy *policy = &breaking.breaker.policy;
    return n >= policy->failures && (double)n >= policy->failure_rate * (double)span->n;
}

static bool is_too_slow(size_t n, const struct span *span)
{
    const struct px_breaker_policy *policy = &breaking.breaker.policy;
    return n >= policy->failures && (double)n >= policy->slow_rate * (double)span->n;
}

/* One was counted while it was closed: has it done what it should? */
static void check_closed(struct world *world, const struct seen *latest)
{
    const struct px_breaker *b = &breaking.breaker;
    bool tripped = b->state == PX_BREAKER_OPEN;
    if (b->policy.window_calls) {
        struct span span = count_seen(b->policy.window_calls, 0);
        bool should = (latest->failed && is_too_many(span.failed, &span)) ||
                      (latest->slow && is_too_slow(span.slow, &span));
        check_that(world, tripped == should, tripped ? "tripped too early" : "did not trip", NULL);
        return;
    }
    uint64_t slice_ns = b->policy.window_ns / PX_BREAKER_SLICES;
    uint64_t now_ns = world->now_ns, long_ns = b->policy.window_ns + slice_ns;
    uint64_t short_ns = b->policy.window_ns - slice_ns;
    struct span longest = count_seen(0, now_ns > long_ns ? now_ns - long_ns : 0);
    struct span shortest = count_seen(0, now_ns > short_ns ? now_ns - short_ns : 0);
    check_that(world,
               !tripped || longest.failed >= b->policy.failures ||
                   longest.slow >= b->policy.failures,
               "tripped with too few", NULL);
    check_that(world,
               tripped || !latest->failed || longest.failed < longest.n ||
                   shortest.failed < b->policy.failures,
               "did not trip though all failed", NULL);
}

/* What the outcome says; false: nothing. Of late ones without a time that is slow it is not always clear: then the breaker is believed. */
static bool judge(const struct request *request, uint64_t took_ns, bool was_counted,
                  struct seen *ret)
{
    uint64_t slow_ns = breaking.breaker.policy.slow_ns;
    *ret = (struct seen){0};
    if (request->outcome == ANSWERED) {
        ret->slow = slow_ns && took_ns >= slow_ns;
        return true;
    }
    ret->failed = true;
    if (request->outcome == FAILED)
        return true;
    if (request->outcome != TOO_LATE)
        return false;
    if (slow_ns)
        return took_ns >= slow_ns;
    if (breaking.good_most_ns && took_ns >= PX_BREAKER_PATIENCE * breaking.good_most_ns)
        return true;
    if (breaking.good_most_ns && took_ns < PX_BREAKER_PATIENCE * breaking.good_least_ns)
        return false;
    return was_counted;
}

static void note_good(uint64_t took_ns)
{
    breaking.good_most_ns = took_ns > breaking.good_most_ns ? took_ns : breaking.good_most_ns;
    breaking.good_least_ns = took_ns < breaking.good_least_ns ? took_ns : breaking.good_least_ns;
}

static void account_while_closed(struct world *world, bool says, struct seen *seen)
{
    const struct px_breaker *b = &breaking.breaker;
    if (!says) {
        check_that(world, b->state == PX_BREAKER_CLOSED, "tripped for nothing", NULL);
        return;
    }
    seen->at_ns = world->now_ns;
    breaking.seen[breaking.n_seen++] = *seen;
    check_closed(world, seen);
    if (b->state == PX_BREAKER_OPEN)
        account_for_trip(world, PX_BREAKER_CLOSED);
}

static void account_while_half_open(struct world *world, bool says, const struct seen *seen)
{
    const struct px_breaker *b = &breaking.breaker;
    bool is_bad = says && (seen->failed || seen->slow);
    breaking.n_good += says && !is_bad;
    bool closes = !is_bad && breaking.n_good == b->policy.probes;
    check_that(world, is_bad == (b->state == PX_BREAKER_OPEN), "a bad probe does not open it again",
               NULL);
    check_that(world, closes == (b->state == PX_BREAKER_CLOSED),
               "closed by another number of probes than it takes", NULL);
    if (b->state == PX_BREAKER_OPEN)
        account_for_trip(world, PX_BREAKER_HALF_OPEN);
    else if (b->state == PX_BREAKER_CLOSED)
        account_for_closing(world);
}

/* ---- the mechanism ---- */

static bool arrives(struct world *world, struct request *request)
{
    struct px_breaker *b = &breaking.breaker;
    if (!breaking.is_on)
        return true;
    enum px_breaker_state before = b->state;
    bool was_open = px_breaker_is_open(b, world->now_ns);
    bool is_resting = before == PX_BREAKER_OPEN && world->now_ns < b->until_ns;
    uint64_t n_opened = b->n_opened;
    enum px_breaker_verdict verdict =
        px_breaker_enter(b, world->now_ns, &breaking.tickets[request->rank]);
    if (b->n_opened > n_opened) /* its probes did not come back */
        account_for_trip(world, before);
    check_that(world, !is_resting || verdict == PX_BREAKER_REFUSED, "passes an open breaker",
               request);
    check_that(world, b->n_opened > n_opened || was_open == (verdict == PX_BREAKER_REFUSED),
               "a breaker does not do as it says", request);
    breaking.n_refused += verdict == PX_BREAKER_REFUSED;
    check(world);
    if (verdict != PX_BREAKER_REFUSED)
        return true;
    world_answer(world, request, REFUSED);
    return false;
}

static void ends(struct world *world, const struct request *request)
{
    static const enum px_breaker_outcome outcomes[] = {[ANSWERED] = PX_BREAKER_SUCCEEDED,
                                                       [TOO_LATE] = PX_BREAKER_LATE,
                                                       [FAILED] = PX_BREAKER_FAILED};
    struct px_breaker *b = &breaking.breaker;
    struct px_breaker_ticket *ticket = &breaking.tickets[request->rank];
    struct seen seen;
    if (!breaking.is_on || !ticket->era)
        return;
    enum px_breaker_state before = b->state;
    bool is_of_era = ticket->era == b->era;
    uint64_t took_ns = world->now_ns - ticket->began_ns;
    enum px_breaker_outcome outcome =
        request->outcome <= FAILED ? outcomes[request->outcome] : PX_BREAKER_UNKNOWN;
    static struct px_breaker
        as_it_was; /* counts alone may stay as they were when a window slides */
    memcpy(&as_it_was, b, sizeof *b);
    px_breaker_leave(b, ticket, outcome, world->now_ns);
    bool was_counted = memcmp(&as_it_was, b, sizeof *b) != 0;
    ticket->era = 0;
    if (!is_of_era) {
        check_that(world, b->state == before, "a ticket of another time counts", request);
        return;
    }
    bool says = judge(request, took_ns, was_counted, &seen);
    if (request->outcome == ANSWERED)
        note_good(took_ns);
    if (before == PX_BREAKER_CLOSED)
        account_while_closed(world, says, &seen);
    else if (before == PX_BREAKER_HALF_OPEN)
        account_while_half_open(world, says, &seen);
}

/* Everybody has ended: what passed has come back. */
static void end(struct world *world)
{
    check(world);
    check_that(world, !breaking.is_on || breaking.breaker.probing == 0, "a probe was lost", NULL);
}

const struct mechanism beside_breaker = {"breaker", begin, arrives, ends, end};
