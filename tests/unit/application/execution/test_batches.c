/* SPDX-License-Identifier: Apache-2.0 */
/* Batches of an executor: who gets which rows, who fails with whom, who leaves, and in which order answers go out. */
#include "application/execution/executor.h"

#include "harness.h"
#include "memory_tensor_engine.h"
#include "shared/clock.h"
#include "waited_run.h"

#include <sched.h>

enum { RUNS_MAX = 32, ROWS_MAX = 200 };

static struct memory_tensor_engine *memory;
static struct px_engine *engine;
static struct px_engine_ops ops;
static struct waited_run waits[RUNS_MAX];
static float values[RUNS_MAX][2 * ROWS_MAX];
static struct px_tensor inputs[RUNS_MAX][3], outputs[RUNS_MAX];
static struct px_batching batching;

static const float spoilt = 666;

/* Fails like a model that cannot stand one of its rows. */
static enum px_code run_picky(struct px_engine *base, struct px_run *run, struct px_err *err)
{
    const struct px_tensor *x = memory_tensor_input(run, "x");
    float value;
    for (size_t i = 0; x && i < x->bytes.len; i += sizeof value) {
        memcpy(&value, x->bytes.ptr + i, sizeof value);
        if (value >= spoilt && value <= spoilt)
            return px_err_set(err, PX_E_INVALID, "a row is spoilt");
    }
    return memory_tensor_run(base, run, err);
}

/* Declared to count rows, and answers with one whatever it is given. */
static enum px_code run_summing(struct px_engine *base, struct px_run *run, struct px_err *err)
{
    enum px_code code = memory_tensor_run(base, run, err);
    if (code == PX_OK) {
        run->outputs[0].shape[0] = 1;
        run->outputs[0].bytes.len = 2 * sizeof(float);
    }
    return code;
}

static void set_up(unsigned n_threads)
{
    memory = memory_tensor_engine_create(MEMORY_TENSOR_ADD, true);
    const struct px_executor_options options = {.n_threads = n_threads, .batching = &batching};
    CHECK_OK(px_executor_engine_create(&memory->base, &options, &engine, NULL));
}

static void set_up_with(enum px_code (*run)(struct px_engine *, struct px_run *, struct px_err *))
{
    px_batching_init(&batching);
    memory = memory_tensor_engine_create(MEMORY_TENSOR_ADD, true);
    ops = *memory->base.ops;
    ops.run = run;
    memory->base.ops = &ops;
    const struct px_executor_options options = {.batching = &batching};
    CHECK_OK(px_executor_engine_create(&memory->base, &options, &engine, NULL));
}

static struct px_tensor tensor(const char *name, size_t i, size_t n_rows)
{
    return (struct px_tensor){.name = px_str(name),
                              .type = PX_TYPE_FP32,
                              .shape = {n_rows, 2},
                              .n_dims = 2,
                              .bytes =
                                  px_str_n((const char *)values[i], n_rows * 2 * sizeof(float))};
}

static void ask(size_t i, size_t n_rows)
{
    struct px_run *run = &waits[i].run;
    for (size_t k = 0; k < 2 * n_rows; k++)
        values[i][k] = (float)(1000 * i + k);
    inputs[i][0] = tensor("x", i, n_rows);
    inputs[i][1] = tensor("y", i, n_rows);
    outputs[i] = (struct px_tensor){.name = PX_STR("sum")};
    run->inputs = inputs[i];
    run->n_inputs = 2;
    run->outputs = &outputs[i];
    run->n_outputs = 1;
}

static struct px_run *prepare(size_t i, size_t n_rows)
{
    waited_run_init(&waits[i]);
    ask(i, n_rows);
    return &waits[i].run;
}

static void start(size_t i, size_t n_rows)
{
    px_engine_start(engine, prepare(i, n_rows));
}

static void check_sum(size_t i, size_t n_rows)
{
    const struct px_tensor *sum = &outputs[i];
    CHECK(sum->n_dims == 2 && sum->shape[0] == n_rows && sum->shape[1] == 2);
    CHECK_INT(sum->bytes.len, n_rows * 2 * sizeof(float));
    for (size_t k = 0; k < 2 * n_rows; k++) {
        float value;
        memcpy(&value, sum->bytes.ptr + k * sizeof value, sizeof value);
        CHECK_DOUBLE(value, 2 * values[i][k]);
    }
}

static void expect(size_t i, size_t n_rows)
{
    CHECK_INT(waited_run_wait(&waits[i]), PX_OK);
    check_sum(i, n_rows);
}

static size_t count_runs(void)
{
    return memory_tensor_engine_count(memory, &memory->n_runs);
}

/* The only instance computes run 0, so that what comes now waits. */
static void hold(void)
{
    memory_tensor_engine_set_gate(memory, true);
    start(0, 1);
    memory_tensor_engine_wait(memory, 1);
}

static void let_go(void)
{
    memory_tensor_engine_set_gate(memory, false);
}

static void tear_down(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        CHECK_INT(atomic_load(&waits[i].n_done), 1);
        waited_run_deinit(&waits[i]);
    }
    px_engine_destroy(engine);
}

static struct px_executor_report report;

static void take_report(void)
{
    CHECK(px_executor_report(engine, &report));
}

PX_TEST(runs_that_wait_are_computed_together_and_each_gets_its_rows)
{
    px_batching_init(&batching);
    set_up(1);
    hold();
    for (size_t i = 1; i < 8; i++)
        start(i, i);
    let_go();
    expect(0, 1);
    for (size_t i = 1; i < 8; i++) {
        expect(i, i);
        CHECK_INT(waits[i].run.batch_rows, 28);
        CHECK(waits[i].run.joined_batch == (i > 1) && waits[i].run.started_ns > 0);
    }
    CHECK_INT(count_runs(), 2);
    take_report();
    CHECK(report.batches && report.n_batches == 2);
    CHECK(report.latest[0].rows == 28 && report.latest[0].requests == 7);
    CHECK(report.latest[1].rows == 1 && report.latest[1].requests == 1);
    CHECK_INT(report.latest[0].reason, PX_BATCH_IDLE);
    CHECK(report.latest[0].waited_ns > 0 && report.latest[0].took_ns > 0);
    CHECK_INT(report.counts.batches[PX_BATCH_IDLE], 2);
    tear_down(8);
}

PX_TEST(a_run_alone_is_given_to_the_engine_as_it_is)
{
    px_batching_init(&batching);
    set_up(1);
    start(0, 3);
    expect(0, 3);
    CHECK(waits[0].arena.used >= 3 * 2 * sizeof(float)); /* the engine's own memory, not a copy */
    CHECK_INT(waits[0].run.batch_rows, 3);
    tear_down(1);
}

PX_TEST(runs_with_other_inputs_or_outputs_are_not_mixed)
{
    px_batching_init(&batching);
    set_up(1);
    hold();
    for (size_t i = 1; i < 7; i++) {
        prepare(i, 1);
        inputs[i][2] = tensor("z", i, 1);
        waits[i].run.n_inputs = i % 2 ? 2 : 3;
        px_engine_start(engine, &waits[i].run);
    }
    let_go();
    expect(0, 1);
    for (size_t i = 1; i < 7; i++) {
        CHECK_INT(waited_run_wait(&waits[i]), PX_OK);
        float value;
        memcpy(&value, outputs[i].bytes.ptr + sizeof value, sizeof value);
        CHECK_DOUBLE(value, (i % 2 ? 2 : 3) * values[i][1]);
    }
    CHECK_INT(count_runs(), 3);
    tear_down(7);
}

PX_TEST(a_run_without_rows_is_computed_by_itself)
{
    px_batching_init(&batching);
    set_up(1);
    hold();
    start(1, 0);
    start(2, 2);
    let_go();
    expect(0, 1);
    expect(1, 0);
    expect(2, 2);
    CHECK_INT(count_runs(), 3);
    tear_down(3);
}

PX_TEST(one_spoilt_row_does_not_fail_its_neighbours)
{
    set_up_with(run_picky);
    hold();
    for (size_t i = 1; i < 5; i++) {
        prepare(i, 2);
        if (i == 3)
            values[i][1] = spoilt;
        px_engine_start(engine, &waits[i].run);
    }
    let_go();
    expect(0, 1);
    expect(1, 2);
    expect(2, 2);
    CHECK_INT(waited_run_wait(&waits[3]), PX_E_INVALID);
    CHECK_CONTAINS(waits[3].run.err.message, "spoilt");
    expect(4, 2);
    take_report();
    CHECK_INT(report.counts.retried, 4);
    CHECK(report.latest[0].retried && report.latest[0].code == PX_E_INVALID);
    tear_down(5);
}

PX_TEST(what_is_nobodys_fault_fails_all_at_once)
{
    px_batching_init(&batching);
    set_up(1);
    hold();
    for (size_t i = 1; i < 5; i++)
        start(i, 1);
    atomic_store(&memory->fail_with, PX_E_UNAVAILABLE);
    let_go();
    expect(0, 1);
    for (size_t i = 1; i < 5; i++)
        CHECK_INT(waited_run_wait(&waits[i]), PX_E_UNAVAILABLE);
    CHECK_INT(count_runs(), 2);
    tear_down(5);
}

PX_TEST(a_model_that_does_not_count_rows_is_found_out)
{
    set_up_with(run_summing);
    hold();
    for (size_t i = 1; i < 5; i++)
        start(i, 1);
    let_go();
    for (size_t i = 0; i < 5; i++)
        expect(i, 1);
    take_report();
    CHECK(!report.batches);
    CHECK_CONTAINS(report.why, "outputs");
    tear_down(5);
    set_up_with(run_summing);
    tear_down(0);
}

/* ---- large requests ---- */

PX_TEST(a_large_request_is_split_and_answered_as_one)
{
    for (unsigned n_threads = 1; n_threads < 4; n_threads++) {
        px_batching_init(&batching);
        batching.limits_rows = batching.policy.splits = true;
        batching.policy.rows_max = 4;
        set_up(n_threads);
        start(0, 10);
        start(1, 200);
        start(2, 3);
        expect(0, 10);
        expect(1, 200);
        expect(2, 3);
        CHECK(count_runs() >= 54);
        tear_down(3);
    }
}

PX_TEST(a_split_request_fails_once_whatever_its_parts_do)
{
    set_up_with(run_picky);
    batching.limits_rows = batching.policy.splits = true;
    batching.policy.rows_max = 4;
    CHECK_OK(px_executor_set_batching(engine, &batching, NULL));
    prepare(0, 40);
    values[0][20] = values[0][70] = spoilt;
    px_engine_start(engine, &waits[0].run);
    CHECK_INT(waited_run_wait(&waits[0]), PX_E_INVALID);
    CHECK_CONTAINS(waits[0].run.err.message, "spoilt");
    start(1, 9);
    expect(1, 9);
    tear_down(2);
}

PX_TEST(a_split_request_that_is_cancelled_ends_when_its_rows_are_back)
{
    px_batching_init(&batching);
    batching.limits_rows = batching.policy.splits = true;
    batching.policy.rows_max = 4;
    set_up(2);
    memory_tensor_engine_set_gate(memory, true);
    start(0, 40);
    memory_tensor_engine_wait(memory, 2);
    px_engine_cancel(engine, &waits[0].run);
    CHECK_INT(waited_run_wait(&waits[0]), PX_E_CANCELLED);
    let_go();
    tear_down(1);
}

PX_TEST(a_request_over_the_limit_is_refused_where_it_is_not_split)
{
    px_batching_init(&batching);
    batching.limits_rows = true;
    batching.policy.rows_max = 4;
    set_up(1);
    start(0, 5);
    CHECK_INT(waited_run_wait(&waits[0]), PX_E_TOO_LARGE);
    CHECK_CONTAINS(waits[0].run.err.message, "at most 4 rows in one request, got 5");
    tear_down(1);
}

PX_TEST(without_a_limit_a_large_request_is_one_computation)
{
    px_batching_init(&batching);
    set_up(1);
    hold();
    start(1, 150);
    start(2, 2);
    let_go();
    expect(0, 1);
    expect(1, 150);
    expect(2, 2);
    CHECK_INT(count_runs(), 3);
    tear_down(3);
}

/* ---- leaving ---- */

/* Two in a batch that is computed behind a closed gate. */
static void enter_together(void)
{
    hold();
    start(1, 1);
    start(2, 1);
    memory->obeys_cancel = true;
    px_engine_cancel(engine, &waits[0].run); /* frees the instance: the gate stays closed */
    CHECK_INT(waited_run_wait(&waits[0]), PX_E_CANCELLED);
    memory_tensor_engine_wait(memory, 2);
}

PX_TEST(a_member_that_is_cancelled_does_not_wait_and_the_others_go_on)
{
    px_batching_init(&batching);
    set_up(1);
    enter_together();
    px_engine_cancel(engine, &waits[1].run);
    CHECK_INT(waited_run_wait(&waits[1]), PX_E_CANCELLED); /* the gate is still closed */
    CHECK_CONTAINS(waits[1].run.err.message, "computing");
    let_go();
    expect(2, 1);
    CHECK_INT(memory_tensor_engine_count(memory, &memory->n_cancels), 1);
    tear_down(3);
}

PX_TEST(a_batch_that_everybody_has_left_is_stopped)
{
    px_batching_init(&batching);
    set_up(1);
    enter_together();
    px_engine_cancel(engine, &waits[1].run);
    px_engine_cancel(engine, &waits[2].run);
    CHECK_INT(waited_run_wait(&waits[1]), PX_E_CANCELLED);
    CHECK_INT(waited_run_wait(&waits[2]), PX_E_CANCELLED);
    start(3, 1);
    let_go();
    expect(3, 1);
    CHECK_INT(memory_tensor_engine_count(memory, &memory->n_cancels), 2);
    tear_down(4);
}

PX_TEST(a_member_whose_deadline_passes_is_late_alone)
{
    px_batching_init(&batching);
    set_up(1);
    hold();
    prepare(1, 1)->deadline_ns = px_clock_monotonic_ns() + 50 * PX_NS_PER_MS;
    px_engine_start(engine, &waits[1].run);
    start(2, 1);
    px_engine_cancel(engine, &waits[0].run);
    CHECK_INT(waited_run_wait(&waits[0]), PX_E_CANCELLED);
    CHECK_INT(waited_run_wait(&waits[1]), PX_E_DEADLINE);
    let_go();
    expect(2, 1);
    tear_down(3);
}

/* ---- order ---- */

PX_TEST(a_more_urgent_run_is_computed_first)
{
    px_batching_init(&batching);
    batching.is_off = true;
    batching.policy.n_levels = 2;
    batching.policy.default_level = 2;
    set_up(1);
    hold();
    for (size_t i = 1; i < 5; i++)
        start(i, 1);
    prepare(5, 1)->urgency.priority = 1;
    px_engine_start(engine, &waits[5].run);
    let_go();
    for (size_t i = 0; i < 6; i++)
        expect(i, 1);
    CHECK(waits[5].run.started_ns < waits[1].run.started_ns);
    tear_down(6);
}

PX_TEST(a_critical_run_pushes_a_sheddable_one_out_of_a_full_queue)
{
    px_batching_init(&batching);
    memory = memory_tensor_engine_create(MEMORY_TENSOR_ADD, true);
    const struct px_executor_options options = {.queue_max = 2};
    CHECK_OK(px_executor_engine_create(&memory->base, &options, &engine, NULL));
    hold();
    prepare(1, 1)->urgency.criticality = PX_CRITICALITY_SHEDDABLE;
    px_engine_start(engine, &waits[1].run);
    start(2, 1);
    prepare(3, 1)->urgency.criticality = PX_CRITICALITY_CRITICAL;
    px_engine_start(engine, &waits[3].run);
    CHECK_INT(waited_run_wait(&waits[1]), PX_E_OVERLOADED);
    CHECK_CONTAINS(waits[1].run.err.message, "critical");
    let_go();
    expect(0, 1);
    expect(2, 1);
    expect(3, 1);
    take_report();
    CHECK_INT(report.counts.shed, 1);
    tear_down(4);
}

PX_TEST(a_levels_timeout_refuses_what_has_waited_for_too_long)
{
    px_batching_init(&batching);
    batching.policy.n_levels = 2;
    batching.policy.levels[1].timeout_ns =
        5 * PX_NS_PER_MS; /* not of the run that holds the instance */
    set_up(1);
    hold();
    prepare(1, 1)->urgency.priority = 2;
    px_engine_start(engine, &waits[1].run);
    CHECK_INT(waited_run_wait(&waits[1]), PX_E_OVERLOADED); /* the gate is still closed */
    CHECK_CONTAINS(waits[1].run.err.message, "priority 2 allows");
    let_go();
    expect(0, 1);
    tear_down(2);
}

PX_TEST(a_run_waits_for_company_as_long_as_it_may)
{
    px_batching_init(&batching);
    batching.policy.delay_ns = 3600 * PX_NS_PER_S;
    batching.policy.preferred[0] = 3;
    batching.policy.n_preferred = 1;
    set_up(2);
    start(0, 1);
    start(1, 1);
    start(2, 1);
    for (size_t i = 0; i < 3; i++)
        expect(i, 1);
    CHECK_INT(count_runs(), 1);
    take_report();
    CHECK_INT(report.latest[0].reason, PX_BATCH_PREFERRED);
    tear_down(3);
}

PX_TEST(a_deadline_ends_the_wait_for_company)
{
    px_batching_init(&batching);
    batching.policy.delay_ns = 3600 * PX_NS_PER_S;
    set_up(1);
    prepare(0, 1)->deadline_ns = px_clock_monotonic_ns() + 200 * PX_NS_PER_MS;
    px_engine_start(engine, &waits[0].run);
    enum px_code code = waited_run_wait(&waits[0]);
    CHECK(code == PX_OK || code == PX_E_DEADLINE); /* on a busy machine it may be late */
    tear_down(1);
}

static _Atomic unsigned n_answers;
static unsigned places[RUNS_MAX];

static void note_place(struct px_run *run)
{
    struct waited_run *wait = run->owner;
    places[wait - waits] = atomic_fetch_add(&n_answers, 1);
    waited_run_done(run);
}

PX_TEST(answers_keep_the_order_of_the_requests_where_that_is_asked_for)
{
    px_batching_init(&batching);
    batching.is_off = true;
    batching.preserves_order = true;
    set_up(4);
    for (unsigned round = 0; round < 20; round++) {
        atomic_store(&n_answers, 0);
        for (size_t i = 0; i < RUNS_MAX; i++) {
            prepare(i, 1 + i % 5)->done = note_place;
            px_engine_start(engine, &waits[i].run);
        }
        for (size_t i = 0; i < RUNS_MAX; i++)
            expect(i, 1 + i % 5);
        for (unsigned i = 0; i < RUNS_MAX; i++) {
            CHECK_INT(places[i], i);
            if (round < 19)
                waited_run_deinit(&waits[i]);
        }
    }
    tear_down(RUNS_MAX);
}

PX_TEST(an_answer_that_nobody_waits_for_holds_no_other_up)
{
    px_batching_init(&batching);
    batching.is_off = true;
    batching.preserves_order = true;
    set_up(1);
    hold();
    start(1, 1);
    start(2, 1);
    px_engine_cancel(engine, &waits[1].run);
    CHECK_INT(waited_run_wait(&waits[1]), PX_E_CANCELLED);
    let_go();
    expect(0, 1);
    expect(2, 1);
    tear_down(3);
}

/* ---- memory ---- */

/* As a loop uses it: the arena stays. */
static void start_again(size_t i, size_t n_rows)
{
    px_run_release(&waits[i].run);
    px_arena_reset(&waits[i].arena);
    ask(i, n_rows);
    px_engine_start(engine, &waits[i].run);
}

PX_TEST(a_batch_after_the_first_takes_no_memory_from_the_heap)
{
    enum { WARM = 10, ROUNDS = 100, BATCH = 8 };
    px_batching_init(&batching);
    batching.policy.delay_ns = 3600 * PX_NS_PER_S;
    batching.policy.preferred[0] = 3 * BATCH;
    batching.policy.n_preferred = 1;
    set_up(1);
    uint64_t before = 0;
    for (size_t i = 0; i < BATCH; i++)
        prepare(i, 3);
    for (size_t round = 0; round < WARM + ROUNDS; round++) {
        if (round == WARM)
            before = px_alloc_count();
        for (size_t i = 0; i < BATCH; i++)
            start_again(i, 3);
        for (size_t i = 0; i < BATCH; i++)
            expect(i, 3);
    }
    CHECK_INT(px_alloc_count() - before, 0);
    CHECK_INT(count_runs(), WARM + ROUNDS);
    for (size_t i = 0; i < BATCH; i++)
        waited_run_deinit(&waits[i]);
    px_engine_destroy(engine);
}

/* ---- texts ---- */

PX_TEST(texts_are_joined_and_cut_where_they_end)
{
    static const char hello[] = "\5\0\0\0hello", pair[] = "\0\0\0\0\3\0\0\0abc";
    px_batching_init(&batching);
    memory = memory_tensor_engine_create(MEMORY_TENSOR_ECHO, true);
    CHECK_OK(
        px_executor_engine_create(&memory->base, &(struct px_executor_options){0}, &engine, NULL));
    memory_tensor_engine_set_gate(memory, true);
    for (size_t i = 0; i < 4; i++) {
        bool two = i % 2;
        waited_run_init(&waits[i]);
        inputs[i][0] = (struct px_tensor){.name = PX_STR("text"),
                                          .type = PX_TYPE_BYTES,
                                          .shape = {two ? 2 : 1},
                                          .n_dims = 1,
                                          .bytes = two ? px_str_n(pair, sizeof pair - 1)
                                                       : px_str_n(hello, sizeof hello - 1)};
        outputs[i] = (struct px_tensor){.name = PX_STR("text")};
        waits[i].run.inputs = inputs[i];
        waits[i].run.n_inputs = 1;
        waits[i].run.outputs = &outputs[i];
        waits[i].run.n_outputs = 1;
        px_engine_start(engine, &waits[i].run);
        if (i == 0)
            memory_tensor_engine_wait(memory, 1);
    }
    let_go();
    for (size_t i = 0; i < 4; i++) {
        CHECK_INT(waited_run_wait(&waits[i]), PX_OK);
        CHECK(px_str_eq(outputs[i].bytes, inputs[i][0].bytes));
        CHECK_INT(outputs[i].shape[0], inputs[i][0].shape[0]);
    }
    CHECK_INT(count_runs(), 2);
    tear_down(4);
}

/* ---- races ---- */

PX_TEST(batches_cancels_and_deadlines_race_and_every_run_ends_once_with_its_own_rows)
{
    enum { ROUNDS = 60 };
    px_batching_init(&batching);
    batching.limits_rows = batching.policy.splits = true;
    batching.policy.rows_max = 16;
    set_up(3);
    for (size_t round = 0; round < ROUNDS; round++) {
        memory_tensor_engine_set_gate(memory, round % 2);
        for (size_t i = 0; i < RUNS_MAX; i++) {
            prepare(i, 1 + (i * 7 + round) % 40);
            if (i % 5 == 0)
                waits[i].run.deadline_ns = px_clock_monotonic_ns() + (i % 7) * 100 * PX_NS_PER_US;
            px_engine_start(engine, &waits[i].run);
        }
        for (size_t i = 0; i < RUNS_MAX; i += 3)
            px_engine_cancel(engine, &waits[i].run);
        memory_tensor_engine_set_gate(memory, false);
        for (size_t i = 0; i < RUNS_MAX; i++) {
            enum px_code code = waited_run_wait(&waits[i]);
            if (code == PX_OK)
                check_sum(i, 1 + (i * 7 + round) % 40);
            CHECK(code == PX_OK || (i % 3 == 0 && code == PX_E_CANCELLED) ||
                  (i % 5 == 0 && (code == PX_E_DEADLINE || code == PX_E_OVERLOADED)));
            CHECK_INT(atomic_load(&waits[i].n_done), 1);
            if (round + 1 < ROUNDS)
                waited_run_deinit(&waits[i]);
        }
    }
    take_report();
    CHECK(report.counts.queued == 0 && report.counts.running == 0);
    tear_down(RUNS_MAX);
}

PX_TEST(rules_change_while_nothing_is_computed)
{
    px_batching_init(&batching);
    set_up(1);
    hold();
    batching.policy.rows_max = 2;
    CHECK_INT(px_executor_set_batching(engine, &batching, NULL), PX_E_CONFLICT);
    let_go();
    expect(0, 1);
    while (px_executor_set_batching(engine, &batching, NULL) == PX_E_CONFLICT)
        sched_yield();
    take_report();
    CHECK_INT(report.batching.policy.rows_max, 2);
    CHECK_INT(report.batching.policy.items_max, PX_EXECUTOR_QUEUE_DEFAULT);
    CHECK_INT(px_executor_set_batching(&memory->base, &batching, NULL), PX_E_UNSUPPORTED);
    tear_down(1);
}

PX_TEST_MAIN(
    T(runs_that_wait_are_computed_together_and_each_gets_its_rows) T(
        a_run_alone_is_given_to_the_engine_as_it_is) T(runs_with_other_inputs_or_outputs_are_not_mixed)
        T(a_run_without_rows_is_computed_by_itself) T(one_spoilt_row_does_not_fail_its_neighbours) T(
            what_is_nobodys_fault_fails_all_at_once) T(a_model_that_does_not_count_rows_is_found_out)
            T(a_large_request_is_split_and_answered_as_one) T(
                a_split_request_fails_once_whatever_its_parts_do)
                T(a_split_request_that_is_cancelled_ends_when_its_rows_are_back) T(
                    a_request_over_the_limit_is_refused_where_it_is_not_split)
                    T(without_a_limit_a_large_request_is_one_computation) T(
                        a_member_that_is_cancelled_does_not_wait_and_the_others_go_on)
                        T(a_batch_that_everybody_has_left_is_stopped) T(
                            a_member_whose_deadline_passes_is_late_alone)
                            T(a_more_urgent_run_is_computed_first) T(
                                a_critical_run_pushes_a_sheddable_one_out_of_a_full_queue)
                                T(a_levels_timeout_refuses_what_has_waited_for_too_long) T(
                                    a_run_waits_for_company_as_long_as_it_may)
                                    T(a_deadline_ends_the_wait_for_company) T(
                                        answers_keep_the_order_of_the_requests_where_that_is_asked_for)
                                        T(an_answer_that_nobody_waits_for_holds_no_other_up) T(
                                            a_batch_after_the_first_takes_no_memory_from_the_heap)
                                            T(texts_are_joined_and_cut_where_they_end) T(
                                                batches_cancels_and_deadlines_race_and_every_run_ends_once_with_its_own_rows)
                                                T(rules_change_while_nothing_is_computed))
