/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ONNX Runtime for tests: finds the library that tools/fetch-engines fetched, opens the models of tests/golden/onnxruntime,
 * and runs them. Where the library cannot be had, tests that need it say so and pass.
 */
#ifndef PX_TESTS_ONNXRUNTIME_FIXTURE_H
#define PX_TESTS_ONNXRUNTIME_FIXTURE_H

#include "infrastructure/engines/onnxruntime/onnxruntime.h"
#include "infrastructure/engines/onnxruntime/places.h"
#include "shared/file.h"

#include "harness.h"

#include <unistd.h>

#define ONNX_MODELS PX_TEST_DATA "/onnxruntime/"

struct onnx_fixture {
    struct px_arena model_arena, run_arena;
    struct px_engine *engine;
    struct px_err err;
    struct px_tensor inputs[16], outputs[16];
    struct px_run run;
};

__attribute__((unused)) static bool have_onnxruntime(void)
{
    static const char fetched[] = PX_TEST_DATA "/../../build/engines/libonnxruntime.so";
    struct px_engine_state state;
    if (!getenv(PX_ONNXRUNTIME_VARIABLE) && access(fetched, R_OK) == 0)
        setenv(PX_ONNXRUNTIME_VARIABLE, fetched, 1);
    px_onnxruntime_provider.describe(&state);
    if (!state.available)
        printf("skipped, no ONNX Runtime: %s\n", state.details);
    return state.available;
}

/* Opens a model by the text of its settings (the body of `engine`), which may be NULL. */
__attribute__((unused)) static enum px_code onnx_try_open(struct onnx_fixture *f, const char *model,
                                                          const char *settings)
{
    char path[512];
    const struct px_yaml *yaml = NULL;
    enum px_code code = PX_OK;
    *f = (struct onnx_fixture){.model_arena = px_arena(1 << 20), .run_arena = px_arena(1 << 20)};
    snprintf(path, sizeof path, "%s%s", model[0] == '/' ? "" : ONNX_MODELS, model);
    if (settings)
        code = px_yaml_parse(px_str(settings), &f->model_arena, &yaml, &f->err);
    if (code != PX_OK)
        return code;
    const struct px_engine_request request = {.model_name = px_str("test"),
                                              .path = px_str(path),
                                              .settings = yaml,
                                              .arena = &f->model_arena};
    return px_onnxruntime_provider.open(&request, &f->engine, &f->err);
}

__attribute__((unused)) static void onnx_open(struct onnx_fixture *f, const char *model,
                                              const char *settings)
{
    enum px_code code = onnx_try_open(f, model, settings);
    if (code != PX_OK)
        fprintf(stderr, "%s: %s (%s)\n", model, f->err.message, f->err.hint);
    CHECK_OK(code);
}

__attribute__((unused)) static void onnx_close(struct onnx_fixture *f)
{
    px_run_release(&f->run);
    px_engine_destroy(f->engine);
    px_arena_deinit(&f->model_arena);
    px_arena_deinit(&f->run_arena);
}

/* An input of one dimension, unless the caller changes that. */
__attribute__((unused)) static struct px_tensor *onnx_input(struct onnx_fixture *f,
                                                            const char *name, enum px_datatype type,
                                                            const void *bytes, size_t len)
{
    struct px_tensor *input = &f->inputs[f->run.n_inputs++];
    size_t size = px_datatype_size(type);
    *input = (struct px_tensor){.name = px_str(name),
                                .type = type,
                                .shape = {size ? len / size : 0},
                                .n_dims = 1,
                                .bytes = px_str_n(bytes, len)};
    return input;
}

__attribute__((unused)) static void onnx_ask(struct onnx_fixture *f, const char *name)
{
    f->outputs[f->run.n_outputs++] = (struct px_tensor){.name = px_str(name)};
}

/* Checks the run as a caller does, and computes. The fixture's run may be used again. */
__attribute__((unused)) static enum px_code onnx_run(struct onnx_fixture *f)
{
    px_run_release(&f->run);
    px_arena_reset(&f->run_arena);
    f->run.inputs = f->inputs;
    f->run.outputs = f->outputs;
    f->run.arena = &f->run_arena;
    enum px_code code = px_engine_check_run(f->engine, &f->run, &f->err);
    return code == PX_OK ? px_engine_run(f->engine, &f->run, &f->err) : code;
}

#endif
