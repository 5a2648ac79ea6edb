/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The callers' side: take an idle worker, write the request, wait, judge the answer, give the worker back.
 *
 * What a caller waits for is the word `answered`, in slices of SLICE_MS: a wake-up that a hostile child swallows, or that comes
 * between looking and sleeping, costs one slice and no more.
 */
#include "infrastructure/engines/plugin/children_state.h"

#include "shared/clock.h"

enum { SLICE_MS = 20 };

/* Nobody waits for the run, or it is too late. */
static enum px_code check_wanted(const struct px_run *run, uint64_t now, struct px_err *err)
{
    if (atomic_load_explicit(&run->cancelled, memory_order_relaxed))
        return px_err_set(err, PX_E_CANCELLED, "the request was cancelled");
    if (run->deadline_ns && now >= run->deadline_ns)
        return px_err_set(err, PX_E_DEADLINE, "the deadline has passed");
    return PX_OK;
}

/* ---- workers ---- */

static struct px_worker *find_idle(struct px_children *c, bool *ret_any_up)
{
    *ret_any_up = false;
    for (size_t i = 0; i < c->n_workers; i++) {
        enum px_worker_state state = c->workers[i].state;
        if (state == PX_WORKER_IDLE)
            return &c->workers[i];
        *ret_any_up |= state != PX_WORKER_DOWN && state != PX_WORKER_DYING;
    }
    return NULL;
}

static enum px_code fail_down(struct px_children *c, struct px_err *err)
{
    const struct px_worker *w = &c->workers[0];
    for (size_t i = 1; i < c->n_workers; i++) {
        if (c->workers[i].retry_at_ns < w->retry_at_ns)
            w = &c->workers[i];
    }
    uint64_t now = px_clock_monotonic_ns();
    uint64_t ms = w->retry_at_ns > now ? (w->retry_at_ns - now) / PX_NS_PER_MS : 0;
    px_err_set(err, PX_E_UNAVAILABLE, "the model's process is down: %s", w->reason);
    return px_err_hint(err, "it is started again in %u ms", (unsigned)ms);
}

static void wait_for_change(struct px_children *c, const struct px_run *run, uint64_t now)
{
    uint64_t until = now + 10 * SLICE_MS * PX_NS_PER_MS;
    if (run->deadline_ns && run->deadline_ns < until)
        until = run->deadline_ns;
    struct timespec time = {(time_t)(until / PX_NS_PER_S), (long)(until % PX_NS_PER_S)};
    pthread_cond_timedwait(&c->changed, &c->lock, &time);
}

static enum px_code take_worker(struct px_children *c, const struct px_run *run,
                                struct px_worker **ret, struct px_err *err)
{
    enum px_code code = PX_OK;
    bool any_up = true;
    *ret = NULL;
    pthread_mutex_lock(&c->lock);
    while (code == PX_OK && !*ret) {
        uint64_t now = px_clock_monotonic_ns();
        code = check_wanted(run, now, err);
        if (code != PX_OK)
            break;
        *ret = find_idle(c, &any_up);
        if (!*ret && !any_up)
            code = fail_down(c, err);
        else if (!*ret)
            wait_for_change(c, run, now);
        else
            (*ret)->since_ns = now;
    }
    if (*ret)
        (*ret)->state = PX_WORKER_BUSY;
    pthread_mutex_unlock(&c->lock);
    return code;
}

/* How the worker is after the run. */
static void give_back(struct px_children *c, struct px_worker *w, enum px_worker_state state,
                      const char *reason)
{
    pthread_mutex_lock(&c->lock);
    if (atomic_load(&w->dead)) {
        px_children_bury(c, w);
    } else if (state == PX_WORKER_DYING) {
        px_children_kill(w, state, reason);
    } else {
        w->state = state;
        pthread_cond_signal(&c->changed);
    }
    pthread_mutex_unlock(&c->lock);
    if (state != PX_WORKER_IDLE)
        px_children_poke(c);
}

/* ---- a request and its answer ---- */

static uint32_t index_of(const struct px_tensor_specs *specs, struct px_str name)
{
    const struct px_tensor_spec *spec = px_tensor_specs_find(specs, name);
    PX_ASSERT(spec);
    return (uint32_t)(spec - specs->list);
}

static void put_input(struct px_ring_writer *w, const struct px_tensor_specs *takes,
                      const struct px_tensor *input)
{
    struct px_ring_part part = {.spec = index_of(takes, input->name),
                                .datatype = input->type,
                                .n_dims = (uint32_t)input->n_dims};
    for (size_t i = 0; i < input->n_dims; i++)
        part.dims[i] = (int64_t)input->shape[i];
    void *to = px_ring_put_part(w, &part, input->bytes.len);
    if (to && input->bytes.len)
        memcpy(to, input->bytes.ptr, input->bytes.len);
}

static enum px_code write_run(const struct px_children *c, struct px_child *child,
                              const struct px_run *run, struct px_err *err)
{
    struct px_ring_message message = {
        .kind = PX_RING_RUN,
        .number = child->number + 1,
        .n_inputs = (uint32_t)run->n_inputs,
        .n_outputs = (uint32_t)run->n_outputs,
        .flags = (run->sequence.start ? PHX_RUN_SEQUENCE_START : 0u) |
                 (run->sequence.end ? PHX_RUN_SEQUENCE_END : 0u),
        .deadline_ns = run->deadline_ns,
        .sequence = run->sequence.id,
    };
    struct px_ring_writer w = px_ring_begin(child->request, child->area, &message);
    if (run->sequence.text_id.len)
        px_ring_put_text(&w, run->sequence.text_id);
    for (size_t i = 0; i < run->n_inputs; i++)
        put_input(&w, &c->model.takes, &run->inputs[i]);
    for (size_t i = 0; i < run->n_outputs; i++) {
        struct px_ring_part asked = {.spec = index_of(&c->model.gives, run->outputs[i].name)};
        px_ring_put_part(&w, &asked, 0);
    }
    size_t size;
    if (px_ring_end(&w, &size))
        return PX_OK;
    px_err_set(err, PX_E_TOO_LARGE,
               "the request takes more than %zu bytes to hand to the model's process", child->area);
    return px_err_hint(err, "raise engine.transfer_mb in model.yaml");
}

static enum px_code read_answer(const struct px_children *c, const struct px_child *child,
                                struct px_run *run, struct px_err *err)
{
    struct px_ring_view view;
    if (!px_child_has_answered(child))
        return px_err_set(err, PX_E_CORRUPT, "its message is garbage: its number");
    enum px_code code = px_ring_read(child->answer, child->area, run->arena, &view, err);
    if (code != PX_OK)
        return code;
    if (view.message.number != child->number)
        return px_err_set(err, PX_E_CORRUPT, "its message is garbage: its number");
    if (view.message.kind == PX_RING_DONE)
        return px_ring_read_outputs(&view, &c->model.gives, run, err);
    if (view.message.kind != PX_RING_FAILED)
        return px_err_set(err, PX_E_CORRUPT, "its message is garbage: its kind");
    struct px_str reason = px_ring_next_text(&view.texts);
    code = px_plugin_code((int)view.message.code);
    size_t len = px_str_utf8_prefix(px_str_n(reason.ptr, reason.len < 300 ? reason.len : 300));
    return px_err_set(err, code == PX_OK || code == PX_E_CORRUPT ? PX_E_INTERNAL : code, "%.*s",
                      (int)len, reason.ptr);
}

/* Waits for the answer; the state is what becomes of the worker when there is none. */
static enum px_code await_answer(const struct px_children *c, struct px_worker *w,
                                 const struct px_run *run, enum px_worker_state *ret_state,
                                 struct px_err *err)
{
    struct px_ring *ring = w->child.ring;
    uint64_t most_ns = c->options->settings->timeout_ms * PX_NS_PER_MS;
    struct px_ring_patience *patience = &w->patience;
    uint32_t before = w->child.number - 1;
    while (!px_ring_wait(&ring->answered, &ring->answered_sleeper, before, patience,
                         SLICE_MS * PX_NS_PER_MS)) {
        patience = NULL;
        if (atomic_load(&w->dead))
            return px_err_set(err, PX_E_UNAVAILABLE, "the model's process %s", w->reason);
        uint64_t now = px_clock_monotonic_ns();
        *ret_state = PX_WORKER_ABANDONED;
        enum px_code code = check_wanted(run, now, err);
        if (code != PX_OK) {
            atomic_store(&ring->cancelled, w->child.number);
            return code;
        }
        *ret_state = PX_WORKER_DYING;
        if (now - w->since_ns >= most_ns)
            return px_err_set(
                err, PX_E_DEADLINE,
                "the model's process did not answer within %u ms (engine.timeout_ms of model.yaml) "
                "and was ended",
                (unsigned)c->options->settings->timeout_ms);
    }
    *ret_state = PX_WORKER_IDLE;
    return PX_OK;
}

enum px_code px_children_run(struct px_children *c, struct px_run *run, struct px_err *err)
{
    struct px_worker *w;
    struct px_err detail = {0};
    enum px_worker_state state = PX_WORKER_IDLE;
    enum px_code code = take_worker(c, run, &w, err);
    if (code != PX_OK)
        return code;
    code = write_run(c, &w->child, run, &detail);
    if (code == PX_OK) {
        px_child_ask(&w->child);
        code = await_answer(c, w, run, &state, &detail);
        if (code == PX_OK)
            code = read_answer(c, &w->child, run, &detail);
    }
    if (code == PX_E_CORRUPT) {
        state = PX_WORKER_DYING;
        code =
            px_err_set(err, PX_E_UNAVAILABLE, "the model's process was ended: %s", detail.message);
    } else if (code != PX_OK) {
        px_err_set(err, code, "%s", detail.message);
        if (detail.hint[0])
            px_err_hint(err, "%s", detail.hint);
    }
    give_back(c, w, state, detail.message);
    return code;
}

void px_children_wake(struct px_children *c)
{
    pthread_mutex_lock(&c->lock);
    pthread_cond_broadcast(&c->changed);
    for (size_t i = 0; i < c->n_workers; i++) {
        struct px_worker *w = &c->workers[i];
        if (w->state == PX_WORKER_BUSY && w->child.ring)
            px_ring_wake(&w->child.ring->answered);
    }
    pthread_mutex_unlock(&c->lock);
}
