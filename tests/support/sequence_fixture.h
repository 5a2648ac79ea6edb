/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sequences over a model that adds: sum = x + y (+ z), where y is the state that the last sum left. So a sequence answers running
 * sums. The model is the engine port's memory adapter behind one thread of an executor.
 *
 *     set_up(&settings);                     // defaults(), changed as the test needs
 *     check_sum(step(1, START, 5), 5);       // step returns the number of the run
 *     tear_down();                           // every run has finished, once
 */
#ifndef PX_TESTS_SEQUENCE_FIXTURE_H
#define PX_TESTS_SEQUENCE_FIXTURE_H

#include "application/sequences/sequence_engine.h"

#include "application/execution/executor.h"
#include "harness.h"
#include "memory_tensor_engine.h"
#include "waited_run.h"

enum { RUNS_MAX = 2100 };

static struct memory_tensor_engine *memory;
static struct px_engine *engine;
static struct waited_run *waits;
static struct px_tensor outputs[RUNS_MAX], inputs[RUNS_MAX][2];
static float rows[RUNS_MAX][2];
static size_t n_runs;

static struct px_sequence_state running_sum[] = {
    {.input = PX_STR("y"), .output = PX_STR("sum"), .show = true}};
static inline struct px_sequence_settings defaults(void)
{
    return (struct px_sequence_settings){
        .rules = {.scheduler = PX_SEQUENCE_OLDEST,
                  .sequences_max = 256,
                  .backlog_max = 1000,
                  .batch_max = 32,
                  .idle_timeout_ns = 60 * PX_NS_PER_S},
        .steps_max = RUNS_MAX,
        .memory_max = 1 << 20,
        .states = running_sum,
        .n_states = 1,
    };
}

static struct px_engine_ops
    model_ops; /* of the model, once `extra_caps` or `changed_run` are set */
static unsigned extra_caps;
static bool answers_at_once; /* within its start, without an executor */
static enum px_code (*changed_run)(struct px_engine *, struct px_run *, struct px_err *);

static inline struct px_engine *make_inner(void)
{
    struct px_engine *inner = NULL;
    const struct px_executor_options options = {.n_threads = 1};
    memory = memory_tensor_engine_create(MEMORY_TENSOR_ADD, !answers_at_once);
    model_ops = *memory->base.ops;
    model_ops.caps |= extra_caps;
    model_ops.run = changed_run ? changed_run : model_ops.run;
    memory->base.ops = &model_ops;
    if (answers_at_once)
        return &memory->base;
    CHECK_OK(px_executor_engine_create(&memory->base, &options, &inner, NULL));
    return inner;
}

static inline void set_up(const struct px_sequence_settings *settings)
{
    const struct px_sequence_options options = {.settings = settings, .model_name = PX_STR("sums")};
    n_runs = 0;
    waits = px_xalloc(RUNS_MAX, sizeof *waits);
    CHECK_OK(px_sequence_engine_create(make_inner(), &options, &engine, NULL));
}

static inline struct px_tensor row_of(const char *name, const float *values)
{
    return (struct px_tensor){.name = px_str(name),
                              .type = PX_TYPE_FP32,
                              .shape = {1, 2},
                              .n_dims = 2,
                              .bytes = px_str_n((const char *)values, 2 * sizeof *values)};
}

enum { START = 1, END = 2 };

/* A run that adds `value`; returns its number. */
static inline size_t prepare(uint64_t id, unsigned flags, float value)
{
    size_t i = n_runs++;
    waited_run_init(&waits[i]);
    rows[i][0] = value;
    rows[i][1] = -value;
    inputs[i][0] = row_of("x", rows[i]);
    outputs[i] = (struct px_tensor){.name = PX_STR("sum")};
    waits[i].run.inputs = inputs[i];
    waits[i].run.n_inputs = 1;
    waits[i].run.outputs = &outputs[i];
    waits[i].run.n_outputs = 1;
    waits[i].run.sequence =
        (struct px_sequence_step){.id = id, .start = flags & START, .end = flags & END};
    return i;
}

static inline size_t step(uint64_t id, unsigned flags, float value)
{
    size_t i = prepare(id, flags, value);
    px_engine_start(engine, &waits[i].run);
    return i;
}

static inline void check_sum(size_t i, float want)
{
    float sums[2];
    CHECK_INT(waited_run_wait(&waits[i]), PX_OK);
    CHECK_INT(outputs[i].bytes.len, sizeof sums);
    CHECK(outputs[i].n_dims == 2 && outputs[i].shape[0] == 1 && outputs[i].shape[1] == 2);
    memcpy(sums, outputs[i].bytes.ptr, sizeof sums);
    CHECK_DOUBLE(sums[0], want);
    CHECK_DOUBLE(sums[1], -want);
}

static inline const char *message_of(size_t i, enum px_code code)
{
    CHECK_INT(waited_run_wait(&waits[i]), code);
    return waits[i].run.err.message;
}

static inline struct px_sequence_counts count(void)
{
    struct px_sequence_counts counts;
    CHECK(px_sequence_engine_counts(engine, &counts));
    return counts;
}

static inline void tear_down(void)
{
    for (size_t i = 0; i < n_runs; i++) {
        CHECK_INT(atomic_load(&waits[i].n_done), 1);
        waited_run_deinit(&waits[i]);
    }
    px_engine_destroy(engine);
    px_free(waits);
}

#endif
