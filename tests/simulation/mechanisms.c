/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands beside the queue: one row for each mechanism, in the order in which a request meets them.
 *
 * Each takes part in half of the scenarios of the kind ANYTHING, by its own bit of the seed, and keeps an account of its own that is compared
 * with the mechanism after each step. One that answers a request itself tells the others by world_answer.
 */
#include "simulation.h"

#include "domain/caching/answers.h"
#include "domain/overload/breaker.h"
#include "domain/overload/limiter.h"

#include <string.h>

enum { BREAKER_BIT = 3, LIMITER_BIT = 5, ANSWERS_BIT = 7 };

static bool takes_part(const struct world *world, unsigned bit)
{
    return world->scenario.kind == ANYTHING && (world->scenario.seed * 0x9e3779b9u >> bit & 1);
}

/* Draws of their own, so that the rest of a seed stays as it is. */
static struct px_rng draws_of(const struct world *world, unsigned bit)
{
    return px_rng(world->scenario.seed + bit);
}

/* ---- the breaker ---- */

static struct {
    bool is_on;
    struct px_breaker breaker;
    struct px_breaker_ticket tickets[REQUESTS_MAX]; /* era 0: none */
    uint64_t n_refused;
} breaking;

static void begin_breaker(struct world *world)
{
    struct px_rng rng = draws_of(world, BREAKER_BIT);
    struct px_breaker_policy policy = px_breaker_policy_default();
    breaking.is_on = takes_part(world, BREAKER_BIT);
    breaking.n_refused = 0;
    memset(breaking.tickets, 0, world->scenario.n_requests * sizeof *breaking.tickets);
    policy.window_calls = (unsigned)px_rng_below(&rng, 50);
    policy.window_ns = MS + px_rng_below(&rng, 1000 * MS);
    policy.failures = 1 + (unsigned)px_rng_below(&rng, 10);
    policy.failure_rate = 0.05 + 0.95 * px_rng_unit(&rng);
    policy.slow_ns = px_rng_below(&rng, 2) * (1 + px_rng_below(&rng, 100 * MS));
    policy.open_ns = MS + px_rng_below(&rng, 50 * MS);
    policy.open_max_ns = policy.open_ns + px_rng_below(&rng, 200 * MS);
    policy.probes = 1 + (unsigned)px_rng_below(&rng, 5);
    px_breaker_init(&breaking.breaker, &policy);
}

static void check_breaker(struct world *world)
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

static bool breaker_arrives(struct world *world, struct request *request)
{
    struct px_breaker *b = &breaking.breaker;
    if (!breaking.is_on)
        return true;
    bool was_open = px_breaker_is_open(b, world->now_ns);
    bool is_resting = b->state == PX_BREAKER_OPEN && world->now_ns < b->until_ns;
    enum px_breaker_verdict verdict =
        px_breaker_enter(b, world->now_ns, &breaking.tickets[request->rank]);
    check_that(world, !is_resting || verdict == PX_BREAKER_REFUSED, "passes an open breaker",
               request);
    check_that(world, was_open == (verdict == PX_BREAKER_REFUSED),
               "a breaker does not do as it says", request);
    breaking.n_refused += verdict == PX_BREAKER_REFUSED;
    check_breaker(world);
    if (verdict != PX_BREAKER_REFUSED)
        return true;
    world_answer(world, request, REFUSED);
    return false;
}

static void breaker_ends(struct world *world, const struct request *request)
{
    static const enum px_breaker_outcome outcomes[] = {[ANSWERED] = PX_BREAKER_SUCCEEDED,
                                                       [TOO_LATE] = PX_BREAKER_LATE,
                                                       [FAILED] = PX_BREAKER_FAILED};
    struct px_breaker_ticket *ticket = &breaking.tickets[request->rank];
    if (!breaking.is_on || !ticket->era)
        return;
    px_breaker_leave(&breaking.breaker, ticket, outcomes[request->outcome], world->now_ns);
    ticket->era = 0;
}

/* Everybody has ended: what passed has come back. */
static void end_breaker(struct world *world)
{
    check_breaker(world);
    check_that(world, !breaking.is_on || breaking.breaker.probing == 0, "a probe was lost", NULL);
}

/* ---- the limiter ---- */

static struct {
    bool is_on;
    struct px_limiter limiter;
    bool is_in[REQUESTS_MAX];
    unsigned n;
} limiting;

static void begin_limiter(struct world *world)
{
    struct px_rng rng = draws_of(world, LIMITER_BIT);
    unsigned min = 1 + (unsigned)px_rng_below(&rng, 8), more = (unsigned)px_rng_below(&rng, 500);
    const struct px_limiter_policy policy = {
        .adapts = px_rng_below(&rng, 4) > 0,
        .min = min,
        .start = min + more / 4,
        .max = min + more,
        .window_ns = MS + px_rng_below(&rng, 100 * MS),
        .window_samples = 1 + (unsigned)px_rng_below(&rng, PX_LIMITER_SAMPLES),
        .buffer = px_rng_unit(&rng),
        .turns = 1 + (unsigned)px_rng_below(&rng, 2),
    };
    limiting.is_on = takes_part(world, LIMITER_BIT);
    limiting.n = 0;
    memset(limiting.is_in, 0, world->scenario.n_requests);
    px_limiter_init(&limiting.limiter, &policy, 0);
}

static void check_limiter(struct world *world)
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
}

static bool limiter_arrives(struct world *world, struct request *request)
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
    check_limiter(world);
    if (!is_in)
        world_answer(world, request, REFUSED);
    return is_in;
}

static void limiter_ends(struct world *world, const struct request *request)
{
    const struct px_limiter_sample sample = {.began_ns = request->sent_ns,
                                             .ended_ns = world->now_ns};
    if (!limiting.is_on || !limiting.is_in[request->rank])
        return;
    limiting.is_in[request->rank] = false;
    limiting.n--;
    px_limiter_leave(&limiting.limiter, request->outcome == ANSWERED ? &sample : NULL,
                     world->now_ns);
    check_limiter(world);
}

static void end_limiter(struct world *world)
{
    check_limiter(world);
    check_that(world, !limiting.is_on || limiting.n == 0, "somebody never left the limiter", NULL);
}

/* ---- the answers ---- */

enum { QUESTIONS = 24, BUCKETS = 8 };

struct asked {
    struct px_answer answer; /* first: of the one who computes it */
    struct px_answer_waiter waiter;
    size_t question;
    uint64_t kept_until_ns;
};

static struct {
    bool is_on;
    struct px_answers table;
    struct px_answer *buckets[BUCKETS];
    struct px_answer_owner owner;
    struct asked asked[REQUESTS_MAX];
    uint64_t ttl_ns;
    struct px_rng rng;
} answering;

static struct asked *asked_of(struct px_answer *answer)
{
    return (struct asked *)answer;
}

static void begin_answers(struct world *world)
{
    answering.is_on = takes_part(world, ANSWERS_BIT);
    answering.rng = draws_of(world, ANSWERS_BIT);
    memset(answering.buckets, 0, sizeof answering.buckets);
    memset(&answering.owner, 0, sizeof answering.owner);
    answering.ttl_ns = px_rng_below(&answering.rng, 3) * px_rng_below(&answering.rng, 50 * MS);
    px_answers_init(&answering.table, answering.buckets, BUCKETS,
                    1 + px_rng_below(&answering.rng, 1000));
}

static void check_answers(struct world *world)
{
    const struct px_answers *table = &answering.table;
    if (!answering.is_on)
        return;
    check_that(world, table->bytes <= table->bytes_max, "answers need too many bytes", NULL);
    check_that(world, table->n == answering.owner.n && table->bytes == answering.owner.bytes,
               "answers are nobody's", NULL);
}

static void answer_from(struct world *world, struct request *request, enum outcome outcome)
{
    if (outcome == ANSWERED)
        request->rows_given = request->item.n_rows;
    world_answer(world, request, outcome);
}

static bool answers_arrive(struct world *world, struct request *request)
{
    struct asked *own = &answering.asked[request->rank], *found;
    struct px_answer *gone;
    if (!answering.is_on)
        return true;
    memset(own, 0, sizeof *own);
    own->question = px_rng_below(&answering.rng, QUESTIONS);
    own->answer.key = (struct px_answer_key){own->question % 5, own->question};
    own->answer.owner = &answering.owner;
    found = asked_of(px_answers_find(&answering.table, &own->answer.key, &answering.owner,
                                     world->now_ns, &gone));
    check_that(world, !gone || asked_of(gone)->kept_until_ns <= world->now_ns,
               "an answer went before its time", request);
    if (!found) {
        px_answers_await(&answering.table, &own->answer);
        return true;
    }
    check_that(world, found->question == own->question, "the answer to another question", request);
    if (found->answer.state == PX_ANSWER_KEPT) {
        check_that(world, !found->kept_until_ns || found->kept_until_ns > world->now_ns,
                   "an answer whose time has passed", request);
        answer_from(world, request, ANSWERED);
    } else {
        px_answers_join(&found->answer, &own->waiter);
    }
    return false;
}

static struct request *request_of(struct world *world, struct px_answer_waiter *waiter)
{
    return &world->requests[PX_CONTAINER_OF(waiter, struct asked, waiter) - answering.asked];
}

/* Those who wait get what the leader got. */
static void end_lead(struct world *world, struct asked *own, enum outcome outcome)
{
    struct px_answer_waiter *waiter;
    size_t bytes = 1 + px_rng_below(&answering.rng, answering.table.bytes_max);
    while ((waiter = px_answers_take_waiter(&own->answer)))
        answer_from(world, request_of(world, waiter), outcome == ANSWERED ? ANSWERED : FAILED);
    if (outcome == ANSWERED) {
        own->kept_until_ns = answering.ttl_ns ? world->now_ns + answering.ttl_ns : 0;
        (void)!px_answers_keep(&answering.table, &own->answer, bytes, own->kept_until_ns);
        check_that(world, own->answer.state == PX_ANSWER_KEPT, "dropped as soon as it came", NULL);
    } else {
        px_answers_drop(&answering.table, &own->answer);
    }
    check_answers(world);
}

static void answers_end(struct world *world, const struct request *request)
{
    struct asked *own = &answering.asked[request->rank];
    if (!answering.is_on)
        return;
    if (own->answer.state == PX_ANSWER_AWAITED)
        end_lead(world, own, request->outcome);
    else if (own->waiter.answer)
        px_answers_leave(&own->waiter); /* cancelled or late while it waited */
}

static void end_answers(struct world *world)
{
    struct px_answer *gone;
    check_answers(world);
    if (!answering.is_on)
        return;
    for (gone = px_answers_drop_owned(&answering.table, &answering.owner, REQUESTS_MAX); gone;
         gone = gone->next)
        check_that(world, gone->state == PX_ANSWER_GONE, "an answer outlives its owner", NULL);
    check_that(world, answering.table.n == 0 && answering.table.bytes == 0, "an answer is left",
               NULL);
}

const struct mechanism mechanisms[MECHANISMS_MAX] = {
    {"answers", begin_answers, answers_arrive, answers_end, end_answers},
    {"limiter", begin_limiter, limiter_arrives, limiter_ends, end_limiter},
    {"breaker", begin_breaker, breaker_arrives, breaker_ends, end_breaker},
    {.name = NULL},
};
