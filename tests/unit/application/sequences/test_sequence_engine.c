/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sequences over an engine: states from step to step, order, batches of both schedulers, limits, cancels, failures, timeouts.
 *
 * The model adds: sum = x + y (+ z), where y is the state that the last sum left. So a sequence answers running sums.
 */
#include "sequence_fixture.h"

#include <sched.h>
#include <unistd.h>

/* ---- states ---- */

PX_TEST(a_state_goes_from_step_to_step_and_ends)
{
    const struct px_sequence_settings settings = defaults();
    set_up(&settings);
    CHECK(px_engine_has(engine, PX_ENGINE_SEQUENCES) && px_engine_has(engine, PX_ENGINE_BATCHES));
    CHECK(px_tensor_specs_find(&engine->takes, px_str("y")) == NULL);
    check_sum(step(5, START, 1), 1);
    check_sum(step(5, 0, 2), 3);
    check_sum(step(6, START, 10), 10);
    check_sum(step(5, 0, 3), 6);
    check_sum(step(6, END, 1), 11);
    check_sum(step(5, START, 4), 4); /* begins again, although it had not ended */
    check_sum(step(5, END, 1), 5);
    struct px_sequence_counts counts = count();
    CHECK(counts.live == 0 && counts.started == 3 && counts.ended == 2 && counts.computed == 7);
    CHECK_CONTAINS(message_of(step(5, 0, 1), PX_E_INVALID), "must specify the START flag");
    tear_down();
}

PX_TEST(a_step_of_an_unknown_sequence_is_refused_in_tritons_words)
{
    const struct px_sequence_settings settings = defaults();
    set_up(&settings);
    CHECK_STR(
        px_str(message_of(step(42, 0, 1), PX_E_INVALID)),
        "inference request for sequence 42 to model 'sums' must specify the START flag on the "
        "first request of the sequence");
    size_t text = prepare(0, END, 1);
    waits[text].run.sequence.text_id = (struct px_str)PX_STR("abc");
    px_engine_start(engine, &waits[text].run);
    CHECK_CONTAINS(message_of(text, PX_E_INVALID), "sequence abc to");
    tear_down();
}

PX_TEST(texts_are_ids_too_and_have_a_limit)
{
    static char long_id[PX_SEQUENCE_TEXT_MAX + 1];
    const struct px_sequence_settings settings = defaults();
    set_up(&settings);
    memset(long_id, 'a', sizeof long_id);
    check_sum(step(7, START, 1), 1);
    for (int i = 1; i <= 3; i++) {
        size_t run = prepare(0, i == 1 ? START : 0, 2);
        waits[run].run.sequence.text_id = px_str_n(long_id, PX_SEQUENCE_TEXT_MAX);
        px_engine_start(engine, &waits[run].run);
        check_sum(run, (float)(2 * i));
    }
    size_t run = prepare(0, START, 2);
    waits[run].run.sequence.text_id = px_str_n(long_id, sizeof long_id);
    px_engine_start(engine, &waits[run].run);
    CHECK_CONTAINS(message_of(run, PX_E_INVALID), "at most 128 bytes");
    tear_down();
}

PX_TEST(a_step_is_one_row)
{
    const struct px_sequence_settings settings = defaults();
    set_up(&settings);
    static const float two_rows[4] = {1, 2, 3, 4};
    size_t i = prepare(1, START, 0);
    inputs[i][0].shape[0] = 2;
    inputs[i][0].bytes = px_str_n((const char *)two_rows, sizeof two_rows);
    px_engine_start(engine, &waits[i].run);
    CHECK_CONTAINS(message_of(i, PX_E_INVALID), "one row");
    tear_down();
}

PX_TEST(initial_states_come_from_a_file)
{
    char path[] = "/tmp/px_sequence_XXXXXX";
    static const float initial[2] = {100, -100};
    struct px_sequence_state state = running_sum[0];
    struct px_sequence_settings settings = defaults();
    int file = mkstemp(path);
    CHECK(file >= 0 && write(file, initial, sizeof initial) == sizeof initial);
    close(file);
    state.initial = px_str(path);
    settings.states = &state;
    set_up(&settings);
    check_sum(step(1, START, 1), 101);
    check_sum(step(1, START | END, 2), 102);
    tear_down();
    unlink(path);
}

/* ---- order and batches ---- */

PX_TEST(steps_that_are_sent_ahead_are_computed_in_order)
{
    const struct px_sequence_settings settings = defaults();
    set_up(&settings);
    memory_tensor_engine_set_gate(memory, true);
    for (int i = 1; i <= 20; i++)
        step(1, (i == 1 ? START : 0u) | (i == 20 ? END : 0u), (float)i);
    memory_tensor_engine_set_gate(memory, false);
    for (int i = 1; i <= 20; i++)
        check_sum((size_t)i - 1, (float)(i * (i + 1)) / 2);
    CHECK_INT(count().live, 0);
    tear_down();
}

static void interleave(enum px_sequence_scheduler scheduler)
{
    enum { SEQUENCES = 100, STEPS = 20 };
    struct px_sequence_settings settings = defaults();
    settings.rules.scheduler = scheduler;
    settings.rules.sequences_max = 40; /* the others wait in the backlog */
    set_up(&settings);
    for (int k = 0; k < STEPS; k++) {
        for (unsigned s = 0; s < SEQUENCES; s++)
            step(s + 1, (k == 0 ? START : 0u) | (k == STEPS - 1 ? END : 0u), (float)(s + 1));
    }
    for (int k = 0; k < STEPS; k++) {
        for (size_t s = 0; s < SEQUENCES; s++)
            check_sum((size_t)k * SEQUENCES + s, (float)(s + 1) * (float)(k + 1));
    }
    struct px_sequence_counts counts = count();
    CHECK_INT(counts.computed, SEQUENCES * STEPS);
    CHECK(counts.batches < SEQUENCES * STEPS);
    CHECK(counts.live == 0 && counts.backlog == 0 && counts.ended == SEQUENCES);
    tear_down();
}

PX_TEST(a_hundred_sequences_share_batches_of_the_oldest)
{
    interleave(PX_SEQUENCE_OLDEST);
}

PX_TEST(a_hundred_sequences_share_the_rows_of_direct_batches)
{
    interleave(PX_SEQUENCE_DIRECT);
}

PX_TEST(steps_with_other_inputs_are_not_in_one_batch)
{
    const struct px_sequence_settings settings = defaults();
    static const float hundred[2] = {100, -100};
    set_up(&settings);
    memory_tensor_engine_set_gate(memory, true);
    step(1, START, 1);
    memory_tensor_engine_wait(memory, 1);
    step(2, START, 2);
    size_t with_z = prepare(3, START, 3);
    inputs[with_z][1] = row_of("z", hundred);
    waits[with_z].run.n_inputs = 2;
    px_engine_start(engine, &waits[with_z].run);
    step(4, START, 4);
    memory_tensor_engine_set_gate(memory, false);
    check_sum(0, 1);
    check_sum(1, 2);
    check_sum(with_z, 103);
    check_sum(3, 4);
    CHECK_INT(count().batches, 3);
    tear_down();
}

/* ---- limits ---- */

PX_TEST(too_many_steps_and_sequences_are_refused_and_say_what_to_raise)
{
    struct px_sequence_settings settings = defaults();
    settings.rules.sequences_max = 1;
    settings.rules.backlog_max = 1;
    settings.steps_max = 2;
    set_up(&settings);
    memory_tensor_engine_set_gate(memory, true);
    step(1, START, 1);
    memory_tensor_engine_wait(memory, 1); /* it does not wait any more */
    step(2, START, 2);
    size_t third = step(3, START, 3);
    CHECK_CONTAINS(message_of(third, PX_E_OVERLOADED), "1 sequences are live and 1 wait");
    size_t second = step(2, END, 2), full = step(2, 0, 2);
    CHECK_CONTAINS(message_of(full, PX_E_OVERLOADED), "2 steps of sequences wait");
    size_t end = step(1, END, 1); /* of one that has a place: others wait for its end */
    memory_tensor_engine_set_gate(memory, false);
    check_sum(0, 1);
    check_sum(end, 2);
    check_sum(1, 2);
    check_sum(second, 4);
    tear_down();
}

/* ---- steps that do not happen ---- */

PX_TEST(a_failure_leaves_the_state_and_says_so)
{
    const struct px_sequence_settings settings = defaults();
    set_up(&settings);
    check_sum(step(1, START, 1), 1);
    atomic_store(&memory->fail_with, PX_E_IO);
    size_t failed = step(1, 0, 10);
    CHECK_CONTAINS(message_of(failed, PX_E_IO), "sequence 1, whose state is as before this step");
    CHECK_CONTAINS(waits[failed].run.err.message, "the engine was told to fail");
    CHECK_CONTAINS(message_of(step(1, END, 10), PX_E_IO), "state is as before");
    atomic_store(&memory->fail_with, 0);
    check_sum(step(1, END, 2), 3);
    tear_down();
}

/* The adding model itself is told of y here: it is an input like x. */
static size_t step_of_its_own(unsigned flags)
{
    static const float one[2] = {1, -1};
    size_t i = prepare(1, flags, 1);
    inputs[i][1] = row_of("y", one);
    waits[i].run.n_inputs = 2;
    px_engine_start(engine, &waits[i].run);
    return i;
}

PX_TEST(a_model_that_keeps_its_own_state_may_have_taken_the_step_that_failed)
{
    struct px_sequence_settings settings = defaults();
    settings.n_states = 0;
    set_up(&settings);
    check_sum(step_of_its_own(START), 2);
    atomic_store(&memory->fail_with, PX_E_UNAVAILABLE);
    size_t failed = step_of_its_own(0);
    CHECK_CONTAINS(message_of(failed, PX_E_UNAVAILABLE),
                   "sequence 1; it is not known whether the model took this step, begin the "
                   "sequence again: the engine was told to fail");
    CHECK_CONTAINS(message_of(step_of_its_own(START), PX_E_UNAVAILABLE), "which has not begun");
    atomic_store(&memory->fail_with, 0);
    tear_down();
}

PX_TEST(a_deadline_that_passed_says_what_became_of_the_state)
{
    struct px_sequence_settings settings = defaults();
    for (int kept = 0; kept < 2; kept++) {
        settings.n_states = (size_t)kept;
        set_up(&settings);
        check_sum(kept ? step(1, START, 2) : step_of_its_own(START), 2);
        memory_tensor_engine_set_gate(memory, true);
        size_t late = prepare(1, 0, 1);
        static const float one[2] = {1, -1};
        inputs[late][1] = row_of("y", one);
        waits[late].run.n_inputs = kept ? 1 : 2;
        waits[late].run.deadline_ns = px_clock_monotonic_ns() + 20 * PX_NS_PER_MS;
        px_engine_start(engine, &waits[late].run);
        memory_tensor_engine_wait(memory, 2);
        CHECK_CONTAINS(message_of(late, PX_E_DEADLINE),
                       kept ? "whose state is as before this step: the deadline passed"
                            : "it is not known whether the model took this step");
        memory_tensor_engine_set_gate(memory, false);
        tear_down();
    }
}

PX_TEST(a_start_that_fails_has_begun_nothing)
{
    const struct px_sequence_settings settings = defaults();
    set_up(&settings);
    atomic_store(&memory->fail_with, PX_E_IO);
    CHECK_INT(waited_run_wait(&waits[step(1, START, 1)]), PX_E_IO);
    atomic_store(&memory->fail_with, 0);
    CHECK_CONTAINS(message_of(step(1, 0, 1), PX_E_INVALID), "START flag");
    CHECK_INT(count().live, 0);
    tear_down();
}

PX_TEST(steps_behind_a_failure_are_not_computed_up_to_the_next_start)
{
    const struct px_sequence_settings settings = defaults();
    set_up(&settings);
    check_sum(step(1, START, 1), 1);
    memory_tensor_engine_set_gate(memory, true);
    size_t first = step(1, 0, 1);
    memory_tensor_engine_wait(memory, 2);
    size_t cancelled = step(1, 0, 10), behind = step(1, END, 100), again = step(1, START, 7);
    px_engine_cancel(engine, &waits[cancelled].run);
    CHECK_INT(waited_run_wait(&waits[cancelled]), PX_E_CANCELLED);
    CHECK_CONTAINS(message_of(behind, PX_E_CONFLICT), "a step of the same sequence before it");
    memory_tensor_engine_set_gate(memory, false);
    check_sum(first, 2);
    check_sum(again, 7);
    tear_down();
}

PX_TEST(a_late_step_ends_while_it_waits_and_the_state_stays)
{
    const struct px_sequence_settings settings = defaults();
    set_up(&settings);
    check_sum(step(1, START, 1), 1);
    memory_tensor_engine_set_gate(memory, true);
    size_t first = step(1, 0, 1);
    memory_tensor_engine_wait(memory, 2);
    size_t late = prepare(1, 0, 10);
    waits[late].run.deadline_ns = px_clock_monotonic_ns() + 20 * PX_NS_PER_MS;
    px_engine_start(engine, &waits[late].run);
    CHECK_CONTAINS(message_of(late, PX_E_DEADLINE), "waited for its turn in the sequence");
    memory_tensor_engine_set_gate(memory, false);
    check_sum(first, 2);
    check_sum(step(1, END, 3), 5);
    tear_down();
}

PX_TEST(a_late_or_cancelled_computation_is_stopped_and_the_state_stays)
{
    const struct px_sequence_settings settings = defaults();
    set_up(&settings);
    check_sum(step(1, START, 1), 1);
    memory_tensor_engine_set_gate(memory, true);
    size_t late = prepare(1, 0, 10);
    waits[late].run.deadline_ns = px_clock_monotonic_ns() + 20 * PX_NS_PER_MS;
    px_engine_start(engine, &waits[late].run);
    CHECK_INT(waited_run_wait(&waits[late]), PX_E_DEADLINE);
    size_t cancelled = step(1, 0, 10);
    memory_tensor_engine_wait(memory, 3);
    px_engine_cancel(engine, &waits[cancelled].run);
    CHECK_INT(waited_run_wait(&waits[cancelled]), PX_E_CANCELLED);
    memory_tensor_engine_set_gate(memory, false);
    check_sum(step(1, END, 2), 3);
    tear_down();
}

PX_TEST(one_cancelled_row_does_not_stop_the_others)
{
    const struct px_sequence_settings settings = defaults();
    set_up(&settings);
    memory_tensor_engine_set_gate(memory, true);
    step(1, START, 1);
    memory_tensor_engine_wait(memory, 1);
    size_t a = step(2, START, 2), b = step(3, START, 3);
    memory->obeys_cancel = true;
    memory_tensor_engine_set_gate(memory, false);
    check_sum(0, 1);
    check_sum(a, 2);
    check_sum(b, 3);
    memory_tensor_engine_set_gate(memory, true);
    size_t blocker = step(1, 0, 1);
    memory_tensor_engine_wait(memory, 3);
    size_t c = step(2, 0, 2), d = step(3, 0, 3);
    px_engine_cancel(engine, &waits[c].run);
    CHECK_INT(waited_run_wait(&waits[c]), PX_E_CANCELLED);
    memory_tensor_engine_set_gate(memory, false);
    check_sum(blocker, 2);
    check_sum(d, 6);
    check_sum(step(2, END, 1), 3);
    tear_down();
}

PX_TEST(cancels_at_any_moment_end_every_step_once)
{
    enum { ROUNDS = 300 };
    const struct px_sequence_settings settings = defaults();
    set_up(&settings);
    for (unsigned i = 0; i < ROUNDS; i++) {
        size_t run = step(1 + i % 3, START, 1);
        for (unsigned k = 0; k < i % 7; k++)
            sched_yield();
        px_engine_cancel(engine, &waits[run].run);
    }
    for (size_t i = 0; i < ROUNDS; i++) {
        enum px_code code = waited_run_wait(&waits[i]);
        CHECK(code == PX_OK || code == PX_E_CANCELLED);
    }
    check_sum(step(1, START, 5), 5);
    tear_down();
}

/* ---- time ---- */

PX_TEST(an_idle_sequence_is_gone_and_gives_its_place_to_others)
{
    struct px_sequence_settings settings = defaults();
    settings.rules.sequences_max = 1;
    settings.rules.idle_timeout_ns = 10 * PX_NS_PER_MS;
    set_up(&settings);
    check_sum(step(1, START, 1), 1);
    check_sum(step(2, START | END, 2), 2); /* waits until the first has timed out */
    CHECK_INT(count().timed_out, 1);
    CHECK_CONTAINS(message_of(step(1, 0, 1), PX_E_INVALID), "START flag");
    CHECK_CONTAINS(waits[n_runs - 1].run.err.hint, "idle for 10 ms");
    tear_down();
}

PX_TEST(a_batch_waits_for_the_delay_and_not_longer)
{
    struct px_sequence_settings settings = defaults();
    settings.rules.delay_ns = 5 * PX_NS_PER_MS;
    set_up(&settings);
    check_sum(step(1, START, 1), 1);
    settings.rules.delay_ns = 0;
    tear_down();
}

PX_TEST(live_sequences_go_with_the_engine)
{
    const struct px_sequence_settings settings = defaults();
    set_up(&settings);
    for (unsigned i = 1; i <= 50; i++)
        check_sum(step(i, START, 1), 1);
    CHECK_INT(count().live, 50);
    tear_down();
}

/* ---- memory ---- */

PX_TEST(without_memory_there_is_no_engine_and_nothing_leaks)
{
    const struct px_sequence_settings settings = defaults();
    const struct px_sequence_options options = {.settings = &settings};
    struct px_engine *inner = make_inner();
    enum px_code code = PX_E_NO_MEMORY;
    for (uint64_t n = 1; code != PX_OK; n++) {
        px_alloc_fail_at(n);
        code = px_sequence_engine_create(inner, &options, &engine, NULL);
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
        CHECK(n < 100);
    }
    px_engine_destroy(engine);
}

PX_TEST(a_step_without_memory_fails_and_the_sequence_goes_on)
{
    const struct px_sequence_settings settings = defaults();
    set_up(&settings);
    size_t failed = prepare(1, START, 1);
    px_alloc_fail_at(1);
    px_engine_start(engine, &waits[failed].run);
    px_alloc_fail_at(0);
    CHECK_INT(waited_run_wait(&waits[failed]), PX_E_NO_MEMORY);
    check_sum(step(1, START | END, 1), 1);
    tear_down();
}

PX_TEST_MAIN(
    T(a_model_that_keeps_its_own_state_may_have_taken_the_step_that_failed) T(
        a_deadline_that_passed_says_what_became_of_the_state)
        T(a_state_goes_from_step_to_step_and_ends) T(
            a_step_of_an_unknown_sequence_is_refused_in_tritons_words)
            T(texts_are_ids_too_and_have_a_limit) T(a_step_is_one_row) T(
                initial_states_come_from_a_file) T(steps_that_are_sent_ahead_are_computed_in_order)
                T(a_hundred_sequences_share_batches_of_the_oldest) T(
                    a_hundred_sequences_share_the_rows_of_direct_batches)
                    T(steps_with_other_inputs_are_not_in_one_batch) T(
                        too_many_steps_and_sequences_are_refused_and_say_what_to_raise)
                        T(a_failure_leaves_the_state_and_says_so) T(
                            a_start_that_fails_has_begun_nothing)
                            T(steps_behind_a_failure_are_not_computed_up_to_the_next_start) T(
                                a_late_step_ends_while_it_waits_and_the_state_stays)
                                T(a_late_or_cancelled_computation_is_stopped_and_the_state_stays) T(
                                    one_cancelled_row_does_not_stop_the_others)
                                    T(cancels_at_any_moment_end_every_step_once) T(
                                        an_idle_sequence_is_gone_and_gives_its_place_to_others)
                                        T(a_batch_waits_for_the_delay_and_not_longer) T(
                                            live_sequences_go_with_the_engine)
                                            T(without_memory_there_is_no_engine_and_nothing_leaks) T(
                                                a_step_without_memory_fails_and_the_sequence_goes_on))
