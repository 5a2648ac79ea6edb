/* SPDX-License-Identifier: Apache-2.0 */
#include "application/sequences/sequence_plan.h"

#include "shared/alloc.h"
#include "shared/file.h"

#include <inttypes.h>

enum { STATE_ALIGNMENT = 64, STATE_ELEMENTS_MAX = 1 << 28, INITIAL_BYTES_MAX = 1 << 30 };

/* ---- tensors ---- */

/* "x, y, z" */
static const char *list_names(const struct px_tensor_specs *specs, char *out, size_t size)
{
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < specs->n && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%.*s", i ? ", " : "",
                               PX_STR_ARG(specs->list[i].name));
    return out;
}

static enum px_code find_tensor(const struct px_tensor_specs *specs, struct px_str name,
                                const char *what, const struct px_tensor_spec **ret,
                                struct px_err *err)
{
    *ret = px_tensor_specs_find(specs, name);
    if (*ret)
        return PX_OK;
    long nearest =
        specs->n ? px_str_nearest_of(name, &specs->list[0].name, sizeof *specs->list, specs->n)
                 : -1;
    px_err_set(err, PX_E_CONFLICT, "sequence: the model has no %s '%.*s'", what, PX_STR_ARG(name));
    if (nearest >= 0)
        return px_err_hint(err, "did you mean '%.*s'?", PX_STR_ARG(specs->list[nearest].name));
    char names[PX_ERR_HINT_MAX];
    return px_err_hint(err, "it has %s", list_names(specs, names, sizeof names));
}

/* Batches grow along the first dimension, so where there may be some it is open. */
static enum px_code check_first_dimension(const struct px_sequencer *self,
                                          const struct px_tensor_spec *spec, struct px_err *err)
{
    bool alone = px_sequences_batch_max(&self->settings.rules) == 1;
    bool grows = spec->n_dims > 0 && (alone || spec->shape[0] == PX_DIM_ANY);
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    if (!self->batches || spec->any_rank || grows)
        return PX_OK;
    px_err_set(err, PX_E_CONFLICT,
               "sequence: '%.*s' is of shape %s; expected a first dimension that counts rows",
               PX_STR_ARG(spec->name), px_tensor_spec_shape_text(spec, shape));
    return px_err_hint(err, "export the model with an open first dimension, or leave out 'batches' "
                            "of its engine");
}

/* ---- states ---- */

/* The shape of one row: from model.yaml, else from the model, which then must fix it. */
static enum px_code set_shape(const struct px_sequencer *self,
                              const struct px_sequence_state *state,
                              const struct px_tensor_spec *spec, struct px_tensor *ret,
                              struct px_err *err)
{
    size_t rows = self->batches ? 1 : 0,
           n_dims = state->has_shape ? state->n_dims + rows : spec->n_dims;
    bool known = n_dims <= PX_TENSOR_DIMS_MAX && (state->has_shape || !spec->any_rank);
    ret->n_dims = known ? n_dims : 0;
    for (size_t i = 0; i < ret->n_dims; i++) {
        int64_t dim = state->has_shape && i >= rows ? state->shape[i - rows] : spec->shape[i];
        if (i < rows)
            dim = 1;
        known = known && dim >= 1;
        ret->shape[i] = (uint64_t)dim;
    }
    if (known)
        return PX_OK;
    px_err_set(err, PX_E_CONFLICT, "sequence: the model does not say how large the state '%.*s' is",
               PX_STR_ARG(spec->name));
    return px_err_hint(err, "give its shape, as {input: ..., output: ..., shape: [64]}%s",
                       rows ? ", without the dimension that counts rows" : "");
}

/* Is the state what the model takes or gives by that spec? */
static enum px_code check_state(const struct px_tensor *state, const struct px_tensor_spec *spec,
                                const char *takes, struct px_err *err)
{
    char wanted[PX_TENSOR_SHAPE_TEXT_MAX], is[PX_TENSOR_SHAPE_TEXT_MAX];
    if (px_tensor_check_spec(state, spec, NULL) == PX_OK)
        return PX_OK;
    px_err_set(err, PX_E_CONFLICT,
               "sequence: state '%.*s' is %s of shape %s, but the model %s '%.*s' as %s of %s",
               PX_STR_ARG(state->name), px_datatype_name(state->type),
               px_tensor_shape_text(state, is), takes, PX_STR_ARG(spec->name),
               px_datatype_name(spec->type), px_tensor_spec_shape_text(spec, wanted));
    return px_err_hint(err, "the input and the output of a state are of one type and shape; leave "
                            "out 'type' and 'shape' where the model fixes them");
}

static enum px_code find_state(const struct px_sequencer *self,
                               const struct px_sequence_state *state,
                               const struct px_tensor_spec **ret_in,
                               const struct px_tensor_spec **ret_out, struct px_err *err)
{
    enum px_code code = find_tensor(&self->inner->takes, state->input, "input", ret_in, err);
    if (code == PX_OK)
        code = find_tensor(&self->inner->gives, state->output, "output", ret_out, err);
    if (code == PX_OK)
        code = check_first_dimension(self, *ret_in, err);
    if (code == PX_OK)
        code = check_first_dimension(self, *ret_out, err);
    if (code != PX_OK || (*ret_in)->type != PX_TYPE_BYTES)
        return code;
    px_err_set(err, PX_E_UNSUPPORTED, "sequence: state '%.*s' is BYTES; expected numbers or BOOL",
               PX_STR_ARG(state->input));
    return px_err_hint(err, "a state has a fixed size: have the model keep numbers");
}

static enum px_code plan_state(struct px_sequencer *self, const struct px_sequence_state *state,
                               struct px_state_plan *ret, struct px_err *err)
{
    const struct px_tensor_spec *in, *out;
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    size_t n;
    enum px_code code = find_state(self, state, &in, &out, err);
    if (code != PX_OK)
        return code;
    ret->tensor =
        (struct px_tensor){.name = in->name, .type = state->type ? state->type : in->type};
    ret->output = out->name;
    code = set_shape(self, state, in, &ret->tensor, err);
    if (code == PX_OK)
        code = check_state(&ret->tensor, in, "takes", err);
    if (code == PX_OK)
        code = check_state(&ret->tensor, out, "gives", err);
    if (code != PX_OK)
        return code;
    if (!px_tensor_elements(&ret->tensor, &n) || n > STATE_ELEMENTS_MAX) {
        px_err_set(
            err, PX_E_TOO_LARGE, "sequence: state '%.*s' of shape %s is larger than %d elements",
            PX_STR_ARG(in->name), px_tensor_shape_text(&ret->tensor, shape), STATE_ELEMENTS_MAX);
        return px_err_hint(err, "export the model with a state of a smaller shape");
    }
    ret->bytes = n * px_datatype_size(ret->tensor.type);
    ret->at = self->state_bytes;
    self->state_bytes += (ret->bytes + STATE_ALIGNMENT - 1) / STATE_ALIGNMENT * STATE_ALIGNMENT;
    return PX_OK;
}

static enum px_code check_memory(const struct px_sequencer *self, struct px_err *err)
{
    size_t n = self->settings.rules.sequences_max;
    uint64_t max = self->settings.memory_max;
    if (self->state_bytes <= max / n)
        return PX_OK;
    px_err_set(err, PX_E_TOO_LARGE,
               "sequence: the states of %zu sequences need %zu bytes each, %" PRIu64
               " bytes are allowed",
               n, self->state_bytes, max);
    return px_err_hint(err, "raise 'memory_max', or lower 'sequences_max', under 'sequence'");
}

/* The states of a batch are in memory twice, as they go in and as they come out. */
static enum px_code check_batch(const struct px_sequencer *self, struct px_err *err)
{
    const struct px_sequence_rules *rules = &self->settings.rules;
    size_t n = self->batches ? px_sequences_batch_max(rules) : 1;
    if (n > rules->sequences_max)
        n = rules->sequences_max;
    if (self->state_bytes <= PX_FLIGHT_BYTES_MAX / 2 / n)
        return PX_OK;
    px_err_set(err, PX_E_TOO_LARGE,
               "sequence: the states of %zu steps computed together are %zu bytes each, a batch "
               "has at most %d",
               n, self->state_bytes, PX_FLIGHT_BYTES_MAX / 2);
    if (n == 1)
        return px_err_hint(err, "export the model with smaller states");
    return px_err_hint(err, "lower '%s' under 'sequence'",
                       rules->scheduler == PX_SEQUENCE_DIRECT ? "sequences_max" : "batch_max");
}

static enum px_code plan_states(struct px_sequencer *self, struct px_err *err)
{
    const struct px_sequence_settings *settings = &self->settings;
    enum px_code code = PX_OK;
    self->states = px_arena_zalloc(&self->arena, settings->n_states + 1, sizeof *self->states);
    if (!self->states)
        return px_arena_check(&self->arena, "the sequences", err);
    for (; self->n_states < settings->n_states && code == PX_OK; self->n_states++)
        code =
            plan_state(self, &settings->states[self->n_states], &self->states[self->n_states], err);
    if (code == PX_OK)
        code = check_memory(self, err);
    return code == PX_OK ? check_batch(self, err) : code;
}

static enum px_code refuse_initial(const struct px_state_plan *plan, struct px_str path,
                                   size_t n_bytes, struct px_err *err)
{
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    px_err_set(err, PX_E_CONFLICT, "%.*s: expected the %zu bytes of state '%.*s', got %zu",
               PX_STR_ARG(path), plan->bytes, PX_STR_ARG(plan->tensor.name), n_bytes);
    return px_err_hint(err, "the file has the values of %s %s behind one another, little-endian",
                       px_datatype_name(plan->tensor.type),
                       px_tensor_shape_text(&plan->tensor, shape));
}

static enum px_code load_initial(struct px_sequencer *self, size_t i, struct px_err *err)
{
    const struct px_state_plan *plan = &self->states[i];
    struct px_str path = self->settings.states[i].initial;
    struct px_file file = {0};
    if (path.len == 0)
        return PX_OK;
    enum px_code code = px_file_load(&file, path.ptr, INITIAL_BYTES_MAX, err);
    if (code != PX_OK)
        return px_err_wrap(err, "sequence: initial state '%.*s'", PX_STR_ARG(plan->tensor.name));
    if (file.bytes.len == plan->bytes)
        memcpy(self->initial + plan->at, file.bytes.ptr, plan->bytes);
    else
        code = refuse_initial(plan, path, file.bytes.len, err);
    px_file_unload(&file);
    return code;
}

static enum px_code load_initials(struct px_sequencer *self, struct px_err *err)
{
    enum px_code code = PX_OK;
    self->initial = px_alloc_aligned(STATE_ALIGNMENT, self->state_bytes + 1, 1);
    if (!self->initial)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the states of sequences");
    for (size_t i = 0; i < self->n_states && code == PX_OK; i++)
        code = load_initial(self, i, err);
    return code;
}

/* ---- controls ---- */

static bool may_be_truth(enum px_datatype type)
{
    return type == PX_TYPE_BOOL || type == PX_TYPE_FP32 || type == PX_TYPE_INT32 ||
           type == PX_TYPE_INT64 || type == PX_TYPE_UINT8;
}

static bool may_be_id(enum px_datatype type)
{
    return type == PX_TYPE_UINT64 || type == PX_TYPE_INT64 || type == PX_TYPE_UINT32 ||
           type == PX_TYPE_INT32 || type == PX_TYPE_BYTES;
}

static bool is_of_a_state(const struct px_sequencer *self, struct px_str name)
{
    for (size_t i = 0; i < self->n_states; i++) {
        if (px_str_eq(self->states[i].tensor.name, name))
            return true;
    }
    return false;
}

static bool is_control(const struct px_sequencer *self, struct px_str name)
{
    for (size_t i = 0; i < self->n_controls; i++) {
        if (px_str_eq(self->controls[i].tensor.name, name))
            return true;
    }
    return false;
}

static enum px_code refuse_control(enum px_sequence_control kind, const struct px_tensor_spec *spec,
                                   struct px_err *err)
{
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    px_err_set(err, PX_E_CONFLICT,
               "sequence: control '%s' cannot be '%.*s', which is %s of shape %s",
               px_sequence_control_name(kind), PX_STR_ARG(spec->name), px_datatype_name(spec->type),
               px_tensor_spec_shape_text(spec, shape));
    return px_err_hint(err, "it is one value for each row, of %s",
                       kind == PX_SEQUENCE_CORRELATION_ID ? "INT32, INT64, UINT32, UINT64 or BYTES"
                                                          : "BOOL, INT32, INT64, UINT8 or FP32");
}

/* A control is one value for each row. */
static enum px_code plan_control(struct px_sequencer *self, enum px_sequence_control kind,
                                 struct px_err *err)
{
    struct px_str name = self->settings.controls[kind];
    const struct px_tensor_spec *spec;
    enum px_code code = find_tensor(&self->inner->takes, name, "input", &spec, err);
    if (code != PX_OK)
        return code;
    code = check_first_dimension(self, spec, err);
    if (code != PX_OK)
        return code;
    bool is_id = kind == PX_SEQUENCE_CORRELATION_ID;
    bool fits = is_id ? may_be_id(spec->type) : may_be_truth(spec->type);
    struct px_tensor one = {.name = spec->name, .type = spec->type};
    one.n_dims = spec->any_rank ? 1 : spec->n_dims;
    for (size_t i = 0; i < one.n_dims; i++) {
        one.shape[i] = 1;
        fits = fits && (spec->any_rank || spec->shape[i] == 1 || spec->shape[i] == PX_DIM_ANY);
    }
    if (is_of_a_state(self, name) || is_control(self, name)) {
        px_err_set(err, PX_E_CONFLICT,
                   "sequence: control '%s': input '%.*s' has another meaning already",
                   px_sequence_control_name(kind), PX_STR_ARG(name));
        return px_err_hint(err, "an input is a state or one control: give each its own");
    }
    if (!fits)
        return refuse_control(kind, spec, err);
    self->controls[self->n_controls++] = (struct px_control_plan){.kind = kind, .tensor = one};
    return PX_OK;
}

static enum px_code plan_controls(struct px_sequencer *self, struct px_err *err)
{
    enum px_code code = PX_OK;
    for (int kind = 0; kind < PX_SEQUENCE_CONTROLS && code == PX_OK; kind++) {
        if (self->settings.controls[kind].len)
            code = plan_control(self, (enum px_sequence_control)kind, err);
    }
    return code;
}

/* ---- what callers see ---- */

static bool shows_input(const struct px_sequencer *self, struct px_str name)
{
    return !is_of_a_state(self, name) && !is_control(self, name);
}

static bool shows_output(const struct px_sequencer *self, struct px_str name)
{
    for (size_t i = 0; i < self->n_states; i++) {
        if (px_str_eq(self->states[i].output, name))
            return self->settings.states[i].show;
    }
    return true;
}

static enum px_code plan_specs(struct px_sequencer *self, struct px_err *err)
{
    const struct px_tensor_specs *takes = &self->inner->takes, *gives = &self->inner->gives;
    struct px_tensor_spec *inputs = px_arena_zalloc(&self->arena, takes->n + 1, sizeof *inputs);
    struct px_tensor_spec *outputs = px_arena_zalloc(&self->arena, gives->n + 1, sizeof *outputs);
    if (!inputs || !outputs)
        return px_arena_check(&self->arena, "the sequences", err);
    self->base.takes.list = inputs;
    self->base.gives.list = outputs;
    for (size_t i = 0; i < takes->n; i++) {
        if (shows_input(self, takes->list[i].name))
            inputs[self->base.takes.n++] = takes->list[i];
    }
    for (size_t i = 0; i < gives->n; i++) {
        if (shows_output(self, gives->list[i].name))
            outputs[self->base.gives.n++] = gives->list[i];
    }
    if (self->base.takes.n > 0 && self->base.gives.n > 0)
        return PX_OK;
    px_err_set(err, PX_E_CONFLICT, "sequence: besides states and controls the model has no %s",
               self->base.takes.n ? "output" : "input");
    return px_err_hint(err, self->base.takes.n
                                ? "give a state 'show: true'"
                                : "a step needs what callers send, besides what is kept");
}

enum px_code px_sequence_plan(struct px_sequencer *self, struct px_err *err)
{
    enum px_code code = plan_states(self, err);
    if (code == PX_OK)
        code = load_initials(self, err);
    if (code == PX_OK)
        code = plan_controls(self, err);
    return code == PX_OK ? plan_specs(self, err) : code;
}

/* ---- steps ---- */

static uint64_t largest_id(enum px_datatype type)
{
    switch ((int)type) { // clang-format off
    case PX_TYPE_INT32: return INT32_MAX;
    case PX_TYPE_UINT32: return UINT32_MAX;
    case PX_TYPE_INT64: return INT64_MAX;
    default: return UINT64_MAX;
    } // clang-format on
}

static enum px_code check_id(const struct px_sequencer *self, const struct px_sequence_step *step,
                             struct px_err *err)
{
    if (step->text_id.len > PX_SEQUENCE_TEXT_MAX)
        return px_err_set(err, PX_E_INVALID, "expected a sequence id of at most %d bytes, got %zu",
                          PX_SEQUENCE_TEXT_MAX, step->text_id.len);
    for (size_t i = 0; i < self->n_controls; i++) {
        const struct px_control_plan *control = &self->controls[i];
        enum px_datatype type = control->tensor.type;
        if (control->kind != PX_SEQUENCE_CORRELATION_ID || type == PX_TYPE_BYTES)
            continue;
        if (step->text_id.len || step->id > largest_id(type))
            return px_err_set(err, PX_E_INVALID,
                              "sequence ids of this model are numbers up to %" PRIu64,
                              largest_id(type));
    }
    return PX_OK;
}

enum px_code px_sequence_check_step(const struct px_sequencer *self, const struct px_run *run,
                                    struct px_err *err)
{
    for (size_t i = 0; self->batches && i < run->n_inputs; i++) {
        const struct px_tensor *input = &run->inputs[i];
        if (input->n_dims == 0 || input->shape[0] == 1)
            continue;
        px_err_set(err, PX_E_INVALID, "a step of a sequence is one row, input '%.*s' has %" PRIu64,
                   PX_STR_ARG(input->name), input->shape[0]);
        return px_err_hint(err, "send one request for each step, and one sequence id for each row");
    }
    return check_id(self, &run->sequence, err);
}
