/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine port's contract for tensors, run against every adapter that application/ has; adapters of infrastructure run the
 * same suite from programs of their own.
 */
#include "application/execution/executor.h"

#include "fault_tensor_engine.h"
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

static const struct tensor_engine_case cases[] = {
    {"memory", make_memory, "x", "y", "sum"},
    {"executor of one", make_executor_of_one, "x", "y", "sum"},
    {"slow engine", make_slow, "x", "y", "sum"},
    {"executor of many", make_executor_of_many, "x", "y", "sum"},
};

PX_TEST(every_adapter_keeps_the_contract)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++)
        tensor_engine_contract(&cases[i]);
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
