/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The repository's requests: from a loop to a control thread and back.
 *
 * Two threads, so that an index does not wait behind the load of a large model. Only the loader swaps snapshots, which
 * makes it the one writer; the lister reads the snapshot under the mutex under which the loader swaps it, because the
 * loops' way of telling that they use it no longer is not open to it.
 */
#include "application/pressure/pressure.h"
#include "application/serving/repository_impl.h"

#include "application/lifecycle/model_name.h"
#include "application/residency/polling.h"
#include "shared/alloc.h"
#include "shared/base64.h"
#include "shared/clock.h"
#include "shared/log.h"

static const uint64_t reclaim_patience_ns = 2 * PX_NS_PER_S;

struct px_repository_request *px_repository_request_create(enum px_repository_action action)
{
    struct px_repository_request *request = px_alloc(1, sizeof *request);
    if (!request)
        return NULL;
    request->action = action;
    request->arena = px_arena(PX_REPOSITORY_REQUEST_BYTES_MAX);
    return request;
}

void px_repository_request_free(struct px_repository_request *request)
{
    if (!request)
        return;
    if (request->charged)
        atomic_fetch_sub(&px_repository_of(request->serving)->waiting_bytes, request->charged);
    px_repository_free_fetched(request);
    px_arena_deinit(&request->arena);
    px_free(request);
}

/* ---- parameters ---- */

static enum px_code take_text(struct px_repository_request *request,
                              const struct px_repository_value *value, struct px_str *ret,
                              struct px_err *err)
{
    *ret = px_arena_str(&request->arena, value->text);
    return px_arena_check(&request->arena, "the request's parameters", err);
}

static enum px_code take_bytes(struct px_repository_request *request,
                               const struct px_repository_value *value, struct px_str *ret,
                               struct px_err *err)
{
    if (value->type == PX_REPOSITORY_BYTES)
        return take_text(request, value, ret, err);
    char *out = px_arena_alloc(&request->arena, px_base64_decoded_max(value->text.len), 1);
    if (!out)
        return px_arena_check(&request->arena, "the request's files", err);
    ret->ptr = out;
    return px_base64_decode(value->text, out, &ret->len, err);
}

/* "file:1/model.json"; the path stays inside the version's folder. */
static bool is_file_path(struct px_str path)
{
    if (memchr(path.ptr, '\0', path.len))
        return false;
    for (struct px_str rest = path; rest.ptr;) {
        struct px_str part = px_str_cut(&rest, '/');
        if (part.len == 0 || part.ptr[0] == '.')
            return false;
    }
    return true;
}

static enum px_code add_file(struct px_repository_request *request, struct px_str key,
                             const struct px_repository_value *value, struct px_err *err)
{
    struct px_str path = px_str_n(key.ptr + 5, key.len - 5), bytes = {0};
    struct px_str version = px_str_cut(&path, '/');
    if (value->type != PX_REPOSITORY_TEXT && value->type != PX_REPOSITORY_BYTES)
        return px_err_set(err, PX_E_INVALID, "parameter '%.*s': expected the bytes of a file",
                          PX_STR_ARG(key));
    if (!path.ptr || !px_model_name_is_valid(version) || !is_file_path(path))
        return px_err_set(err, PX_E_INVALID,
                          "parameter '%.*s': expected file:<version>/<path inside it>",
                          PX_STR_ARG(key));
    if (!request->files)
        request->files =
            px_arena_zalloc(&request->arena, PX_REPOSITORY_FILES_MAX, sizeof *request->files);
    if (!request->files)
        return px_arena_check(&request->arena, "the request's files", err);
    if (request->n_files == PX_REPOSITORY_FILES_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "more than %d files in one load",
                          PX_REPOSITORY_FILES_MAX);
    enum px_code code = take_bytes(request, value, &bytes, err);
    if (code != PX_OK)
        return px_err_wrap(err, "parameter '%.*s'", PX_STR_ARG(key));
    request->files[request->n_files++] = (struct px_repository_file){
        px_arena_str(&request->arena, version), px_arena_str(&request->arena, path), bytes};
    return px_arena_check(&request->arena, "the request's files", err);
}

enum px_code px_repository_add_parameter(struct px_repository_request *request, struct px_str key,
                                         const struct px_repository_value *value,
                                         struct px_err *err)
{
    bool is_load = request->action == PX_REPOSITORY_LOAD;
    if (is_load && px_str_starts(key, "file:"))
        return add_file(request, key, value, err);
    if (is_load && px_str_is(key, "config")) {
        if (value->type != PX_REPOSITORY_TEXT)
            return px_err_set(err, PX_E_INVALID,
                              "parameter 'config': expected the model configuration as JSON text");
        return take_text(request, value, &request->config, err);
    }
    if (!is_load && px_str_is(key, "unload_dependents")) {
        if (value->type != PX_REPOSITORY_BOOL)
            return px_err_set(err, PX_E_INVALID,
                              "parameter 'unload_dependents': expected a boolean");
        return PX_OK; /* no model depends on another here */
    }
    px_err_set(err, PX_E_INVALID, "unrecognized %s parameter '%.*s'", is_load ? "load" : "unload",
               PX_STR_ARG(key));
    return px_err_hint(err, is_load ? "a load takes 'config' and 'file:<version>/<path>'"
                                    : "an unload takes 'unload_dependents'");
}

bool px_repository_names_changed(const struct px_repository_request *request, struct px_str version)
{
    for (size_t i = 0; i < request->n_changed; i++) {
        if (px_str_eq(request->changed[i], version))
            return true;
    }
    return false;
}

/* ---- the way of a request ---- */

struct px_repository *px_repository_of(struct px_serving *serving)
{
    /* Pairs with the release in px_serving_manage: the repository is complete. */
    return atomic_load_explicit(&serving->repository, memory_order_acquire);
}

const struct px_repository_counts *px_repository_counts(struct px_serving *serving)
{
    struct px_repository *r = px_repository_of(serving);
    return r ? &r->counts : NULL;
}

static struct px_repository_request *of_job(struct px_control_job *job)
{
    return (void *)((char *)job - offsetof(struct px_repository_request, job));
}

static void deliver(struct px_loop_task *task)
{
    struct px_repository_request *request =
        (void *)((char *)task - offsetof(struct px_repository_request, task));
    request->done(request);
    px_repository_request_free(request);
}

void px_repository_answer(struct px_repository *r, struct px_repository_request *request)
{
    request->task.run = deliver;
    if (!px_loops_post(&r->loops, request->loop, &request->task))
        px_repository_request_free(request); /* the loop has stopped, and who asked with it */
}

static void run_job(struct px_control_job *job)
{
    struct px_repository_request *request = of_job(job);
    struct px_repository *r = px_repository_of(request->serving);
    if (request->action == PX_REPOSITORY_INDEX) {
        px_repository_index(r, request);
        return;
    }
    if (request->action == PX_REPOSITORY_LOAD)
        px_repository_load(r, request);
    else
        px_repository_unload(r, request);
    px_residency_bring_next(r); /* not behind every load that clients have asked for */
}

static void drop_job(struct px_control_job *job)
{
    px_repository_request_free(of_job(job)); /* the loops have stopped */
}

enum px_code px_serving_check_control(struct px_serving *serving, const char *what,
                                      struct px_err *err)
{
    const struct px_repository *r = px_repository_of(serving);
    if (!r)
        return px_err_set(err, PX_E_UNAVAILABLE, "the server is still starting");
    if (r->may_control)
        return PX_OK;
    px_err_set(err, PX_E_UNAVAILABLE, "%s is not allowed by this server's configuration", what);
    return px_err_hint(err, "serving.model_control: explicit allows it");
}

/* What an index asks for is always allowed. */
static enum px_code check_change(struct px_serving *serving,
                                 const struct px_repository_request *request, struct px_err *err)
{
    enum px_code code =
        request->is_own ? PX_OK
                        : px_serving_check_control(serving, "explicit model load / unload", err);
    if (code == PX_OK)
        code = px_model_name_check(request->name, err);
    if (code == PX_OK && request->action == PX_REPOSITORY_LOAD)
        code = px_pressure_check_memory(serving->pressure, "loading a model", err);
    if (code != PX_OK)
        return code;
    if (request->n_files > 0 && request->config.len == 0) {
        px_err_set(err, PX_E_INVALID, "files of a model need the parameter 'config' with them");
        return px_err_hint(err, "\"config\": \"{}\" takes what the files say");
    }
    return PX_OK;
}

/* What a request holds until it is freed, so that many large ones in a row cannot take all memory. */
static enum px_code charge(struct px_repository *r, struct px_repository_request *request,
                           struct px_err *err)
{
    request->name = px_arena_str(&request->arena, request->name);
    enum px_code code = px_arena_check(&request->arena, "the request", err);
    if (code != PX_OK)
        return code;
    request->charged = request->arena.used;
    size_t before = atomic_fetch_add(&r->waiting_bytes, request->charged);
    if (before + request->charged <= PX_REPOSITORY_WAITING_BYTES_MAX)
        return PX_OK;
    px_err_set(err, PX_E_OVERLOADED, "the files of loads that wait hold more than %d bytes",
               (int)PX_REPOSITORY_WAITING_BYTES_MAX);
    return px_err_hint(err, "load one model after the other");
}

enum px_code px_repository_submit(struct px_serving *serving, struct px_repository_request *request,
                                  struct px_err *err)
{
    struct px_repository *r = px_repository_of(serving);
    PX_ASSERT(request->done && request->loop < serving->n_loops);
    request->serving = serving;
    request->job = (struct px_control_job){.run = run_job, .drop = drop_job};
    bool lists = request->action == PX_REPOSITORY_INDEX;
    enum px_code code = PX_OK;
    if (!r)
        code = px_err_set(err, PX_E_UNAVAILABLE, "the server is still starting");
    else if (!lists)
        code = check_change(serving, request, err);
    if (code == PX_OK)
        code = charge(r, request, err);
    if (code == PX_OK)
        code = px_control_give(lists ? r->lister : r->loader, &request->job, err);
    if (code != PX_OK)
        px_repository_request_free(request);
    return code;
}

/* ---- life ---- */

static enum px_code start_threads(struct px_repository *r, struct px_err *err)
{
    enum px_code code = px_control_create("px-loader", PX_REPOSITORY_WAITING_MAX, &r->loader, err);
    if (code == PX_OK)
        code = px_control_create("px-lister", PX_REPOSITORY_WAITING_MAX, &r->lister, err);
    return code;
}

static void free_repository(struct px_repository *r)
{
    px_control_destroy(r->loader);
    px_control_destroy(r->lister);
    for (struct px_grave *grave = r->graves, *next; grave; grave = next) {
        next = grave->next;
        px_grave_free(grave);
    }
    for (size_t i = 0; i < r->failures.len; i++)
        px_free(r->failures.items[i].name);
    px_vec_free(&r->failures);
    pthread_mutex_destroy(&r->mutex);
    sem_destroy(&r->passed);
    sem_destroy(&r->orphaned);
    px_free(r);
}

enum px_code px_serving_manage(struct px_serving *serving, const struct px_loops *loops,
                               bool may_control, struct px_err *err)
{
    PX_ASSERT(!px_repository_of(serving) && loops->n_loops == serving->n_loops);
    struct px_repository *r = px_alloc(1, sizeof *r);
    if (!r)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the model repository");
    r->serving = serving;
    r->loops = *loops;
    r->may_control = may_control;
    r->patience_ns = reclaim_patience_ns;
    pthread_mutex_init(&r->mutex, NULL);
    sem_init(&r->passed, 0, 0);
    sem_init(&r->orphaned, 0, 0);
    enum px_code code = start_threads(r, err);
    if (code == PX_OK)
        code = px_residency_start(&serving->residency, r, err);
    if (code == PX_OK && serving->fetching)
        code = px_fetching_start(serving->fetching, err);
    if (code != PX_OK) {
        free_repository(r);
        return code;
    }
    px_residency_check_maximum(serving);
    atomic_store_explicit(&serving->repository, r, memory_order_release);
    if (serving->residency.settings.poll_ns)
        code = px_polling_create(r, serving->residency.settings.poll_ns, &r->polling, err);
    return code;
}

bool px_serving_unmanage(struct px_serving *serving)
{
    struct px_repository *r = px_repository_of(serving);
    if (!r)
        return true;
    atomic_store_explicit(&r->stopping, true, memory_order_release);
    sem_post(&r->passed); /* who waits for loops looks at `stopping` */
    if (serving->fetching)
        px_fetching_cancel(serving->fetching); /* what reads indexes, or fetches, ends soon */
    px_polling_destroy(r->polling);
    r->polling = NULL;
    px_residency_stop(&serving->residency); /* before the loader that it gives jobs to */
    if (serving->fetching)
        px_fetching_stop(serving->fetching); /* the same */
    px_control_stop(r->loader);
    px_control_stop(r->lister);
    return px_end_all_runs(serving);
}

void px_repository_destroy(struct px_serving *serving)
{
    struct px_repository *r = px_repository_of(serving);
    if (r)
        free_repository(r);
}
