/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread per model starts, watches and ends the workers. It is the only one that starts processes (they die with
 * their starter, see child.h) and the only one that reaps.
 *
 * It sleeps in poll on what the workers print and on their ends. The two things that have no descriptor, an answer to LOAD
 * and the late answer of an abandoned worker, are looked for every TICK_MS while one is awaited.
 */
#include "infrastructure/engines/plugin/children_state.h"

#include "shared/alloc.h"
#include "shared/clock.h"
#include "shared/log.h"
#include "shared/thread.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { TICK_MS = 2, IDLE_MS = 1000, GOODBYE_MS = 500 };

void px_children_poke(const struct px_children *children)
{
    uint64_t one = 1;
    (void)!write(children->wake_fd, &one, sizeof one);
}

void px_children_kill(struct px_worker *worker, enum px_worker_state state, const char *reason)
{
    worker->state = state;
    snprintf(worker->reason, sizeof worker->reason, "%s", reason);
    px_child_kill(&worker->child);
}

/* Doubles from the setting's least to its most; between half and all of that, so that workers do not start in step. */
static uint64_t pause_ns(struct px_children *c, unsigned failures)
{
    const struct px_plugin_settings *s = c->options->settings;
    double pause = (double)s->backoff_ms;
    for (unsigned i = 0; i < failures && pause < (double)s->backoff_max_ms; i++)
        pause *= 2;
    if (pause > (double)s->backoff_max_ms)
        pause = (double)s->backoff_max_ms;
    return (uint64_t)(pause * (0.5 + px_rng_unit(&c->rng) / 2) * (double)PX_NS_PER_MS);
}

void px_children_bury(struct px_children *c, struct px_worker *w)
{
    uint64_t now = px_clock_monotonic_ns();
    uint64_t lived = now - w->started_ns;
    if (lived / PX_NS_PER_MS > c->options->settings->backoff_max_ms)
        w->failures = 0;
    uint64_t pause = pause_ns(c, w->failures++);
    px_child_last_words(&w->child, w->printed);
    w->n_dropped = w->child.n_dropped;
    px_child_close(&w->child);
    w->state = PX_WORKER_DOWN;
    w->retry_at_ns = now + pause;
    w->buried = true;
    pthread_cond_broadcast(&c->changed);
    px_children_poke(c);
}

/* ---- starting ---- */

static enum px_code write_load(struct px_children *c, struct px_child *child, struct px_err *err)
{
    const struct px_children_options *o = c->options;
    const struct px_plugin_load *load = &o->load;
    struct px_ring_message message = {.kind = PX_RING_LOAD,
                                      .number = 1,
                                      .n_inputs = (uint32_t)load->takes.n,
                                      .n_outputs = (uint32_t)load->gives.n};
    struct px_ring_writer w = px_ring_begin(child->request, child->area, &message);
    const char *texts[] = {load->model_name, load->path, load->folder, o->code, o->function};
    for (size_t i = 0; i < PX_ARRAY_LEN(texts); i++)
        px_ring_put_text(&w, px_str(texts[i]));
    px_ring_put_names(&w, &load->takes);
    px_ring_put_names(&w, &load->gives);
    for (size_t i = 0; i < load->n_settings; i++) {
        px_ring_put_text(&w, px_str(load->settings[i].key));
        px_ring_put_text(&w, px_str(load->settings[i].value));
    }
    px_ring_put_specs(&w, &load->takes);
    px_ring_put_specs(&w, &load->gives);
    if (px_ring_end(&w, NULL))
        return PX_OK;
    return px_err_set(err, PX_E_TOO_LARGE, "the settings are too large for the plug-in's process");
}

/* Called without the lock: nobody else looks at a worker that is STARTING. */
static enum px_code start(struct px_children *c, struct px_worker *w, struct px_err *err)
{
    enum px_code code = px_child_start(&c->plan, &w->child, err);
    if (code != PX_OK)
        return code;
    code = write_load(c, &w->child, err);
    if (code == PX_OK)
        px_child_ask(&w->child);
    return code;
}

static bool same_specs(const struct px_tensor_specs *a, const struct px_tensor_specs *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const struct px_tensor_spec *x = &a->list[i], *y = &b->list[i];
        if (!px_str_eq(x->name, y->name) || x->type != y->type || x->n_dims != y->n_dims ||
            memcmp(x->shape, y->shape, sizeof x->shape) != 0)
            return false;
    }
    return true;
}

static enum px_code take_model(const struct px_ring_view *view, struct px_arena *arena,
                               struct px_children_model *ret, struct px_err *err)
{
    struct px_str texts = view->texts;
    size_t n_inputs = view->message.n_inputs, n_outputs = view->message.n_outputs;
    ret->flags = view->message.flags;
    ret->name = px_arena_str(arena, px_ring_next_text(&texts));
    ret->version = px_arena_str(arena, px_ring_next_text(&texts));
    if (n_inputs == 0 || n_outputs == 0) {
        px_err_set(err, PX_E_INVALID, "the model does not say what its %s are",
                   n_inputs ? "outputs" : "inputs");
        return px_err_hint(err, "declare 'inputs' and 'outputs' in model.yaml");
    }
    enum px_code code = px_ring_read_specs(view, 0, n_inputs, &texts, arena, &ret->takes, err);
    return code == PX_OK
               ? px_ring_read_specs(view, n_inputs, n_outputs, &texts, arena, &ret->gives, err)
               : code;
}

/* What the worker answered to LOAD. */
static enum px_code read_ready(struct px_children *c, struct px_worker *w, struct px_arena *scratch,
                               struct px_err *err)
{
    struct px_ring_view view;
    struct px_children_model model = {0};
    enum px_code code = px_ring_read(w->child.answer, w->child.area, scratch, &view, err);
    if (code != PX_OK)
        return code;
    if (view.message.kind == PX_RING_FAILED) {
        struct px_str reason = px_ring_next_text(&view.texts);
        code = px_plugin_code((int)view.message.code);
        return px_err_set(err, code == PX_OK ? PX_E_INTERNAL : code, "%.*s",
                          (int)(reason.len < 300 ? px_str_utf8_prefix(reason) : 300), reason.ptr);
    }
    if (view.message.kind != PX_RING_READY || view.message.number != 1)
        return px_err_set(err, PX_E_CORRUPT, "its first message is garbage");
    code = take_model(&view, c->loaded ? scratch : c->arena, &model, err);
    if (code != PX_OK)
        return code;
    if (!c->loaded)
        c->model = model;
    else if (!same_specs(&c->model.takes, &model.takes) ||
             !same_specs(&c->model.gives, &model.gives))
        return px_err_set(err, PX_E_CONFLICT,
                          "its inputs or outputs are not those that it had when it was loaded");
    return PX_OK;
}

static void fail_start(struct px_children *c, struct px_worker *w, const struct px_err *err)
{
    if (!c->loaded && c->load_code == PX_OK) {
        c->load_code = err->code;
        c->load_err = *err;
        pthread_cond_broadcast(&c->changed);
    }
    px_children_kill(w, PX_WORKER_DYING, err->message);
}

static void greet(struct px_children *c, struct px_worker *w)
{
    struct px_arena scratch = px_arena(4 << 20);
    struct px_err err;
    enum px_code code = read_ready(c, w, &scratch, &err);
    px_arena_deinit(&scratch);
    if (code != PX_OK) {
        fail_start(c, w, &err);
        return;
    }
    c->loaded = true;
    w->state = PX_WORKER_IDLE;
    pthread_cond_broadcast(&c->changed);
}

/* ---- watching ---- */

static void try_start(struct px_children *c, struct px_worker *w, uint64_t now)
{
    struct px_err err = {0};
    w->state = PX_WORKER_STARTING;
    w->started_ns = w->since_ns = now;
    w->reason[0] = w->printed[0] = '\0';
    atomic_store(&w->dead, false);
    w->patience = px_ring_patience(c->plan.spin_us);
    c->restarts += w->failures > 0;
    pthread_mutex_unlock(&c->lock);
    enum px_code code = start(c, w, &err);
    pthread_mutex_lock(&c->lock);
    if (code == PX_OK)
        return;
    fail_start(c, w, &err);
    if (w->child.pid == 0)
        px_children_bury(c, w);
}

static bool is_over(uint64_t since, uint64_t now, uint64_t ms)
{
    return now - since >= ms * PX_NS_PER_MS;
}

static void watch_start(struct px_children *c, struct px_worker *w, uint64_t now)
{
    uint64_t most = c->options->settings->start_timeout_ms;
    struct px_err err;
    if (px_child_has_answered(&w->child)) {
        greet(c, w);
    } else if (is_over(w->since_ns, now, most)) {
        px_err_set(&err, PX_E_UNAVAILABLE, "it was not ready within %u ms", (unsigned)most);
        fail_start(c, w, &err);
    }
}

static void watch_abandoned(struct px_children *c, struct px_worker *w, uint64_t now)
{
    uint64_t most = c->options->settings->timeout_ms;
    char reason[PX_CHILD_REASON_MAX];
    if (px_child_has_answered(&w->child)) {
        w->state = PX_WORKER_IDLE;
        pthread_cond_broadcast(&c->changed);
    } else if (is_over(w->since_ns, now, most)) {
        snprintf(reason, sizeof reason, "it did not answer within %u ms", (unsigned)most);
        px_children_kill(w, PX_WORKER_DYING, reason);
    }
}

/* The process has ended: who knows why says so, and a caller that waits for it is woken. */
static void note_end(struct px_children *c, struct px_worker *w, const char *how)
{
    struct px_err err;
    if (!w->reason[0])
        snprintf(w->reason, sizeof w->reason, "%s", how);
    if (w->state == PX_WORKER_BUSY) {
        atomic_store(&w->dead, true);
        px_ring_wake(&w->child.ring->answered);
        return;
    }
    if (w->state == PX_WORKER_STARTING && !c->loaded) {
        px_err_set(&err, PX_E_UNAVAILABLE, "the model's process %s", w->reason);
        px_err_hint(&err, "what it printed is in the log");
        fail_start(c, w, &err);
    }
    px_children_bury(c, w);
}

static void look_after(struct px_children *c, struct px_worker *w)
{
    char how[PX_CHILD_REASON_MAX];
    uint64_t now = px_clock_monotonic_ns();
    if (w->child.pid > 0 && px_child_reap(&w->child, how)) {
        note_end(c, w, how);
        return;
    }
    if (w->state == PX_WORKER_STARTING)
        watch_start(c, w, now);
    else if (w->state == PX_WORKER_ABANDONED)
        watch_abandoned(c, w, now);
    else if (w->state == PX_WORKER_DOWN && now >= w->retry_at_ns &&
             (c->loaded || (w == c->workers && c->load_code == PX_OK)))
        try_start(c, w, now);
}

/* What to do without the lock: a log may block, and callers must not wait for it. */
struct pass {
    struct pollfd fds[1 + 2 * PX_PLUGIN_WORKERS_MAX];
    size_t n_fds;
    int ms;                            /* how long to wait */
    bool alive[PX_PLUGIN_WORKERS_MAX]; /* until this thread reaps it */
    bool buried[PX_PLUGIN_WORKERS_MAX];
    unsigned n_dropped[PX_PLUGIN_WORKERS_MAX];
    char reasons[PX_PLUGIN_WORKERS_MAX][PX_CHILD_REASON_MAX];
    char printed[PX_PLUGIN_WORKERS_MAX][PX_CHILD_REASON_MAX];
};

static void add_fd(struct pass *pass, int fd)
{
    if (fd >= 0)
        pass->fds[pass->n_fds++] = (struct pollfd){.fd = fd, .events = POLLIN};
}

static int patience_ms(const struct px_children *c, const struct px_worker *w)
{
    uint64_t now = px_clock_monotonic_ns();
    if (w->state == PX_WORKER_STARTING || w->state == PX_WORKER_ABANDONED ||
        (w->child.pid > 0 && w->child.pid_fd < 0))
        return TICK_MS;
    if (w->state != PX_WORKER_DOWN || !c->loaded)
        return IDLE_MS;
    return w->retry_at_ns <= now ? 0 : (int)((w->retry_at_ns - now) / PX_NS_PER_MS) + 1;
}

/* With the lock held. */
static void plan_pass(struct px_children *c, struct pass *pass)
{
    pass->n_fds = 0;
    pass->ms = IDLE_MS;
    add_fd(pass, c->wake_fd);
    for (size_t i = 0; i < c->n_workers; i++) {
        struct px_worker *w = &c->workers[i];
        pass->alive[i] = w->child.pid > 0;
        if (pass->alive[i]) {
            add_fd(pass, w->child.out_fd);
            add_fd(pass, w->child.pid_fd);
        }
        pass->buried[i] = w->buried;
        pass->n_dropped[i] = w->n_dropped;
        w->n_dropped = 0;
        if (w->buried) {
            memcpy(pass->reasons[i], w->reason, sizeof w->reason);
            memcpy(pass->printed[i], w->printed, sizeof w->printed);
        }
        w->buried = false;
        int ms = patience_ms(c, w);
        pass->ms = ms < pass->ms ? ms : pass->ms;
    }
}

static void wait_for_events(struct px_children *c)
{
    struct pass pass;
    uint64_t count;
    plan_pass(c, &pass);
    pthread_mutex_unlock(&c->lock);
    for (size_t i = 0; i < c->n_workers; i++) {
        if (pass.buried[i])
            px_log(PX_LOG_WARN, "plugin.ended", PX_LOG_S("model", c->plan.model_name),
                   PX_LOG_T("reason", pass.reasons[i]), PX_LOG_T("printed", pass.printed[i]));
    }
    for (size_t i = 0; i < c->n_workers; i++)
        px_child_tell_dropped(c->plan.model_name, pass.n_dropped[i]);
    (void)poll(pass.fds, pass.n_fds, pass.ms);
    (void)!read(c->wake_fd, &count, sizeof count);
    for (size_t i = 0; i < c->n_workers; i++) {
        if (pass.alive[i])
            px_child_read_output(&c->workers[i].child, c->plan.model_name);
    }
    pthread_mutex_lock(&c->lock);
}

/* ---- ending ---- */

static void say_goodbye(struct px_worker *w)
{
    if (w->state != PX_WORKER_IDLE || w->child.pid <= 0)
        return;
    struct px_ring_message stop = {.kind = PX_RING_STOP, .number = w->child.number + 1};
    struct px_ring_writer writer = px_ring_begin(w->child.request, w->child.area, &stop);
    (void)px_ring_end(&writer, NULL);
    px_child_ask(&w->child);
}

/* Polite first, so that plug-ins can free what is not memory; then not. */
static void end_all(struct px_children *c)
{
    char how[PX_CHILD_REASON_MAX];
    for (size_t i = 0; i < c->n_workers; i++)
        say_goodbye(&c->workers[i]);
    uint64_t until = px_clock_monotonic_ns() + GOODBYE_MS * PX_NS_PER_MS;
    for (size_t i = 0; i < c->n_workers; i++) {
        struct px_worker *w = &c->workers[i];
        bool polite = w->state == PX_WORKER_IDLE;
        while (w->child.pid > 0) {
            if (!polite || px_clock_monotonic_ns() >= until)
                px_child_kill(&w->child);
            struct pollfd fd = {.fd = w->child.pid_fd, .events = POLLIN};
            (void)poll(&fd, 1, w->child.pid_fd < 0 ? TICK_MS : 20);
            px_child_read_output(&w->child, c->plan.model_name);
            if (px_child_reap(&w->child, how))
                break;
        }
        px_child_tell_dropped(c->plan.model_name, w->child.n_dropped);
        px_child_close(&w->child);
    }
}

static void *look_after_all(void *argument)
{
    struct px_children *c = argument;
    pthread_mutex_lock(&c->lock);
    while (!c->stopping) {
        for (size_t i = 0; i < c->n_workers; i++)
            look_after(c, &c->workers[i]);
        if (!c->stopping)
            wait_for_events(c);
    }
    end_all(c);
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static void free_children(struct px_children *c)
{
    if (c->wake_fd >= 0)
        close(c->wake_fd);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    px_free(c);
}

static struct px_children *allocate(const struct px_children_options *options)
{
    size_t n = options->settings->workers;
    struct px_children *c = px_alloc(1, sizeof *c + n * sizeof c->workers[0]);
    if (!c)
        return NULL;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&c->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&c->lock, NULL);
    c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    c->n_workers = n;
    c->rng = px_rng(px_clock_monotonic_ns());
    for (size_t i = 0; i < n; i++) {
        c->workers[i].child = (struct px_child){.pid_fd = -1, .out_fd = -1};
        c->workers[i].state = PX_WORKER_DOWN;
    }
    return c;
}

enum px_code px_children_create(const struct px_children_options *options, struct px_arena *arena,
                                struct px_children **ret, struct px_err *err)
{
    struct px_children *c = allocate(options);
    if (!c)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the processes of a plug-in");
    const struct px_plugin_settings *s = options->settings;
    c->options = options;
    c->arena = arena;
    c->plan = (struct px_child_plan){.argv = options->argv,
                                     .model_name = px_str(options->load.model_name),
                                     .area = (uint64_t)s->transfer_mb << 20,
                                     .memory_max = (uint64_t)s->memory_mb << 20,
                                     .spin_us = s->spin_us};
    if (c->wake_fd < 0 || px_thread_start("px-plugin", look_after_all, c, &c->thread) != 0) {
        free_children(c);
        return px_err_set(err, PX_E_UNAVAILABLE, "no thread to look after a plug-in's processes");
    }
    pthread_mutex_lock(&c->lock);
    while (!c->loaded && c->load_code == PX_OK)
        pthread_cond_wait(&c->changed, &c->lock);
    struct px_err reason = c->load_err;
    enum px_code code = c->load_code;
    char printed[PX_CHILD_REASON_MAX];
    memcpy(printed, c->workers[0].printed, sizeof printed);
    pthread_mutex_unlock(&c->lock);
    if (code != PX_OK) {
        if (printed[0])
            px_log(PX_LOG_ERROR, "plugin.not_loaded", PX_LOG_S("model", c->plan.model_name),
                   PX_LOG_T("reason", reason.message), PX_LOG_T("printed", printed));
        px_children_destroy(c);
        px_err_set(err, code, "%s", reason.message);
        return reason.hint[0] ? px_err_hint(err, "%s", reason.hint) : code;
    }
    *ret = c;
    return PX_OK;
}

void px_children_destroy(struct px_children *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_mutex_unlock(&c->lock);
    px_children_poke(c);
    pthread_join(c->thread, NULL);
    free_children(c);
}

const struct px_children_model *px_children_model(const struct px_children *c)
{
    return &c->model;
}

void px_children_count(struct px_children *c, struct px_children_counts *ret)
{
    *ret = (struct px_children_counts){.workers = c->n_workers};
    pthread_mutex_lock(&c->lock);
    ret->restarts = c->restarts;
    for (size_t i = 0; i < c->n_workers; i++) {
        const struct px_worker *w = &c->workers[i];
        ret->up += w->state == PX_WORKER_IDLE || w->state == PX_WORKER_BUSY ||
                   w->state == PX_WORKER_ABANDONED;
        if (w->reason[0]) {
            snprintf(ret->last_end, sizeof ret->last_end, "%s", w->reason);
            snprintf(ret->last_printed, sizeof ret->last_printed, "%s", w->printed);
        }
    }
    pthread_mutex_unlock(&c->lock);
}
