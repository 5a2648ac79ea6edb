/* SPDX-License-Identifier: Apache-2.0 */
#include "application/ports/engine.h"

#include "shared/clock.h"

#include <inttypes.h>

enum px_code px_engine_score(struct px_engine *engine, const struct px_matrix *rows,
                             struct px_matrix *scores, void *scratch, unsigned flags,
                             struct px_err *err)
{
    PX_ASSERT(engine->ops->abi == PX_ENGINE_ABI);
    PX_ASSERT(rows->type == engine->feature_type && rows->n_cols == engine->n_features);
    PX_ASSERT(scores->type == engine->score_type && scores->n_rows == rows->n_rows);
    PX_ASSERT(scores->n_cols == (flags & PX_SCORE_MARGIN ? engine->n_margins : engine->n_outputs));
    if (rows->n_rows == 0)
        return PX_OK;
    return engine->ops->score(engine, rows, scores, scratch, flags, err);
}

enum px_code px_engine_explain(struct px_engine *engine, const struct px_matrix *rows, double *out,
                               struct px_arena *arena, struct px_err *err)
{
    PX_ASSERT(rows->type == engine->feature_type && rows->n_cols == engine->n_features);
    if (!px_engine_has(engine, PX_ENGINE_EXPLAIN))
        return px_err_set(err, PX_E_UNSUPPORTED, "engine '%s' explains nothing",
                          px_engine_name(engine));
    return engine->ops->explain(engine, rows, out, arena, err);
}

double px_engine_explain_steps(const struct px_engine *engine)
{
    return px_engine_has(engine, PX_ENGINE_EXPLAIN) ? engine->ops->explain_steps(engine) : 0;
}

size_t px_engine_scratch_size(const struct px_engine *engine, size_t rows_max)
{
    return engine->ops->scratch_size(engine, rows_max);
}

bool px_engine_is_able(struct px_engine *engine, struct px_err *err)
{
    return !engine->ops->is_able || engine->ops->is_able(engine, err);
}

void px_engine_measure(struct px_engine *engine, const struct px_engine_measures *to)
{
    if (engine->ops->measure)
        engine->ops->measure(engine, to);
}

const char *px_engine_name(const struct px_engine *engine)
{
    return engine->ops->name;
}

bool px_engine_has(const struct px_engine *engine, enum px_engine_caps cap)
{
    return engine->ops->caps & cap;
}

bool px_engine_is_idle(struct px_engine *engine)
{
    return !engine->ops->is_idle || engine->ops->is_idle(engine);
}

void px_engine_drain(struct px_engine *engine)
{
    if (engine->ops->drain)
        engine->ops->drain(engine);
}

void px_engine_destroy(struct px_engine *engine)
{
    if (engine)
        engine->ops->destroy(engine);
}

/* ---- tensors ---- */

static enum px_code check_input(const struct px_engine *engine, const struct px_tensor *input,
                                struct px_err *err)
{
    const struct px_tensor_spec *spec = px_tensor_specs_find(&engine->takes, input->name);
    if (!spec)
        return px_err_set(err, PX_E_INVALID, "unknown input '%.*s'", PX_STR_ARG(input->name));
    enum px_code code = px_tensor_check_spec(input, spec, err);
    return code == PX_OK ? px_tensor_check_bytes(input, err) : code;
}

static const struct px_tensor *find_tensor(const struct px_tensor *tensors, size_t n,
                                           struct px_str name)
{
    for (size_t i = 0; i < n; i++) {
        if (px_str_eq(tensors[i].name, name))
            return &tensors[i];
    }
    return NULL;
}

/* Is every input there once? */
static enum px_code check_presence(const struct px_engine *engine, const struct px_run *run,
                                   struct px_err *err)
{
    for (size_t i = 0; i < run->n_inputs; i++) {
        if (find_tensor(run->inputs, i, run->inputs[i].name))
            return px_err_set(err, PX_E_INVALID, "input '%.*s' came twice",
                              PX_STR_ARG(run->inputs[i].name));
    }
    for (size_t i = 0; i < engine->takes.n; i++) {
        const struct px_tensor_spec *spec = &engine->takes.list[i];
        char shape[PX_TENSOR_SHAPE_TEXT_MAX];
        if (!spec->optional && !find_tensor(run->inputs, run->n_inputs, spec->name))
            return px_err_set(err, PX_E_INVALID, "input '%.*s' is missing: expected %s of shape %s",
                              PX_STR_ARG(spec->name), px_datatype_name(spec->type),
                              px_tensor_spec_shape_text(spec, shape));
    }
    return PX_OK;
}

static enum px_code check_outputs(const struct px_engine *engine, const struct px_run *run,
                                  struct px_err *err)
{
    for (size_t i = 0; i < run->n_outputs; i++) {
        struct px_str name = run->outputs[i].name;
        if (!px_tensor_specs_find(&engine->gives, name))
            return px_err_set(err, PX_E_INVALID, "unknown output '%.*s'", PX_STR_ARG(name));
        if (find_tensor(run->outputs, i, name))
            return px_err_set(err, PX_E_INVALID, "output '%.*s' was asked for twice",
                              PX_STR_ARG(name));
    }
    return PX_OK;
}

/* The input that says how many rows there are: the first with dimensions. NULL when none does. */
static const struct px_tensor *find_rows(const struct px_engine *engine, const struct px_run *run)
{
    for (size_t i = 0; px_engine_has(engine, PX_ENGINE_BATCHES) && i < run->n_inputs; i++) {
        if (run->inputs[i].n_dims > 0)
            return &run->inputs[i];
    }
    return NULL;
}

size_t px_engine_run_rows(const struct px_engine *engine, const struct px_run *run)
{
    const struct px_tensor *first = find_rows(engine, run);
    return first ? (size_t)first->shape[0] : 1;
}

/* Where first dimensions count rows, they are the same rows. */
static enum px_code check_rows(const struct px_engine *engine, const struct px_run *run,
                               struct px_err *err)
{
    const struct px_tensor *first = find_rows(engine, run);
    for (size_t i = 0; first && i < run->n_inputs; i++) {
        const struct px_tensor *input = &run->inputs[i];
        if (input->n_dims > 0 && input->shape[0] != first->shape[0])
            return px_err_set(
                err, PX_E_INVALID, "input '%.*s' has %" PRIu64 " rows, input '%.*s' has %" PRIu64,
                PX_STR_ARG(first->name), first->shape[0], PX_STR_ARG(input->name), input->shape[0]);
    }
    return PX_OK;
}

static enum px_code check_sequence(const struct px_engine *engine, const struct px_run *run,
                                   struct px_err *err)
{
    bool has_id = run->sequence.id != 0 || run->sequence.text_id.len > 0;
    if (has_id || !px_engine_has(engine, PX_ENGINE_SEQUENCES))
        return PX_OK;
    px_err_set(err, PX_E_INVALID, "this model keeps state: expected a sequence id that is not 0");
    return px_err_hint(err, "send the parameters sequence_id, sequence_start and sequence_end");
}

enum px_code px_engine_check_run(const struct px_engine *engine, const struct px_run *run,
                                 struct px_err *err)
{
    PX_ASSERT(px_engine_has(engine, PX_ENGINE_TENSORS));
    for (size_t i = 0; i < run->n_inputs; i++) {
        enum px_code code = check_input(engine, &run->inputs[i], err);
        if (code != PX_OK)
            return code;
    }
    enum px_code code = check_outputs(engine, run, err);
    if (code == PX_OK)
        code = check_presence(engine, run, err);
    if (code == PX_OK)
        code = check_rows(engine, run, err);
    return code == PX_OK ? check_sequence(engine, run, err) : code;
}

enum px_code px_run_ask_all(struct px_run *run, const struct px_engine *engine, struct px_err *err)
{
    const struct px_tensor_specs *gives = &engine->gives;
    run->outputs = px_arena_zalloc(run->arena, gives->n + 1, sizeof *run->outputs);
    if (!run->outputs)
        return px_arena_check(run->arena, "the answer", err);
    for (size_t i = 0; i < gives->n; i++)
        run->outputs[i].name = gives->list[i].name;
    run->n_outputs = gives->n;
    return PX_OK;
}

/* Sets the run's error when nobody waits for it any more. */
static enum px_code check_wanted(struct px_run *run)
{
    if (atomic_load_explicit(&run->cancelled, memory_order_relaxed))
        return px_err_set(&run->err, PX_E_CANCELLED, "the request was cancelled");
    if (run->deadline_ns && px_clock_monotonic_ns() >= run->deadline_ns)
        return px_err_set(&run->err, PX_E_DEADLINE, "the deadline has passed");
    return PX_OK;
}

void px_engine_start(struct px_engine *engine, struct px_run *run)
{
    PX_ASSERT(engine->ops->abi == PX_ENGINE_ABI && px_engine_has(engine, PX_ENGINE_ASYNC));
    PX_ASSERT(run->done && run->arena);
    enum px_code code = check_wanted(run);
    if (code == PX_OK)
        engine->ops->start(engine, run);
    else
        px_run_finish(run, code);
}

enum px_code px_engine_run(struct px_engine *engine, struct px_run *run, struct px_err *err)
{
    PX_ASSERT(engine->ops->abi == PX_ENGINE_ABI && engine->ops->run);
    run->started_ns = px_clock_monotonic_ns();
    return engine->ops->run(engine, run, err);
}

void px_engine_cancel(struct px_engine *engine, struct px_run *run)
{
    atomic_store_explicit(&run->cancelled, true, memory_order_relaxed);
    if (engine->ops->cancel)
        engine->ops->cancel(engine, run);
}

size_t px_run_input_bytes(const struct px_run *run)
{
    size_t n = 0;
    for (size_t i = 0; i < run->n_inputs; i++)
        n += run->inputs[i].bytes.len;
    return n;
}

void px_run_finish(struct px_run *run, enum px_code code)
{
    PX_ASSERT(code == PX_OK || run->err.code == code);
    run->code = code;
    run->done(run);
}

void px_run_release(struct px_run *run)
{
    if (run->release)
        run->release(run);
    run->release = NULL;
    run->held = NULL;
}

void px_run_note_step(struct px_run *run, const struct px_run_step *step)
{
    struct px_run_trace *trace = run->trace;
    if (trace && trace->n_steps < trace->n_steps_max)
        trace->steps[trace->n_steps++] = *step;
}
