/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of answers, against questions that are known: whose answer it is, for how long it is kept, and that of several the one goes
 * whose use is longest ago.
 */
#include "beside.h"

#include "domain/caching/answers.h"

#include <string.h>

enum { ANSWERS_BIT = 7, QUESTIONS = 24, BUCKETS = 8 };

struct asked {
    struct px_answer answer; /* first: of the one who computes it */
    struct px_answer_waiter waiter;
    size_t question;
    uint64_t kept_until_ns;
    uint64_t used; /* the number of its latest use */
};

static struct {
    bool is_on;
    struct px_answers table;
    struct px_answer *buckets[BUCKETS];
    struct px_answer_owner owner;
    struct asked asked[REQUESTS_MAX];
    uint64_t ttl_ns, n_uses;
    size_t n_asked;
    struct px_rng rng;
} answering;

static struct asked *asked_of(struct px_answer *answer)
{
    return (struct asked *)answer;
}

static void begin(struct world *world)
{
    answering.is_on = beside_takes_part(world, ANSWERS_BIT);
    answering.rng = beside_draws(world, ANSWERS_BIT);
    memset(answering.buckets, 0, sizeof answering.buckets);
    memset(&answering.owner, 0, sizeof answering.owner);
    answering.n_uses = answering.n_asked = 0;
    answering.ttl_ns = px_rng_below(&answering.rng, 3) * px_rng_below(&answering.rng, 50 * MS);
    px_answers_init(&answering.table, answering.buckets, BUCKETS,
                    1 + px_rng_below(&answering.rng, 1000));
}

static void check(struct world *world)
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

static bool arrives(struct world *world, struct request *request)
{
    struct asked *own = &answering.asked[request->rank], *found;
    struct px_answer *gone;
    if (!answering.is_on)
        return true;
    memset(own, 0, sizeof *own);
    if (request->rank >= answering.n_asked)
        answering.n_asked = request->rank + 1;
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
    found->used = ++answering.n_uses;
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

/* What went was used before everything that is kept. */
static void check_gone(struct world *world, struct px_answer *gone)
{
    for (; gone; gone = gone->next) {
        world->tally.n_evicted++;
        for (size_t i = 0; i < answering.n_asked; i++) {
            const struct asked *kept = &answering.asked[i];
            check_that(world,
                       kept->answer.state != PX_ANSWER_KEPT || kept->used > asked_of(gone)->used,
                       "an answer goes before one that was used earlier", NULL);
        }
    }
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
        own->used = ++answering.n_uses;
        check_gone(world,
                   px_answers_keep(&answering.table, &own->answer, bytes, own->kept_until_ns));
        check_that(world, own->answer.state == PX_ANSWER_KEPT, "dropped as soon as it came", NULL);
    } else {
        px_answers_drop(&answering.table, &own->answer);
    }
    check(world);
}

static void ends(struct world *world, const struct request *request)
{
    struct asked *own = &answering.asked[request->rank];
    if (!answering.is_on)
        return;
    if (own->answer.state == PX_ANSWER_AWAITED)
        end_lead(world, own, request->outcome);
    else if (own->waiter.answer)
        px_answers_leave(&own->waiter); /* cancelled or late while it waited */
}

static void end(struct world *world)
{
    struct px_answer *gone;
    check(world);
    if (!answering.is_on)
        return;
    for (gone = px_answers_drop_owned(&answering.table, &answering.owner, REQUESTS_MAX); gone;
         gone = gone->next)
        check_that(world, gone->state == PX_ANSWER_GONE, "an answer outlives its owner", NULL);
    check_that(world, answering.table.n == 0 && answering.table.bytes == 0, "an answer is left",
               NULL);
}

const struct mechanism beside_answers = {"answers", begin, arrives, ends, end};
