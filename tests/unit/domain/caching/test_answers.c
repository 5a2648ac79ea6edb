/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of the cache in virtual time: what is found, what goes first, what is counted; and against a model that is slow and obvious. */
#include "domain/caching/answers.h"
#include "shared/rng.h"

#include "harness.h"

enum { BUCKETS = 4, BYTES_MAX = 100 };

static struct px_answer *buckets[BUCKETS];
static struct px_answers table;
static struct px_answer_owner owner, other;
static struct px_answer *gone;

static void set_up(void)
{
    memset(buckets, 0, sizeof buckets);
    owner = other = (struct px_answer_owner){0};
    px_answers_init(&table, buckets, BUCKETS, BYTES_MAX);
}

static struct px_answer answer(uint64_t key)
{
    return (struct px_answer){.key = {key, key * 7}, .owner = &owner};
}

static struct px_answer *find(uint64_t key, uint64_t now_ns)
{
    const struct px_answer_key k = {key, key * 7};
    return px_answers_find(&table, &k, &owner, now_ns, &gone);
}

static void put(struct px_answer *a, size_t bytes, uint64_t expires_ns)
{
    px_answers_await(&table, a);
    gone = px_answers_keep(&table, a, bytes, expires_ns);
}

PX_TEST(the_least_recently_used_goes_first)
{
    struct px_answer a = answer(1), b = answer(2), c = answer(3), d = answer(4);
    set_up();
    put(&a, 40, 0);
    put(&b, 40, 0);
    CHECK(find(1, 0) == &a);
    put(&c, 40, 0);
    CHECK(gone == &b && !b.next);
    CHECK_INT(b.state, PX_ANSWER_GONE);
    CHECK(find(1, 0) == &a && find(3, 0) == &c && !find(2, 0));
    put(&d, 100, 0); /* several go, the oldest first */
    CHECK(gone == &a && a.next == &c && !c.next);
    CHECK_INT(table.n, 1);
    CHECK_INT(table.bytes, 100);
    CHECK_INT(owner.bytes, 100);
}

PX_TEST(an_answer_is_found_until_its_time_and_dropped_then)
{
    struct px_answer a = answer(1), b = answer(2);
    set_up();
    put(&a, 10, 1000);
    put(&b, 10, 0);
    CHECK(find(1, 999) == &a);
    CHECK(!find(1, 1000));
    CHECK(gone == &a);
    CHECK(!find(1, 1000) && !gone);
    CHECK(find(2, UINT64_MAX) == &b);
    CHECK_INT(table.bytes, 10);
}

PX_TEST(an_awaited_answer_is_neither_counted_nor_dropped_for_room_nor_expired)
{
    struct px_answer a = answer(1), b = answer(2);
    set_up();
    px_answers_await(&table, &a);
    CHECK_INT(table.bytes, 0);
    put(&b, 100, 0);
    CHECK(find(1, UINT64_MAX) == &a);
    px_answers_drop(&table, &a);
    CHECK(!find(1, 0));
    CHECK_INT(table.bytes, 100);
}

PX_TEST(owners_do_not_see_each_others_answers_and_take_theirs_along)
{
    struct px_answer a = answer(1), b = answer(1), c = answer(5), d = answer(9);
    set_up();
    b.owner = &other;
    put(&a, 10, 0);
    put(&b, 10, 0);
    put(&c, 10, 0);
    px_answers_await(&table, &d);
    CHECK(find(1, 0) == &a);
    gone = px_answers_drop_owned(&table, &owner, 2);
    CHECK(gone && gone->next && !gone->next->next);
    gone = px_answers_drop_owned(&table, &owner, 2);
    CHECK(gone && !gone->next);
    CHECK(!px_answers_drop_owned(&table, &owner, 2));
    CHECK(!find(1, 0) && !find(5, 0) && !find(9, 0));
    const struct px_answer_key key = {1, 7};
    CHECK(px_answers_find(&table, &key, &other, 0, &gone) == &b);
    CHECK_INT(table.n, 1);
    CHECK_INT(owner.n, 0);
    CHECK_INT(owner.bytes, 0);
}

PX_TEST(waiters_are_taken_in_their_order_and_may_leave_from_anywhere)
{
    struct px_answer a = answer(1);
    struct px_answer_waiter w[4];
    set_up();
    px_answers_await(&table, &a);
    for (size_t i = 0; i < 4; i++)
        px_answers_join(&a, &w[i]);
    CHECK(px_answers_leave(&w[1]) && !px_answers_leave(&w[1]));
    CHECK(px_answers_leave(&w[3]));
    CHECK(px_answers_take_waiter(&a) == &w[0]);
    CHECK(!px_answers_leave(&w[0]));
    px_answers_join(&a, &w[3]);
    CHECK(px_answers_take_waiter(&a) == &w[2]);
    CHECK(px_answers_take_waiter(&a) == &w[3]);
    CHECK(!px_answers_take_waiter(&a));
    px_answers_drop(&table, &a);
}

/* ---- many steps against a model: a list of keys in the order of use ---- */

enum { KEYS = 24, STEPS = 200000 };

static struct {
    struct px_answer answers[KEYS];
    uint64_t order[KEYS]; /* when it was used; 0: not kept */
    uint64_t clock;
} model;

static size_t oldest_key(void)
{
    size_t oldest = KEYS;
    for (size_t i = 0; i < KEYS; i++) {
        if (model.order[i] && (oldest == KEYS || model.order[i] < model.order[oldest]))
            oldest = i;
    }
    return oldest;
}

static size_t bytes_of_model(void)
{
    size_t bytes = 0;
    for (size_t i = 0; i < KEYS; i++)
        bytes += model.order[i] ? model.answers[i].bytes : 0;
    return bytes;
}

static void keep_in_both(size_t key, size_t bytes, uint64_t expires_ns)
{
    struct px_answer *a = &model.answers[key];
    *a = answer(key);
    px_answers_await(&table, a);
    size_t used = bytes_of_model();
    gone = px_answers_keep(&table, a, bytes, expires_ns);
    while (used + bytes > BYTES_MAX) {
        size_t oldest = oldest_key();
        CHECK(gone == &model.answers[oldest]);
        used -= gone->bytes;
        gone = gone->next;
        model.order[oldest] = 0;
    }
    CHECK(!gone);
    model.order[key] = ++model.clock;
}

static void step(struct px_rng *rng, uint64_t now_ns)
{
    size_t key = px_rng_below(rng, KEYS);
    struct px_answer *a = &model.answers[key], *found = find(key, now_ns);
    bool is_there = model.order[key] && !(a->expires_ns && now_ns >= a->expires_ns);
    CHECK((found == a) == is_there);
    if (found) {
        model.order[key] = ++model.clock;
        return;
    }
    CHECK((gone == a) == (model.order[key] != 0));
    model.order[key] = 0;
    uint64_t expires_ns = px_rng_below(rng, 3) ? now_ns + 1 + px_rng_below(rng, 50) : 0;
    keep_in_both(key, 1 + px_rng_below(rng, BYTES_MAX), expires_ns);
}

PX_TEST(many_steps_in_virtual_time_agree_with_a_plain_model)
{
    struct px_rng rng = px_rng(11);
    set_up();
    memset(&model, 0, sizeof model);
    for (uint64_t now_ns = 1; now_ns <= STEPS; now_ns++) {
        step(&rng, now_ns);
        CHECK_INT(table.bytes, bytes_of_model());
        CHECK_INT(owner.bytes, table.bytes);
        CHECK(table.bytes <= BYTES_MAX);
    }
}

PX_TEST_MAIN(T(the_least_recently_used_goes_first)
                 T(an_answer_is_found_until_its_time_and_dropped_then)
                     T(an_awaited_answer_is_neither_counted_nor_dropped_for_room_nor_expired)
                         T(owners_do_not_see_each_others_answers_and_take_theirs_along)
                             T(waiters_are_taken_in_their_order_and_may_leave_from_anywhere)
                                 T(many_steps_in_virtual_time_agree_with_a_plain_model))
