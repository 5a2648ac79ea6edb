/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that wait for models, and the thread that lets them go in time.
 *
 * A loop that finds its model registered only puts the call into the list of that model and goes on with others; the loader takes the
 * list when the model is there and posts each call back to its loop. Loads take from milliseconds to minutes and the loader is busy
 * with one at a time, so the end of a call's patience is another thread's affair. It also gives the loader its job again when the
 * loader's queue was full, or a load was put off.
 *
 * Invariants
 * 1. A call is in a list (`wanted`, under the mutex) or its task has been posted, once. Its memory stays until that task has run.
 * 2. Who posts reads the next call first: a posted one may be gone.
 * 3. A wanted model stays until its load was tried, also when its calls have gone: otherwise a model that takes longer to load than
 *    clients wait would never be there.
 *
 * Rejected: a list per model object. Models are replaced by explicit loads meanwhile, and a name outlives them.
 */
#include "application/residency/residency_impl.h"
#include "application/serving/repository_impl.h"

#include "shared/clock.h"
#include "shared/thread.h"

static const uint64_t put_off_ns = 50 * PX_NS_PER_MS;
/* So long a model without room stays wanted by those whose patience has ended: they come once more, to be told why. */
static const uint64_t linger_ns = PX_NS_PER_S;

/* ---- the list; with the mutex held ---- */

static struct px_str name_of(const struct px_wanted *wanted)
{
    return px_str_n(wanted->text, wanted->name_len);
}

static struct px_str version_of(const struct px_wanted *wanted)
{
    return px_str_n(wanted->text + wanted->name_len, wanted->version_len);
}

static struct px_wanted *find_wanted(struct px_residency *residency, const struct px_model *model)
{
    struct px_wanted *wanted = residency->wanted;
    while (wanted && !(px_str_eq(name_of(wanted), model->name) &&
                       px_str_eq(version_of(wanted), model->version)))
        wanted = wanted->next;
    return wanted;
}

static struct px_wanted *add_wanted(struct px_residency *residency, const struct px_model *model)
{
    size_t n = model->name.len + model->version.len;
    struct px_wanted *wanted =
        residency->n_wanted < PX_RESIDENCY_WANTED_MAX ? px_alloc(1, sizeof *wanted + n) : NULL;
    if (!wanted)
        return NULL;
    memcpy(wanted->text, model->name.ptr, model->name.len);
    memcpy(wanted->text + model->name.len, model->version.ptr, model->version.len);
    wanted->name_len = model->name.len;
    wanted->version_len = model->version.len;
    wanted->residency = residency;
    wanted->since_ns = px_clock_monotonic_ns();
    wanted->next = residency->wanted;
    residency->wanted = wanted;
    residency->n_wanted++;
    return wanted;
}

static void link_call(struct px_residency *residency, struct px_wanted *wanted,
                      struct px_call *call)
{
    call->wanted = wanted;
    call->next = NULL;
    call->previous = wanted->last;
    if (wanted->last)
        wanted->last->next = call;
    else
        wanted->first = call;
    wanted->last = call;
    wanted->n_calls++;
    residency->n_calls++;
}

static void unlink_call(struct px_residency *residency, struct px_call *call)
{
    struct px_wanted *wanted = call->wanted;
    if (call->previous)
        call->previous->next = call->next;
    else
        wanted->first = call->next;
    if (call->next)
        call->next->previous = call->previous;
    else
        wanted->last = call->previous;
    call->wanted = NULL;
    wanted->n_calls--;
    residency->n_calls--;
}

/* The call is its loop's again. One whose loop has stopped is the transport's to free. */
static void post(struct px_residency *residency, struct px_call *call)
{
    (void)px_loops_post(&residency->repository->loops, call->loop, &call->task);
}

/* With the mutex held. A job that finds the loader's queue full is given again by the thread. */
static void give_job(struct px_residency *residency)
{
    if (residency->is_job_given)
        return;
    residency->is_job_given =
        px_control_give(residency->repository->loader, &residency->job, NULL) == PX_OK;
}

/* ---- on a loop ---- */

static void resume(struct px_loop_task *task)
{
    struct px_call *call = PX_CONTAINER_OF(task, struct px_call, task);
    call->awaits = false;
    call->next = call->previous = NULL;
    call->code = PX_OK;
    if (px_call_has_ended(call, px_clock_monotonic_ns()))
        px_metric_add_shared(&call->serving->residency.counts.refused, 1);
    call->loaded(call);
}

static uint64_t patience_ends_ns(const struct px_residency *residency, const struct px_call *call)
{
    uint64_t until_ns = call->received_ns + residency->settings.load_wait_ns;
    return call->deadline_ns && call->deadline_ns < until_ns ? call->deadline_ns : until_ns;
}

static enum px_code refuse_late(struct px_residency *residency, struct px_call *call,
                                const struct px_model *model, const struct px_wanted *wanted)
{
    px_metric_add_shared(&residency->counts.refused, 1);
    if (call->deadline_ns && px_clock_monotonic_ns() >= call->deadline_ns)
        return px_err_set(&call->err, PX_E_DEADLINE,
                          "the deadline passed while model '%.*s' was being loaded",
                          PX_STR_ARG(model->name));
    if (wanted && wanted->no_room.code) {
        px_err_set(&call->err, PX_E_UNAVAILABLE, "model '%.*s' version %.*s finds no room: %.200s",
                   PX_STR_ARG(model->name), PX_STR_ARG(model->version), wanted->no_room.message);
        return px_err_hint(&call->err, "%s", wanted->no_room.hint);
    }
    px_err_set(&call->err, PX_E_UNAVAILABLE, "model '%.*s' version %.*s is being %s",
               PX_STR_ARG(model->name), PX_STR_ARG(model->version),
               wanted && wanted->is_fetching ? "fetched" : "loaded");
    return px_err_hint(&call->err, "ask again in a moment, or raise serving.load_wait_ms");
}

static enum px_code refuse_many(struct px_residency *residency, struct px_call *call)
{
    px_metric_add_shared(&residency->counts.refused, 1);
    px_err_set(&call->err, PX_E_OVERLOADED,
               "%zu requests for %zu models that are not in memory already wait",
               residency->n_calls, residency->n_wanted);
    return px_err_hint(&call->err, "ask again in a moment");
}

/* Nobody has waited for it until now. */
static void hasten(struct px_wanted *wanted)
{
    if (wanted->is_for_later)
        wanted->not_before_ns = 0;
    wanted->is_for_later = false;
}

/* With the mutex held. */
static enum px_code wait_locked(struct px_residency *residency, struct px_call *call,
                                const struct px_model *model)
{
    struct px_wanted *wanted = find_wanted(residency, model);
    bool is_late = px_clock_monotonic_ns() >= call->wait_until_ns;
    if (!wanted)
        wanted = add_wanted(residency, model);
    if (wanted)
        hasten(wanted);
    if (!wanted || (!is_late && residency->n_calls == PX_RESIDENCY_CALLS_MAX))
        return refuse_many(residency, call);
    give_job(residency); /* also for who comes too late: the next one finds the model */
    if (is_late || wanted->never_fits)
        return refuse_late(residency, call, model, wanted);
    link_call(residency, wanted, call);
    call->awaits = true;
    if (call->wait_until_ns < residency->wakes_at_ns)
        pthread_cond_signal(&residency->changed);
    return PX_OK;
}

enum px_code px_call_await_model(struct px_serving *serving, struct px_call *call,
                                 void (*loaded)(struct px_call *call))
{
    struct px_residency *residency = &serving->residency;
    const struct px_model *model =
        px_serving_find_known(serving, call->model_name, call->version, &call->err);
    if (!model)
        return call->code = call->err.code;
    call->serving = serving;
    call->loaded = loaded;
    call->task.run = resume;
    call->wait_until_ns = patience_ends_ns(residency, call);
    px_metric_add_shared(&residency->counts.misses, 1);
    pthread_mutex_lock(&residency->mutex);
    call->code = residency->is_running
                     ? wait_locked(residency, call, model)
                     : px_err_set(&call->err, PX_E_UNAVAILABLE, "the server is starting or ending");
    pthread_mutex_unlock(&residency->mutex);
    return call->code;
}

bool px_residency_want(struct px_serving *serving, const struct px_model *model)
{
    struct px_residency *residency = &serving->residency;
    struct px_wanted *wanted = NULL;
    if (model->state == PX_MODEL_READY)
        return false;
    pthread_mutex_lock(&residency->mutex);
    if (residency->is_running && !(wanted = find_wanted(residency, model)))
        wanted = add_wanted(residency, model);
    if (wanted) {
        hasten(wanted);
        give_job(residency);
    }
    pthread_mutex_unlock(&residency->mutex);
    return wanted != NULL;
}

void px_residency_want_at(struct px_serving *serving, const struct px_model *model, uint64_t at_ns)
{
    struct px_residency *residency = &serving->residency;
    pthread_mutex_lock(&residency->mutex);
    struct px_wanted *wanted = residency->is_running && !find_wanted(residency, model)
                                   ? add_wanted(residency, model)
                                   : NULL;
    if (wanted) {
        wanted->not_before_ns = at_ns;
        wanted->is_for_later = true;
        pthread_cond_signal(&residency->changed);
    }
    pthread_mutex_unlock(&residency->mutex);
}

void px_residency_forget_call(struct px_call *call)
{
    struct px_residency *residency = &call->serving->residency;
    pthread_mutex_lock(&residency->mutex);
    bool waits = call->wanted != NULL;
    if (waits)
        unlink_call(residency, call);
    pthread_mutex_unlock(&residency->mutex);
    if (waits)
        post(residency, call); /* else it has been */
}

/* ---- on the loader ---- */

static bool is_before(const struct px_wanted *a, const struct px_wanted *b)
{
    return a->n_calls != b->n_calls ? a->n_calls > b->n_calls : a->since_ns < b->since_ns;
}

struct px_wanted *px_residency_take_wanted(struct px_residency *residency)
{
    uint64_t now_ns = px_clock_monotonic_ns();
    struct px_wanted *best = NULL;
    pthread_mutex_lock(&residency->mutex);
    for (struct px_wanted *w = residency->wanted; w; w = w->next) {
        if (!w->is_loading && w->not_before_ns <= now_ns && (!best || is_before(w, best)))
            best = w;
    }
    if (best)
        best->is_loading = true;
    pthread_mutex_unlock(&residency->mutex);
    return best;
}

static void unlink_wanted(struct px_residency *residency, struct px_wanted *wanted)
{
    struct px_wanted **at = &residency->wanted;
    while (*at != wanted)
        at = &(*at)->next;
    *at = wanted->next;
    residency->n_wanted--;
}

void px_residency_settle(struct px_residency *residency, struct px_wanted *wanted)
{
    pthread_mutex_lock(&residency->mutex);
    unlink_wanted(residency, wanted);
    struct px_call *call = wanted->first;
    for (struct px_call *c = call; c; c = c->next)
        c->wanted = NULL;
    residency->n_calls -= wanted->n_calls;
    pthread_mutex_unlock(&residency->mutex);
    while (call) {
        struct px_call *next = call->next;
        post(residency, call);
        call = next;
    }
    px_wanted_free(wanted);
}

/* Its calls whose patience ends until then; the time of the next, UINT64_MAX without one. With the mutex held. */
static uint64_t let_go(struct px_residency *residency, struct px_wanted *wanted, uint64_t until_ns,
                       uint64_t now_ns)
{
    uint64_t first_ns = UINT64_MAX;
    for (struct px_call *call = wanted->first, *next; call; call = next) {
        next = call->next;
        if (call->wait_until_ns > until_ns) {
            first_ns = call->wait_until_ns < first_ns ? call->wait_until_ns : first_ns;
            continue;
        }
        unlink_call(residency, call);
        wanted->let_go_ns = now_ns;
        post(residency, call);
    }
    return first_ns;
}

void px_residency_put_off(struct px_residency *residency, struct px_wanted *wanted,
                          const struct px_err *why, bool never_fits)
{
    px_metric_add(&residency->counts.no_room, 1);
    pthread_mutex_lock(&residency->mutex);
    uint64_t now_ns = px_clock_monotonic_ns();
    if (never_fits)
        let_go(residency, wanted, UINT64_MAX, now_ns);
    bool is_needed =
        wanted->n_calls > 0 || (wanted->let_go_ns && now_ns - wanted->let_go_ns < linger_ns);
    wanted->is_loading = false;
    wanted->no_room = *why;
    wanted->never_fits = never_fits;
    wanted->not_before_ns = now_ns + put_off_ns;
    pthread_mutex_unlock(&residency->mutex);
    if (!is_needed)
        px_residency_settle(residency, wanted);
}

/* ---- on a thread that fetches ---- */

void px_residency_end_fetch(struct px_residency *residency, struct px_wanted *wanted)
{
    pthread_mutex_lock(&residency->mutex);
    wanted->is_loading = wanted->is_fetching = false;
    wanted->not_before_ns = 0;
    give_job(residency);
    if (!residency->is_job_given)
        pthread_cond_signal(&residency->changed); /* it gives the job when the loader takes it */
    pthread_mutex_unlock(&residency->mutex);
}

/* ---- the thread ---- */

/* Lets calls go whose patience has ended; the time of the next, UINT64_MAX without one. With the mutex held. */
static uint64_t end_waits(struct px_residency *residency, uint64_t now_ns)
{
    uint64_t first_ns = UINT64_MAX;
    for (struct px_wanted *w = residency->wanted; w; w = w->next) {
        uint64_t next_ns = let_go(residency, w, now_ns, now_ns);
        first_ns = next_ns < first_ns ? next_ns : first_ns;
    }
    return first_ns;
}

/* When a job has to be given: at once, when a load that was put off is due, or never. With the mutex held. */
static uint64_t next_job_ns(const struct px_residency *residency)
{
    uint64_t first_ns = UINT64_MAX;
    for (const struct px_wanted *w = residency->wanted; w; w = w->next) {
        if (!w->is_loading && w->not_before_ns < first_ns)
            first_ns = w->not_before_ns;
    }
    return residency->is_job_given ? UINT64_MAX : first_ns;
}

/* The next look at what will be used, UINT64_MAX when there is none. With the mutex held. */
static uint64_t give_look(struct px_residency *residency, uint64_t now_ns)
{
    if (residency->look_at_ns > now_ns)
        return residency->look_at_ns;
    residency->look_at_ns = now_ns + residency->settings.preload_ns;
    residency->n_looks = 0;
    if (!residency->is_look_given) /* a loader that has too much to do looks the next time */
        residency->is_look_given =
            px_control_give(residency->repository->loader, &residency->look, NULL) == PX_OK;
    return residency->look_at_ns;
}

static void sleep_until(struct px_residency *residency, uint64_t at_ns)
{
    residency->wakes_at_ns = at_ns;
    if (at_ns == UINT64_MAX) {
        pthread_cond_wait(&residency->changed, &residency->mutex);
        return;
    }
    const struct timespec until = px_clock_timespec(at_ns);
    pthread_cond_timedwait(&residency->changed, &residency->mutex, &until);
}

static void *run_thread(void *argument)
{
    struct px_residency *residency = argument;
    pthread_mutex_lock(&residency->mutex);
    while (!residency->stopping) {
        uint64_t now_ns = px_clock_monotonic_ns();
        uint64_t at_ns = end_waits(residency, now_ns), job_ns = next_job_ns(residency);
        if (job_ns <= now_ns) {
            give_job(residency);
            job_ns = residency->is_job_given ? UINT64_MAX : now_ns + put_off_ns;
        }
        uint64_t look_ns = give_look(residency, now_ns);
        at_ns = look_ns < at_ns ? look_ns : at_ns;
        sleep_until(residency, job_ns < at_ns ? job_ns : at_ns);
    }
    pthread_mutex_unlock(&residency->mutex);
    return NULL;
}

/* ---- life ---- */

static void run_job(struct px_control_job *job)
{
    struct px_residency *residency = PX_CONTAINER_OF(job, struct px_residency, job);
    px_residency_bring_next(residency->repository);
    pthread_mutex_lock(&residency->mutex);
    residency->is_job_given = false;
    if (next_job_ns(residency) <= px_clock_monotonic_ns())
        give_job(residency); /* behind the explicit loads that wait */
    else if (residency->wanted)
        pthread_cond_signal(&residency->changed); /* of loads that were put off, it knows when */
    pthread_mutex_unlock(&residency->mutex);
}

/* One model, and then behind whatever else the loader has to do: who waits goes first. */
static void run_look(struct px_control_job *job)
{
    struct px_residency *residency = PX_CONTAINER_OF(job, struct px_residency, look);
    px_residency_bring_next(residency->repository);
    bool has_brought = px_residency_preload_next(residency->repository);
    pthread_mutex_lock(&residency->mutex);
    residency->is_look_given =
        has_brought && ++residency->n_looks < PX_RESIDENCY_PRELOADS_MAX &&
        px_control_give(residency->repository->loader, &residency->look, NULL) == PX_OK;
    pthread_mutex_unlock(&residency->mutex);
}

static void drop_job(struct px_control_job *job)
{
    (void)job; /* part of the manager */
}

void px_residency_init(struct px_residency *residency)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&residency->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&residency->mutex, NULL);
    residency->wakes_at_ns = UINT64_MAX;
    residency->look_at_ns = UINT64_MAX;
    residency->job = (struct px_control_job){.run = run_job, .drop = drop_job};
    residency->look = (struct px_control_job){.run = run_look, .drop = drop_job};
}

enum px_code px_residency_start(struct px_residency *residency, struct px_repository *repository,
                                struct px_err *err)
{
    residency->repository = repository;
    if (residency->settings.preload_ns)
        residency->look_at_ns = px_clock_monotonic_ns() + residency->settings.preload_ns;
    int rc = px_thread_start("px-residency", run_thread, residency, &residency->thread);
    if (rc != 0)
        return px_err_set(err, PX_E_IO, "start the thread px-residency: %s", strerror(rc));
    pthread_mutex_lock(&residency->mutex);
    residency->is_running = true;
    pthread_mutex_unlock(&residency->mutex);
    return PX_OK;
}

void px_residency_stop(struct px_residency *residency)
{
    pthread_mutex_lock(&residency->mutex);
    bool was_running = residency->is_running;
    residency->is_running = false;
    residency->stopping = true;
    pthread_cond_signal(&residency->changed);
    pthread_mutex_unlock(&residency->mutex);
    if (was_running)
        pthread_join(residency->thread, NULL);
}

void px_residency_deinit(struct px_residency *residency)
{
    for (struct px_wanted *w = residency->wanted, *next; w; w = next) {
        next = w->next;
        px_wanted_free(w);
    }
    pthread_mutex_destroy(&residency->mutex);
    pthread_cond_destroy(&residency->changed);
}

void px_serving_set_residency(struct px_serving *serving,
                              const struct px_residency_settings *settings)
{
    serving->residency.settings = *settings;
}

const struct px_residency_counts *px_residency_counts(const struct px_serving *serving)
{
    return &serving->residency.counts;
}
