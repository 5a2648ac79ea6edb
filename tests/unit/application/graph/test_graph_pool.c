/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that compute long: on which thread they do, and that cancels, deadlines and timeouts reach them there. */
#include "application/graph/graph_engine.h"
#include "harness.h"
#include "shared/alloc.h"
#include "shared/clock.h"
#include "waited_run.h"

#include <pthread.h>
#include <unistd.h>

enum { RUNS_MAX = 16, ROWS_MAX = 4096 };

/*
 * A model that computes within its start: it gives what it is given. "slow" takes longer than any thread but the pool's may, or until the
 * test lets it go; "quick" takes nothing.
 */
struct model {
    struct px_engine base;
    bool holds, is_slow;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    size_t n_entered, n_cancels;
    pthread_t last_thread;
};
static struct model slow = {
    .is_slow = true, .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
static struct model quick = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                             .changed = PTHREAD_COND_INITIALIZER};

static void start(struct px_engine *engine, struct px_run *run)
{
    struct model *model = PX_CONTAINER_OF(engine, struct model, base);
    pthread_mutex_lock(&model->mutex);
    model->n_entered++;
    model->last_thread = pthread_self();
    pthread_cond_broadcast(&model->changed);
    while (model->holds)
        pthread_cond_wait(&model->changed, &model->mutex);
    pthread_mutex_unlock(&model->mutex);
    if (model->is_slow)
        usleep(300);
    struct px_str name = run->outputs[0].name;
    run->outputs[0] = run->inputs[0];
    run->outputs[0].name = name;
    if (atomic_load(&run->cancelled))
        px_run_finish(run, px_err_set(&run->err, PX_E_CANCELLED, "called back"));
    else
        px_run_finish(run, PX_OK);
}

static void cancel(struct px_engine *engine, struct px_run *run)
{
    struct model *model = PX_CONTAINER_OF(engine, struct model, base);
    (void)run;
    pthread_mutex_lock(&model->mutex);
    model->n_cancels++;
    pthread_mutex_unlock(&model->mutex);
}

static void destroy(struct px_engine *engine)
{
    (void)engine;
}

static const struct px_engine_ops ops = {.abi = PX_ENGINE_ABI,
                                         .caps = PX_ENGINE_TENSORS | PX_ENGINE_ASYNC |
                                                 PX_ENGINE_BATCHES,
                                         .name = "test",
                                         .start = start,
                                         .cancel = cancel,
                                         .destroy = destroy};
static const struct px_tensor_spec spec = {
    .name = PX_STR("x"), .type = PX_TYPE_FP32, .shape = {-1, 2}, .n_dims = 2};

static enum px_code open_model(void *context, struct px_str path, struct px_graph_model *ret,
                               struct px_err *err)
{
    struct model *model = px_str_is(path, "slow") ? &slow : &quick;
    (void)context;
    (void)err;
    model->base = (struct px_engine){.ops = &ops, .takes = {&spec, 1}, .gives = {&spec, 1}};
    model->n_entered = model->n_cancels = 0;
    ret->engine = &model->base;
    return PX_OK;
}

static void close_model(void *context, struct px_graph_model *model)
{
    (void)context;
    px_engine_destroy(model->engine);
}

static void hold(bool holds)
{
    pthread_mutex_lock(&slow.mutex);
    slow.holds = holds;
    pthread_cond_broadcast(&slow.changed);
    pthread_mutex_unlock(&slow.mutex);
}

static void wait_entered(size_t n)
{
    pthread_mutex_lock(&slow.mutex);
    while (slow.n_entered < n)
        pthread_cond_wait(&slow.changed, &slow.mutex);
    pthread_mutex_unlock(&slow.mutex);
}

/* ---- runs ---- */

static struct px_arena arena;
static struct px_engine *engine;
static struct px_err err;
static struct one_run {
    struct waited_run wait;
    struct px_tensor input, output;
} runs[RUNS_MAX];

static float x[ROWS_MAX][2]; /* not written to while runs are under way */

#define GRAPH(steps)                                                                               \
    "phoenix_graph: 1\ninputs: [{name: x, type: FP32, shape: [-1, 2]}]\n"                          \
    "outputs: [{name: out, from: last}]\nsteps:\n" steps

static const char one_step[] = GRAPH("  - {name: last, model: slow, inputs: x}\n");

static void prepare(struct one_run *r, size_t n_rows)
{
    waited_run_init(&r->wait);
    r->input = (struct px_tensor){.name = px_str("x"),
                                  .type = PX_TYPE_FP32,
                                  .shape = {n_rows, 2},
                                  .n_dims = 2,
                                  .bytes = px_str_n((const char *)x, n_rows * sizeof x[0])};
    r->output = (struct px_tensor){.name = px_str("out")};
    r->wait.run.inputs = &r->input;
    r->wait.run.outputs = &r->output;
    r->wait.run.n_inputs = r->wait.run.n_outputs = 1;
}

static void begin(size_t i, size_t n_rows)
{
    prepare(&runs[i], n_rows);
    px_engine_start(engine, &runs[i].wait.run);
}

static void check_end(size_t i, enum px_code want)
{
    CHECK_INT(waited_run_wait(&runs[i].wait), want);
    CHECK_INT(runs[i].wait.n_done, 1);
    waited_run_deinit(&runs[i].wait);
}

static void open_unmeasured(const char *yaml)
{
    const struct px_graph_sources sources = {open_model, close_model, NULL, NULL};
    arena = px_arena(8 << 20);
    for (size_t i = 0; i < ROWS_MAX; i++)
        x[i][0] = (float)i * 0.37F;
    CHECK_OK(px_graph_engine_create(px_str(yaml), &sources, &arena, &engine, &err));
}

/* A graph whose slow steps have been seen to be slow. */
static void open_graph(const char *yaml)
{
    open_unmeasured(yaml);
    begin(0, 1);
    check_end(0, PX_OK);
    slow.n_entered = slow.n_cancels = 0;
}

static void close_graph(void)
{
    px_engine_destroy(engine);
    px_arena_deinit(&arena);
}

/* ---- where it is computed ---- */

PX_TEST(a_slow_step_does_not_hold_the_thread_that_brings_its_input)
{
    open_graph(one_step);
    hold(true);
    begin(0, 1); /* would never return */
    wait_entered(1);
    CHECK_INT(runs[0].wait.n_done, 0);
    hold(false);
    check_end(0, PX_OK);
    CHECK(!pthread_equal(slow.last_thread, pthread_self()));
    close_graph();
}

PX_TEST(a_small_step_stays_where_it_is)
{
    open_graph(GRAPH("  - {name: last, model: quick, inputs: x}\n"));
    CHECK(pthread_equal(quick.last_thread, pthread_self()));
    close_graph();
}

PX_TEST(what_nobody_has_measured_yet_is_judged_by_its_size)
{
    static const char yaml[] =
        GRAPH("  - {name: scaled, processor: scale, inputs: x, with: {mean: 0.5, scale: 3}}\n"
              "  - {name: same, model: quick, inputs: scaled}\n"
              "  - {name: last, combine: mean, inputs: [same, scaled]}\n");
    open_unmeasured(yaml);
    begin(0, ROWS_MAX);
    CHECK_INT(waited_run_wait(&runs[0].wait), PX_OK);
    CHECK(!pthread_equal(quick.last_thread, pthread_self()));
    for (size_t i = 0; i < 16; i++) { /* the same comes out here and there */
        prepare(&runs[1], 1);
        runs[1].input.bytes.ptr += i * 8;
        px_engine_start(engine, &runs[1].wait.run);
        CHECK_INT(waited_run_wait(&runs[1].wait), PX_OK);
        CHECK(memcmp(runs[1].output.bytes.ptr, runs[0].output.bytes.ptr + i * 8, 8) == 0);
        waited_run_deinit(&runs[1].wait);
    }
    waited_run_deinit(&runs[0].wait);
    close_graph();
}

PX_TEST(steps_without_a_model_may_be_traced_on_the_pool)
{
    struct px_run_step steps[8];
    struct px_run_trace trace = {.steps = steps, .n_steps_max = PX_ARRAY_LEN(steps)};
    open_unmeasured(
        GRAPH("  - {name: last, processor: scale, inputs: x, with: {mean: 0.5, scale: 3}}\n"));
    prepare(&runs[0], ROWS_MAX); /* so large that it is not computed here */
    runs[0].wait.run.trace = &trace;
    px_engine_start(engine, &runs[0].wait.run);
    check_end(0, PX_OK);
    CHECK_INT(trace.n_steps, 1);
    CHECK_STR(steps[0].name, "last");
    close_graph();
}

PX_TEST(slow_branches_compute_at_the_same_time)
{
    open_graph(GRAPH("  - {name: a, model: slow, inputs: x}\n"
                     "  - {name: b, model: slow, inputs: x}\n"
                     "  - {name: last, combine: mean, inputs: [a, b]}\n"));
    hold(true);
    begin(0, 1);
    wait_entered(2);
    hold(false);
    check_end(0, PX_OK);
    close_graph();
}

/* ---- ends ---- */

PX_TEST(a_cancel_reaches_a_step_that_is_being_started_and_the_run_ends_after_it)
{
    open_graph(one_step);
    hold(true);
    begin(0, 1);
    wait_entered(1);
    px_engine_cancel(engine, &runs[0].wait.run);
    CHECK_INT(runs[0].wait.n_done, 0); /* its memory is still written to */
    hold(false);
    check_end(0, PX_E_CANCELLED);
    CHECK_INT(slow.n_cancels, 1);
    close_graph();
}

PX_TEST(a_run_that_waits_for_the_pool_ends_at_its_deadline_or_cancel)
{
    enum { LATE = RUNS_MAX - 2, CANCELLED = RUNS_MAX - 1 };
    open_graph(one_step);
    hold(true);
    for (size_t i = 0; i < LATE; i++)
        begin(i, 1); /* more than there are threads */
    prepare(&runs[LATE], 1);
    runs[LATE].wait.run.deadline_ns = px_clock_monotonic_ns() + 20 * PX_NS_PER_MS;
    px_engine_start(engine, &runs[LATE].wait.run);
    begin(CANCELLED, 1);
    px_engine_cancel(engine, &runs[CANCELLED].wait.run);
    check_end(CANCELLED, PX_E_CANCELLED); /* while the others hold every thread */
    check_end(LATE, PX_E_DEADLINE);
    hold(false);
    for (size_t i = 0; i < LATE; i++)
        check_end(i, PX_OK);
    close_graph();
}

PX_TEST(a_late_step_on_the_pool_is_left_and_the_graph_waits_for_it_at_its_end)
{
    open_graph(GRAPH("  - {name: a, model: slow, inputs: x, timeout_ms: 50, fallback: b}\n"
                     "  - {name: b, model: quick, inputs: x}\n"
                     "  - {name: last, combine: first, inputs: [a]}\n"));
    hold(true);
    begin(0, 1);
    wait_entered(1);
    CHECK_INT(waited_run_wait(&runs[0].wait), PX_OK);
    CHECK_STR(runs[0].wait.run.degraded, "a");
    waited_run_deinit(&runs[0].wait);
    CHECK(!px_engine_is_idle(engine));
    hold(false);
    close_graph();
}

/* Starts more runs than may wait while every thread is held. What ended at once, with `refused`, was not let in. */
static void crowd(const char *yaml, enum px_code refused, size_t *n_refused, size_t *n_replaced)
{
    enum { MANY = 1100 };
    static struct one_run many[MANY];
    open_graph(yaml);
    hold(true);
    *n_refused = *n_replaced = 0;
    for (size_t i = 0; i < MANY; i++) {
        prepare(&many[i], 1);
        px_engine_start(engine, &many[i].wait.run);
    }
    for (size_t i = 0; i < MANY; i++) {
        if (!many[i].wait.n_done)
            px_engine_cancel(engine, &many[i].wait.run);
    }
    hold(false);
    for (size_t i = 0; i < MANY; i++) {
        enum px_code code = waited_run_wait(&many[i].wait);
        CHECK(code == refused || code == PX_E_CANCELLED);
        *n_refused += code == refused;
        *n_replaced += many[i].wait.run.degraded.len > 0;
        waited_run_deinit(&many[i].wait);
    }
    close_graph();
}

PX_TEST(a_queue_that_is_full_refuses_or_has_a_fallback_take_over)
{
    size_t n_refused, n_replaced;
    crowd(one_step, PX_E_OVERLOADED, &n_refused, &n_replaced);
    CHECK(n_refused > 0 && n_replaced == 0);
    crowd(GRAPH("  - {name: last, model: slow, inputs: x, fallback: b}\n"
                "  - {name: b, model: quick, inputs: x}\n"),
          PX_OK, &n_refused, &n_replaced);
    CHECK(n_refused > 0 && n_replaced == n_refused);
}

PX_TEST(without_memory_runs_on_the_pool_fail_and_nothing_else)
{
    open_graph(GRAPH("  - {name: a, model: slow, inputs: x}\n"
                     "  - {name: s, processor: scale, inputs: a, with: {mean: 0.5}}\n"
                     "  - {name: last, combine: sum, inputs: [s, a]}\n"));
    for (uint64_t n = 1; n < 12; n++) {
        prepare(&runs[0], ROWS_MAX);
        px_alloc_fail_at(n);
        px_engine_start(engine, &runs[0].wait.run);
        enum px_code code = waited_run_wait(&runs[0].wait);
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
        waited_run_deinit(&runs[0].wait);
    }
    close_graph();
}

/* ---- many at once ---- */

enum { RUNNERS = 4, RUNS_EACH = 60 };

static void *run_many(void *argument)
{
    size_t *n_good = argument;
    for (int i = 0; i < RUNS_EACH; i++) {
        struct one_run own;
        prepare(&own, i % 3 ? 1 : 1000);
        px_engine_start(engine, &own.wait.run);
        if (i % 4 == 3) {
            usleep((useconds_t)(i * 7 % 400));
            px_engine_cancel(engine, &own.wait.run);
        }
        enum px_code code = waited_run_wait(&own.wait);
        *n_good +=
            own.wait.n_done == 1 && (code == PX_OK || (i % 4 == 3 && code == PX_E_CANCELLED));
        waited_run_deinit(&own.wait);
    }
    return NULL;
}

PX_TEST(many_runs_on_the_pool_each_end_once)
{
    pthread_t threads[RUNNERS];
    size_t n_good[RUNNERS] = {0};
    open_graph(GRAPH("  - {name: a, model: slow, inputs: x, timeout_ms: 1, fallback: s}\n"
                     "  - {name: b, model: slow, inputs: s}\n"
                     "  - {name: s, processor: scale, inputs: x, with: {mean: 0.5}}\n"
                     "  - {name: last, combine: mean, inputs: [a, b, s]}\n"));
    for (size_t i = 0; i < RUNNERS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, run_many, &n_good[i]), 0);
    for (size_t i = 0; i < RUNNERS; i++) {
        pthread_join(threads[i], NULL);
        CHECK_INT(n_good[i], RUNS_EACH);
    }
    close_graph();
}

PX_TEST_MAIN(
    T(a_slow_step_does_not_hold_the_thread_that_brings_its_input) T(a_small_step_stays_where_it_is)
        T(what_nobody_has_measured_yet_is_judged_by_its_size)
            T(steps_without_a_model_may_be_traced_on_the_pool)
                T(slow_branches_compute_at_the_same_time)
                    T(a_cancel_reaches_a_step_that_is_being_started_and_the_run_ends_after_it)
                        T(a_run_that_waits_for_the_pool_ends_at_its_deadline_or_cancel)
                            T(a_late_step_on_the_pool_is_left_and_the_graph_waits_for_it_at_its_end)
                                T(a_queue_that_is_full_refuses_or_has_a_fallback_take_over)
                                    T(without_memory_runs_on_the_pool_fail_and_nothing_else)
                                        T(many_runs_on_the_pool_each_end_once))
