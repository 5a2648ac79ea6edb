/* SPDX-License-Identifier: Apache-2.0 */
/* Can one model answer the requests of another? What it takes must be there in them, and what they ask for must be given. */
#include "application/serving/serving_impl.h"

static bool is_same_length(int64_t a, int64_t b)
{
    return a == b || a == PX_DIM_ANY || b == PX_DIM_ANY;
}

static bool fits(const struct px_tensor_spec *a, const struct px_tensor_spec *b)
{
    bool same = a->type == b->type && (a->any_rank || b->any_rank || a->n_dims == b->n_dims);
    for (size_t i = 0; same && !a->any_rank && !b->any_rank && i < a->n_dims; i++)
        same = is_same_length(a->shape[i], b->shape[i]);
    return same;
}

/* Every one of `asked` is among `has`, as `what`. */
static enum px_code check_specs(const struct px_tensor_specs *asked,
                                const struct px_tensor_specs *has, const char *what,
                                struct px_err *err)
{
    for (size_t i = 0; i < asked->n; i++) {
        const struct px_tensor_spec *spec = &asked->list[i];
        const struct px_tensor_spec *other = px_tensor_specs_find(has, spec->name);
        char expected[PX_TENSOR_SHAPE_TEXT_MAX], got[PX_TENSOR_SHAPE_TEXT_MAX];
        if (!other)
            return px_err_set(err, PX_E_CONFLICT, "there is no %s '%.*s'", what,
                              PX_STR_ARG(spec->name));
        if (!fits(spec, other))
            return px_err_set(err, PX_E_CONFLICT, "%s '%.*s': expected %s %s, got %s %s", what,
                              PX_STR_ARG(spec->name), px_datatype_name(spec->type),
                              px_tensor_spec_shape_text(spec, expected),
                              px_datatype_name(other->type), px_tensor_spec_shape_text(other, got));
    }
    return PX_OK;
}

static enum px_code check_required(const struct px_engine *model, const struct px_engine *asked,
                                   struct px_err *err)
{
    for (size_t i = 0; i < model->takes.n; i++) {
        const struct px_tensor_spec *spec = &model->takes.list[i];
        if (!spec->optional && !px_tensor_specs_find(&asked->takes, spec->name))
            return px_err_set(err, PX_E_CONFLICT, "it needs an input '%.*s' more",
                              PX_STR_ARG(spec->name));
    }
    return PX_OK;
}

enum px_code px_model_can_stand_in(const struct px_model *model, const struct px_model *asked,
                                   struct px_err *err)
{
    const struct px_engine *a = asked->engine, *b = model->engine;
    enum px_code code = PX_OK;
    if (!a) /* it could not be loaded: requests are read as the other model's */
        return PX_OK;
    if (px_engine_has(a, PX_ENGINE_TENSORS) != px_engine_has(b, PX_ENGINE_TENSORS) ||
        px_engine_has(b, PX_ENGINE_SEQUENCES))
        code = px_err_set(err, PX_E_CONFLICT, "it is a model of another kind");
    else
        code = check_specs(&a->takes, &b->takes, "input", err);
    if (code == PX_OK)
        code = check_required(b, a, err);
    if (code == PX_OK)
        code = check_specs(&a->gives, &b->gives, "output", err);
    return code == PX_OK ? PX_OK
                         : px_err_wrap(err, "model '%.*s' version %.*s cannot stand in",
                                       PX_STR_ARG(model->name), PX_STR_ARG(model->version));
}
