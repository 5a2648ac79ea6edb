/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inputs of a model of tensors: each tensor of the request becomes one of the call's run, under the model's datatype and shape.
 *
 * Nothing is converted: a tensor is what the model says or is refused. Bytes that are at hand are lent to the run; values
 * that come one by one are written in their datatype.
 */
#include "interfaces/inference/inputs.h"

enum px_code px_run_inputs_begin(struct px_inputs *in)
{
    struct px_call *call = &in->infer->call;
    size_t n = call->model->engine->takes.n;
    struct px_tensor *inputs = px_arena_zalloc(call->arena, n + 1, sizeof *inputs);
    in->run_inputs = inputs;
    call->run->inputs = inputs;
    return px_arena_check(call->arena, "the request", in->err);
}

static enum px_code refuse_name(struct px_inputs *in, struct px_str name)
{
    const struct px_tensor_specs *takes = &in->infer->call.model->engine->takes;
    long nearest = px_str_nearest_of(name, &takes->list[0].name, sizeof *takes->list, takes->n);
    px_err_set(in->err, PX_E_INVALID, "unknown input '%.*s'", PX_STR_ARG(name));
    if (nearest >= 0)
        return px_err_hint(in->err, "did you mean '%.*s'?", PX_STR_ARG(takes->list[nearest].name));
    return px_err_hint(in->err, "the model takes %zu inputs; the first is '%.*s'", takes->n,
                       PX_STR_ARG(takes->list[0].name));
}

/* Inputs usually come in the model's order: try the next one first. */
static const struct px_tensor_spec *find_spec(const struct px_inputs *in, struct px_str name)
{
    const struct px_tensor_specs *takes = &in->infer->call.model->engine->takes;
    if (in->n_read < takes->n && px_str_eq(takes->list[in->n_read].name, name))
        return &takes->list[in->n_read];
    return px_tensor_specs_find(takes, name);
}

/* A place for the tensor among the run's inputs; NULL, and an error, when the model does not take it. */
static struct px_tensor *take_place(struct px_inputs *in, const struct px_tensor *tensor)
{
    const struct px_tensor_spec *spec = find_spec(in, tensor->name);
    if (!spec) {
        (void)refuse_name(in, tensor->name);
        return NULL;
    }
    if (px_tensor_check_spec(tensor, spec, in->err) != PX_OK)
        return NULL;
    for (size_t i = 0; i < in->n_read; i++) {
        if (!px_str_eq(in->run_inputs[i].name, tensor->name))
            continue;
        (void)px_err_set(in->err, PX_E_INVALID, "input '%.*s' is given twice",
                         PX_STR_ARG(tensor->name));
        return NULL;
    }
    struct px_tensor *place = &in->run_inputs[in->n_read++];
    *place = *tensor;
    in->infer->call.run->n_inputs = in->n_read;
    return place;
}

enum px_code px_run_inputs_add(struct px_inputs *in, const struct px_tensor *tensor)
{
    return take_place(in, tensor) ? PX_OK : in->err->code; /* its bytes are checked with the run */
}

/* ---- values one by one ---- */

enum px_code px_run_inputs_open(struct px_inputs *in, const struct px_tensor *tensor, size_t n_max,
                                struct px_values *ret)
{
    struct px_tensor *place = take_place(in, tensor);
    if (!place)
        return in->err->code;
    *ret = (struct px_values){.in = in, .tensor = tensor, .is_run = true};
    enum px_code code =
        px_tensor_writer_init(&ret->writer, place, in->infer->call.arena, n_max, in->err);
    ret->n_total = ret->writer.n_total;
    if (tensor->type == PX_TYPE_FP32)
        ret->floats = px_tensor_writer_values(&ret->writer);
    else if (tensor->type == PX_TYPE_FP64)
        ret->doubles = px_tensor_writer_values(&ret->writer);
    return code;
}
