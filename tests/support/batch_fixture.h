/* SPDX-License-Identifier: Apache-2.0 */
/* A batch queue with items, a cost line and memory for batches, in milliseconds of virtual time. */
#ifndef PX_TESTS_BATCH_FIXTURE_H
#define PX_TESTS_BATCH_FIXTURE_H

#include "domain/batching/batch_queue.h"
#include "shared/compiler.h"

#include "harness.h"

enum { FIXTURE_ITEMS = 512, FIXTURE_PARTS = 128 };

#define MS UINT64_C(1000000)

static const struct px_batch_instances one_instance = {.n = 1};

struct fixture {
    struct px_batch_queue queue;
    struct px_cost_line cost;
    struct px_batch_item items[FIXTURE_ITEMS];
    struct px_batch_part parts[FIXTURE_PARTS];
    struct px_batch batch;
    struct px_batch_item *shed;
    uint64_t ask_again_ns;
    size_t n_items;
    unsigned n_busy; /* 1: the one instance computes */
};

/* One for all tests: it is large. Whatever the policy leaves out is the simplest. */
static inline struct fixture *fixture_new(struct px_batch_policy policy)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof fixture);
    policy.items_max = policy.items_max ? policy.items_max : FIXTURE_ITEMS;
    px_batch_queue_init(&fixture.queue, &policy);
    fixture.batch = (struct px_batch){.parts = fixture.parts, .n_parts_max = FIXTURE_PARTS};
    return &fixture;
}

/* From now on computing takes fixed_ns + one_ns for each row, and the line knows it up to that many rows. */
static inline void fixture_cost(struct fixture *f, uint64_t fixed_ns, uint64_t one_ns,
                                size_t rows_max)
{
    memset(&f->cost, 0, sizeof f->cost);
    for (size_t i = 0; i < 20; i++) {
        size_t rows = i % 2 ? 1 : rows_max;
        px_cost_line_learn(&f->cost, (double)rows, (double)(fixed_ns + rows * one_ns));
    }
}

static inline enum px_batch_refusal fixture_try(struct fixture *f, uint64_t now_ns,
                                                struct px_batch_item item)
{
    PX_ASSERT(f->n_items < FIXTURE_ITEMS);
    f->items[f->n_items] = item;
    return px_batch_queue_add(&f->queue, &f->items[f->n_items++], now_ns, &f->cost,
                              (struct px_batch_instances){1, f->n_busy}, &f->shed);
}

/* An item that must be let in. */
static inline struct px_batch_item *fixture_add(struct fixture *f, uint64_t now_ns,
                                                struct px_batch_item item)
{
    CHECK_INT(fixture_try(f, now_ns, item), PX_BATCH_ACCEPTED);
    return &f->items[f->n_items - 1];
}

/* The reason of the batch that an idle instance gets; 0: none. */
static inline int fixture_form(struct fixture *f, uint64_t now_ns)
{
    bool formed = px_batch_queue_form(&f->queue, now_ns, &f->cost, &f->batch, &f->ask_again_ns);
    return formed ? (int)f->batch.reason : 0;
}

#define CHECK_FORMS(f, now_ns, want_reason, want_parts, want_rows)                                 \
    do {                                                                                           \
        CHECK_INT(fixture_form(f, now_ns), want_reason);                                           \
        CHECK_INT((f)->batch.n_parts, want_parts);                                                 \
        CHECK_INT((f)->batch.n_rows, want_rows);                                                   \
    } while (0)

#define CHECK_WAITS(f, now_ns, want_ask_again_ns)                                                  \
    do {                                                                                           \
        CHECK_INT(fixture_form(f, now_ns), 0);                                                     \
        CHECK_INT((f)->ask_again_ns, want_ask_again_ns);                                           \
    } while (0)

static inline size_t fixture_late(struct fixture *f, uint64_t now_ns)
{
    size_t n = 0;
    for (struct px_batch_item *item = px_batch_queue_take_late(&f->queue, now_ns); item;
         item = item->next)
        n++;
    return n;
}

#endif
