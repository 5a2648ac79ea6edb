/* SPDX-License-Identifier: Apache-2.0 */
/* Adding, refusing, shedding, removing and lateness. */
#include "batch_fixture.h"

#include "shared/rng.h"

static const struct px_batch_item one = {.n_rows = 1};

static struct px_batch_item urgent(enum px_criticality criticality, unsigned priority)
{
    return (struct px_batch_item){.n_rows = 1,
                                  .urgency = {.criticality = criticality, .priority = priority}};
}

static struct px_batch_item due(uint64_t deadline_ns)
{
    return (struct px_batch_item){.n_rows = 1, .deadline_ns = deadline_ns};
}

/* ---- refusals ---- */

PX_TEST(a_queue_is_not_bounded)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 4, .items_max = 2});
    fixture_add(f, 0, one);
    fixture_add(f, 0, one);
    CHECK_INT(fixture_try(f, 0, one), PX_BATCH_QUEUE_FULL);
    CHECK(!f->shed && !f->items[2].in.waits && f->queue.n_items == 2);
    fixture_form(f, 0);
    fixture_add(f, 0, one);
}

PX_TEST(a_level_takes_more_than_its_share)
{
    struct fixture *f =
        fixture_new((struct px_batch_policy){.rows_max = 4,
                                             .items_max = 10,
                                             .n_levels = 2,
                                             .levels = {{.items_max = 0}, {.items_max = 1}}});
    fixture_add(f, 0, urgent(0, 2));
    CHECK_INT(fixture_try(f, 0, urgent(0, 2)), PX_BATCH_LEVEL_FULL);
    fixture_add(f, 0, urgent(0, 1));
    fixture_add(f, 0, urgent(0, 1));
}

PX_TEST(an_item_larger_than_a_batch_is_let_in_without_splitting)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 4});
    CHECK_INT(fixture_try(f, 0, (struct px_batch_item){.n_rows = 5}), PX_BATCH_TOO_LARGE);
    fixture_add(f, 0, (struct px_batch_item){.n_rows = 4});
}

PX_TEST(an_item_whose_deadline_has_passed_is_let_in)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 4});
    CHECK_INT(fixture_try(f, 10, due(10)), PX_BATCH_HOPELESS);
    fixture_add(f, 10, due(11));
}

PX_TEST(an_item_is_let_in_that_cannot_be_in_time_after_what_waits)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 4});
    fixture_cost(f, 6 * MS, MS, 4);
    for (int i = 0; i < 8; i++)
        fixture_add(f, 0, one);
    /* Two full batches of 10 ms, then its own, that others fill. */
    CHECK_INT(fixture_try(f, 0, due(29 * MS)), PX_BATCH_HOPELESS);
    fixture_add(f, 0, due(31 * MS));
    CHECK_INT(px_batch_queue_foresee_ns(&f->queue, &one, 0, &f->cost,
                                        (struct px_batch_instances){.n = 2}) /
                  MS,
              20);
}

PX_TEST(what_is_being_computed_is_not_foreseen)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 4});
    fixture_cost(f, 6 * MS, MS, 4);
    for (int i = 0; i < 8; i++)
        fixture_add(f, 0, one);
    CHECK_FORMS(f, 0, PX_BATCH_FULL, 4, 4);
    f->n_busy = 1;
    CHECK_INT(fixture_try(f, 2 * MS, due(29 * MS)), PX_BATCH_HOPELESS);
    fixture_add(f, 2 * MS, due(31 * MS));
}

PX_TEST(an_idle_instance_computes_what_cannot_be_in_time)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 4});
    fixture_cost(f, 50 * MS, 0, 4);
    fixture_add(f, 1000 * MS, due(1060 * MS));
    CHECK_FORMS(f, 1000 * MS, PX_BATCH_IDLE, 1, 1);
    CHECK_INT(fixture_try(f, 1100 * MS, due(1110 * MS)), PX_BATCH_HOPELESS);
    /* The line may be wrong: when nothing has taught it for five times as long, one is tried. */
    fixture_add(f, 1250 * MS, due(1260 * MS));
    CHECK_FORMS(f, 1250 * MS, PX_BATCH_DEADLINE, 1, 1);
    /* That taught nothing, so the next waits for twice as long, until something has. */
    CHECK_INT(fixture_try(f, 1700 * MS, due(1710 * MS)), PX_BATCH_HOPELESS);
    fixture_add(f, 1750 * MS, due(1760 * MS));
    CHECK_FORMS(f, 1750 * MS, PX_BATCH_DEADLINE, 1, 1);
    px_cost_line_learn(&f->cost, 4, 50 * MS);
    fixture_add(f, 2000 * MS, due(2010 * MS));
}

PX_TEST(a_busy_instance_is_probed)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 4});
    fixture_cost(f, 50 * MS, 0, 4);
    fixture_add(f, 0, one);
    CHECK_FORMS(f, 0, PX_BATCH_IDLE, 1, 1);
    f->n_busy = 1;
    CHECK_INT(fixture_try(f, 10 * MS, due(20 * MS)), PX_BATCH_HOPELESS);
    CHECK_INT(fixture_try(f, 10 * MS, due(95 * MS)), PX_BATCH_HOPELESS);
    fixture_add(f, 10 * MS, due(105 * MS));
}

PX_TEST(items_that_are_computed_alone_are_foreseen_as_one_batch)
{
    struct fixture *f =
        fixture_new((struct px_batch_policy){.rows_max = PX_BATCH_ROWS_MAX, .together_max = 1});
    fixture_cost(f, 50 * MS, 0, 1);
    for (int i = 0; i < 8; i++)
        fixture_add(f, 0, one);
    CHECK_INT(fixture_try(f, 0, due(200 * MS)), PX_BATCH_HOPELESS);
    fixture_add(f, 0, due(451 * MS));
    CHECK_FORMS(f, 0, PX_BATCH_ALONE, 1, 1);
}

PX_TEST(a_wrong_cost_line_refuses_everything_for_ever)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 4});
    fixture_cost(f, 1000 * MS, 0, 4);
    CHECK_INT(fixture_try(f, 0, due(MS)), PX_BATCH_HOPELESS);
    fixture_add(f, 5000 * MS, due(5001 * MS));
    CHECK_FORMS(f, 5000 * MS, PX_BATCH_DEADLINE, 1, 1);
}

PX_TEST(an_item_is_refused_by_a_line_that_knows_nothing)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 4});
    for (int i = 0; i < 100; i++)
        fixture_add(f, 0, due(MS));
    CHECK_INT(px_batch_queue_foresee_ns(&f->queue, &one, 0, &f->cost, one_instance), 0);
    CHECK_INT(px_batch_queue_foresee_ns(&f->queue, &one, 0, NULL, one_instance), 0);
}

PX_TEST(a_client_is_refused_for_the_backlog_of_another)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 4});
    fixture_cost(f, 6 * MS, MS, 4);
    for (int i = 0; i < 100; i++)
        fixture_add(f, 0, (struct px_batch_item){.n_rows = 1, .urgency = {.client = 1}});
    struct px_batch_item light = {.n_rows = 1, .deadline_ns = 15 * MS, .urgency = {.client = 2}};
    struct px_batch_item heavy = {.n_rows = 1, .deadline_ns = 200 * MS, .urgency = {.client = 1}};
    CHECK_INT(fixture_try(f, 0, heavy), PX_BATCH_HOPELESS);
    struct px_batch_item *item = fixture_add(f, 0, light);
    CHECK_FORMS(f, 0, PX_BATCH_FULL, 4, 4);
    CHECK(!item->in.waits);
}

PX_TEST(an_urgent_item_is_refused_for_what_it_overtakes)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 4, .n_levels = 2});
    fixture_cost(f, 6 * MS, MS, 4);
    for (int i = 0; i < 100; i++)
        fixture_add(f, 0, urgent(0, 2));
    fixture_add(f, 0,
                (struct px_batch_item){.n_rows = 1, .deadline_ns = 15 * MS, .urgency = {1, 0, 0}});
}

PX_TEST(a_refusal_has_no_name)
{
    for (int r = PX_BATCH_ACCEPTED; r <= PX_BATCH_HOPELESS; r++)
        CHECK(px_batch_refusal_name((enum px_batch_refusal)r)[0]);
}

/* ---- shedding ---- */

PX_TEST(a_full_queue_sheds_the_wrong_item)
{
    struct fixture *f =
        fixture_new((struct px_batch_policy){.rows_max = 4, .items_max = 5, .n_levels = 2});
    fixture_add(f, 0, urgent(PX_CRITICALITY_SHEDDABLE, 1));
    struct px_batch_item *newest = fixture_add(f, 1, urgent(PX_CRITICALITY_SHEDDABLE, 1));
    struct px_batch_item *less_urgent = fixture_add(f, 0, urgent(PX_CRITICALITY_SHEDDABLE, 2));
    struct px_batch_item *usual = fixture_add(f, 2, urgent(PX_CRITICALITY_DEFAULT, 1));
    fixture_add(f, 2, urgent(PX_CRITICALITY_CRITICAL, 2));
    CHECK_INT(fixture_try(f, 3, urgent(PX_CRITICALITY_SHEDDABLE, 1)), PX_BATCH_QUEUE_FULL);
    fixture_add(f, 3, urgent(PX_CRITICALITY_DEFAULT, 1));
    CHECK(f->shed == less_urgent && !less_urgent->in.waits);
    fixture_add(f, 3, urgent(PX_CRITICALITY_CRITICAL, 1));
    CHECK(f->shed == newest);
    fixture_add(f, 3, urgent(PX_CRITICALITY_CRITICAL, 1));
    CHECK(f->shed == &f->items[0]);
    fixture_add(f, 3, urgent(PX_CRITICALITY_CRITICAL, 1));
    CHECK(f->shed == &f->items[6] && usual->in.waits);
    fixture_add(f, 3, urgent(PX_CRITICALITY_CRITICAL, 1));
    CHECK(f->shed == usual);
    CHECK_INT(fixture_try(f, 3, urgent(PX_CRITICALITY_CRITICAL, 1)), PX_BATCH_QUEUE_FULL);
    CHECK(!f->shed && f->queue.n_items == 5);
}

PX_TEST(a_full_level_sheds_from_another)
{
    struct fixture *f = fixture_new(
        (struct px_batch_policy){.rows_max = 4, .n_levels = 2, .levels = {{.items_max = 1}}});
    fixture_add(f, 0, urgent(PX_CRITICALITY_SHEDDABLE, 2));
    fixture_add(f, 0, urgent(PX_CRITICALITY_DEFAULT, 1));
    CHECK_INT(fixture_try(f, 0, urgent(PX_CRITICALITY_DEFAULT, 1)), PX_BATCH_LEVEL_FULL);
    fixture_add(f, 0, urgent(PX_CRITICALITY_CRITICAL, 1));
    CHECK(f->shed == &f->items[1] && f->items[0].in.waits);
}

PX_TEST(an_item_is_shed_of_which_rows_were_computed)
{
    struct fixture *f =
        fixture_new((struct px_batch_policy){.rows_max = 4, .items_max = 2, .splits = true});
    fixture_add(
        f, 0,
        (struct px_batch_item){.n_rows = 9, .urgency = {.criticality = PX_CRITICALITY_SHEDDABLE}});
    CHECK_FORMS(f, 0, PX_BATCH_FULL, 1, 4);
    fixture_add(f, 0, urgent(PX_CRITICALITY_CRITICAL, 0));
    CHECK_INT(fixture_try(f, 0, urgent(PX_CRITICALITY_CRITICAL, 0)), PX_BATCH_QUEUE_FULL);
}

/* ---- lateness ---- */

PX_TEST(items_are_late_at_another_time_than_their_deadline)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 4});
    fixture_add(f, 0, due(30));
    fixture_add(f, 0, due(10));
    fixture_add(f, 0, one);
    fixture_add(f, 0, due(20));
    CHECK_INT(px_batch_queue_next_late_ns(&f->queue), 10);
    CHECK_INT(fixture_late(f, 9), 0);
    CHECK(px_batch_queue_take_late(&f->queue, 10) == &f->items[1]);
    CHECK_INT(px_batch_queue_next_late_ns(&f->queue), 20);
    struct px_batch_item *late = px_batch_queue_take_late(&f->queue, 100);
    CHECK(late == &f->items[3] && late->next == &f->items[0] && !late->next->next);
    CHECK_INT(px_batch_queue_next_late_ns(&f->queue), UINT64_MAX);
    CHECK(!late->in.waits && f->queue.n_items == 1);
}

PX_TEST(a_late_item_is_computed)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 4});
    fixture_add(f, 0, due(10));
    CHECK_WAITS(f, 10, UINT64_MAX);
    CHECK_INT(fixture_late(f, 10), 1);
}

PX_TEST(an_items_deadline_beats_a_shorter_timeout)
{
    struct fixture *f =
        fixture_new((struct px_batch_policy){.rows_max = 4, .levels = {{.timeout_ns = 10}}});
    fixture_add(f, 5, due(100));
    CHECK_INT(px_batch_queue_next_late_ns(&f->queue), 15);
    fixture_add(f, 5, due(12));
    CHECK_INT(px_batch_queue_next_late_ns(&f->queue), 12);
    fixture_add(f, UINT64_MAX - 5, one);
    CHECK_INT(fixture_late(f, UINT64_MAX - 1), 2);
}

PX_TEST(a_demoted_item_is_refused_or_served_too_early)
{
    struct fixture *f = fixture_new((struct px_batch_policy){
        .rows_max = 1, .n_levels = 2, .levels = {{.timeout_ns = 10, .demotes = true}}});
    struct px_batch_item *demoted = fixture_add(f, 0, urgent(0, 1));
    fixture_add(f, 5, urgent(0, 1));
    fixture_add(f, 5, urgent(0, 2));
    CHECK_INT(fixture_late(f, 10), 0);
    CHECK(demoted->in.demoted && px_batch_queue_next_late_ns(&f->queue) == 15);
    static const size_t order[] = {1, 0, 2};
    for (size_t i = 0; i < 3; i++) {
        CHECK_FORMS(f, 11, PX_BATCH_FULL, 1, 1);
        CHECK(f->parts[0].item == &f->items[order[i]]);
    }
}

PX_TEST(a_demoted_item_outlives_its_own_deadline)
{
    struct fixture *f = fixture_new(
        (struct px_batch_policy){.rows_max = 1, .levels = {{.timeout_ns = 10, .demotes = true}}});
    fixture_add(f, 0, due(30));
    fixture_add(f, 0, due(8));
    CHECK_INT(fixture_late(f, 12), 1);
    CHECK_INT(px_batch_queue_next_late_ns(&f->queue), 30);
    CHECK_INT(fixture_late(f, 30), 1);
    CHECK_INT(f->queue.n_items, 0);
}

PX_TEST(the_order_of_deadlines_is_lost_when_items_leave)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 4});
    struct px_rng rng = px_rng(7);
    for (int i = 0; i < 400; i++)
        fixture_add(f, 0, due(1 + px_rng_below(&rng, 1000)));
    for (int i = 0; i < 200; i++)
        px_batch_queue_remove(&f->queue, &f->items[px_rng_below(&rng, 400)]);
    for (uint64_t now_ns = 0; now_ns <= 1000; now_ns++) {
        uint64_t soonest_ns = UINT64_MAX;
        for (size_t i = 0; i < 400; i++) {
            if (f->items[i].in.waits && f->items[i].deadline_ns < soonest_ns)
                soonest_ns = f->items[i].deadline_ns;
        }
        CHECK_INT(px_batch_queue_next_late_ns(&f->queue), soonest_ns);
        struct px_batch_item *item = px_batch_queue_take_late(&f->queue, now_ns);
        for (; item; item = item->next)
            CHECK_INT(item->deadline_ns, now_ns);
    }
    CHECK_INT(f->queue.n_items, 0);
}

/* ---- removing ---- */

PX_TEST(removing_what_never_came_or_has_left_does_something)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 1});
    struct px_batch_item stranger = {.n_rows = 1};
    fixture_add(f, 0, one);
    fixture_add(f, 0, one);
    px_batch_queue_remove(&f->queue, &stranger);
    fixture_form(f, 0);
    px_batch_queue_remove(&f->queue, &f->items[0]);
    CHECK_INT(f->queue.n_items, 1);
    px_batch_queue_remove(&f->queue, &f->items[1]);
    px_batch_queue_remove(&f->queue, &f->items[1]);
    CHECK_INT(f->queue.n_items, 0);
    CHECK_WAITS(f, 0, UINT64_MAX);
}

PX_TEST(a_split_item_that_is_removed_leaves_rows)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 4, .splits = true});
    struct px_batch_item *large = fixture_add(f, 0, (struct px_batch_item){.n_rows = 9});
    fixture_add(f, 0, one);
    CHECK_FORMS(f, 0, PX_BATCH_FULL, 1, 4);
    px_batch_queue_remove(&f->queue, large);
    CHECK_INT(f->queue.n_rows, 1);
    CHECK_INT(large->n_rows_taken, 4);
    CHECK_FORMS(f, 0, PX_BATCH_IDLE, 1, 1);
}

PX_TEST(a_split_item_that_is_late_leaves_rows)
{
    struct fixture *f = fixture_new((struct px_batch_policy){.rows_max = 4, .splits = true});
    fixture_add(f, 0, (struct px_batch_item){.n_rows = 9, .deadline_ns = 10});
    CHECK_FORMS(f, 0, PX_BATCH_FULL, 1, 4);
    CHECK_INT(fixture_late(f, 10), 1);
    CHECK(f->queue.n_rows == 0 && f->queue.n_items == 0);
}

PX_TEST(a_demoted_item_cannot_be_removed)
{
    struct fixture *f = fixture_new(
        (struct px_batch_policy){.rows_max = 4, .levels = {{.timeout_ns = 10, .demotes = true}}});
    fixture_add(f, 0, one);
    fixture_add(f, 0, one);
    fixture_late(f, 10);
    px_batch_queue_remove(&f->queue, &f->items[0]);
    CHECK_FORMS(f, 11, PX_BATCH_IDLE, 1, 1);
    CHECK_INT(f->queue.n_items, 0);
}

PX_TEST_MAIN(
    T(a_queue_is_not_bounded) T(a_level_takes_more_than_its_share) T(
        an_item_larger_than_a_batch_is_let_in_without_splitting)
        T(an_item_whose_deadline_has_passed_is_let_in) T(
            an_item_is_let_in_that_cannot_be_in_time_after_what_waits)
            T(what_is_being_computed_is_not_foreseen) T(
                an_idle_instance_computes_what_cannot_be_in_time) T(a_busy_instance_is_probed)
                T(items_that_are_computed_alone_are_foreseen_as_one_batch) T(
                    a_wrong_cost_line_refuses_everything_for_ever)
                    T(an_item_is_refused_by_a_line_that_knows_nothing) T(
                        a_client_is_refused_for_the_backlog_of_another)
                        T(an_urgent_item_is_refused_for_what_it_overtakes) T(a_refusal_has_no_name)
                            T(a_full_queue_sheds_the_wrong_item) T(a_full_level_sheds_from_another)
                                T(an_item_is_shed_of_which_rows_were_computed) T(
                                    items_are_late_at_another_time_than_their_deadline)
                                    T(a_late_item_is_computed) T(
                                        an_items_deadline_beats_a_shorter_timeout)
                                        T(a_demoted_item_is_refused_or_served_too_early) T(
                                            a_demoted_item_outlives_its_own_deadline)
                                            T(the_order_of_deadlines_is_lost_when_items_leave) T(
                                                removing_what_never_came_or_has_left_does_something)
                                                T(a_split_item_that_is_removed_leaves_rows)
                                                    T(a_split_item_that_is_late_leaves_rows)
                                                        T(a_demoted_item_cannot_be_removed))
