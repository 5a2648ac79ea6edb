/* SPDX-License-Identifier: Apache-2.0 */
/* The engine port's contract for tensors, run against ONNX Runtime behind an executor, as packages open it. */
#include "application/execution/executor.h"

#include "shared/alloc.h"

#include "onnxruntime_fixture.h"
#include "tensor_engine_contract.h"

static struct px_arena arena; /* of the models: outlives the engines */

static struct px_engine *make(const char *settings, unsigned n_threads)
{
    const struct px_yaml *yaml = NULL;
    struct px_engine *blocking = NULL, *engine = NULL;
    CHECK_OK(px_yaml_parse(px_str(settings), &arena, &yaml, NULL));
    const struct px_engine_request request = {.model_name = px_str("add"),
                                              .path = px_str(ONNX_MODELS "add.onnx"),
                                              .settings = yaml,
                                              .arena = &arena};
    CHECK_OK(px_onnxruntime_provider.open(&request, &blocking, NULL));
    CHECK_OK(px_executor_engine_create(
        blocking, &(struct px_executor_options){.n_threads = n_threads}, &engine, NULL));
    return engine;
}

static struct px_engine *make_one(void)
{
    return make("threads: 1", 1);
}

static struct px_engine *make_many(void)
{
    return make("threads: 2", 4);
}

static const struct tensor_engine_case cases[] = {
    {.name = "onnxruntime", .make = make_one, .x = "x", .y = "y", .sum = "sum"},
    {.name = "onnxruntime with threads", .make = make_many, .x = "x", .y = "y", .sum = "sum"},
};

PX_TEST(onnxruntime_keeps_the_contract)
{
    if (!have_onnxruntime())
        return;
    arena = px_arena(16 << 20);
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++)
        tensor_engine_contract(&cases[i]);
    px_arena_deinit(&arena);
}

PX_TEST_MAIN(T(onnxruntime_keeps_the_contract))
