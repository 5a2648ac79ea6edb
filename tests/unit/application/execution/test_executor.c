/* SPDX-License-Identifier: Apache-2.0 */
/* The executor: order, limits, deadlines, cancels at every moment, and that every run ends once. */
#include "application/execution/executor.h"

#include "harness.h"
#include "memory_tensor_engine.h"
#include "shared/clock.h"
#include "waited_run.h"

#include <dirent.h>
#include <sched.h>

enum { RUNS_MAX = 64 };

static struct memory_tensor_engine *memory;
static struct px_engine *engine;
static struct waited_run waits[RUNS_MAX];

static const float one_row[] = {1, 2};
static const struct px_tensor inputs[] = {
    {.name = PX_STR("x"),
     .type = PX_TYPE_FP32,
     .shape = {1, 2},
     .n_dims = 2,
     .bytes = {(const char *)one_row, sizeof one_row}},
    {.name = PX_STR("y"),
     .type = PX_TYPE_FP32,
     .shape = {1, 2},
     .n_dims = 2,
     .bytes = {(const char *)one_row, sizeof one_row}},
};
static struct px_tensor outputs[RUNS_MAX];

static void set_up(unsigned n_threads, size_t queue_max)
{
    struct px_batching alone; /* batches of several runs: test_batches.c */
    px_batching_init(&alone);
    alone.is_off = true;
    memory = memory_tensor_engine_create(MEMORY_TENSOR_ADD, true);
    const struct px_executor_options options = {.n_threads = n_threads,
                                                .queue_max = queue_max,
                                                .name = "a rather long name",
                                                .batching = &alone};
    CHECK_OK(px_executor_engine_create(&memory->base, &options, &engine, NULL));
}

static struct px_run *prepare(size_t i)
{
    waited_run_init(&waits[i]);
    outputs[i] = (struct px_tensor){.name = PX_STR("sum")};
    waits[i].run.inputs = inputs;
    waits[i].run.n_inputs = 2;
    waits[i].run.outputs = &outputs[i];
    waits[i].run.n_outputs = 1;
    return &waits[i].run;
}

static void start(size_t i)
{
    px_engine_start(engine, prepare(i));
}

/* Waits for the runs below `n`, each of which ends once, and takes everything down. */
static void tear_down(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        CHECK_INT(atomic_load(&waits[i].n_done), 1);
        waited_run_deinit(&waits[i]);
    }
    px_engine_destroy(engine);
}

PX_TEST(a_run_is_computed_on_another_thread)
{
    set_up(1, 0);
    CHECK(px_engine_has(engine, PX_ENGINE_ASYNC) && px_engine_has(engine, PX_ENGINE_BATCHES));
    start(0);
    CHECK_INT(waited_run_wait(&waits[0]), PX_OK);
    CHECK(waits[0].run.started_ns > 0);
    float sums[2];
    CHECK_INT(outputs[0].bytes.len, sizeof sums);
    memcpy(sums, outputs[0].bytes.ptr, sizeof sums);
    CHECK_DOUBLE(sums[0], 2);
    CHECK_DOUBLE(sums[1], 4);
    tear_down(1);
}

/* ---- short runs ---- */

static struct px_engine_ops computing_ops;

static void set_up_computing(void)
{
    memory = memory_tensor_engine_create(MEMORY_TENSOR_ADD, true);
    computing_ops = *memory->base.ops;
    computing_ops.caps |= PX_ENGINE_COMPUTES;
    memory->base.ops = &computing_ops;
    const struct px_executor_options options = {.n_threads = 1};
    CHECK_OK(px_executor_engine_create(&memory->base, &options, &engine, NULL));
}

static void *start_first(void *unused)
{
    px_engine_start(engine, &waits[0].run);
    return unused;
}

static bool was_computed_here(void)
{
    return pthread_equal(memory->thread, pthread_self());
}

/* Runs one after the other, until one is computed by this thread. */
static void learn_that_runs_are_short(void)
{
    do {
        start(0);
        CHECK_INT(waited_run_wait(&waits[0]), PX_OK);
        waited_run_deinit(&waits[0]);
    } while (!was_computed_here());
}

PX_TEST(a_short_run_is_computed_by_who_starts_it)
{
    set_up_computing();
    start(0);
    CHECK_INT(waited_run_wait(&waits[0]), PX_OK);
    CHECK(!was_computed_here()); /* nothing is known yet */
    waited_run_deinit(&waits[0]);
    learn_that_runs_are_short();
    struct px_executor_counts counts;
    CHECK(px_executor_counts(engine, &counts));
    CHECK(counts.queued == 0 && counts.running == 0 && counts.accepted == counts.computed);
    tear_down(0);
}

PX_TEST(a_short_run_waits_when_every_instance_computes)
{
    set_up_computing();
    learn_that_runs_are_short();
    size_t n = memory_tensor_engine_count(memory, &memory->n_entered);
    memory_tensor_engine_set_gate(memory, true);
    pthread_t starter;
    prepare(0);
    CHECK_INT(pthread_create(&starter, NULL, start_first, NULL), 0);
    memory_tensor_engine_wait(memory, n + 1);
    start(1);
    CHECK_INT(atomic_load(&waits[1].n_done), 0);
    memory_tensor_engine_set_gate(memory, false);
    CHECK_INT(waited_run_wait(&waits[0]), PX_OK);
    CHECK_INT(waited_run_wait(&waits[1]), PX_OK);
    CHECK_INT(pthread_join(starter, NULL), 0);
    tear_down(2);
}

PX_TEST(a_short_run_that_holds_its_caller_up_is_stopped_at_its_deadline)
{
    set_up_computing();
    learn_that_runs_are_short();
    memory_tensor_engine_set_gate(memory, true);
    prepare(0)->deadline_ns = px_clock_monotonic_ns() + 5 * PX_NS_PER_MS;
    px_engine_start(engine, &waits[0].run);
    CHECK_INT(waited_run_wait(&waits[0]), PX_E_DEADLINE);
    memory_tensor_engine_set_gate(memory, false);
    start(1);
    CHECK_INT(waited_run_wait(&waits[1]), PX_OK);
    CHECK(!was_computed_here()); /* trust is lost for a while */
    tear_down(2);
}

PX_TEST(a_full_queue_refuses_at_once_and_says_so)
{
    set_up(1, 2);
    memory_tensor_engine_set_gate(memory, true);
    start(0);
    memory_tensor_engine_wait(memory, 1); /* computing, not waiting */
    start(1);
    start(2);
    start(3);
    CHECK_INT(waited_run_wait(&waits[3]), PX_E_OVERLOADED);
    CHECK_CONTAINS(waits[3].run.err.message, "2 requests wait");
    struct px_executor_counts counts;
    CHECK(px_executor_counts(engine, &counts));
    CHECK(counts.queued == 2 && counts.running == 1 && counts.refused == 1);
    memory_tensor_engine_set_gate(memory, false);
    for (size_t i = 0; i < 3; i++)
        CHECK_INT(waited_run_wait(&waits[i]), PX_OK);
    CHECK(px_executor_counts(engine, &counts));
    CHECK(counts.queued == 0 && counts.accepted == 3 && counts.computed == 3);
    tear_down(4);
}

PX_TEST(runs_are_taken_in_the_order_of_their_start)
{
    set_up(1, 0);
    memory_tensor_engine_set_gate(memory, true);
    for (size_t i = 0; i < 8; i++)
        start(i);
    memory_tensor_engine_set_gate(memory, false);
    for (size_t i = 0; i < 8; i++)
        CHECK_INT(waited_run_wait(&waits[i]), PX_OK);
    for (size_t i = 1; i < 8; i++)
        CHECK(waits[i].run.started_ns >= waits[i - 1].run.started_ns);
    tear_down(8);
}

PX_TEST(as_many_runs_as_threads_are_computed_at_a_time)
{
    set_up(3, 0);
    memory_tensor_engine_set_gate(memory, true);
    for (size_t i = 0; i < 4; i++)
        start(i);
    memory_tensor_engine_wait(memory, 3);
    struct px_executor_counts counts;
    CHECK(px_executor_counts(engine, &counts));
    CHECK(counts.running == 3 && counts.queued == 1);
    memory_tensor_engine_set_gate(memory, false);
    for (size_t i = 0; i < 4; i++)
        CHECK_INT(waited_run_wait(&waits[i]), PX_OK);
    tear_down(4);
}

PX_TEST(a_run_cancelled_while_it_waits_costs_no_work_and_does_not_wait)
{
    set_up(1, 0);
    memory_tensor_engine_set_gate(memory, true);
    start(0);
    memory_tensor_engine_wait(memory, 1);
    start(1);
    start(2);
    px_engine_cancel(engine, &waits[1].run);
    CHECK_INT(waited_run_wait(&waits[1]), PX_E_CANCELLED); /* the first is still computing */
    memory_tensor_engine_set_gate(memory, false);
    CHECK_INT(waited_run_wait(&waits[0]), PX_OK);
    CHECK_INT(waited_run_wait(&waits[2]), PX_OK);
    CHECK_INT(memory_tensor_engine_count(memory, &memory->n_runs), 2);
    CHECK_INT(memory_tensor_engine_count(memory, &memory->n_cancels), 0);
    tear_down(3);
}

PX_TEST(a_run_that_is_late_while_it_waits_costs_no_work_and_does_not_wait)
{
    set_up(1, 0);
    memory_tensor_engine_set_gate(memory, true);
    start(0);
    memory_tensor_engine_wait(memory, 1);
    prepare(1)->deadline_ns = px_clock_monotonic_ns() + 5 * PX_NS_PER_MS;
    px_engine_start(engine, &waits[1].run);
    CHECK_INT(waited_run_wait(&waits[1]), PX_E_DEADLINE);
    CHECK_CONTAINS(waits[1].run.err.message, "waited");
    memory_tensor_engine_set_gate(memory, false);
    CHECK_INT(waited_run_wait(&waits[0]), PX_OK);
    CHECK_INT(memory_tensor_engine_count(memory, &memory->n_runs), 1);
    tear_down(2);
}

PX_TEST(a_run_cancelled_while_it_computes_is_stopped)
{
    set_up(1, 0);
    memory_tensor_engine_set_gate(memory, true);
    start(0);
    memory_tensor_engine_wait(memory, 1);
    px_engine_cancel(engine, &waits[0].run);
    px_engine_cancel(engine, &waits[0].run); /* once is enough */
    CHECK_INT(waited_run_wait(&waits[0]), PX_E_CANCELLED);
    CHECK(memory_tensor_engine_count(memory, &memory->n_cancels) == 1);
    px_engine_cancel(engine, &waits[0].run); /* after its end: nothing */
    tear_down(1);
}

PX_TEST(a_run_that_is_late_while_it_computes_is_stopped)
{
    set_up(2, 0);
    memory_tensor_engine_set_gate(memory, true);
    start(0); /* without a deadline: it goes on */
    prepare(1)->deadline_ns = px_clock_monotonic_ns() + 5 * PX_NS_PER_MS;
    px_engine_start(engine, &waits[1].run);
    CHECK_INT(waited_run_wait(&waits[1]), PX_E_DEADLINE);
    struct px_executor_counts counts;
    CHECK(px_executor_counts(engine, &counts));
    CHECK(counts.late == 1 && counts.cancelled == 0);
    memory_tensor_engine_set_gate(memory, false);
    CHECK_INT(waited_run_wait(&waits[0]), PX_OK);
    tear_down(2);
}

PX_TEST(an_engine_that_does_not_stop_still_ends_late)
{
    set_up(1, 0);
    memory->obeys_cancel = false;
    memory_tensor_engine_set_gate(memory, true);
    prepare(0)->deadline_ns = px_clock_monotonic_ns() + 20 * PX_NS_PER_MS;
    px_engine_start(engine, &waits[0].run);
    while (memory_tensor_engine_count(memory, &memory->n_cancels) == 0 &&
           atomic_load(&waits[0].n_done) == 0) {
        sched_yield(); /* on a busy machine it may be late before it begins */
    }
    memory_tensor_engine_set_gate(memory, false);
    CHECK_INT(waited_run_wait(&waits[0]), PX_E_DEADLINE);
    tear_down(1);
}

PX_TEST(an_early_deadline_behind_a_late_one_is_kept)
{
    set_up(1, 0);
    memory_tensor_engine_set_gate(memory, true);
    uint64_t now_ns = px_clock_monotonic_ns();
    prepare(0)->deadline_ns = now_ns + 3600 * PX_NS_PER_S;
    px_engine_start(engine, &waits[0].run);
    prepare(1)->deadline_ns = now_ns + 5 * PX_NS_PER_MS;
    px_engine_start(engine, &waits[1].run);
    CHECK_INT(waited_run_wait(&waits[1]), PX_E_DEADLINE);
    memory_tensor_engine_set_gate(memory, false);
    CHECK_INT(waited_run_wait(&waits[0]), PX_OK);
    tear_down(2);
}

PX_TEST(what_the_engine_says_went_wrong_reaches_the_caller)
{
    set_up(1, 0);
    atomic_store(&memory->fail_with, PX_E_IO);
    start(0);
    CHECK_INT(waited_run_wait(&waits[0]), PX_E_IO);
    CHECK_CONTAINS(waits[0].run.err.message, "told to fail");
    memory->silent = true;
    start(1);
    CHECK_INT(waited_run_wait(&waits[1]), PX_E_IO);
    CHECK_CONTAINS(waits[1].run.err.message, "memory");
    tear_down(2);
}

PX_TEST(a_limit_of_the_engine_is_not_told_as_the_deadline_of_the_caller)
{
    set_up(1, 0);
    atomic_store(&memory->fail_with, PX_E_DEADLINE);
    start(0);
    CHECK_INT(waited_run_wait(&waits[0]), PX_E_DEADLINE);
    CHECK_CONTAINS(waits[0].run.err.message, "told to fail");
    prepare(1)->deadline_ns = px_clock_monotonic_ns() + 3600 * PX_NS_PER_S;
    px_engine_start(engine, &waits[1].run);
    CHECK_INT(waited_run_wait(&waits[1]), PX_E_DEADLINE);
    CHECK_CONTAINS(waits[1].run.err.message, "told to fail");
    tear_down(2);
}

PX_TEST(outputs_are_released_after_every_run_that_came_to_the_engine)
{
    set_up(2, 0);
    for (size_t i = 0; i < RUNS_MAX; i++)
        start(i);
    for (size_t i = 0; i < RUNS_MAX; i++) {
        CHECK_INT(waited_run_wait(&waits[i]), PX_OK);
        px_run_release(&waits[i].run);
    }
    CHECK_INT(memory_tensor_engine_count(memory, &memory->n_released),
              memory_tensor_engine_count(memory, &memory->n_runs));
    tear_down(RUNS_MAX);
}

/* Cancels meet runs that wait, compute and end; each ends once, as done or as cancelled. */
PX_TEST(cancels_and_ends_race_and_every_run_ends_once)
{
    enum { ROUNDS = 100 };
    set_up(3, 0);
    for (size_t round = 0; round < ROUNDS; round++) {
        memory_tensor_engine_set_gate(memory, round % 2);
        for (size_t i = 0; i < RUNS_MAX; i++) {
            prepare(i);
            if (i % 3 == 0)
                waits[i].run.deadline_ns = px_clock_monotonic_ns() + (i % 7) * 100 * PX_NS_PER_US;
            px_engine_start(engine, &waits[i].run);
        }
        for (size_t i = 0; i < RUNS_MAX; i += 2)
            px_engine_cancel(engine, &waits[i].run);
        memory_tensor_engine_set_gate(memory, false);
        for (size_t i = 0; i < RUNS_MAX; i++) {
            enum px_code code = waited_run_wait(&waits[i]);
            CHECK(code == PX_OK || (i % 2 == 0 && code == PX_E_CANCELLED) ||
                  (i % 3 == 0 && (code == PX_E_DEADLINE || code == PX_E_OVERLOADED)));
            CHECK_INT(atomic_load(&waits[i].n_done), 1);
            if (round + 1 < ROUNDS)
                waited_run_deinit(&waits[i]);
        }
    }
    struct px_executor_counts counts;
    CHECK(px_executor_counts(engine, &counts));
    CHECK(counts.queued == 0 && counts.running == 0);
    tear_down(RUNS_MAX);
}

PX_TEST(numbers_over_the_limits_are_refused)
{
    struct px_err err;
    struct px_engine *none = NULL;
    memory = memory_tensor_engine_create(MEMORY_TENSOR_ECHO, true);
    struct px_executor_options options = {.n_threads = PX_EXECUTOR_THREADS_MAX + 1};
    CHECK_INT(px_executor_engine_create(&memory->base, &options, &none, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "instances");
    options = (struct px_executor_options){.queue_max = PX_EXECUTOR_QUEUE_MAX + 1};
    CHECK_INT(px_executor_engine_create(&memory->base, &options, &none, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "queue_max");
    struct px_executor_counts counts;
    CHECK(!px_executor_counts(&memory->base, &counts));
    px_engine_destroy(&memory->base);
}

PX_TEST(no_memory_for_an_executor_is_an_error)
{
    memory = memory_tensor_engine_create(MEMORY_TENSOR_ECHO, true);
    const struct px_executor_options options = {.n_threads = 2};
    enum px_code code = PX_E_NO_MEMORY;
    uint64_t n = 0;
    while (code != PX_OK) {
        struct px_err err = {0};
        px_alloc_fail_at(++n);
        code = px_executor_engine_create(&memory->base, &options, &engine, &err);
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
    }
    CHECK(n > 1);
    px_engine_destroy(engine);
}

PX_TEST(it_describes_itself_for_people)
{
    set_up(2, 7);
    struct px_buf text = px_buf(1 << 10);
    struct px_json_writer json = px_json_writer(&text);
    px_json_begin_object(&json);
    engine->ops->describe(engine, &json);
    px_json_end_object(&json);
    px_buf_byte(&text, '\0');
    CHECK_CONTAINS(text.ptr, "{\"instances\":2,\"queue_max\":7,\"queued\":0,\"running\":0,");
    CHECK_CONTAINS(text.ptr, "\"batching\":{\"form\":\"none\",\"why\":\"");
    px_buf_deinit(&text);
    tear_down(0);
}

/* As `ps -T` shows them. */
static unsigned threads_named(const char *name)
{
    unsigned n = 0;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks);
    for (struct dirent *task; (task = readdir(tasks));) {
        char path[300], comm[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        FILE *file = fopen(path, "re");
        if (file && fgets(comm, sizeof comm, file))
            comm[strcspn(comm, "\n")] = '\0';
        if (file)
            fclose(file);
        n += strcmp(comm, name) == 0;
    }
    closedir(tasks);
    return n;
}

PX_TEST(threads_are_named_as_ours)
{
    set_up(2, 0);
    CHECK_INT(threads_named("px-a rather lon"), 2);
    CHECK_INT(threads_named("px-watch"), 1);
    tear_down(0);
}

PX_TEST_MAIN(
    T(a_limit_of_the_engine_is_not_told_as_the_deadline_of_the_caller) T(threads_are_named_as_ours)
        T(a_short_run_is_computed_by_who_starts_it) T(
            a_short_run_waits_when_every_instance_computes)
            T(a_short_run_that_holds_its_caller_up_is_stopped_at_its_deadline) T(
                a_run_is_computed_on_another_thread) T(a_full_queue_refuses_at_once_and_says_so)
                T(runs_are_taken_in_the_order_of_their_start)
                    T(as_many_runs_as_threads_are_computed_at_a_time) T(
                        a_run_cancelled_while_it_waits_costs_no_work_and_does_not_wait)
                        T(a_run_that_is_late_while_it_waits_costs_no_work_and_does_not_wait) T(
                            a_run_cancelled_while_it_computes_is_stopped)
                            T(a_run_that_is_late_while_it_computes_is_stopped) T(
                                an_engine_that_does_not_stop_still_ends_late)
                                T(an_early_deadline_behind_a_late_one_is_kept) T(
                                    what_the_engine_says_went_wrong_reaches_the_caller)
                                    T(outputs_are_released_after_every_run_that_came_to_the_engine)
                                        T(cancels_and_ends_race_and_every_run_ends_once)
                                            T(numbers_over_the_limits_are_refused)
                                                T(no_memory_for_an_executor_is_an_error)
                                                    T(it_describes_itself_for_people))
