/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How sequences end and begin again, and what becomes of the steps around it: an end that is computed, a start that fails, an idle
 * timeout against the next step, a look at the time with a backlog, and all of it at once on several threads.
 */
#include "sequence_fixture.h"

#include <sched.h>

/* ---- ends ---- */

PX_TEST(a_step_behind_an_end_that_is_computed_needs_a_start)
{
    const struct px_sequence_settings settings = defaults();
    set_up(&settings);
    check_sum(step(1, START, 1), 1);
    memory_tensor_engine_set_gate(memory, true);
    size_t end = step(1, END, 2);
    memory_tensor_engine_wait(memory, 2);
    size_t behind = step(1, 0, 10), again = step(1, START, 5), after = step(1, 0, 1);
    memory_tensor_engine_set_gate(memory, false);
    check_sum(end, 3);
    CHECK_CONTAINS(message_of(behind, PX_E_INVALID), "must specify the START flag");
    check_sum(again, 5);
    check_sum(after, 6);
    CHECK_INT(count().ended, 1);
    tear_down();
}

PX_TEST(a_cancelled_end_has_not_ended_the_sequence)
{
    const struct px_sequence_settings settings = defaults();
    set_up(&settings);
    check_sum(step(1, START, 1), 1);
    memory_tensor_engine_set_gate(memory, true);
    size_t first = step(1, 0, 1);
    memory_tensor_engine_wait(memory, 2);
    size_t end = step(1, END, 10);
    px_engine_cancel(engine, &waits[end].run);
    CHECK_INT(waited_run_wait(&waits[end]), PX_E_CANCELLED);
    memory_tensor_engine_set_gate(memory, false);
    check_sum(first, 2);
    check_sum(step(1, END, 3), 5);
    CHECK_INT(count().live, 0);
    tear_down();
}

/* ---- starts that fail ---- */

PX_TEST(a_start_that_fails_ends_what_was_there_before_it)
{
    const struct px_sequence_settings settings = defaults();
    set_up(&settings);
    check_sum(step(1, START, 1), 1);
    atomic_store(&memory->fail_with, PX_E_IO);
    CHECK_CONTAINS(message_of(step(1, START, 5), PX_E_IO), "sequence 1, which has not begun");
    atomic_store(&memory->fail_with, 0);
    size_t old = step(1, 0, 1);
    CHECK_CONTAINS(message_of(old, PX_E_INVALID), "START flag");
    CHECK_CONTAINS(waits[old].run.err.hint, "its start failed");
    CHECK_INT(count().live, 0);
    tear_down();
}

PX_TEST(steps_behind_a_start_that_was_cancelled_while_it_waited_do_not_meet_the_old_state)
{
    const struct px_sequence_settings settings = defaults();
    set_up(&settings);
    check_sum(step(1, START, 1), 1);
    memory_tensor_engine_set_gate(memory, true);
    size_t first = step(1, 0, 1);
    memory_tensor_engine_wait(memory, 2);
    size_t second = step(1, 0, 1), restart = step(1, START, 10);
    px_engine_cancel(engine, &waits[restart].run);
    CHECK_INT(waited_run_wait(&waits[restart]), PX_E_CANCELLED);
    CHECK_CONTAINS(message_of(step(1, 0, 5), PX_E_INVALID), "START flag");
    memory_tensor_engine_set_gate(memory, false);
    check_sum(first, 2); /* they came before the start */
    check_sum(second, 3);
    CHECK_CONTAINS(message_of(step(1, 0, 5), PX_E_INVALID), "START flag");
    CHECK_INT(count().live, 0);
    check_sum(step(1, START | END, 7), 7);
    tear_down();
}

PX_TEST(a_start_behind_one_that_failed_begins_anew)
{
    const struct px_sequence_settings settings = defaults();
    set_up(&settings);
    memory_tensor_engine_set_gate(memory, true);
    size_t first = step(1, START, 1);
    memory_tensor_engine_wait(memory, 1);
    size_t kept = step(1, START, 10), dropped = step(1, START, 20);
    px_engine_cancel(engine, &waits[dropped].run);
    CHECK_INT(waited_run_wait(&waits[dropped]), PX_E_CANCELLED);
    CHECK_INT(waited_run_wait(&waits[step(1, 0, 1)]), PX_E_INVALID);
    size_t other =
        step(2, START,
             1); /* a second look finds the start that is kept, which is before the failed one */
    px_engine_cancel(engine, &waits[other].run);
    CHECK_INT(waited_run_wait(&waits[other]), PX_E_CANCELLED);
    CHECK_INT(waited_run_wait(&waits[step(1, 0, 1)]), PX_E_INVALID);
    size_t anew = step(1, START, 30), after = step(1, 0, 1);
    memory_tensor_engine_set_gate(memory, false);
    check_sum(first, 1);
    check_sum(kept, 10);
    check_sum(anew, 30);
    check_sum(after, 31);
    tear_down();
}

/* ---- places ---- */

PX_TEST(a_look_at_the_time_sends_nobody_behind_the_backlog)
{
    struct px_sequence_settings settings = defaults();
    settings.rules.sequences_max = 2;
    settings.rules.batch_max = 1;
    set_up(&settings);
    memory_tensor_engine_set_gate(memory, true);
    size_t computed = step(1, START | END, 1);
    memory_tensor_engine_wait(memory, 1);
    size_t has_place = step(2, START | END, 2), waits_for_one = step(3, START | END, 3);
    size_t cancelled = step(3, START, 1);
    px_engine_cancel(engine, &waits[cancelled].run);
    CHECK_INT(waited_run_wait(&waits[cancelled]), PX_E_CANCELLED);
    memory_tensor_engine_set_gate(memory, false);
    check_sum(computed, 1);
    check_sum(has_place, 2);
    check_sum(waits_for_one, 3);
    CHECK(waits[has_place].run.started_ns < waits[waits_for_one].run.started_ns);
    tear_down();
}

PX_TEST(a_cancelled_sequence_of_the_backlog_is_gone_and_the_next_one_gets_the_place)
{
    struct px_sequence_settings settings = defaults();
    settings.rules.sequences_max = 1;
    set_up(&settings);
    memory_tensor_engine_set_gate(memory, true);
    size_t computed = step(1, START | END, 1);
    memory_tensor_engine_wait(memory, 1);
    size_t cancelled = step(2, START, 2), next = step(3, START | END, 3);
    CHECK_INT(count().backlog, 2);
    px_engine_cancel(engine, &waits[cancelled].run);
    CHECK_INT(waited_run_wait(&waits[cancelled]), PX_E_CANCELLED);
    CHECK_INT(count().backlog, 1);
    memory_tensor_engine_set_gate(memory, false);
    check_sum(computed, 1);
    check_sum(next, 3);
    CHECK_CONTAINS(message_of(step(2, 0, 1), PX_E_INVALID), "START flag");
    tear_down();
}

/* ---- engines that know sequences ---- */

static _Atomic uint64_t ids_seen;

static enum px_code add_and_see(struct px_engine *base, struct px_run *run, struct px_err *err)
{
    atomic_fetch_add(&ids_seen, run->sequence.id);
    return memory_tensor_run(base, run, err);
}

static void check_alone(const struct px_sequence_settings *settings, bool gives_state)
{
    static const float nothing[2];
    changed_run = add_and_see;
    atomic_store(&ids_seen, 0);
    set_up(settings);
    memory_tensor_engine_set_gate(memory, true);
    for (unsigned i = 1; i <= 5; i++) {
        size_t run = prepare(i, START | END, (float)i);
        inputs[run][1] = row_of("y", nothing);
        waits[run].run.n_inputs = gives_state ? 1 : 2;
        px_engine_start(engine, &waits[run].run);
    }
    memory_tensor_engine_set_gate(memory, false);
    for (size_t i = 0; i < 5; i++)
        check_sum(i, (float)i + 1);
    CHECK(count().batches == 5 && atomic_load(&ids_seen) == 1 + 2 + 3 + 4 + 5);
    CHECK_INT(px_sequence_engine_settings(engine)->rules.batch_max, 1);
    tear_down();
    changed_run = NULL;
    extra_caps = 0;
}

PX_TEST(a_model_that_keeps_sequences_itself_is_told_whose_every_step_is)
{
    struct px_sequence_settings settings = defaults();
    settings.rules.scheduler = PX_SEQUENCE_DIRECT;
    extra_caps = PX_ENGINE_SEQUENCES;
    check_alone(&settings, true);
}

PX_TEST(without_states_and_controls_only_the_id_tells_sequences_apart)
{
    struct px_sequence_settings settings = defaults();
    settings.n_states = 0;
    check_alone(&settings, false);
}

PX_TEST(it_is_idle_when_the_model_is)
{
    const struct px_sequence_settings settings = defaults();
    set_up(&settings);
    CHECK(px_engine_is_idle(engine));
    atomic_store(&memory->busy, true);
    CHECK(!px_engine_is_idle(engine));
    tear_down();
}

static struct px_urgency urgency_seen;

static enum px_code add_and_see_urgency(struct px_engine *base, struct px_run *run,
                                        struct px_err *err)
{
    urgency_seen = run->urgency; /* read when the run has ended */
    return memory_tensor_run(base, run, err);
}

static void check_urgency(const struct px_urgency *of_steps, const struct px_urgency *want)
{
    size_t first = n_runs;
    memory_tensor_engine_set_gate(memory, true);
    size_t n_entered = memory_tensor_engine_count(memory, &memory->n_entered);
    step(9, START | END, 1); /* the steps wait for one another behind it */
    memory_tensor_engine_wait(memory, n_entered + 1);
    for (unsigned i = 0; i < 3; i++) {
        size_t run = prepare(1 + i, START | END, 1);
        waits[run].run.urgency = of_steps[i];
        px_engine_start(engine, &waits[run].run);
    }
    memory_tensor_engine_set_gate(memory, false);
    for (size_t i = first; i < n_runs; i++)
        check_sum(i, 1);
    CHECK_INT(urgency_seen.priority, want->priority);
    CHECK_INT(urgency_seen.criticality, want->criticality);
    CHECK_INT(urgency_seen.client, want->client);
}

PX_TEST(a_batch_is_as_urgent_as_its_steps)
{
    static const struct px_urgency mixed[] = {{2, PX_CRITICALITY_SHEDDABLE, 7},
                                              {1, PX_CRITICALITY_CRITICAL, 8},
                                              {3, PX_CRITICALITY_SHEDDABLE, 7}},
                                   shed[] = {{2, PX_CRITICALITY_SHEDDABLE, 7},
                                             {2, PX_CRITICALITY_SHEDDABLE, 7},
                                             {2, PX_CRITICALITY_SHEDDABLE, 7}},
                                   partly[] = {{0, PX_CRITICALITY_SHEDDABLE, 7},
                                               {0, PX_CRITICALITY_DEFAULT, 7},
                                               {0, PX_CRITICALITY_SHEDDABLE, 7}};
    const struct px_sequence_settings settings = defaults();
    changed_run = add_and_see_urgency;
    set_up(&settings);
    check_urgency(mixed, &(struct px_urgency){2, PX_CRITICALITY_CRITICAL, 0});
    check_urgency(shed, &(struct px_urgency){2, PX_CRITICALITY_SHEDDABLE, 7});
    check_urgency(partly, &(struct px_urgency){0, PX_CRITICALITY_DEFAULT, 7});
    tear_down();
    changed_run = NULL;
}

PX_TEST(a_model_that_answers_within_its_start_is_not_entered_twice)
{
    enum { STEPS = 500 };
    const struct px_sequence_settings settings = defaults();
    answers_at_once = true;
    set_up(&settings);
    for (unsigned i = 0; i < STEPS; i++)
        step(1 + i % 5, i < 5 ? START : 0, 1);
    for (size_t i = 0; i < STEPS; i++)
        check_sum(i, (float)(i / 5 + 1));
    CHECK_INT(count().computed, STEPS);
    tear_down();
    answers_at_once = false;
}

/* ---- accounts ---- */

PX_TEST(every_step_is_counted_once_however_it_ends)
{
    struct px_sequence_settings settings = defaults();
    settings.steps_max = 1;
    set_up(&settings);
    check_sum(step(1, START, 1), 1);
    size_t two_rows = prepare(1, 0, 1);
    inputs[two_rows][0].shape[0] = 2;
    px_engine_start(engine, &waits[two_rows].run);
    CHECK_INT(waited_run_wait(&waits[two_rows]), PX_E_INVALID);
    CHECK_INT(waited_run_wait(&waits[step(2, 0, 1)]), PX_E_INVALID);
    memory_tensor_engine_set_gate(memory, true);
    size_t first = step(1, 0, 1);
    memory_tensor_engine_wait(memory, 2);
    size_t waiting = step(1, 0, 1), full = step(1, 0, 1);
    CHECK_INT(count().steps, 1);
    CHECK_INT(waited_run_wait(&waits[full]), PX_E_OVERLOADED);
    px_engine_cancel(engine, &waits[waiting].run);
    CHECK_INT(waited_run_wait(&waits[waiting]), PX_E_CANCELLED);
    memory_tensor_engine_set_gate(memory, false);
    check_sum(first, 2);
    struct px_sequence_counts counts = count();
    CHECK(counts.computed == 2 && counts.failed == 4 && counts.steps == 0);
    CHECK(counts.computed + counts.failed == n_runs);
    tear_down();
}

/* ---- races ---- */

PX_TEST(a_step_at_the_moment_of_the_timeout_goes_on_or_is_refused)
{
    enum { ROUNDS = 200 };
    struct px_sequence_settings settings = defaults();
    settings.rules.idle_timeout_ns = PX_NS_PER_MS / 2;
    set_up(&settings);
    for (unsigned i = 0; i < ROUNDS; i++) {
        check_sum(step(1, START, 3), 3);
        uint64_t until_ns = px_clock_monotonic_ns() + i % 11 * PX_NS_PER_MS / 10;
        while (px_clock_monotonic_ns() < until_ns)
            sched_yield();
        size_t next = step(1, END, 4);
        if (waited_run_wait(&waits[next]) == PX_OK)
            CHECK(memcmp(outputs[next].bytes.ptr, (float[]){7, -7}, 2 * sizeof(float)) == 0);
        else
            CHECK_INT(waits[next].run.code, PX_E_INVALID);
    }
    tear_down();
}

enum { THREADS = 4, PART = 400 };

/* Starts a part of the runs that were prepared, and cancels some of them at once or a little later. */
static void *press(void *first)
{
    size_t begin = *(size_t *)first;
    for (size_t i = begin; i < begin + PART; i++) {
        px_engine_start(engine, &waits[i].run);
        if (i % 5 == 0)
            px_engine_cancel(engine, &waits[i].run);
        if (i % 7 == 0 && i > begin)
            px_engine_cancel(engine, &waits[i - 1].run);
        if (i % 16 == 0)
            sched_yield();
    }
    return NULL;
}

static void press_all(enum px_sequence_scheduler scheduler)
{
    pthread_t threads[THREADS];
    size_t begin[THREADS];
    struct px_sequence_settings settings = defaults();
    settings.rules.scheduler = scheduler;
    settings.rules.sequences_max = 3;
    settings.rules.idle_timeout_ns = 2 * PX_NS_PER_MS;
    set_up(&settings);
    for (size_t i = 0; i < THREADS * PART; i++) {
        unsigned flags = (i % 3 == 0 ? START : 0u) | (i % 4 == 1 ? END : 0u);
        size_t run = prepare(1 + i % 6, flags, 1);
        if (i % 11 == 0)
            waits[run].run.deadline_ns = px_clock_monotonic_ns() + i * PX_NS_PER_US;
    }
    for (size_t i = 0; i < THREADS; i++) {
        begin[i] = i * PART;
        CHECK(pthread_create(&threads[i], NULL, press, &begin[i]) == 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < n_runs; i++)
        (void)waited_run_wait(&waits[i]);
    struct px_sequence_counts counts = count();
    CHECK(counts.steps == 0 && counts.backlog == 0 && counts.live <= 3);
    CHECK(counts.ended + counts.timed_out + counts.live <= counts.started);
    tear_down();
}

PX_TEST(starts_ends_cancels_and_timeouts_on_several_threads_with_batches_of_the_oldest)
{
    press_all(PX_SEQUENCE_OLDEST);
}

PX_TEST(starts_ends_cancels_and_timeouts_on_several_threads_with_direct_batches)
{
    press_all(PX_SEQUENCE_DIRECT);
}

PX_TEST_MAIN(
    T(a_step_behind_an_end_that_is_computed_needs_a_start) T(
        a_cancelled_end_has_not_ended_the_sequence)
        T(a_start_that_fails_ends_what_was_there_before_it) T(
            steps_behind_a_start_that_was_cancelled_while_it_waited_do_not_meet_the_old_state)
            T(a_start_behind_one_that_failed_begins_anew) T(
                a_look_at_the_time_sends_nobody_behind_the_backlog)
                T(a_cancelled_sequence_of_the_backlog_is_gone_and_the_next_one_gets_the_place) T(
                    a_model_that_keeps_sequences_itself_is_told_whose_every_step_is)
                    T(without_states_and_controls_only_the_id_tells_sequences_apart) T(
                        it_is_idle_when_the_model_is) T(a_batch_is_as_urgent_as_its_steps)
                        T(a_model_that_answers_within_its_start_is_not_entered_twice) T(
                            every_step_is_counted_once_however_it_ends)
                            T(a_step_at_the_moment_of_the_timeout_goes_on_or_is_refused) T(
                                starts_ends_cancels_and_timeouts_on_several_threads_with_batches_of_the_oldest)
                                T(starts_ends_cancels_and_timeouts_on_several_threads_with_direct_batches))
