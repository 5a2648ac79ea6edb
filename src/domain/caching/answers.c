/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table with chains, a list in the order of use, and a list for each owner; every answer is in all that concern it, so each rule takes
 * constant time but for the answers that it drops.
 *
 * Invariants
 * 1. An answer is in a bucket and in its owner's list while it is AWAITED or KEPT; in the order of use while it is KEPT.
 * 2. `bytes` is the sum over the kept answers, and at most bytes_max.
 *
 * Expired answers stay until they are looked for, or until they are the least recently used: walking them would cost time for memory that
 * the next answer takes anyway.
 *
 * Rejected: a table that grows (its size follows from the limit of bytes), and policies that also look at how often an answer was used: what
 * they gain over the order of use depends on the traffic, what they cost does not.
 */
#include "domain/caching/answers.h"

void px_answers_init(struct px_answers *self, struct px_answer **buckets, size_t n_buckets,
                     size_t bytes_max)
{
    PX_ASSERT(n_buckets > 0 && (n_buckets & (n_buckets - 1)) == 0);
    *self = (struct px_answers){.bytes_max = bytes_max, .buckets = buckets, .mask = n_buckets - 1};
}

static struct px_answer **bucket_of(const struct px_answers *self, const struct px_answer_key *key)
{
    return &self->buckets[key->low & self->mask];
}

/* ---- the order of use ---- */

static void push_newest(struct px_answers *self, struct px_answer *answer)
{
    answer->newer = NULL;
    answer->older = self->newest;
    if (self->newest)
        self->newest->newer = answer;
    else
        self->oldest = answer;
    self->newest = answer;
}

static void take_out_of_order(struct px_answers *self, struct px_answer *answer)
{
    if (answer->newer)
        answer->newer->older = answer->older;
    else
        self->newest = answer->older;
    if (answer->older)
        answer->older->newer = answer->newer;
    else
        self->oldest = answer->newer;
}

/* ---- owners ---- */

static void enter_owner(struct px_answer *answer)
{
    struct px_answer_owner *owner = answer->owner;
    answer->previous_of_owner = NULL;
    answer->next_of_owner = owner->first;
    if (owner->first)
        owner->first->previous_of_owner = answer;
    owner->first = answer;
}

static void leave_owner(struct px_answer *answer)
{
    if (answer->next_of_owner)
        answer->next_of_owner->previous_of_owner = answer->previous_of_owner;
    if (answer->previous_of_owner)
        answer->previous_of_owner->next_of_owner = answer->next_of_owner;
    else
        answer->owner->first = answer->next_of_owner;
}

/* ---- answers ---- */

static void count_out(struct px_answers *self, const struct px_answer *answer)
{
    self->n--;
    self->bytes -= answer->bytes;
    answer->owner->n--;
    answer->owner->bytes -= answer->bytes;
}

void px_answers_drop(struct px_answers *self, struct px_answer *answer)
{
    struct px_answer **link = bucket_of(self, &answer->key);
    PX_ASSERT(answer->state != PX_ANSWER_GONE && !answer->first_waiter);
    while (*link != answer)
        link = &(*link)->next;
    *link = answer->next;
    answer->next = NULL;
    leave_owner(answer);
    if (answer->state == PX_ANSWER_KEPT) {
        take_out_of_order(self, answer);
        count_out(self, answer);
    }
    answer->state = PX_ANSWER_GONE;
}

static bool has_expired(const struct px_answer *answer, uint64_t now_ns)
{
    return answer->state == PX_ANSWER_KEPT && answer->expires_ns && now_ns >= answer->expires_ns;
}

static void use(struct px_answers *self, struct px_answer *answer)
{
    if (answer->state != PX_ANSWER_KEPT || answer == self->newest)
        return;
    take_out_of_order(self, answer);
    push_newest(self, answer);
}

struct px_answer *px_answers_find(struct px_answers *self, const struct px_answer_key *key,
                                  const struct px_answer_owner *owner, uint64_t now_ns,
                                  struct px_answer **ret_gone)
{
    struct px_answer *answer = *bucket_of(self, key);
    *ret_gone = NULL;
    while (answer &&
           (answer->key.low != key->low || answer->key.high != key->high || answer->owner != owner))
        answer = answer->next;
    if (!answer)
        return NULL;
    if (PX_UNLIKELY(has_expired(answer, now_ns))) {
        px_answers_drop(self, answer);
        *ret_gone = answer;
        return NULL;
    }
    use(self, answer);
    return answer;
}

void px_answers_await(struct px_answers *self, struct px_answer *answer)
{
    struct px_answer **bucket = bucket_of(self, &answer->key);
    answer->state = PX_ANSWER_AWAITED;
    answer->next = *bucket;
    *bucket = answer;
    enter_owner(answer);
}

struct px_answer *px_answers_keep(struct px_answers *self, struct px_answer *answer, size_t bytes,
                                  uint64_t expires_ns)
{
    struct px_answer *gone = NULL, **end = &gone;
    PX_ASSERT(answer->state == PX_ANSWER_AWAITED && bytes <= self->bytes_max);
    while (self->bytes > self->bytes_max - bytes) {
        struct px_answer *oldest = self->oldest;
        px_answers_drop(self, oldest);
        *end = oldest;
        end = &oldest->next;
    }
    answer->state = PX_ANSWER_KEPT;
    answer->bytes = bytes;
    answer->expires_ns = expires_ns;
    push_newest(self, answer);
    self->n++;
    self->bytes += bytes;
    answer->owner->n++;
    answer->owner->bytes += bytes;
    return gone;
}

struct px_answer *px_answers_drop_owned(struct px_answers *self, struct px_answer_owner *owner,
                                        size_t n_max)
{
    struct px_answer *gone = NULL;
    for (size_t i = 0; i < n_max && owner->first; i++) {
        struct px_answer *answer = owner->first;
        px_answers_drop(self, answer);
        answer->next = gone;
        gone = answer;
    }
    return gone;
}

/* ---- waiters ---- */

void px_answers_join(struct px_answer *answer, struct px_answer_waiter *waiter)
{
    PX_ASSERT(answer->state == PX_ANSWER_AWAITED);
    *waiter = (struct px_answer_waiter){.answer = answer, .previous = answer->last_waiter};
    if (answer->last_waiter)
        answer->last_waiter->next = waiter;
    else
        answer->first_waiter = waiter;
    answer->last_waiter = waiter;
}

bool px_answers_leave(struct px_answer_waiter *waiter)
{
    struct px_answer *answer = waiter->answer;
    if (!answer)
        return false;
    if (waiter->next)
        waiter->next->previous = waiter->previous;
    else
        answer->last_waiter = waiter->previous;
    if (waiter->previous)
        waiter->previous->next = waiter->next;
    else
        answer->first_waiter = waiter->next;
    waiter->answer = NULL;
    return true;
}

struct px_answer_waiter *px_answers_take_waiter(struct px_answer *answer)
{
    struct px_answer_waiter *waiter = answer->first_waiter;
    if (waiter)
        (void)px_answers_leave(waiter);
    return waiter;
}
