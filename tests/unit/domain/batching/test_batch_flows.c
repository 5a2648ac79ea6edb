/* SPDX-License-Identifier: Apache-2.0 */
/* Levels, shares of clients, and the order in which items are served. */
#include "batch_fixture.h"

#include "shared/rng.h"

static struct px_batch_item of(uint64_t client, unsigned priority)
{
    return (struct px_batch_item){.n_rows = 1, .urgency = {.client = client, .priority = priority}};
}

PX_TEST(a_less_urgent_level_is_served_first)
{
    struct fixture *f =
        fixture_new((struct px_batch_policy){.rows_max = 1, .n_levels = 3, .default_level = 2});
    fixture_add(f, 0, of(0, 3));
    fixture_add(f, 0, of(0, 0));
    fixture_add(f, 0, of(0, 9)); /* no such level: the default */
    fixture_add(f, 0, of(0, 1));
    static const size_t order[] = {3, 1, 2, 0};
    for (size_t i = 0; i < 4; i++) {
        fixture_form(f, 0);
        CHECK(f->parts[0].item == &f->items[order[i]]);
    }
}

PX_TEST(a_batch_is_not_filled_from_the_next_level)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 3, .n_levels = 2});
    fixture_add(f, 0, of(0, 2));
    fixture_add(f, 0, of(0, 1));
    CHECK_FORMS(f, 0, PX_BATCH_IDLE, 2, 2);
    CHECK(f->parts[0].item == &f->items[1]);
}

PX_TEST(one_clients_items_change_their_order)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 8});
    for (int i = 0; i < 16; i++)
        fixture_add(f, 0, of(5, 0));
    for (size_t i = 0; i < 16; i++) {
        if (i % 8 == 0)
            CHECK_FORMS(f, 0, PX_BATCH_FULL, 8, 8);
        CHECK(f->parts[i % 8].item == &f->items[i]);
    }
}

PX_TEST(a_client_with_a_backlog_delays_another)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 4});
    for (int i = 0; i < 50; i++)
        fixture_add(f, 0, of(1, 0));
    for (int i = 0; i < 5; i++)
        fixture_form(f, 0);
    struct px_batch_item *light = fixture_add(f, 0, of(2, 0));
    fixture_form(f, 0);
    CHECK(!light->in.waits);
}

PX_TEST(a_client_that_was_away_takes_what_it_did_not_use)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 1});
    for (int i = 0; i < 150; i++)
        fixture_add(f, 0, of(1, 0));
    for (int i = 0; i < 100; i++)
        fixture_form(f, 0);
    for (int i = 0; i < 40; i++)
        fixture_add(f, 0, of(2, 0));
    size_t n_late_comer = 0;
    for (int i = 0; i < 40; i++) {
        fixture_form(f, 0);
        n_late_comer += f->parts[0].item->urgency.client == 2;
    }
    CHECK(n_late_comer >= 19 && n_late_comer <= 21);
}

/* Clients 1..3 always have items; returns what each gets of n_rows rows by weights 1, 2 and 5 and items of random sizes. */
static void serve_shares(struct fixture *f, size_t n_rows, uint64_t *rows)
{
    struct px_rng rng = px_rng(3);
    size_t served = 0;
    for (int i = 0; i < 300; i++)
        fixture_add(f, 0,
                    (struct px_batch_item){.n_rows = 1 + px_rng_below(&rng, 7),
                                           .urgency = {.client = 1 + (uint64_t)i % 3}});
    while (served < n_rows) {
        CHECK(fixture_form(f, 0));
        for (size_t i = 0; i < f->batch.n_parts; i++) {
            struct px_batch_item *item = f->parts[i].item;
            rows[item->urgency.client] += f->parts[i].n_rows;
            served += f->parts[i].n_rows;
            *item = (struct px_batch_item){.n_rows = 1 + px_rng_below(&rng, 7),
                                           .urgency = {.client = item->urgency.client}};
            CHECK_INT(px_batch_queue_add(&f->queue, item, 0, NULL, one_instance, &f->shed), 0);
        }
    }
}

PX_TEST(shares_differ_from_the_weights)
{
    struct fixture *f = fixture_new(
        (struct px_batch_policy){.rows_max = 16, .weights = {{2, 2}, {3, 5}}, .n_weights = 2});
    uint64_t rows[4] = {0};
    serve_shares(f, 80000, rows);
    /* What two clients got for their weight never differs by more than an item of each. */
    CHECK_NEAR((double)rows[1], (double)rows[2] / 2, 7 + 3.5);
    CHECK_NEAR((double)rows[1], (double)rows[3] / 5, 7 + 1.4);
}

PX_TEST(shares_are_lost_when_virtual_time_starts_anew)
{
    struct fixture *f = fixture_new(
        (struct px_batch_policy){.rows_max = 16, .weights = {{2, 2}, {3, 5}}, .n_weights = 2});
    uint64_t rows[4] = {0};
    uint64_t near_the_end = (UINT64_C(1) << 60) - UINT64_C(1000000000);
    f->queue.levels[0].virtual_time = near_the_end;
    serve_shares(f, 80000, rows);
    CHECK(f->queue.levels[0].virtual_time < near_the_end);
    CHECK_NEAR((double)rows[1], (double)rows[2] / 2, 7 + 3.5);
    CHECK_NEAR((double)rows[1], (double)rows[3] / 5, 7 + 1.4);
}

PX_TEST(a_client_with_a_weight_shares_its_flow)
{
    struct fixture *f = fixture_new(
        (struct px_batch_policy){.rows_max = 1, .weights = {{9, 3}, {8, 1}}, .n_weights = 2});
    fixture_add(f, 0, of(9, 0));
    fixture_add(f, 0, of(8, 0));
    for (uint64_t client = 100; client < 300; client++)
        CHECK(fixture_add(f, 0, of(client, 0))->in.flow >= 2);
    CHECK(f->items[0].in.flow == 0 && f->items[1].in.flow == 1);
}

PX_TEST(a_removed_item_costs_its_client)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 1});
    for (int i = 0; i < 20; i++)
        fixture_add(f, 0, of(1 + (uint64_t)i % 2, 0));
    for (size_t i = 0; i < 10; i += 2)
        px_batch_queue_remove(&f->queue, &f->items[i]);
    size_t n_first = 0;
    for (int i = 0; i < 10; i++) {
        fixture_form(f, 0);
        n_first += f->parts[0].item->urgency.client == 1;
    }
    CHECK_INT(n_first, 5);
}

/* ---- last in, first out ---- */

PX_TEST(the_oldest_is_served_first_while_the_queue_stands)
{
    struct fixture *f = fixture_new(
        (struct px_batch_policy){.rows_max = 2, .turns_around = true, .standing_ns = 10});
    for (uint64_t i = 0; i < 4; i++)
        fixture_add(f, i, of(0, 0));
    CHECK_FORMS(f, 10, PX_BATCH_FULL, 2, 2);
    CHECK(f->parts[0].item == &f->items[0]);
    fixture_add(f, 12, of(0, 0));
    CHECK_FORMS(f, 13, PX_BATCH_FULL, 2, 2);
    CHECK(f->parts[0].item == &f->items[4] && f->parts[1].item == &f->items[3]);
    CHECK_FORMS(f, 13, PX_BATCH_IDLE, 1, 1);
}

PX_TEST(the_newest_is_served_first_though_nobody_asked_for_it)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 1, .standing_ns = 1});
    fixture_add(f, 0, of(0, 0));
    fixture_add(f, 1, of(0, 0));
    fixture_form(f, 100);
    CHECK(f->parts[0].item == &f->items[0]);
}

PX_TEST(an_item_that_has_begun_is_left_behind_while_the_queue_stands)
{
    struct fixture *f = fixture_new((struct px_batch_policy){
        .rows_max = 2, .turns_around = true, .standing_ns = 10, .splits = true});
    fixture_add(f, 0, of(0, 0));
    struct px_batch_item *large = fixture_add(f, 1, (struct px_batch_item){.n_rows = 5});
    CHECK_FORMS(f, 20, PX_BATCH_FULL, 1, 2);
    CHECK(f->parts[0].item == large);
    fixture_add(f, 20, of(0, 0));
    fixture_add(f, 21, of(0, 0));
    CHECK_FORMS(f, 22, PX_BATCH_FULL, 1, 2);
    CHECK_FORMS(f, 22, PX_BATCH_FULL, 2, 2);
    CHECK(f->parts[0].item == large && f->parts[1].item == &f->items[3]);
    CHECK_FORMS(f, 22, PX_BATCH_FULL, 2, 2);
    CHECK(f->parts[0].item == &f->items[2] && f->parts[1].item == &f->items[0]);
}

PX_TEST(one_level_that_stands_turns_another_around)
{
    struct fixture *f = fixture_new((struct px_batch_policy){
        .rows_max = 1, .n_levels = 2, .turns_around = true, .standing_ns = 10});
    fixture_add(f, 0, of(0, 2));
    fixture_add(f, 15, of(0, 1));
    fixture_add(f, 16, of(0, 1));
    fixture_form(f, 20);
    CHECK(f->parts[0].item == &f->items[1]);
}

PX_TEST_MAIN(
    T(a_less_urgent_level_is_served_first) T(a_batch_is_not_filled_from_the_next_level)
        T(one_clients_items_change_their_order) T(a_client_with_a_backlog_delays_another)
            T(a_client_that_was_away_takes_what_it_did_not_use) T(shares_differ_from_the_weights)
                T(shares_are_lost_when_virtual_time_starts_anew)
                    T(a_client_with_a_weight_shares_its_flow) T(a_removed_item_costs_its_client)
                        T(the_oldest_is_served_first_while_the_queue_stands)
                            T(the_newest_is_served_first_though_nobody_asked_for_it)
                                T(an_item_that_has_begun_is_left_behind_while_the_queue_stands)
                                    T(one_level_that_stands_turns_another_around))
