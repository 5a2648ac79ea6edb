/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine port's contract for tensors, run against every adapter that application/ has; adapters of infrastructure run the
 * same suite from programs of their own.
 */
#include "application/execution/executor.h"
#include "application/execution/rows_engine.h"
#include "application/graph/graph_engine.h"
#include "application/sequences/sequence_engine.h"

#include "fault_tensor_engine.h"
#include "memory_engine.h"
#include "memory_tensor_engine.h"
#include "tensor_engine_contract.h"

#include "harness.h"

static struct px_engine *make_memory(void)
{
    return &memory_tensor_engine_create(MEMORY_TENSOR_ADD, false)->base;
}

static struct px_engine *make_executor(unsigned n_threads)
{
    struct memory_tensor_engine *blocking = memory_tensor_engine_create(MEMORY_TENSOR_ADD, true);
    struct px_engine *engine = NULL;
    CHECK_OK(px_executor_engine_create(
        &blocking->base, &(struct px_executor_options){.n_threads = n_threads}, &engine, NULL));
    return engine;
}

static struct px_engine *make_executor_of_one(void)
{
    return make_executor(1);
}

static struct px_engine *make_executor_of_many(void)
{
    return make_executor(4);
}

/* Slow now and then, which is no fault. */
static struct px_engine *make_slow(void)
{
    static const struct fault_step script[] = {{0}, {.delay_ns = 200000}};
    struct memory_tensor_engine *memory = memory_tensor_engine_create(MEMORY_TENSOR_ADD, true);
    struct fault_tensor_engine *fault = fault_tensor_engine_create(&memory->base);
    struct px_engine *engine = NULL;
    fault->script = script;
    fault->n_steps = PX_ARRAY_LEN(script);
    CHECK_OK(px_executor_engine_create(&fault->base, &(struct px_executor_options){.n_threads = 4},
                                       &engine, NULL));
    return engine;
}

/* ---- graphs ---- */

static struct px_arena graph_memory;

static enum px_code open_step(void *context, struct px_str path, struct px_graph_model *ret,
                              struct px_err *err)
{
    (void)context;
    (void)err;
    ret->engine = px_str_is(path, "now") ? make_memory() : make_slow();
    return PX_OK;
}

static void close_step(void *context, struct px_graph_model *model)
{
    (void)context;
    px_engine_destroy(model->engine);
}

/* A graph that lives in the one arena here: the case before it has been destroyed. */
static struct px_engine *make_graph(const char *outputs_and_steps)
{
    static const struct px_graph_sources sources = {open_step, close_step, NULL, NULL};
    char yaml[1024];
    struct px_engine *engine = NULL;
    px_arena_deinit(&graph_memory);
    graph_memory = px_arena(1 << 20);
    snprintf(
        yaml, sizeof yaml,
        "phoenix_graph: 1\n"
        "inputs: [{name: a, type: FP32, shape: [-1, 2]}, {name: b, type: FP32, shape: [-1, 2]}]\n"
        "%s",
        outputs_and_steps);
    CHECK_OK(px_graph_engine_create(px_str(yaml), &sources, &graph_memory, &engine, NULL));
    return engine;
}

static struct px_engine *make_graph_of_a_model(void)
{
    return make_graph("outputs: [{name: c, from: add.sum}]\n"
                      "steps: [{name: add, model: now, inputs: {x: a, y: b}}]\n");
}

static struct px_engine *make_graph_with_ways_down(void)
{
    return make_graph("outputs: [{name: c, from: add.sum}]\n"
                      "steps:\n"
                      "  - {name: quick, model: now, inputs: {x: a, y: b}}\n"
                      "  - {name: add, model: slow, inputs: {x: a, y: b}, when: 'a[0] > 3',\n"
                      "     otherwise: quick, timeout_ms: 60000, fallback: quick}\n");
}

static struct px_engine *make_graph_of_a_combiner(void)
{
    return make_graph("outputs: [{name: c, from: add.output}]\n"
                      "steps: [{name: add, combine: sum, inputs: [a, b]}]\n");
}

/* ---- rows ---- */

static struct px_signature row_signature;

static struct px_engine *make_rows(void)
{
    static struct px_feature features[] = {{.name = PX_STR("x"), .kind = PX_FEATURE_NUMBER},
                                           {.name = PX_STR("y"), .kind = PX_FEATURE_NUMBER}};
    px_signature_deinit(&row_signature);
    row_signature = (struct px_signature){.features = features,
                                          .n_features = 2,
                                          .named = true,
                                          .output_name = PX_STR("sum"),
                                          .task = PX_TASK_REGRESSION};
    CHECK_OK(px_signature_finish(&row_signature, NULL));
    const struct px_rows_model model = {.signature = &row_signature};
    struct memory_engine *rows = memory_engine_create(2);
    struct px_engine *engine = NULL;
    rows->base.feature_type = rows->base.score_type = PX_TYPE_FP32;
    CHECK_OK(px_rows_engine_create(&rows->base, &model, &engine, NULL));
    return engine;
}

/* ---- sequences ---- */

/* Each run is a whole sequence of one step. */
static void begin_and_end(struct px_run *run)
{
    static _Atomic uint64_t last_id;
    run->sequence = (struct px_sequence_step){
        .id = atomic_fetch_add(&last_id, 1) + 1, .start = true, .end = true};
}

static struct px_engine *make_sequences(void)
{
    static const struct px_sequence_settings settings = {
        .rules = {.scheduler = PX_SEQUENCE_OLDEST,
                  .sequences_max = 256,
                  .backlog_max = 1000,
                  .batch_max = 32,
                  .idle_timeout_ns = 60 * PX_NS_PER_S},
        .steps_max = 1000,
        .memory_max = 1 << 20,
    };
    const struct px_sequence_options options = {.settings = &settings,
                                                .model_name = PX_STR("sums")};
    struct px_engine *engine = NULL;
    CHECK_OK(px_sequence_engine_create(make_executor(1), &options, &engine, NULL));
    return engine;
}

#define ADDS            .x = "x", .y = "y", .sum = "sum"
#define ADDS_IN_A_GRAPH .x = "a", .y = "b", .sum = "c"

static const struct tensor_engine_case cases[] = {
    {"memory", make_memory, ADDS},
    {"executor of one", make_executor_of_one, ADDS},
    {"slow engine", make_slow, ADDS},
    {"executor of many", make_executor_of_many, ADDS},
    {"graph of a model", make_graph_of_a_model, ADDS_IN_A_GRAPH},
    {"graph with ways down", make_graph_with_ways_down, ADDS_IN_A_GRAPH},
    {"graph of a combiner", make_graph_of_a_combiner, ADDS_IN_A_GRAPH},
    {"rows", make_rows, ADDS, .width = 1, .may_lack_inputs = true},
    {"sequences", make_sequences, ADDS, .rows_max = 1, .ask = begin_and_end},
};

PX_TEST(every_adapter_keeps_the_contract)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++)
        tensor_engine_contract(&cases[i]);
    px_arena_deinit(&graph_memory);
    px_signature_deinit(&row_signature);
}

PX_TEST(one_failure_leaves_the_next_run_alone)
{
    static const struct fault_step script[] = {{.code = PX_E_IO}, {0}};
    struct memory_tensor_engine *memory = memory_tensor_engine_create(MEMORY_TENSOR_ADD, true);
    struct fault_tensor_engine *fault = fault_tensor_engine_create(&memory->base);
    struct px_engine *engine = NULL;
    fault->script = script;
    fault->n_steps = PX_ARRAY_LEN(script);
    CHECK_OK(
        px_executor_engine_create(&fault->base, &(struct px_executor_options){0}, &engine, NULL));
    struct contract_run *r = px_xalloc(1, sizeof *r);
    contract_prepare(&cases[0], r, 1, 0);
    px_engine_start(engine, &r->wait.run);
    CHECK_INT(waited_run_wait(&r->wait), PX_E_IO);
    CHECK_CONTAINS(r->wait.run.err.message, "told to fail");
    waited_run_deinit(&r->wait);
    px_free(r);
    contract_add(&cases[0], engine, 2, 1);
    px_engine_destroy(engine);
}

PX_TEST_MAIN(T(every_adapter_keeps_the_contract) T(one_failure_leaves_the_next_run_alone))
