/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of sequences in virtual time: places, the backlog, both schedulers, delays and idle timeouts. */
#include "domain/sequences/sequences.h"

#include "harness.h"
#include "shared/alloc.h"

enum { N = 8 };

static struct px_sequences table;
static struct px_sequence sequences[64];
static struct px_sequence *chosen[64];
static uint64_t ask_at_ns;

static void set_up(enum px_sequence_scheduler scheduler, size_t sequences_max, size_t batch_max)
{
    const struct px_sequence_rules rules = {.scheduler = scheduler,
                                            .sequences_max = sequences_max,
                                            .backlog_max = 4,
                                            .batch_max = batch_max,
                                            .idle_timeout_ns = 100};
    memset(sequences, 0, sizeof sequences);
    CHECK_OK(px_sequences_init(&table, &rules, NULL));
}

static enum px_code add(size_t i, uint64_t now_ns)
{
    const struct px_sequence_id id = {.number = i + 1};
    struct px_err err;
    enum px_code code = px_sequences_add(&table, &sequences[i], &id, now_ns, &err);
    if (code == PX_OK)
        px_sequences_add_step(&table, &sequences[i], now_ns);
    return code;
}

static size_t choose(uint64_t now_ns)
{
    return px_sequences_choose(&table, now_ns, chosen, &ask_at_ns);
}

PX_TEST(numbers_and_texts_are_different_ids)
{
    const struct px_sequence_id number = {.number = 7}, text = {.text = PX_STR("7")},
                                other = {.text = PX_STR("8")};
    set_up(PX_SEQUENCE_OLDEST, N, N);
    CHECK_OK(px_sequences_add(&table, &sequences[0], &number, 0, NULL));
    CHECK(px_sequences_find(&table, &text) == NULL);
    CHECK_OK(px_sequences_add(&table, &sequences[1], &text, 0, NULL));
    CHECK(px_sequences_find(&table, &number) == &sequences[0]);
    CHECK(px_sequences_find(&table, &text) == &sequences[1]);
    CHECK(px_sequences_find(&table, &other) == NULL);
    px_sequences_remove(&table, &sequences[0], 0);
    CHECK(px_sequences_find(&table, &number) == NULL);
    CHECK(px_sequences_any(&table) == &sequences[1]);
    px_sequences_remove(&table, &sequences[1], 0);
    CHECK(px_sequences_any(&table) == NULL);
    px_sequences_deinit(&table);
}

PX_TEST(a_full_backlog_refuses_and_says_what_to_raise)
{
    struct px_err err;
    const struct px_sequence_id id = {.number = 99};
    set_up(PX_SEQUENCE_OLDEST, 2, 2);
    for (size_t i = 0; i < 6; i++)
        CHECK_OK(add(i, i));
    CHECK(table.n_places == 2 && table.backlog.n == 4);
    CHECK_INT(px_sequences_add(&table, &sequences[6], &id, 7, &err), PX_E_OVERLOADED);
    CHECK_CONTAINS(err.message, "2 sequences are live and 4 wait");
    CHECK_CONTAINS(err.hint, "backlog_max");
    CHECK(px_sequences_find(&table, &id) == NULL);
    px_sequences_deinit(&table);
}

PX_TEST(the_first_of_the_backlog_gets_the_place_that_is_left)
{
    set_up(PX_SEQUENCE_DIRECT, 2, 0);
    for (size_t i = 0; i < 4; i++)
        CHECK_OK(add(i, i));
    CHECK(!sequences[2].has_place && !sequences[3].has_place);
    px_sequences_remove(&table, &sequences[0], 10);
    CHECK(sequences[2].has_place && sequences[2].place == 0 && !sequences[3].has_place);
    px_sequences_remove(&table, &sequences[3], 11); /* one that waits leaves no place */
    px_sequences_remove(&table, &sequences[1], 12);
    CHECK(table.n_places == 1 && table.backlog.n == 0);
    px_sequences_deinit(&table);
}

PX_TEST(a_sequence_is_never_computed_twice_at_a_time)
{
    set_up(PX_SEQUENCE_OLDEST, N, N);
    CHECK_OK(add(0, 0));
    px_sequences_add_step(&table, &sequences[0], 0);
    CHECK_INT(choose(1), 1);
    CHECK_INT(choose(2), 0);
    CHECK(sequences[0].busy && sequences[0].n_waiting == 1);
    px_sequences_end_step(&table, &sequences[0], 3);
    CHECK_INT(choose(4), 1);
    px_sequences_end_step(&table, &sequences[0], 5);
    CHECK_INT(choose(6), 0);
    px_sequences_deinit(&table);
}

PX_TEST(oldest_takes_those_that_have_been_ready_longest)
{
    set_up(PX_SEQUENCE_OLDEST, N, 2);
    for (size_t i = 0; i < 3; i++)
        CHECK_OK(add(i, i));
    px_sequences_add_step(&table, &sequences[0], 3);
    CHECK_INT(choose(4), 2);
    CHECK(chosen[0] == &sequences[0] && chosen[1] == &sequences[1]);
    px_sequences_end_step(&table, &sequences[0], 5);
    px_sequences_end_step(&table, &sequences[1], 5);
    CHECK_INT(choose(6), 2); /* the third before the first again */
    CHECK(chosen[0] == &sequences[2] && chosen[1] == &sequences[0]);
    px_sequences_deinit(&table);
}

PX_TEST(preferred_sizes_go_at_once_and_others_wait_for_the_delay)
{
    set_up(PX_SEQUENCE_OLDEST, N, N);
    table.rules.delay_ns = 50;
    table.rules.preferred[0] = 2;
    table.rules.preferred[1] = 4;
    table.rules.n_preferred = 2;
    CHECK_OK(add(0, 10));
    CHECK_INT(choose(20), 0);
    CHECK_INT(ask_at_ns, 60);
    CHECK_OK(add(1, 21));
    CHECK_OK(add(2, 22));
    CHECK_INT(choose(23), 2); /* the largest preferred size that there is */
    CHECK_INT(choose(24), 0);
    CHECK_INT(ask_at_ns, 72);
    CHECK_INT(choose(72), 1);
    px_sequences_deinit(&table);
}

PX_TEST(direct_keeps_the_row_of_a_sequence)
{
    set_up(PX_SEQUENCE_DIRECT, 4, 0);
    for (size_t i = 0; i < 3; i++)
        CHECK_OK(add(i, i));
    CHECK_INT(choose(5), 3);
    for (size_t i = 0; i < 3; i++)
        px_sequences_end_step(&table, &sequences[i], 6);
    px_sequences_add_step(&table, &sequences[2], 7);
    CHECK_INT(choose(8), 1);
    CHECK(chosen[0] == &sequences[2] && sequences[2].place == 2);
    px_sequences_end_step(&table, &sequences[2], 9);
    px_sequences_remove(&table, &sequences[1], 9);
    CHECK_OK(add(3, 10)); /* the lowest place that is free */
    CHECK_INT(sequences[3].place, 1);
    px_sequences_deinit(&table);
}

PX_TEST(direct_waits_until_every_sequence_has_a_step)
{
    set_up(PX_SEQUENCE_DIRECT, 4, 0);
    table.rules.delay_ns = 50;
    CHECK_OK(add(0, 0));
    CHECK_OK(add(1, 0));
    CHECK_INT(choose(0), 2);
    px_sequences_end_step(&table, &sequences[0], 1);
    px_sequences_end_step(&table, &sequences[1], 1);
    px_sequences_add_step(&table, &sequences[0], 10);
    CHECK_INT(choose(11), 0);
    CHECK_INT(ask_at_ns, 60);
    px_sequences_add_step(&table, &sequences[1], 12);
    CHECK_INT(choose(13), 2);
    px_sequences_deinit(&table);
}

static bool same_parity(const struct px_sequence *first, const struct px_sequence *other)
{
    return first->number % 2 == other->number % 2;
}

PX_TEST(steps_that_do_not_fit_wait_for_the_next_batch)
{
    set_up(PX_SEQUENCE_OLDEST, N, N);
    table.rules.fits = same_parity;
    for (size_t i = 0; i < 5; i++)
        CHECK_OK(add(i, i));
    CHECK_INT(choose(6), 3); /* numbers 1, 3 and 5 */
    CHECK_INT(choose(6), 2);
    CHECK_INT(choose(6), 0);
    px_sequences_deinit(&table);
}

PX_TEST(idle_sequences_expire_and_busy_or_waiting_ones_do_not)
{
    set_up(PX_SEQUENCE_OLDEST, N, N);
    CHECK_OK(add(0, 0));
    CHECK_OK(add(1, 0));
    CHECK_INT(px_sequences_expire_at(&table), 0);
    CHECK_INT(choose(1), 2);
    CHECK(px_sequences_expired(&table, 1000) == NULL);
    px_sequences_end_step(&table, &sequences[0], 1000);
    px_sequences_end_step(&table, &sequences[1], 1001);
    CHECK_INT(px_sequences_expire_at(&table), 1100);
    CHECK(px_sequences_expired(&table, 1099) == NULL);
    px_sequences_add_step(&table, &sequences[0], 1099);
    CHECK(px_sequences_expired(&table, 1100) == NULL);
    CHECK(px_sequences_expired(&table, 1101) == &sequences[1]);
    px_sequences_drop_step(&table, &sequences[0], 1102); /* idle from now on */
    px_sequences_remove(&table, &sequences[1], 1102);
    CHECK_INT(px_sequences_expire_at(&table), 1202);
    px_sequences_deinit(&table);
}

PX_TEST(an_id_that_begins_again_waits_behind_others)
{
    set_up(PX_SEQUENCE_OLDEST, 1, 1);
    CHECK_OK(add(0, 0));
    CHECK_INT(choose(1), 1);
    px_sequences_end_step(&table, &sequences[0], 2);
    px_sequences_requeue(&table, &sequences[0], 3); /* nobody waits: it stays */
    CHECK(sequences[0].has_place);
    CHECK_OK(add(1, 4));
    px_sequences_add_step(&table, &sequences[0], 5);
    px_sequences_requeue(&table, &sequences[0], 6);
    CHECK(!sequences[0].has_place && sequences[1].has_place);
    CHECK_INT(choose(7), 1);
    CHECK(chosen[0] == &sequences[1]);
    px_sequences_deinit(&table);
}

PX_TEST(places_beyond_one_word_are_found)
{
    set_up(PX_SEQUENCE_DIRECT, 64, 0);
    px_sequences_deinit(&table);
    const struct px_sequence_rules rules = {.scheduler = PX_SEQUENCE_DIRECT, .sequences_max = 130};
    struct px_sequence *many = px_xalloc(130, sizeof *many);
    CHECK_OK(px_sequences_init(&table, &rules, NULL));
    for (size_t i = 0; i < 130; i++) {
        const struct px_sequence_id id = {.number = i};
        CHECK_OK(px_sequences_add(&table, &many[i], &id, 0, NULL));
        CHECK_INT(many[i].place, i);
    }
    px_sequences_deinit(&table);
    px_free(many);
}

PX_TEST(without_memory_there_is_no_table)
{
    const struct px_sequence_rules rules = {
        .scheduler = PX_SEQUENCE_OLDEST, .sequences_max = 4, .batch_max = 1};
    for (uint64_t n = 1; n <= 2; n++) {
        px_alloc_fail_at(n);
        CHECK_INT(px_sequences_init(&table, &rules, NULL), PX_E_NO_MEMORY);
    }
    px_alloc_fail_at(0);
}

PX_TEST_MAIN(T(numbers_and_texts_are_different_ids) T(a_full_backlog_refuses_and_says_what_to_raise)
                 T(the_first_of_the_backlog_gets_the_place_that_is_left)
                     T(a_sequence_is_never_computed_twice_at_a_time)
                         T(oldest_takes_those_that_have_been_ready_longest)
                             T(preferred_sizes_go_at_once_and_others_wait_for_the_delay)
                                 T(direct_keeps_the_row_of_a_sequence)
                                     T(direct_waits_until_every_sequence_has_a_step)
                                         T(steps_that_do_not_fit_wait_for_the_next_batch) T(
                                             idle_sequences_expire_and_busy_or_waiting_ones_do_not)
                                             T(an_id_that_begins_again_waits_behind_others)
                                                 T(places_beyond_one_word_are_found)
                                                     T(without_memory_there_is_no_table))
