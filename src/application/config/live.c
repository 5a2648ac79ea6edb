/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Design note.
 *
 * The first settings belong to whoever started the server and are never freed here: what is not live keeps reading them.
 * Each reload has an arena of its own for its texts. The former reload's is freed after `apply`, which returns when no
 * loop reads from it any more.
 *
 * Refusing the whole file for one setting that needs a restart, instead of taking over the rest: otherwise the server would run
 * with a mixture that no file describes, and the operator would have to know which half took effect.
 */
#include "application/config/live.h"

#include "shared/alloc.h"
#include "shared/file.h"
#include "shared/log.h"

enum {
    JOBS_MAX = 16,
    REQUEST_BYTES_MAX = 4 << 20,
    VALUE_BYTES_MAX = 1 << 20,
};

/* Settings with the memory of their texts. */
struct held {
    struct px_config config;
    struct px_arena arena;
};

struct px_live_config {
    struct px_config_sources sources;
    struct px_live_hooks hooks;
    const struct px_loops *loops; /* NULL: nobody is answered */
    const struct px_config *now;
    struct held *held; /* what `now` points into; NULL at first */
    struct px_control *control;
};

/* ---- what a request is answered with ---- */

/* A failure is the request's. */
static struct px_str value_text(struct px_live_request *request, const struct px_config *config,
                                size_t key)
{
    struct px_buf text = px_buf(VALUE_BYTES_MAX);
    px_config_write_value(config, key, &text);
    if (request->code == PX_OK)
        request->code = px_buf_check(&text, "the settings", &request->err);
    struct px_str copy = px_arena_str(&request->arena, px_buf_view(&text));
    px_buf_deinit(&text);
    return copy;
}

static void show(struct px_live_config *live, struct px_live_request *request)
{
    size_t n;
    const struct px_config_key *keys = px_config_keys(&n);
    request->settings = px_arena_alloc(&request->arena, n, sizeof *request->settings);
    for (size_t i = 0; request->settings && i < n; i++)
        request->settings[i] = (struct px_live_setting){
            .key = &keys[i],
            .value = value_text(request, live->now, i),
            .origin = (enum px_config_origin)live->now->origins[i],
        };
    request->n_settings = request->settings ? n : 0;
    if (request->code == PX_OK)
        request->code = px_arena_check(&request->arena, "the settings", &request->err);
}

static void list_changes(const struct px_live_config *live, struct px_live_request *request,
                         const struct px_config *to)
{
    size_t n;
    const struct px_config_key *keys = px_config_keys(&n);
    request->changes = px_arena_alloc(&request->arena, n, sizeof *request->changes);
    for (size_t i = 0; request->changes && i < n; i++) {
        if (px_config_is_same(live->now, to, i))
            continue;
        request->changes[request->n_changes++] = (struct px_live_change){
            .key = &keys[i],
            .from = value_text(request, live->now, i),
            .to = value_text(request, to, i),
        };
    }
    if (request->code == PX_OK)
        request->code = px_arena_check(&request->arena, "the changes", &request->err);
}

/* ---- reloading ---- */

static void refuse_fixed(struct px_live_request *request)
{
    char names[PX_ERR_MESSAGE_MAX / 2] = "";
    size_t len = 0;
    for (size_t i = 0; i < request->n_changes; i++) {
        const struct px_live_change *change = &request->changes[i];
        if (change->key->is_live)
            continue;
        px_log(PX_LOG_WARN, "config.refused", PX_LOG_T("key", change->key->name),
               PX_LOG_S("from", change->from), PX_LOG_S("to", change->to),
               PX_LOG_T("reason", "needs a restart"));
        if (len < sizeof names)
            len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", len ? ", " : "",
                                    change->key->name);
    }
    if (!len)
        return;
    request->code =
        px_err_set(&request->err, PX_E_CONFLICT, "needs a restart: %s; nothing was changed", names);
    px_err_hint(&request->err,
                "start the server again, or send it SIGUSR2: a new process then takes over "
                "without losing a request");
}

static void log_changes(const struct px_live_request *request)
{
    for (size_t i = 0; i < request->n_changes; i++)
        px_log(PX_LOG_INFO, "config.changed", PX_LOG_T("key", request->changes[i].key->name),
               PX_LOG_S("from", request->changes[i].from), PX_LOG_S("to", request->changes[i].to));
}

static void free_held(struct held *held)
{
    if (held)
        px_arena_deinit(&held->arena);
    px_free(held);
}

/* Reads and judges; *ret is what may be applied. */
static void read_again(struct px_live_config *live, struct px_live_request *request,
                       struct held *ret)
{
    struct px_err *err = &request->err;
    request->code = px_config_read(&live->sources, &ret->config, &ret->arena, err);
    if (request->code == PX_OK)
        request->code = live->hooks.check(&ret->config, err);
    if (request->code == PX_OK)
        list_changes(live, request, &ret->config);
    if (request->code == PX_OK)
        refuse_fixed(request);
    if (request->code == PX_OK)
        request->code = live->hooks.prepare(live->hooks.context, &ret->config, err);
}

static void take_over(struct px_live_config *live, struct held *next)
{
    struct held *former = live->held;
    live->hooks.apply(live->hooks.context, live->now, &next->config);
    live->held = next;
    live->now = &next->config;
    free_held(former);
}

/* A pipe has been read to its end: it would say nothing, which is every default, or never end. */
static enum px_code check_source(const char *path, struct px_err *err)
{
    if (!path)
        return px_err_set(
            err, PX_E_CONFLICT,
            "the server was started without --config: there is no file to read again");
    enum px_file_kind kind = px_file_kind(path);
    if (kind != PX_FILE_OTHER)
        return PX_OK;
    px_err_set(err, PX_E_CONFLICT, "'%s' is a pipe or a device: it cannot be read again", path);
    return px_err_hint(err, "start the server with --config and a file");
}

static void reload(struct px_live_config *live, struct px_live_request *request)
{
    struct held *next = px_alloc(1, sizeof *next);
    request->code = check_source(live->sources.path, &request->err);
    if (request->code == PX_OK && !next)
        request->code = px_err_set(&request->err, PX_E_NO_MEMORY, "no memory for the settings");
    live->hooks.reloading(live->hooks.context, true);
    if (request->code == PX_OK) {
        next->arena = px_arena(PX_CONFIG_MEMORY_MAX);
        read_again(live, request, next);
    }
    if (request->code == PX_OK) {
        log_changes(request); /* before a new log.level could hide them */
        take_over(live, next);
        px_log(PX_LOG_INFO, "config.reloaded", PX_LOG_S("file", request->path),
               PX_LOG_U("changes", request->n_changes));
    } else {
        free_held(next);
        px_log_err(PX_LOG_ERROR, "config.reload_failed", &request->err);
    }
    live->hooks.reloading(live->hooks.context, false);
}

/* ---- the way of a request ---- */

static void free_request(struct px_live_request *request)
{
    px_arena_deinit(&request->arena);
    px_free(request);
}

static void deliver(struct px_loop_task *task)
{
    struct px_live_request *request = PX_CONTAINER_OF(task, struct px_live_request, task);
    request->done(request);
    free_request(request);
}

static void run_job(struct px_control_job *job)
{
    struct px_live_request *request = PX_CONTAINER_OF(job, struct px_live_request, job);
    struct px_live_config *live = request->live;
    request->path = live->sources.path ? px_str(live->sources.path) : (struct px_str){0};
    if (request->action == PX_LIVE_RELOAD)
        reload(live, request);
    else
        show(live, request);
    request->task.run = deliver;
    if (!request->done || !live->loops ||
        !px_loops_post(live->loops, request->loop, &request->task))
        free_request(request); /* nobody waits for it */
}

static void drop_job(struct px_control_job *job)
{
    free_request(PX_CONTAINER_OF(job, struct px_live_request, job));
}

struct px_live_request *px_live_request_create(enum px_live_action action)
{
    struct px_live_request *request = px_alloc(1, sizeof *request);
    if (!request)
        return NULL;
    request->action = action;
    request->arena = px_arena(REQUEST_BYTES_MAX);
    return request;
}

enum px_code px_live_config_submit(struct px_live_config *live, struct px_live_request *request,
                                   struct px_err *err)
{
    request->live = live;
    request->job = (struct px_control_job){.run = run_job, .drop = drop_job};
    enum px_code code = px_control_give(live->control, &request->job, err);
    if (code != PX_OK)
        free_request(request);
    return code;
}

void px_live_config_reload(struct px_live_config *live)
{
    struct px_err err;
    struct px_live_request *request = px_live_request_create(PX_LIVE_RELOAD);
    if (!request)
        px_err_set(&err, PX_E_NO_MEMORY, "no memory for the settings");
    else if (px_live_config_submit(live, request, &err) == PX_OK)
        return;
    px_log_err(PX_LOG_ERROR, "config.reload_failed", &err);
}

/* ---- life ---- */

enum px_code px_live_config_create(const struct px_config_sources *sources,
                                   const struct px_config *config,
                                   const struct px_live_hooks *hooks, struct px_live_config **ret,
                                   struct px_err *err)
{
    struct px_live_config *live = px_alloc(1, sizeof *live);
    if (!live)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the settings");
    live->sources = *sources;
    live->hooks = *hooks;
    live->now = config;
    enum px_code code = px_control_create("px-config", JOBS_MAX, &live->control, err);
    if (code != PX_OK) {
        px_free(live);
        return code;
    }
    *ret = live;
    return PX_OK;
}

void px_live_config_use_loops(struct px_live_config *live, const struct px_loops *loops)
{
    live->loops = loops;
}

void px_live_config_stop(struct px_live_config *live)
{
    if (live)
        px_control_stop(live->control);
}

const struct px_config *px_live_config_current(const struct px_live_config *live)
{
    return live->now;
}

void px_live_config_destroy(struct px_live_config *live)
{
    if (!live)
        return;
    px_control_destroy(live->control);
    free_held(live->held);
    px_free(live);
}
