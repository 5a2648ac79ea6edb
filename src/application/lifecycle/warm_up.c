/* SPDX-License-Identifier: Apache-2.0 */
#include "application/lifecycle/warm_up.h"

#include "application/execution/await.h"
#include "application/lifecycle/example.h"
#include "application/lifecycle/golden.h"

#include "shared/file.h"

enum { WARM_UP_BYTES_MAX = 512 << 20 };

/* A sequence of one step, which leaves no state behind. Its id fits every type that a model may take it as, and is seldom anybody's. */
static const struct px_sequence_step warm_up_sequence = {
    .id = INT32_MAX, .start = true, .end = true};

/* The golden requests of a package, read once; without any `cases` is NULL. */
struct warm_up {
    struct px_file file; /* `golden` points into it */
    struct px_arena arena;
    struct px_golden golden;
};

static enum px_code read_golden(struct warm_up *w, const struct px_package *package,
                                struct px_err *err)
{
    if (!package->golden_path.len)
        return PX_OK;
    enum px_code code = px_file_load(&w->file, package->golden_path.ptr, PX_GOLDEN_BYTES_MAX, err);
    return code == PX_OK ? px_golden_parse(w->file.bytes, &w->arena, &w->golden, err) : code;
}

static enum px_code run_golden(const struct warm_up *w, struct px_engine *engine,
                               struct px_arena *arena, struct px_err *err)
{
    struct px_run run = {0};
    enum px_code code = px_golden_run(engine, &w->golden.cases[0], arena, &run, err);
    px_run_release(&run);
    return code;
}

static enum px_code run_example(struct px_engine *engine, struct px_arena *arena,
                                struct px_err *err)
{
    struct px_run run = {.arena = arena, .sequence = warm_up_sequence};
    struct px_tensor *inputs = NULL;
    enum px_code code = px_example_inputs(engine, arena, &inputs, &run.n_inputs, err);
    if (code != PX_OK)
        return code;
    run.inputs = inputs;
    code = px_run_ask_all(&run, engine, err);
    if (code == PX_OK)
        code = px_engine_check_run(engine, &run, err);
    if (code == PX_OK)
        code = px_engine_await(engine, &run, err);
    px_run_release(&run);
    return code;
}

enum px_code px_package_warm_up(const struct px_package *package, size_t n, bool *ret_golden,
                                struct px_err *err)
{
    struct px_arena arena = px_arena(WARM_UP_BYTES_MAX);
    struct warm_up w = {.arena = px_arena(WARM_UP_BYTES_MAX)};
    enum px_code code = n ? read_golden(&w, package, err) : PX_OK;
    *ret_golden = w.golden.cases != NULL;
    for (size_t i = 0; i < n && code == PX_OK; i++) {
        px_arena_reset(&arena);
        code = w.golden.cases ? run_golden(&w, package->engine, &arena, err)
                              : run_example(package->engine, &arena, err);
    }
    px_file_unload(&w.file);
    px_arena_deinit(&w.arena);
    px_arena_deinit(&arena);
    return code;
}
