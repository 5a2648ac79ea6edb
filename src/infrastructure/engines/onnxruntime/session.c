/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/engines/onnxruntime/session.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include "shared/alloc.h"
#include "shared/log.h"

/*
 * Memory that must be there before a model is opened: so much, and twice its file. The library itself throws where nothing may be
 * thrown when memory runs out while it opens a model, which ends the process; so what it is going to need is asked for first.
 */
#define OPENING_BYTES ((size_t)64 << 20)

static struct px_ort_session *session_of(struct px_engine *engine)
{
    return (struct px_ort_session *)engine;
}

static void free_tickets(const struct px_ort *ort, struct px_ort_ticket *ticket)
{
    while (ticket) {
        struct px_ort_ticket *next = ticket->next;
        if (ticket->options)
            ort->release_run_options(ticket->options);
        px_free(ticket);
        ticket = next;
    }
}

/* The library writes the profile at its end, and says to which file. */
static void end_profile(struct px_ort_session *s)
{
    char *file = NULL;
    px_ort_ignore(s->ort, s->ort->end_profile(s->session, s->ort->allocator, &file));
    if (!file)
        return;
    px_log(PX_LOG_INFO, "onnxruntime.profile", PX_LOG_T("file", file));
    px_ort_ignore(s->ort, s->ort->allocator_free(s->ort->allocator, file));
}

static void destroy(struct px_engine *engine)
{
    struct px_ort_session *s = session_of(engine);
    PX_ASSERT(!s->active);
    free_tickets(s->ort, s->idle);
    if (s->session && s->settings.profile)
        end_profile(s);
    if (s->session)
        s->ort->release_session(s->session);
    pthread_mutex_destroy(&s->lock);
    px_free(s);
}

static void describe(const struct px_engine *engine, struct px_json_writer *json)
{
    const struct px_ort_session *s = (const struct px_ort_session *)engine;
    px_json_member_text(json, "library", s->ort->version);
    px_json_member_text(json, "providers", s->settings.used);
    px_json_member_u64(json, "threads", (uint64_t)s->settings.threads);
    px_json_member_bool(json, "deterministic", s->settings.deterministic);
    if (s->left_out.len)
        px_json_member_str(json, "outputs_left_out", s->left_out);
    if (s->n_warnings)
        px_json_member_strs(json, "warnings", s->warnings, s->n_warnings);
}

#define SESSION_OPS(more_caps)                                                                     \
    {                                                                                              \
        .abi = PX_ENGINE_ABI, .caps = PX_ENGINE_TENSORS | (more_caps), .name = "onnxruntime",      \
        .run = px_ort_run, .cancel = px_ort_cancel, .describe = describe, .destroy = destroy       \
    }

/* By whether rows are independent, and whether a run needs no thread but the caller's. */
static const struct px_engine_ops session_ops[2][2] = {
    {SESSION_OPS(0), SESSION_OPS(PX_ENGINE_COMPUTES)},
    {SESSION_OPS(PX_ENGINE_BATCHES), SESSION_OPS(PX_ENGINE_BATCHES | PX_ENGINE_COMPUTES)},
};

static bool computes_alone(const struct px_ort_settings *settings)
{
    return settings->threads == 1 && settings->inter_op_threads == 1 &&
           strcmp(settings->used, "CPU") == 0;
}

/* ---- opening ---- */

/* What is wrong with a file that is being loaded: the library's own codes tell no more than that it did not work. */
static enum px_code load_code(enum px_code code, struct px_err *err)
{
    static const char *const newer[] = {"is not a registered function", "Unsupported model IR",
                                        "opset", "kernel", "Could not find an implementation"};
    if (code != PX_E_INVALID && code != PX_E_INTERNAL && code != PX_E_CORRUPT)
        return code;
    err->code = PX_E_CORRUPT;
    for (size_t i = 0; i < PX_ARRAY_LEN(newer); i++) {
        if (strstr(err->message, newer[i]))
            err->code = PX_E_UNSUPPORTED;
    }
    return err->code;
}

static enum px_code check_memory(const char *path, struct px_err *err)
{
    struct stat status;
    size_t n = OPENING_BYTES;
    if (stat(path, &status) == 0)
        n += 2 * (size_t)status.st_size;
    void *room = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED) {
        px_err_set(err, PX_E_NO_MEMORY, "opening an ONNX model needs about %zu MiB of memory",
                   n >> 20);
        return px_err_hint(
            err, "raise the limit of the process (ulimit -v, MemoryMax=), or unload another model");
    }
    munmap(room, n);
    return PX_OK;
}

static enum px_code create_session(struct px_ort_session *s,
                                   const struct px_engine_request *request, struct px_err *err)
{
    void *options = NULL;
    char *path = px_arena_cstr(request->arena, request->path);
    enum px_code code = px_arena_check(request->arena, "the model's path", err);
    if (code == PX_OK)
        code = px_ort_confine(path, request->from_client, err);
    if (code == PX_OK)
        code = px_ort_settings_check(&s->settings, path, err);
    if (code == PX_OK)
        code = check_memory(path, err);
    if (code == PX_OK)
        code = px_ort_settings_apply(&s->settings, s->ort, request->arena, &options, err);
    if (code != PX_OK)
        return code;
    s->path = path;
    code = px_ort_check(s->ort, s->ort->create_session(s->ort->env, path, options, &s->session),
                        path, err);
    s->ort->release_options(options);
    return load_code(code, err);
}

enum px_code px_ort_session_open(const struct px_engine_request *request, struct px_engine **ret,
                                 struct px_err *err)
{
    struct px_err reason = {0}; /* create_session reads what it was told */
    struct px_ort_session *s = px_alloc(1, sizeof *s);
    if (!s)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for a session");
    pthread_mutex_init(&s->lock, NULL);
    enum px_code code = px_ort_open(&s->ort, &reason);
    if (code == PX_OK)
        code = px_ort_settings_read(request, &s->settings, &reason);
    if (code == PX_OK)
        code = create_session(s, request, &reason);
    if (code == PX_OK)
        code = px_ort_read_specs(s, request, &reason);
    s->base.ops = &session_ops[s->settings.batches][computes_alone(&s->settings)];
    if (code != PX_OK) {
        if (s->path)
            px_ort_explain(s->path, &reason);
        destroy(&s->base);
        if (err)
            *err = reason;
        return code;
    }
    s->n_warnings = px_ort_warn(s->path, request->arena, s->warnings, PX_ORT_WARNINGS_MAX);
    *ret = &s->base;
    return PX_OK;
}
