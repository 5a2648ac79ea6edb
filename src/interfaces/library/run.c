/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of a session, and the result that it leaves.
 *
 * A result is a run (ports/engine_run.h) with an arena of its own: outputs stay where the engine wrote them until the result is
 * freed. Only an output that lies in an input's memory, which a graph may hand through, is copied, because that memory is the
 * caller's again when the call returns.
 */
#include "interfaces/library/session.h"

#include "application/execution/await.h"
#include "interfaces/library/exact.h"
#include "shared/alloc.h"

#include <unistd.h>

#define RESULT_BYTES_MAX ((size_t)1 << 32)

struct phx_result {
    struct px_run run;
    struct px_arena arena; /* of the tensors below, and the engine's */
    phx_tensor *outputs;
    char *degraded;
    enum px_code code;
    char error[PX_ERR_MESSAGE_MAX * 2]; /* with its hint */
};

/* ---- inputs ---- */

static enum px_code take_input(const phx_tensor *from, size_t number, struct px_tensor *to,
                               struct px_err *err)
{
    if (!from->name)
        return px_err_set(err, PX_E_INVALID, "input %zu has no name", number);
    if (from->datatype == PX_TYPE_NONE || from->datatype >= PX_TYPE_COUNT)
        return px_err_set(err, PX_E_INVALID, "input '%s': there is no datatype %u", from->name,
                          from->datatype);
    if (from->n_dims > PHX_TENSOR_DIMS_MAX)
        return px_err_set(err, PX_E_INVALID, "input '%s': expected at most %d dimensions, got %u",
                          from->name, PHX_TENSOR_DIMS_MAX, from->n_dims);
    if (from->size && !from->data)
        return px_err_set(err, PX_E_INVALID, "input '%s': expected data, got NULL", from->name);
    *to = (struct px_tensor){.name = px_str(from->name),
                             .type = (enum px_datatype)from->datatype,
                             .n_dims = from->n_dims,
                             .bytes = px_str_n(from->size ? from->data : "", from->size)};
    for (uint32_t i = 0; i < from->n_dims; i++) {
        if (from->dims[i] < 0)
            return px_err_set(err, PX_E_INVALID, "input '%s': dimension %u is negative", from->name,
                              i);
        to->shape[i] = (uint64_t)from->dims[i];
    }
    return PX_OK;
}

static enum px_code take_inputs(phx_result *result, const phx_tensor *inputs, size_t n,
                                struct px_err *err)
{
    if (n > PHX_TENSORS_MAX || (n && !inputs))
        return px_err_set(err, PX_E_INVALID, "expected at most %d inputs, got %zu%s",
                          PHX_TENSORS_MAX, n, inputs ? "" : " at NULL");
    struct px_tensor *list = px_arena_zalloc(&result->arena, n + 1, sizeof *list);
    enum px_code code = px_arena_check(&result->arena, "a run", err);
    for (size_t i = 0; code == PX_OK && i < n; i++)
        code = take_input(&inputs[i], i + 1, &list[i], err);
    result->run.inputs = list;
    result->run.n_inputs = n;
    return code;
}

/* ---- outputs ---- */

/* The specs' names outlive the result; a name that the model does not have is found by the check of the run. */
static struct px_str lasting_name(const phx_session *session, const char *name)
{
    const struct px_tensor_spec *spec = px_tensor_specs_find(&session->engine->gives, px_str(name));
    return spec ? spec->name : px_str(name);
}

static enum px_code ask_outputs(phx_result *result, const phx_session *session,
                                const char *const *names, size_t n, struct px_err *err)
{
    const struct px_tensor_specs *gives = &session->engine->gives;
    size_t n_outputs = names ? n : gives->n;
    if (n > PHX_TENSORS_MAX || (n && !names))
        return px_err_set(err, PX_E_INVALID, "expected at most %d outputs, got %zu%s",
                          PHX_TENSORS_MAX, n, names ? "" : " at NULL");
    struct px_tensor *list = px_arena_zalloc(&result->arena, n_outputs + 1, sizeof *list);
    enum px_code code = px_arena_check(&result->arena, "a run", err);
    for (size_t i = 0; code == PX_OK && i < n_outputs; i++) {
        if (names && !names[i])
            return px_err_set(err, PX_E_INVALID, "output %zu has no name", i + 1);
        list[i].name = names ? lasting_name(session, names[i]) : gives->list[i].name;
    }
    result->run.outputs = list;
    result->run.n_outputs = n_outputs;
    return code;
}

/* Does the output lie in memory that the caller lent? */
static bool is_lent(const struct px_run *run, struct px_str bytes)
{
    for (size_t i = 0; i < run->n_inputs; i++) {
        struct px_str input = run->inputs[i].bytes;
        if (bytes.len && bytes.ptr >= input.ptr && bytes.ptr < input.ptr + input.len)
            return true;
    }
    return false;
}

/* The name as the session's specs have it, with its end. */
static const char *name_of(const phx_session *session, struct px_str name)
{
    const phx_specs *specs = &session->specs;
    uint32_t i = 0;
    while (i < specs->n_outputs && !px_str_is(name, specs->outputs[i].name))
        i++;
    PX_ASSERT(i < specs->n_outputs); /* it was checked */
    return specs->outputs[i].name;
}

static void give_output(phx_result *result, const phx_session *session,
                        const struct px_tensor *from, phx_tensor *to)
{
    struct px_str bytes = from->bytes;
    if (is_lent(&result->run, bytes)) {
        char *copy = px_arena_alloc(&result->arena, bytes.len, 1);
        if (copy)
            memcpy(copy, bytes.ptr, bytes.len);
        bytes.ptr = copy;
    }
    *to = (phx_tensor){.name = name_of(session, from->name),
                       .datatype = from->type,
                       .n_dims = (uint32_t)from->n_dims,
                       .data = bytes.ptr,
                       .size = bytes.len};
    for (size_t i = 0; i < from->n_dims; i++)
        to->dims[i] = (int64_t)from->shape[i];
}

static enum px_code give_outputs(phx_result *result, const phx_session *session, struct px_err *err)
{
    size_t n = result->run.n_outputs;
    result->outputs = px_arena_zalloc(&result->arena, n + 1, sizeof *result->outputs);
    for (size_t i = 0; result->outputs && i < n; i++)
        give_output(result, session, &result->run.outputs[i], &result->outputs[i]);
    result->degraded = px_arena_cstr(&result->arena, result->run.degraded);
    return px_arena_check(&result->arena, "the outputs", err);
}

/* ---- the whole ---- */

static enum px_code run_session(phx_session *session, phx_result *result, struct px_err *err)
{
    if (session->process != getpid())
        return px_err_set(err, PX_E_UNAVAILABLE,
                          "the session was opened before the process was forked; open it again");
    enum px_code code = px_engine_check_run(session->engine, &result->run, err);
    if (code == PX_OK)
        code = px_engine_await(session->engine, &result->run, err);
    return code == PX_OK ? give_outputs(result, session, err) : code;
}

phx_result *phx_session_run(phx_session *session, const phx_tensor *inputs, size_t n_inputs,
                            const char *const *outputs, size_t n_outputs)
{
    struct px_err err = {0};
    enum px_code code;
    uint64_t modes = px_exact_begin();
    phx_result *result = px_alloc(1, sizeof *result);
    if (result) {
        result->arena = px_arena(RESULT_BYTES_MAX);
        result->run.arena = &result->arena;
        code = session ? take_inputs(result, inputs, n_inputs, &err)
                       : px_err_set(&err, PX_E_INVALID, "expected a session, got NULL");
        if (code == PX_OK)
            code = ask_outputs(result, session, outputs, n_outputs, &err);
        if (code == PX_OK)
            code = run_session(session, result, &err);
        result->code = code;
        if (code != PX_OK)
            px_err_text(&err, result->error, sizeof result->error);
    }
    px_exact_end(modes);
    return result;
}

int phx_result_code(const phx_result *result)
{
    return result ? (int)result->code : PHX_NO_MEMORY;
}

const char *phx_result_error(const phx_result *result)
{
    return result ? result->error : "no memory for a result";
}

const phx_tensor *phx_result_outputs(const phx_result *result, size_t *ret_n)
{
    bool has_some = result && result->code == PX_OK;
    if (ret_n)
        *ret_n = has_some ? result->run.n_outputs : 0;
    return has_some ? result->outputs : NULL;
}

const char *phx_result_degraded(const phx_result *result)
{
    return result && result->code == PX_OK ? result->degraded : "";
}

void phx_result_free(phx_result *result)
{
    if (!result)
        return;
    px_run_release(&result->run);
    px_arena_deinit(&result->arena);
    px_free(result);
}
