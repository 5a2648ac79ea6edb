/* SPDX-License-Identifier: Apache-2.0 */
/* Warm-up of models of tensors: the first run of a model makes plans and allocates, and no client should wait for that. */
#include "application/execution/await.h"
#include "application/lifecycle/example.h"
#include "application/lifecycle/golden.h"
#include "application/lifecycle/package.h"
#include "application/serving/serving_impl.h"

#include "shared/file.h"
#include "shared/log.h"

enum { WARM_UP_BYTES_MAX = 512 << 20 };

/* A sequence of one step, which leaves no state behind. */
static const struct px_sequence_step warm_up_sequence = {
    .id = UINT64_MAX, .start = true, .end = true};

/* The first golden request, which is one that the model answers; else an example of zeros. */
static enum px_code run_golden(const struct px_package *package, struct px_arena *arena,
                               struct px_err *err)
{
    struct px_golden golden;
    struct px_file file = {0};
    struct px_run run = {0};
    enum px_code code = px_file_load(&file, package->golden_path.ptr, PX_GOLDEN_BYTES_MAX, err);
    if (code == PX_OK)
        code = px_golden_parse(file.bytes, arena, &golden, err);
    if (code == PX_OK)
        code = px_golden_run(package->engine, &golden.cases[0], arena, &run, err);
    px_run_release(&run);
    px_file_unload(&file);
    return code;
}

static enum px_code run_example(struct px_engine *engine, struct px_arena *arena,
                                struct px_err *err)
{
    struct px_run run = {
        .arena = arena, .sequence = warm_up_sequence, .n_outputs = engine->gives.n};
    struct px_tensor *inputs = NULL;
    enum px_code code = px_example_inputs(engine, arena, &inputs, &run.n_inputs, err);
    if (code != PX_OK)
        return code;
    run.inputs = inputs;
    run.outputs = px_arena_zalloc(arena, run.n_outputs + 1, sizeof *run.outputs);
    if (!run.outputs)
        return px_arena_check(arena, "the warm-up", err);
    for (size_t i = 0; i < run.n_outputs; i++)
        run.outputs[i].name = engine->gives.list[i].name;
    code = px_engine_check_run(engine, &run, err);
    if (code == PX_OK)
        code = px_engine_await(engine, &run, err);
    px_run_release(&run);
    return code;
}

void px_model_warm_runs(const struct px_package *package)
{
    struct px_arena arena = px_arena(WARM_UP_BYTES_MAX);
    struct px_err err = {0};
    for (size_t i = 0; i < package->warm_up && err.code == PX_OK; i++) {
        px_arena_reset(&arena);
        enum px_code code = package->golden_path.len ? run_golden(package, &arena, &err)
                                                     : run_example(package->engine, &arena, &err);
        if (code != PX_OK)
            px_log_err(PX_LOG_INFO, "model.cold", &err);
    }
    px_arena_deinit(&arena);
}
