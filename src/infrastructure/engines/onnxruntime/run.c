/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run: inputs lie where the request's bytes lie, outputs stay where the library wrote them until px_run_release.
 *
 * 1. An output whose shape is known before, from the graph and the inputs, gets memory of the run's arena: the library then
 *    allocates nothing. Graphs may lie about shapes, which without such memory is only a warning; so when the library refuses it,
 *    the run is repeated without, and this output gets none any more.
 * 2. A run under way has a ticket, through which another thread can stop it. Tickets are kept: making one costs as much as
 *    a small model. Whoever cancels sets the run's flag before it looks for the ticket, and here the flag is read after the
 *    ticket can be found, so one of the two sees the other.
 * 3. An output of the graph is asked for once, also when two outputs of the engine are made of it.
 */
#include "infrastructure/engines/onnxruntime/session.h"

#include "shared/alloc.h"

enum { FORESEEN_BYTES_MAX = 64 << 10, LOG_FATAL = 4 };

/* The library's side of one run, in the run's arena. */
struct call {
    const struct px_ort *ort;
    size_t n_inputs, n_sources;
    const char **input_names, **source_names;
    void **inputs, **values; /* values: of the sources */
    size_t *source_of;       /* by output of the run */
    bool foreseen;           /* has a value memory of the arena's? */
};

/* What a finished run holds until it is released. */
struct lent {
    const struct px_ort *ort;
    size_t n;
    void **values;
};

static void release_values(const struct px_ort *ort, void **values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (values[i])
            ort->release_value(values[i]);
        values[i] = NULL;
    }
}

static void release_lent(struct px_run *run)
{
    struct lent *lent = run->held;
    release_values(lent->ort, lent->values, lent->n);
}

/* ---- tickets ---- */

static struct px_ort_ticket *make_ticket(const struct px_ort *ort, struct px_err *err)
{
    struct px_ort_ticket *ticket = px_alloc(1, sizeof *ticket);
    if (!ticket) {
        px_err_set(err, PX_E_NO_MEMORY, "no memory for a run");
        return NULL;
    }
    void *status = ort->create_run_options(&ticket->options);
    if (!status)
        status = ort->set_run_severity(ticket->options, LOG_FATAL);
    if (px_ort_check(ort, status, NULL, err) == PX_OK)
        return ticket;
    if (ticket->options)
        ort->release_run_options(ticket->options);
    px_free(ticket);
    return NULL;
}

static struct px_ort_ticket *take_ticket(struct px_ort_session *s, struct px_run *run,
                                         struct px_err *err)
{
    pthread_mutex_lock(&s->lock);
    struct px_ort_ticket *ticket = s->idle;
    if (ticket)
        s->idle = ticket->next;
    pthread_mutex_unlock(&s->lock);
    if (!ticket)
        ticket = make_ticket(s->ort, err);
    if (!ticket)
        return NULL;
    ticket->run = run;
    pthread_mutex_lock(&s->lock);
    ticket->next = s->active;
    s->active = ticket;
    pthread_mutex_unlock(&s->lock);
    return ticket;
}

static void return_ticket(struct px_ort_session *s, struct px_ort_ticket *ticket)
{
    struct px_ort_ticket **at = &s->active;
    pthread_mutex_lock(&s->lock);
    while (*at != ticket)
        at = &(*at)->next;
    *at = ticket->next;
    if (atomic_load_explicit(&ticket->run->cancelled, memory_order_relaxed))
        px_ort_ignore(s->ort, s->ort->unset_terminate(ticket->options));
    ticket->run = NULL;
    ticket->next = s->idle;
    s->idle = ticket;
    pthread_mutex_unlock(&s->lock);
}

void px_ort_cancel(struct px_engine *engine, struct px_run *run)
{
    struct px_ort_session *s = (struct px_ort_session *)engine;
    pthread_mutex_lock(&s->lock);
    for (struct px_ort_ticket *ticket = s->active; ticket; ticket = ticket->next) {
        if (ticket->run == run)
            px_ort_ignore(s->ort, s->ort->set_terminate(ticket->options));
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- making ready ---- */

static size_t source_index(struct call *call, const char *source)
{
    size_t i = 0;
    while (i < call->n_sources && strcmp(call->source_names[i], source) != 0)
        i++;
    if (i == call->n_sources)
        call->source_names[call->n_sources++] = source;
    return i;
}

static const struct px_ort_output *output_of(const struct px_ort_session *s,
                                             const struct px_tensor *asked)
{
    const struct px_tensor_spec *spec = px_tensor_specs_find(&s->base.gives, asked->name);
    PX_ASSERT(spec); /* the caller has checked the run */
    return &s->outputs[spec - s->base.gives.list];
}

static enum px_code begin_call(const struct px_ort_session *s, struct px_run *run,
                               struct call *call, struct px_err *err)
{
    struct px_arena *arena = run->arena;
    size_t n_in = run->n_inputs, n_out = run->n_outputs;
    *call = (struct call){.ort = s->ort, .n_inputs = n_in};
    call->input_names = px_arena_alloc(arena, n_in + n_out + 1, sizeof *call->input_names);
    call->inputs = px_arena_zalloc(arena, n_in + n_out + 1, sizeof *call->inputs);
    call->source_of = px_arena_alloc(arena, n_out + 1, sizeof *call->source_of);
    enum px_code code = px_arena_check(arena, "the request's memory", err);
    if (code != PX_OK)
        return code;
    call->source_names = call->input_names + n_in;
    call->values = call->inputs + n_in;
    for (size_t i = 0; i < n_out; i++)
        call->source_of[i] = source_index(call, output_of(s, &run->outputs[i])->source);
    for (size_t i = 0; code == PX_OK && i < n_in; i++) {
        const struct px_tensor_spec *spec =
            px_tensor_specs_find(&s->base.takes, run->inputs[i].name);
        PX_ASSERT(spec);
        call->input_names[i] = spec->name.ptr;
        code = px_ort_make_input(s->ort, &run->inputs[i], arena, &call->inputs[i], err);
    }
    return code;
}

/* ---- memory for outputs ---- */

static const struct px_tensor *input_of(const struct px_ort_session *s, const struct px_run *run,
                                        size_t input)
{
    struct px_str name = s->base.takes.list[input].name;
    if (input < run->n_inputs && px_str_eq(run->inputs[input].name, name))
        return &run->inputs[input];
    for (size_t i = 0; i < run->n_inputs; i++) {
        if (px_str_eq(run->inputs[i].name, name))
            return &run->inputs[i];
    }
    return NULL;
}

static bool foresee_shape(const struct px_ort_session *s, const struct px_run *run,
                          const struct px_ort_output *output, int64_t *shape)
{
    const struct px_tensor_spec *spec = &s->base.gives.list[output - s->outputs];
    for (size_t i = 0; i < spec->n_dims; i++) {
        const struct px_ort_dimension *from = &output->dimensions[i];
        shape[i] = spec->shape[i];
        if (shape[i] != PX_DIM_ANY)
            continue;
        const struct px_tensor *input = input_of(s, run, from->input);
        if (!input || from->dimension >= input->n_dims ||
            input->shape[from->dimension] > FORESEEN_BYTES_MAX)
            return false;
        shape[i] = (int64_t)input->shape[from->dimension];
    }
    return true;
}

static void foresee_output(const struct px_ort_session *s, struct px_run *run, struct call *call,
                           const struct px_ort_output *output, void **value)
{
    const struct px_tensor_spec *spec = &s->base.gives.list[output - s->outputs];
    int64_t shape[PX_TENSOR_DIMS_MAX];
    size_t size = px_datatype_size(spec->type);
    if (!foresee_shape(s, run, output, shape))
        return;
    for (size_t i = 0; i < spec->n_dims && size <= FORESEEN_BYTES_MAX; i++)
        size *= (size_t)shape[i] <= FORESEEN_BYTES_MAX ? (size_t)shape[i] : FORESEEN_BYTES_MAX + 1;
    if (size == 0 || size > FORESEEN_BYTES_MAX || run->arena->max - run->arena->used < 2 * size)
        return;
    void *memory = px_arena_alloc(run->arena, size, 1);
    if (!memory)
        return;
    px_ort_ignore(s->ort, s->ort->borrow_tensor(s->ort->cpu_memory, memory, size, shape,
                                                spec->n_dims, px_ort_type(spec->type), value));
    call->foreseen |= *value != NULL;
}

static void foresee_outputs(const struct px_ort_session *s, struct px_run *run, struct call *call)
{
    for (size_t i = 0; i < run->n_outputs; i++) {
        const struct px_ort_output *output = output_of(s, &run->outputs[i]);
        void **value = &call->values[call->source_of[i]];
        if (!*value && atomic_load_explicit(&output->foreseen, memory_order_relaxed))
            foresee_output(s, run, call, output, value);
    }
}

static void stop_foreseeing(const struct px_ort_session *s, const struct px_run *run)
{
    for (size_t i = 0; i < run->n_outputs; i++) {
        const struct px_tensor_spec *spec =
            px_tensor_specs_find(&s->base.gives, run->outputs[i].name);
        atomic_store_explicit(&s->outputs[spec - s->base.gives.list].foreseen, false,
                              memory_order_relaxed);
    }
}

/* ---- running ---- */

static enum px_code compute(const struct px_ort_session *s, struct px_run *run, struct call *call,
                            const void *options, struct px_err *err)
{
    if (atomic_load_explicit(&run->cancelled, memory_order_relaxed))
        return px_err_set(err, PX_E_CANCELLED, "the request was cancelled");
    void *status =
        call->ort->run(s->session, options, call->input_names, (const void *const *)call->inputs,
                       call->n_inputs, call->source_names, call->n_sources, call->values);
    enum px_code code = px_ort_check(call->ort, status, s->path, err);
    return code == PX_E_CANCELLED ? px_err_set(err, code, "the run was stopped") : code;
}

static bool is_about_our_memory(const struct px_err *err)
{
    return strstr(err->message, "OrtValue provided for output") ||
           strstr(err->message, "shape verification failed");
}

/* The first try, and the second without memory of ours when the graph lied about a shape. */
static enum px_code compute_as_foreseen(const struct px_ort_session *s, struct px_run *run,
                                        struct call *call, const void *options, struct px_err *err)
{
    struct px_err reason = {0};
    foresee_outputs(s, run, call);
    enum px_code code = compute(s, run, call, options, &reason);
    if (code != PX_OK && call->foreseen && is_about_our_memory(&reason)) {
        release_values(call->ort, call->values, call->n_sources);
        stop_foreseeing(s, run);
        return compute(s, run, call, options, err);
    }
    if (code != PX_OK && err)
        *err = reason;
    return code;
}

static enum px_code compute_with_ticket(struct px_ort_session *s, struct px_run *run,
                                        struct call *call, struct px_err *err)
{
    struct px_err reason = {0};
    struct px_ort_ticket *ticket = take_ticket(s, run, &reason);
    if (!ticket)
        return px_err_set(err, reason.code, "%s", reason.message);
    enum px_code code = compute_as_foreseen(s, run, call, ticket->options, err);
    return_ticket(s, ticket);
    return code;
}

static enum px_code read_outputs(const struct px_ort_session *s, struct px_run *run,
                                 struct call *call, struct px_err *err)
{
    struct lent *lent = px_arena_alloc(run->arena, 1, sizeof *lent);
    enum px_code code = px_arena_check(run->arena, "the request's memory", err);
    for (size_t i = 0; code == PX_OK && i < run->n_outputs; i++) {
        const struct px_ort_output *output = output_of(s, &run->outputs[i]);
        code =
            px_ort_read_output(s->ort, output, &s->base.gives.list[output - s->outputs],
                               call->values[call->source_of[i]], run->arena, &run->outputs[i], err);
        if (code != PX_OK)
            return px_err_wrap(err, "output '%.*s'", PX_STR_ARG(run->outputs[i].name));
    }
    if (code != PX_OK)
        return code;
    *lent = (struct lent){s->ort, call->n_sources, call->values};
    run->held = lent;
    run->release = release_lent;
    return PX_OK;
}

enum px_code px_ort_run(struct px_engine *engine, struct px_run *run, struct px_err *err)
{
    struct px_ort_session *s = (struct px_ort_session *)engine;
    struct call call;
    if (run->n_outputs == 0)
        return PX_OK;
    enum px_code code = begin_call(s, run, &call, err);
    if (code == PX_OK)
        code = compute_with_ticket(s, run, &call, err);
    if (code == PX_OK)
        code = read_outputs(s, run, &call, err);
    if (call.inputs)
        release_values(s->ort, call.inputs, call.n_inputs);
    if (code != PX_OK && call.values)
        release_values(s->ort, call.values, call.n_sources);
    return code;
}
