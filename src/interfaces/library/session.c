/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing sessions, and what they tell about their tensors.
 *
 * As with models, what opens is what `phoenix check` passes, and it is opened under the default arithmetic, which the threads
 * of the engine inherit.
 *
 * The threads of an engine do not exist in a child of fork, so a run would wait for ever, and closing as well. A session knows its
 * process and refuses the one and leaves out the other.
 */
#include "interfaces/library/session.h"

#include "application/lifecycle/check.h"
#include "application/lifecycle/tensor_engine.h"
#include "interfaces/library/engines.h"
#include "interfaces/library/exact.h"
#include "shared/alloc.h"
#include "shared/log.h"

#include <unistd.h>

enum { SPECS_BYTES_MAX = 64 << 20 };

#define PX_DATATYPE(name, bytes)                                                                   \
    _Static_assert((int)PX_TYPE_##name == (int)PHX_##name, "the library's datatypes are ours");
#include "domain/inference/datatypes.def"
#undef PX_DATATYPE
_Static_assert((int)PX_TENSOR_DIMS_MAX == (int)PHX_TENSOR_DIMS_MAX, "as many dimensions");
_Static_assert((int)PX_ENGINE_TENSORS_MAX == (int)PHX_TENSORS_MAX, "as many tensors");

static const phx_tensor_spec *give_specs(const struct px_tensor_specs *specs,
                                         struct px_arena *arena)
{
    phx_tensor_spec *list = px_arena_zalloc(arena, specs->n + 1, sizeof *list);
    for (size_t i = 0; list && i < specs->n; i++) {
        const struct px_tensor_spec *from = &specs->list[i];
        list[i] = (phx_tensor_spec){.name = px_arena_cstr(arena, from->name),
                                    .datatype = from->type,
                                    .n_dims = (uint32_t)from->n_dims,
                                    .flags = (from->any_rank ? PHX_SPEC_ANY_RANK : 0u) |
                                             (from->optional ? PHX_SPEC_OPTIONAL : 0u)};
        memcpy(list[i].dims, from->shape, sizeof list[i].dims);
    }
    return list;
}

static enum px_code keep_specs(phx_session *session, struct px_err *err)
{
    const struct px_engine *engine = session->engine;
    session->arena = px_arena(SPECS_BYTES_MAX);
    session->specs = (phx_specs){.inputs = give_specs(&engine->takes, &session->arena),
                                 .outputs = give_specs(&engine->gives, &session->arena),
                                 .n_inputs = (uint32_t)engine->takes.n,
                                 .n_outputs = (uint32_t)engine->gives.n};
    return px_arena_check(&session->arena, "the specs of a model", err);
}

static enum px_code refuse_state(const struct px_engine *engine, struct px_err *err)
{
    if (!px_engine_has(engine, PX_ENGINE_SEQUENCES))
        return PX_OK;
    px_err_set(err, PX_E_UNSUPPORTED, "this model keeps state between the requests of a sequence");
    return px_err_hint(err, "the library has no sequences; 'phoenix serve' has");
}

static enum px_code read_session(phx_session *session, const char *path, struct px_err *err)
{
    const struct px_package_options options = {.engines = px_library_engines()};
    struct px_check_report report;
    enum px_code code = px_package_open(path, &options, &session->package, err);
    if (code == PX_OK)
        code = px_package_tensor_engine(session->package, &session->engine, err);
    if (code == PX_OK)
        code = refuse_state(session->engine, err);
    if (code == PX_OK)
        code = px_check_package(session->package, NULL, &report, err);
    return code == PX_OK ? keep_specs(session, err) : code;
}

/* Engines log what a server's operator should know. Here there is none, and standard error is the program's. */
static void keep_silent(void)
{
    px_log_update(&(struct px_log_settings){.time = PX_LOG_TIME_ISO8601});
}

static enum px_code open_session(phx_session *session, const char *path, struct px_err *err)
{
    uint64_t modes = px_exact_begin();
    keep_silent();
    session->process = getpid();
    enum px_code code = read_session(session, path, err);
    px_exact_end(modes);
    return code;
}

phx_session *phx_session_open(const char *path, char *err, size_t err_cap)
{
    struct px_err why = {0};
    enum px_code code = PX_E_INVALID;
    phx_session *session = NULL;
    if (!path)
        px_err_set(&why, PX_E_INVALID, "expected the path of a model, got NULL");
    else if (!(session = px_alloc(1, sizeof *session)))
        code = px_err_set(&why, PX_E_NO_MEMORY, "no memory for a session");
    else
        code = open_session(session, path, &why);
    if (code == PX_OK)
        return session;
    phx_session_close(session);
    if (err && err_cap)
        px_err_text(&why, err, err_cap);
    return NULL;
}

void phx_session_close(phx_session *session)
{
    if (!session || session->process != getpid())
        return;
    px_arena_deinit(&session->arena);
    px_package_close(session->package);
    px_free(session);
}

const phx_specs *phx_session_specs(const phx_session *session)
{
    return session ? &session->specs : NULL;
}
