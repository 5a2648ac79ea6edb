/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of a cache of answers: what is found, what is awaited, what is kept and for how long, what goes first.
 *
 * Concepts
 * - An answer is AWAITED while somebody computes it, KEPT when it is there, and GONE when the table does not know it any more.
 * - Kept answers stand in the order of their use. Keeping one drops those that were used least recently until the bytes are within
 *   the limit; one that has expired is dropped when it is looked for. Awaited answers are neither counted nor dropped for room.
 * - An owner is what answers die with: a version of a model. Answers of different owners are never taken for each other.
 * - A waiter waits for an awaited answer that another computes.
 * - A key is a hash. Two questions may have the same; whoever finds an answer compares the questions.
 *
 * Pure: no clock (time is an argument), no memory of its own (buckets, answers, owners and waiters are the caller's, which embeds them), no
 * locks: the caller guards a table with all that is in it.
 */
#ifndef PX_DOMAIN_CACHING_ANSWERS_H
#define PX_DOMAIN_CACHING_ANSWERS_H

#include "shared/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct px_answer_key {
    uint64_t low, high;
};

enum px_answer_state { PX_ANSWER_AWAITED = 1, PX_ANSWER_KEPT, PX_ANSWER_GONE };

struct px_answer;

struct px_answer_owner {
    struct px_answer *first; /* private */
    size_t n, bytes;         /* answers that are kept */
};

struct px_answer_waiter {
    struct px_answer *answer; /* NULL: it does not wait */
    struct px_answer_waiter *next, *previous;
};

struct px_answer {
    /* the caller's, before px_answers_await */
    struct px_answer_key key;
    struct px_answer_owner *owner;

    /* the table's */
    enum px_answer_state state;
    size_t bytes;        /* of one that is kept */
    uint64_t expires_ns; /* from then on it is not found any more; 0: never */
    struct px_answer_waiter *first_waiter, *last_waiter;
    struct px_answer *next; /* in its bucket; in a list of those that are gone */
    struct px_answer *newer, *older;
    struct px_answer *next_of_owner, *previous_of_owner;
};

struct px_answers {
    size_t bytes_max;
    size_t n, bytes; /* answers that are kept */
    /* private */
    struct px_answer **buckets;
    size_t mask;
    struct px_answer *newest, *oldest;
};

/* `buckets` are `n_buckets` NULLs, a power of two, which outlive the table. */
void px_answers_init(struct px_answers *self, struct px_answer **buckets, size_t n_buckets,
                     size_t bytes_max);

/*
 * The answer of that key and owner, awaited or kept, which counts as used now. One that has expired is dropped, and left in `ret_gone`
 * (NULL otherwise).
 */
struct px_answer *px_answers_find(struct px_answers *self, const struct px_answer_key *key,
                                  const struct px_answer_owner *owner, uint64_t now_ns,
                                  struct px_answer **ret_gone);

/* Enters an answer that is being computed. There is none of its key and owner. */
void px_answers_await(struct px_answers *self, struct px_answer *answer);

/*
 * An awaited answer has come. It takes `bytes`, at most bytes_max, and is kept until `expires_ns` (0: for ever). Returns what was dropped
 * for it, linked by `next`, the least recently used first.
 */
struct px_answer *px_answers_keep(struct px_answers *self, struct px_answer *answer, size_t bytes,
                                  uint64_t expires_ns);

/* The table forgets it: an awaited answer that did not come, or a kept one. Nobody waits for it. */
void px_answers_drop(struct px_answers *self, struct px_answer *answer);

/* Drops at most `n_max` answers of an owner; returns them linked by `next`, NULL when it has no more. Nobody waits for them. */
struct px_answer *px_answers_drop_owned(struct px_answers *self, struct px_answer_owner *owner,
                                        size_t n_max);

/* The waiter waits for an awaited answer, behind the others. */
void px_answers_join(struct px_answer *answer, struct px_answer_waiter *waiter);
/* It does so no more; false when it was taken already. */
bool px_answers_leave(struct px_answer_waiter *waiter);
/* Takes the one that has waited longest, or NULL. */
struct px_answer_waiter *px_answers_take_waiter(struct px_answer *answer);

#endif
