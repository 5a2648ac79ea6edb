/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flight of one row lends its bytes to the engine; more are copied behind one another. Rows without a step are zeros. Outputs are
 * copied into the arena of each step's run, because the steps end when the engine's memory is given back.
 */
#include "application/sequences/sequence_flight.h"

#include "shared/alloc.h"
#include "shared/clock.h"

#include <inttypes.h>

static const struct px_tensor *find(const struct px_tensor *tensors, size_t n, struct px_str name)
{
    for (size_t i = 0; i < n; i++) {
        if (px_str_eq(tensors[i].name, name))
            return &tensors[i];
    }
    return NULL;
}

/* One that has to be there: rows have been compared, outputs asked for. */
static const struct px_tensor *get(const struct px_tensor *tensors, size_t n, struct px_str name)
{
    const struct px_tensor *tensor = find(tensors, n, name);
    PX_ASSERT(tensor);
    return tensor;
}

static bool fits(const struct px_tensor *a, const struct px_tensor *b)
{
    bool same = b && a->n_dims == b->n_dims && a->n_dims > 0;
    for (size_t i = 1; same && i < a->n_dims; i++)
        same = a->shape[i] == b->shape[i];
    return same;
}

bool px_flight_fits(const struct px_run *a, const struct px_run *b)
{
    bool same = a->n_inputs == b->n_inputs;
    for (size_t i = 0; same && i < a->n_inputs; i++)
        same = fits(&a->inputs[i], find(b->inputs, b->n_inputs, a->inputs[i].name));
    return same;
}

/* ---- loading ---- */

static const struct px_run *first_step(const struct px_flight *flight)
{
    size_t row = 0;
    while (!flight->rows[row].live)
        row++;
    return flight->rows[row].run;
}

/* What an empty row has: zeros, which are empty texts too. */
static size_t empty_bytes(const struct px_tensor *like)
{
    size_t n = 0;
    if (like->type != PX_TYPE_BYTES)
        return like->bytes.len;
    return px_tensor_elements(like, &n) ? n * sizeof(uint32_t) : 0;
}

static size_t input_bytes(const struct px_flight *flight, const struct px_tensor *first)
{
    size_t n = 0;
    for (size_t i = 0; i < flight->n_rows; i++) {
        const struct px_run *run = flight->rows[i].run;
        n += run ? get(run->inputs, run->n_inputs, first->name)->bytes.len : empty_bytes(first);
    }
    return n;
}

/* The rows of one input behind one another. */
static bool join_input(struct px_flight *flight, const struct px_tensor *first,
                       struct px_tensor *ret)
{
    *ret = *first;
    if (flight->n_rows == 1 || first->n_dims == 0) /* one without rows is of the only step */
        return true;
    size_t n = input_bytes(flight, first), at = 0;
    char *bytes = px_arena_zalloc(&flight->arena, n + 1, 1);
    if (!bytes)
        return false;
    for (size_t i = 0; i < flight->n_rows; i++) {
        const struct px_run *run = flight->rows[i].run;
        if (!run) {
            at += empty_bytes(first);
            continue;
        }
        struct px_str row = get(run->inputs, run->n_inputs, first->name)->bytes;
        if (row.len)
            memcpy(bytes + at, row.ptr, row.len);
        at += row.len;
    }
    ret->bytes = px_str_n(bytes, n);
    ret->shape[0] = flight->n_rows;
    return true;
}

/* Where the states of a row are read from; NULL for an empty one. */
static const unsigned char *states_of(const struct px_flight *flight, size_t row)
{
    const struct px_flight_row *r = &flight->rows[row];
    if (!r->live)
        return NULL;
    return r->run->sequence.start ? flight->sequencer->initial : r->live->state;
}

static bool join_state(struct px_flight *flight, const struct px_state_plan *plan,
                       struct px_tensor *ret)
{
    const unsigned char *only = flight->n_rows == 1 ? states_of(flight, 0) : NULL;
    *ret = plan->tensor;
    if (only) {
        ret->bytes = px_str_n((const char *)only + plan->at, plan->bytes);
        return true;
    }
    char *bytes = px_arena_zalloc(&flight->arena, flight->n_rows * plan->bytes + 1, 1);
    if (!bytes)
        return false;
    for (size_t i = 0; i < flight->n_rows; i++) {
        const unsigned char *states = states_of(flight, i);
        if (states)
            memcpy(bytes + i * plan->bytes, states + plan->at, plan->bytes);
    }
    ret->bytes = px_str_n(bytes, flight->n_rows * plan->bytes);
    ret->shape[0] = flight->n_rows;
    return true;
}

/* ---- controls ---- */

static uint64_t control_value(const struct px_flight_row *row, enum px_sequence_control kind)
{
    if (!row->live)
        return 0;
    switch (kind) {
    case PX_SEQUENCE_START:
        return row->run->sequence.start;
    case PX_SEQUENCE_END:
        return row->run->sequence.end;
    case PX_SEQUENCE_READY:
        return 1;
    case PX_SEQUENCE_CORRELATION_ID:
        return row->run->sequence.id;
    case PX_SEQUENCE_CONTROLS:
        break;
    }
    return 0;
}

static void put_number(char *at, enum px_datatype type, uint64_t value)
{
    float number = (float)value;
    if (type == PX_TYPE_FP32)
        memcpy(at, &number, sizeof number);
    else
        memcpy(at, &value, px_datatype_size(type)); /* little-endian */
}

/* An id as an element of BYTES: its text, or its number in digits. Returns its bytes. */
static size_t put_id(char *at, const struct px_flight_row *row)
{
    char digits[24];
    struct px_str text = {0};
    if (row->live)
        text = row->run->sequence.text_id;
    if (row->live && text.len == 0)
        text = px_str_n(digits,
                        (size_t)snprintf(digits, sizeof digits, "%" PRIu64, row->run->sequence.id));
    uint32_t len = (uint32_t)text.len;
    memcpy(at, &len, sizeof len);
    if (text.len)
        memcpy(at + sizeof len, text.ptr, text.len);
    return sizeof len + text.len;
}

static bool make_control(struct px_flight *flight, const struct px_control_plan *plan,
                         struct px_tensor *ret)
{
    enum px_datatype type = plan->tensor.type;
    bool is_text = type == PX_TYPE_BYTES;
    size_t most = is_text ? sizeof(uint32_t) + PX_SEQUENCE_TEXT_MAX : px_datatype_size(type), n = 0;
    char *bytes = px_arena_zalloc(&flight->arena, flight->n_rows, most);
    if (!bytes)
        return false;
    for (size_t i = 0; i < flight->n_rows; i++) {
        if (is_text) {
            n += put_id(bytes + n, &flight->rows[i]);
        } else {
            put_number(bytes + n, type, control_value(&flight->rows[i], plan->kind));
            n += most;
        }
    }
    *ret = plan->tensor;
    ret->bytes = px_str_n(bytes, n);
    if (ret->n_dims > 0)
        ret->shape[0] = flight->n_rows;
    return true;
}

static enum px_code load_inputs(struct px_flight *flight)
{
    const struct px_sequencer *self = flight->sequencer;
    const struct px_run *first = first_step(flight);
    size_t n = 0, n_max = first->n_inputs + self->n_states + self->n_controls;
    struct px_tensor *inputs = px_arena_alloc(&flight->arena, n_max + 1, sizeof *inputs);
    bool ok = inputs != NULL;
    for (size_t i = 0; ok && i < first->n_inputs; i++)
        ok = join_input(flight, &first->inputs[i], &inputs[n++]);
    for (size_t i = 0; ok && i < self->n_states; i++)
        ok = join_state(flight, &self->states[i], &inputs[n++]);
    for (size_t i = 0; ok && i < self->n_controls; i++)
        ok = make_control(flight, &self->controls[i], &inputs[n++]);
    flight->run.inputs = inputs;
    flight->run.n_inputs = n;
    return ok ? PX_OK : px_arena_check(&flight->arena, "a batch of sequences", &flight->run.err);
}

/* ---- outputs ---- */

static bool is_asked(const struct px_flight *flight, struct px_str name)
{
    for (size_t i = 0; i < flight->n_rows; i++) {
        const struct px_run *run = flight->rows[i].run;
        if (run && find(run->outputs, run->n_outputs, name))
            return true;
    }
    return false;
}

static void ask(struct px_run *run, struct px_str name)
{
    if (!find(run->outputs, run->n_outputs, name))
        run->outputs[run->n_outputs++] = (struct px_tensor){.name = name};
}

/* Everything that a step asks for, and the states. */
static enum px_code ask_outputs(struct px_flight *flight)
{
    const struct px_sequencer *self = flight->sequencer;
    const struct px_tensor_specs *gives = &self->base.gives;
    struct px_run *run = &flight->run;
    run->outputs =
        px_arena_zalloc(&flight->arena, gives->n + self->n_states + 1, sizeof *run->outputs);
    if (!run->outputs)
        return px_arena_check(&flight->arena, "a batch of sequences", &run->err);
    for (size_t i = 0; i < gives->n; i++) {
        if (is_asked(flight, gives->list[i].name))
            ask(run, gives->list[i].name);
    }
    for (size_t i = 0; i < self->n_states; i++)
        ask(run, self->states[i].output);
    return PX_OK;
}

/* The inner run may take as long as the step that waits longest. */
static uint64_t latest_deadline(const struct px_flight *flight)
{
    uint64_t latest = 0;
    for (size_t i = 0; i < flight->n_rows; i++) {
        const struct px_run *run = flight->rows[i].run;
        if (run && run->deadline_ns == 0)
            return 0;
        if (run && run->deadline_ns > latest)
            latest = run->deadline_ns;
    }
    return latest;
}

/*
 * A batch waits in the queue of the inner engine as its first step would, but nobody's critical step is refused for company, and one
 * client does not pay for what others send.
 */
static struct px_urgency join_urgency(const struct px_flight *flight)
{
    struct px_urgency all = first_step(flight)->urgency;
    for (size_t i = 0; i < flight->n_rows; i++) {
        const struct px_run *run = flight->rows[i].run;
        if (!run)
            continue;
        if (run->urgency.client != all.client)
            all.client = 0;
        if (run->urgency.criticality == PX_CRITICALITY_CRITICAL ||
            all.criticality == PX_CRITICALITY_SHEDDABLE)
            all.criticality = run->urgency.criticality;
    }
    return all;
}

static enum px_code make_states(struct px_flight *flight)
{
    for (size_t i = 0; i < flight->n_rows; i++) {
        struct px_sequence_live *live = flight->rows[i].live;
        if (live && !live->state)
            live->state = px_alloc(flight->sequencer->state_bytes + 1, 1);
        if (live && !live->state)
            return px_err_set(&flight->run.err, PX_E_NO_MEMORY,
                              "no memory for the state of a sequence");
    }
    return PX_OK;
}

enum px_code px_flight_load(struct px_flight *flight)
{
    flight->run.arena = &flight->arena;
    flight->run.deadline_ns = latest_deadline(flight);
    flight->run.urgency = join_urgency(flight);
    if (flight->n_steps == 1) /* of a model that has sequences of its own, or is far away */
        flight->run.sequence = first_step(flight)->sequence;
    enum px_code code = make_states(flight);
    if (code == PX_OK)
        code = load_inputs(flight);
    return code == PX_OK ? ask_outputs(flight) : code;
}

/* ---- unloading ---- */

enum px_code px_sequence_check_wanted(struct px_run *run, const char *where)
{
    if (atomic_load_explicit(&run->cancelled, memory_order_relaxed))
        return px_err_set(&run->err, PX_E_CANCELLED, "the request was cancelled %s", where);
    if (run->deadline_ns && px_clock_monotonic_ns() >= run->deadline_ns)
        return px_err_set(&run->err, PX_E_DEADLINE, "the deadline passed %s", where);
    return PX_OK;
}

static enum px_code check_rows(const struct px_flight *flight, const struct px_tensor *output,
                               struct px_err *err)
{
    if (!flight->sequencer->batches)
        return PX_OK;
    if (output->n_dims > 0 && output->shape[0] == flight->n_rows)
        return px_tensor_check_bytes(output, err);
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    return px_err_set(
        err, PX_E_INTERNAL, "the model was given %zu rows and returned '%.*s' of shape %s",
        flight->n_rows, PX_STR_ARG(output->name), px_tensor_shape_text(output, shape));
}

static enum px_code check_state(const struct px_flight *flight, const struct px_state_plan *plan,
                                struct px_err *err)
{
    const struct px_tensor *output = get(flight->run.outputs, flight->run.n_outputs, plan->output);
    const struct px_tensor *want = &plan->tensor;
    bool same = output->type == want->type && output->n_dims == want->n_dims;
    for (size_t i = flight->sequencer->batches ? 1 : 0; same && i < want->n_dims; i++)
        same = output->shape[i] == want->shape[i];
    if (same && output->bytes.len == plan->bytes * flight->n_rows)
        return PX_OK;
    char got[PX_TENSOR_SHAPE_TEXT_MAX], expected[PX_TENSOR_SHAPE_TEXT_MAX];
    return px_err_set(err, PX_E_INTERNAL,
                      "the model returned the state '%.*s' as %s of shape %s; '%.*s' is %s of %s",
                      PX_STR_ARG(output->name), px_datatype_name(output->type),
                      px_tensor_shape_text(output, got), PX_STR_ARG(want->name),
                      px_datatype_name(want->type), px_tensor_shape_text(want, expected));
}

/*
 * A model may answer with bytes that it was lent, as one that shifts its states does: before the first state is overwritten, the
 * others move aside.
 */
static enum px_code set_states_aside(struct px_flight *flight)
{
    const struct px_sequencer *self = flight->sequencer;
    const struct px_sequence_live *live = flight->rows[0].live;
    for (size_t i = 0; flight->n_rows == 1 && i < flight->run.n_outputs; i++) {
        struct px_str *bytes = &flight->run.outputs[i].bytes;
        uintptr_t from = (uintptr_t)live->state, at = (uintptr_t)bytes->ptr;
        if (at < from || at >= from + self->state_bytes)
            continue;
        *bytes = px_arena_str(&flight->arena, *bytes);
        if (!bytes->ptr)
            return px_arena_check(&flight->arena, "a state of a sequence", &flight->run.err);
    }
    return PX_OK;
}

/* Does the engine's answer fit what it was given? */
static enum px_code check_answer(struct px_flight *flight)
{
    const struct px_sequencer *self = flight->sequencer;
    struct px_run *run = &flight->run;
    enum px_code code = run->code;
    for (size_t i = 0; i < run->n_outputs && code == PX_OK; i++)
        code = check_rows(flight, &run->outputs[i], &run->err);
    for (size_t i = 0; i < self->n_states && code == PX_OK; i++)
        code = check_state(flight, &self->states[i], &run->err);
    return code == PX_OK ? set_states_aside(flight) : code;
}

/* The next row's bytes of an output that has been checked. */
static struct px_str next_row(const struct px_flight *flight, const struct px_tensor *output,
                              struct px_str *rest)
{
    size_t n = output->bytes.len / flight->n_rows, n_texts = 0;
    struct px_str text, row = *rest;
    if (flight->n_rows == 1)
        return row;
    if (output->type == PX_TYPE_BYTES) {
        if (!px_tensor_elements(output, &n_texts))
            return px_str_n(rest->ptr, 0);
        for (size_t i = 0; i < n_texts / flight->n_rows; i++)
            (void)px_tensor_next_text(rest, &text);
        n = (size_t)(rest->ptr - row.ptr);
    } else {
        *rest = px_str_n(row.ptr + n, row.len - n);
    }
    return px_str_n(row.ptr, n);
}

/* Copies a row's part of an output to the step, when it wants it. */
static void give(const struct px_flight *flight, struct px_run *run, const struct px_tensor *output,
                 struct px_str bytes)
{
    for (size_t i = 0; i < run->n_outputs && run->code == PX_OK; i++) {
        struct px_tensor *to = &run->outputs[i];
        if (!px_str_eq(to->name, output->name))
            continue;
        struct px_str name = to->name;
        *to = *output;
        to->name = name;
        to->bytes = px_arena_str(run->arena, bytes);
        if (flight->sequencer->batches)
            to->shape[0] = 1;
        if (!to->bytes.ptr)
            run->code = px_arena_check(run->arena, "the answer", &run->err);
    }
}

static void give_outputs(struct px_flight *flight)
{
    for (size_t i = 0; i < flight->run.n_outputs; i++) {
        const struct px_tensor *output = &flight->run.outputs[i];
        struct px_str rest = output->bytes;
        for (size_t row = 0; row < flight->n_rows; row++) {
            struct px_str bytes = next_row(flight, output, &rest);
            struct px_run *run = flight->rows[row].run;
            if (run && run->code == PX_OK)
                give(flight, run, output, bytes);
        }
    }
}

static void keep_states(struct px_flight *flight)
{
    const struct px_sequencer *self = flight->sequencer;
    for (size_t i = 0; i < self->n_states; i++) {
        const struct px_state_plan *plan = &self->states[i];
        const struct px_tensor *output =
            get(flight->run.outputs, flight->run.n_outputs, plan->output);
        for (size_t row = 0; row < flight->n_rows; row++) {
            const struct px_flight_row *r = &flight->rows[row];
            if (r->live && r->run->code == PX_OK)
                memcpy(r->live->state + plan->at, output->bytes.ptr + row * plan->bytes,
                       plan->bytes);
        }
    }
}

/*
 * Is the state after this failure the one before it? That is so of all that is kept here. A model that keeps its own, a plug-in or one behind
 * another server, may have taken the step although its answer was lost, unless it was never asked.
 */
static bool is_state_known(const struct px_flight *flight, enum px_code code)
{
    const struct px_sequencer *self = flight->sequencer;
    bool is_kept_here = self->n_states > 0 && !px_engine_has(self->inner, PX_ENGINE_SEQUENCES);
    bool is_refused = code == PX_E_OVERLOADED && flight->run.started_ns == 0;
    return is_kept_here || !flight->asked || is_refused;
}

/* The reason is in the step; it begins with the sequence and what has become of it. */
static void fail_step(const struct px_flight *flight, struct px_run *run)
{
    const char *now = ", whose state is as before this step";
    if (run->sequence.start)
        now = ", which has not begun";
    else if (!is_state_known(flight, run->code))
        now = "; it is not known whether the model took this step, begin the sequence again";
    if (run->sequence.text_id.len)
        px_err_wrap(&run->err, "sequence '%.*s'%s", PX_STR_ARG(run->sequence.text_id), now);
    else
        px_err_wrap(&run->err, "sequence %" PRIu64 "%s", run->sequence.id, now);
}

/* Before its outputs are copied: who does not want them any more leaves the sequence as it was. */
static void judge_step(const struct px_flight *flight, struct px_run *run, enum px_code code)
{
    run->started_ns = flight->run.started_ns;
    run->code = px_sequence_check_wanted(run, "while the model was computing");
    if (run->code == PX_OK && code != PX_OK) {
        run->code = code;
        run->err = flight->run.err;
    }
    if (run->code != PX_OK)
        fail_step(flight, run);
    else if (flight->run.degraded.len)
        run->degraded = px_arena_str(run->arena, flight->run.degraded);
}

void px_flight_unload(struct px_flight *flight)
{
    enum px_code code = check_answer(flight);
    for (size_t i = 0; i < flight->n_rows; i++) {
        if (flight->rows[i].run)
            judge_step(flight, flight->rows[i].run, code);
    }
    if (code == PX_OK) {
        give_outputs(flight);
        keep_states(flight);
    }
    px_run_release(&flight->run);
}
