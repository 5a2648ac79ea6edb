/* SPDX-License-Identifier: Apache-2.0 */
/* Forming batches: when, of what, and for which reason. */
#include "batch_fixture.h"

static const struct px_batch_item one = {.n_rows = 1};

PX_TEST(an_empty_queue_makes_somebody_ask_again)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 4, .delay_ns = MS});
    CHECK_WAITS(f, 0, UINT64_MAX);
}

PX_TEST(a_lone_item_waits_though_there_is_no_delay)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 4});
    fixture_add(f, 5, one);
    CHECK_FORMS(f, 5, PX_BATCH_IDLE, 1, 1);
    CHECK_INT(f->batch.oldest_ns, 5);
    CHECK(!f->items[0].in.waits && f->queue.n_items == 0 && f->queue.n_rows == 0);
}

PX_TEST(a_batch_gets_more_rows_than_it_may_have)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 4});
    for (int i = 0; i < 6; i++)
        fixture_add(f, 0, one);
    CHECK_FORMS(f, 0, PX_BATCH_FULL, 4, 4);
    CHECK_FORMS(f, 0, PX_BATCH_IDLE, 2, 2);
}

PX_TEST(a_full_batch_waits_for_its_delay)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 4, .delay_ns = MS});
    for (int i = 0; i < 4; i++)
        fixture_add(f, 0, one);
    CHECK_FORMS(f, 0, PX_BATCH_FULL, 4, 4);
}

PX_TEST(more_items_are_put_together_than_the_caller_has_room_for)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 100, .delay_ns = MS});
    f->batch.n_parts_max = 3;
    for (int i = 0; i < 5; i++)
        fixture_add(f, 0, one);
    CHECK_FORMS(f, 0, PX_BATCH_FULL, 3, 3);
}

PX_TEST(items_of_an_engine_that_does_not_batch_are_put_together)
{
    struct fixture *f =
        fixture_new((struct px_batch_policy){.rows_max = PX_BATCH_ROWS_MAX, .together_max = 1});
    fixture_add(f, 0, (struct px_batch_item){.n_rows = 500});
    fixture_add(f, 0, one);
    CHECK_FORMS(f, 0, PX_BATCH_ALONE, 1, 500);
    CHECK_FORMS(f, 0, PX_BATCH_ALONE, 1, 1);
}

PX_TEST(the_delay_is_not_counted_from_the_oldest_item)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 4, .delay_ns = 10 * MS});
    fixture_add(f, 3 * MS, one);
    CHECK_WAITS(f, 3 * MS, 13 * MS);
    fixture_add(f, 9 * MS, one);
    CHECK_WAITS(f, 13 * MS - 1, 13 * MS);
    CHECK_FORMS(f, 13 * MS, PX_BATCH_DELAY, 2, 2);
}

PX_TEST(a_preferred_size_waits_for_the_delay)
{
    struct fixture *f = fixture_new((struct px_batch_policy){
        .rows_max = 16, .delay_ns = MS, .preferred = {4, 8}, .n_preferred = 2});
    for (int i = 0; i < 3; i++)
        fixture_add(f, 0, one);
    CHECK_WAITS(f, 0, MS);
    fixture_add(f, 0, one);
    fixture_add(f, 0, one);
    CHECK_FORMS(f, 0, PX_BATCH_PREFERRED, 4, 4);
    CHECK_WAITS(f, 0, MS);
}

PX_TEST(sizes_that_step_over_the_largest_preferred_one_wait)
{
    struct fixture *f = fixture_new((struct px_batch_policy){
        .rows_max = 16, .delay_ns = MS, .preferred = {8}, .n_preferred = 1});
    for (int i = 0; i < 3; i++)
        fixture_add(f, 0, (struct px_batch_item){.n_rows = 3});
    CHECK_FORMS(f, 0, PX_BATCH_PREFERRED, 3, 9);
}

PX_TEST(what_has_waited_for_its_delay_is_cut_to_a_preferred_size)
{
    struct fixture *f = fixture_new((struct px_batch_policy){
        .rows_max = 16, .delay_ns = MS, .preferred = {4, 12}, .n_preferred = 2});
    for (int i = 0; i < 3; i++)
        fixture_add(f, 0, (struct px_batch_item){.n_rows = 2});
    CHECK_FORMS(f, MS, PX_BATCH_DELAY, 3, 6);
}

PX_TEST(shapes_are_mixed)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 8, .delay_ns = MS});
    for (int i = 0; i < 6; i++)
        fixture_add(f, 0, (struct px_batch_item){.n_rows = 1, .shape = (uint64_t)i % 2});
    CHECK_FORMS(f, 0, PX_BATCH_SHAPE, 3, 3);
    for (size_t i = 0; i < 3; i++)
        CHECK_INT(f->parts[i].item->shape, 0);
    CHECK_WAITS(f, 0, MS);
    CHECK_FORMS(f, MS, PX_BATCH_DELAY, 3, 3);
    CHECK_INT(f->parts[0].item->shape, 1);
}

PX_TEST(looking_for_the_same_shape_never_ends)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 8});
    fixture_add(f, 0, one);
    for (int i = 0; i < PX_BATCH_LOOK_AHEAD; i++)
        fixture_add(f, 0, (struct px_batch_item){.n_rows = 1, .shape = 7});
    fixture_add(f, 0, one);
    CHECK_FORMS(f, 0, PX_BATCH_SHAPE, 1, 1);
    CHECK_FORMS(f, 0, PX_BATCH_FULL, 8, 8);
    CHECK_INT(f->parts[0].item->shape, 7);
}

PX_TEST(a_large_item_is_overtaken_by_small_ones)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 8, .delay_ns = MS});
    fixture_add(f, 0, (struct px_batch_item){.n_rows = 5});
    fixture_add(f, 0, (struct px_batch_item){.n_rows = 6});
    fixture_add(f, 0, one);
    CHECK_FORMS(f, 0, PX_BATCH_LARGE, 1, 5);
    CHECK_WAITS(f, 0, MS);
    CHECK_FORMS(f, MS, PX_BATCH_DELAY, 2, 7);
}

PX_TEST(an_oversized_item_is_not_split_exactly)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 8, .splits = true});
    fixture_add(f, 0, (struct px_batch_item){.n_rows = 3});
    struct px_batch_item *large = fixture_add(f, 0, (struct px_batch_item){.n_rows = 15});
    fixture_add(f, 0, (struct px_batch_item){.n_rows = 4});
    CHECK_FORMS(f, 0, PX_BATCH_FULL, 2, 8);
    CHECK(large->in.waits && large->n_rows_taken == 5);
    CHECK_INT(f->queue.n_rows, 14);
    CHECK_FORMS(f, 0, PX_BATCH_FULL, 1, 8);
    CHECK_INT(f->parts[0].first_row, 5);
    CHECK_FORMS(f, 0, PX_BATCH_IDLE, 2, 6);
    CHECK(f->parts[0].item == large && f->parts[0].first_row == 13 && f->parts[0].n_rows == 2);
    CHECK(!large->in.waits && f->queue.n_rows == 0);
}

PX_TEST(an_item_without_rows_gets_rows)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 2});
    for (int i = 0; i < 3; i++)
        fixture_add(f, 0, (struct px_batch_item){.n_rows = 0});
    CHECK_FORMS(f, 0, PX_BATCH_FULL, 2, 0);
    CHECK_FORMS(f, 0, PX_BATCH_IDLE, 1, 0);
    CHECK(f->queue.n_items == 0 && f->queue.n_rows == 0);
}

PX_TEST(an_item_is_kept_for_company_until_it_is_late)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 8, .delay_ns = 100 * MS});
    fixture_cost(f, 2 * MS, 0, 8);
    fixture_add(f, 0, (struct px_batch_item){.n_rows = 1, .deadline_ns = 16 * MS});
    CHECK_INT(fixture_form(f, 10 * MS), 0);
    CHECK(f->ask_again_ns >= 11 * MS - 9 && f->ask_again_ns <= 11 * MS + 9);
    CHECK_FORMS(f, f->ask_again_ns, PX_BATCH_DEADLINE, 1, 1);
}

PX_TEST(an_item_is_kept_for_company_as_if_computing_took_nothing)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 8, .delay_ns = 100 * MS});
    fixture_add(f, 0, (struct px_batch_item){.n_rows = 1, .deadline_ns = 16 * MS});
    CHECK_INT(fixture_form(f, 7 * MS), 0);
    CHECK_INT(f->ask_again_ns, 8 * MS);
    CHECK_FORMS(f, 8 * MS, PX_BATCH_DEADLINE, 1, 1);
}

PX_TEST(a_timeout_ends_while_its_item_waits_for_company)
{
    struct fixture *f = fixture_new((struct px_batch_policy){
        .rows_max = 8, .delay_ns = 100 * MS, .levels = {{.timeout_ns = 8 * MS}}});
    fixture_add(f, 0, one);
    CHECK_WAITS(f, 0, 7 * MS);
    CHECK_FORMS(f, 7 * MS, PX_BATCH_DEADLINE, 1, 1);
}

PX_TEST(a_batch_grows_until_one_of_its_items_is_late)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 16});
    fixture_cost(f, 2 * MS, MS, 16);
    fixture_add(f, 0, (struct px_batch_item){.n_rows = 2, .deadline_ns = 7 * MS});
    for (int i = 0; i < 6; i++)
        fixture_add(f, 0, one);
    CHECK_FORMS(f, 0, PX_BATCH_DEADLINE, 4, 5);
    CHECK_FORMS(f, 0, PX_BATCH_IDLE, 3, 3);
}

PX_TEST(an_item_joins_a_batch_that_ends_after_its_deadline)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 16});
    fixture_cost(f, 2 * MS, MS, 16);
    fixture_add(f, 0, (struct px_batch_item){.n_rows = 8});
    struct px_batch_item *tight = &f->items[f->n_items];
    CHECK_INT(px_batch_queue_add(&f->queue, tight, 0, NULL, one_instance, &f->shed),
              PX_BATCH_ACCEPTED);
    px_batch_queue_remove(&f->queue, tight);
    *tight = (struct px_batch_item){.n_rows = 1, .deadline_ns = 6 * MS};
    CHECK_INT(px_batch_queue_add(&f->queue, tight, 0, NULL, one_instance, &f->shed),
              PX_BATCH_ACCEPTED);
    CHECK_FORMS(f, 0, PX_BATCH_IDLE, 1, 8);
    CHECK_FORMS(f, 0, PX_BATCH_IDLE, 1, 1);
}

PX_TEST(what_cannot_be_in_time_takes_the_place_of_what_can)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 1});
    struct px_batch_item *hopeless =
        fixture_add(f, 0, (struct px_batch_item){.n_rows = 1, .deadline_ns = 10 * MS});
    struct px_batch_item *fine =
        fixture_add(f, 0, (struct px_batch_item){.n_rows = 1, .deadline_ns = 90 * MS});
    fixture_cost(f, 5 * MS, 0, 2);
    CHECK_FORMS(f, 6 * MS, PX_BATCH_FULL, 1, 1);
    CHECK(f->parts[0].item == fine);
    /* Nothing better to do: it is tried, for the line may be wrong. */
    CHECK_FORMS(f, 6 * MS, PX_BATCH_FULL, 1, 1);
    CHECK(f->parts[0].item == hopeless);
}

PX_TEST(a_line_that_is_wrong_makes_batches_small_for_ever)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 8, .delay_ns = 9 * MS});
    for (int i = 0; i < 5; i++)
        fixture_add(f, 0, (struct px_batch_item){.n_rows = 1, .deadline_ns = 10 * MS});
    fixture_cost(f, 500 * MS, 0, 8);
    CHECK_FORMS(f, 0, PX_BATCH_DEADLINE, 5, 5);
}

PX_TEST(waiting_goes_on_when_it_costs_more_than_it_saves)
{
    struct fixture *f = fixture_new(
        (struct px_batch_policy){.rows_max = 64, .delay_ns = 1000 * MS, .tunes_delay = true});
    fixture_cost(f, 12 * MS, 0, 8);
    f->queue.arrived_ns = 100 * MS;
    f->queue.arrival_gap_ns = 4 * MS;
    fixture_add(f, 104 * MS, one);
    CHECK_INT(f->queue.arrival_gap_ns, 4 * MS);
    /* One that waits loses 4 ms for 12 saved: worth it, until 12 ms have passed without anybody. */
    CHECK_INT(fixture_form(f, 104 * MS), 0);
    CHECK_NEAR(f->ask_again_ns, 116 * MS, 1000);
    fixture_add(f, 108 * MS, one);
    CHECK_INT(fixture_form(f, 108 * MS), 0);
    CHECK_NEAR(f->ask_again_ns, 114 * MS, 1000);
    /* Three lose 12 ms together: no gain. */
    fixture_add(f, 112 * MS, one);
    CHECK_FORMS(f, 112 * MS, PX_BATCH_GAIN, 3, 3);
}

PX_TEST(the_silence_after_a_burst_is_waited_through)
{
    struct fixture *f = fixture_new(
        (struct px_batch_policy){.rows_max = 64, .delay_ns = 1000 * MS, .tunes_delay = true});
    fixture_cost(f, 12 * MS, 0, 8);
    f->queue.arrived_ns = 100 * MS;
    for (int i = 0; i < 4; i++)
        fixture_add(f, 100 * MS, one);
    CHECK_INT(fixture_form(f, 100 * MS), 0);
    CHECK_NEAR(f->ask_again_ns, 103 * MS, 1000);
    CHECK_FORMS(f, f->ask_again_ns, PX_BATCH_GAIN, 4, 4);
}

PX_TEST(a_tuned_delay_exceeds_its_limit)
{
    struct fixture *f = fixture_new(
        (struct px_batch_policy){.rows_max = 64, .delay_ns = 2 * MS, .tunes_delay = true});
    fixture_cost(f, 12 * MS, 0, 8);
    f->queue.arrived_ns = 100 * MS;
    fixture_add(f, 101 * MS, one);
    CHECK_WAITS(f, 101 * MS, 103 * MS);
    CHECK_FORMS(f, 103 * MS, PX_BATCH_DELAY, 1, 1);
}

PX_TEST(a_tuned_delay_waits_without_knowing_what_it_saves)
{
    struct fixture *f = fixture_new(
        (struct px_batch_policy){.rows_max = 64, .delay_ns = 2 * MS, .tunes_delay = true});
    fixture_add(f, MS, one);
    CHECK_FORMS(f, MS, PX_BATCH_IDLE, 1, 1);
}

PX_TEST(a_model_that_leaves_waits_for_company)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 4, .delay_ns = MS});
    fixture_add(f, 0, one);
    CHECK_WAITS(f, 0, MS);
    px_batch_queue_drain(&f->queue);
    CHECK_FORMS(f, 0, PX_BATCH_DRAIN, 1, 1);
}

PX_TEST(asking_changes_something)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 4, .delay_ns = MS});
    static struct fixture before;
    fixture_add(f, 0, one);
    fixture_add(f, 0, (struct px_batch_item){.n_rows = 1, .urgency = {.client = 3}});
    before = *f;
    CHECK_WAITS(f, 0, MS);
    CHECK(memcmp(&before.queue, &f->queue, sizeof f->queue) == 0);
    CHECK(memcmp(before.items, f->items, sizeof f->items) == 0);
}

PX_TEST(a_reason_has_no_name)
{
    for (int reason = PX_BATCH_IDLE; reason <= PX_BATCH_DRAIN; reason++)
        CHECK(px_batch_reason_name((enum px_batch_reason)reason)[0]);
    CHECK(strcmp(px_batch_reason_name(PX_BATCH_GAIN), "gain") == 0);
}

PX_TEST_MAIN(
    T(a_line_that_is_wrong_makes_batches_small_for_ever)

        T(an_empty_queue_makes_somebody_ask_again) T(a_lone_item_waits_though_there_is_no_delay) T(
            a_batch_gets_more_rows_than_it_may_have) T(a_full_batch_waits_for_its_delay)
            T(more_items_are_put_together_than_the_caller_has_room_for) T(
                items_of_an_engine_that_does_not_batch_are_put_together)
                T(the_delay_is_not_counted_from_the_oldest_item) T(
                    a_preferred_size_waits_for_the_delay)
                    T(sizes_that_step_over_the_largest_preferred_one_wait) T(
                        what_has_waited_for_its_delay_is_cut_to_a_preferred_size)
                        T(shapes_are_mixed) T(looking_for_the_same_shape_never_ends) T(
                            a_large_item_is_overtaken_by_small_ones)
                            T(an_oversized_item_is_not_split_exactly) T(
                                an_item_without_rows_gets_rows)
                                T(an_item_is_kept_for_company_until_it_is_late) T(
                                    an_item_is_kept_for_company_as_if_computing_took_nothing)
                                    T(a_timeout_ends_while_its_item_waits_for_company) T(
                                        a_batch_grows_until_one_of_its_items_is_late)
                                        T(an_item_joins_a_batch_that_ends_after_its_deadline) T(
                                            what_cannot_be_in_time_takes_the_place_of_what_can)
                                            T(waiting_goes_on_when_it_costs_more_than_it_saves) T(
                                                the_silence_after_a_burst_is_waited_through)
                                                T(a_tuned_delay_exceeds_its_limit) T(
                                                    a_tuned_delay_waits_without_knowing_what_it_saves)
                                                    T(a_model_that_leaves_waits_for_company)
                                                        T(asking_changes_something)
                                                            T(a_reason_has_no_name))
