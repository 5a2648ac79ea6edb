/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declared answers: texts of model.yaml as tensors of one row when the model is loaded, repeated for the rows of a request when they are
 * needed.
 *
 * An output whose first dimension is open counts rows there; another is given as it is. A dimension that is open beside that follows from
 * the number of values.
 */
#include "application/lifecycle/model_fallback.h"

#include "domain/inference/tensor_writer.h"
#include "shared/number.h"

#include <inttypes.h>

static bool counts_rows(const struct px_tensor_spec *spec)
{
    return spec->n_dims > 0 && spec->shape[0] == PX_DIM_ANY;
}

static enum px_code wrong_number(const struct px_rung_output *output,
                                 const struct px_tensor_spec *spec, struct px_err *err)
{
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    px_err_set(err, PX_E_INVALID,
               "line %u: default of '%.*s' has %zu values, which is no row of %s", output->line,
               PX_STR_ARG(output->name), output->n_values, px_tensor_spec_shape_text(spec, shape));
    return px_err_hint(err, "give the values of one row, or one value for all of them");
}

/* The shape of one row, with the length 1 for rows. */
static enum px_code make_shape(struct px_rung_output *output, const struct px_tensor_spec *spec,
                               struct px_err *err)
{
    struct px_tensor *whole = &output->whole;
    size_t known = 1, n_open = 0, open = 0;
    *whole = (struct px_tensor){.name = spec->name, .type = spec->type, .n_dims = spec->n_dims};
    for (size_t i = 0; i < spec->n_dims; i++) {
        bool is_rows = i == 0 && counts_rows(spec);
        whole->shape[i] = is_rows ? 1 : (uint64_t)spec->shape[i];
        if (!is_rows && spec->shape[i] == PX_DIM_ANY) {
            n_open++;
            open = i;
        } else if (__builtin_mul_overflow(known, whole->shape[i], &known)) {
            return wrong_number(output, spec, err);
        }
    }
    bool fits = known > 0 && known <= PX_RUNG_VALUES_MAX && n_open <= 1 && !spec->any_rank;
    if (fits && n_open == 1 && output->n_values % known == 0) {
        whole->shape[open] = output->n_values / known;
        return PX_OK;
    }
    fits = fits && n_open == 0;
    return fits && (output->is_scalar || output->n_values == known)
               ? PX_OK
               : wrong_number(output, spec, err);
}

static enum px_code put_value(struct px_tensor_writer *writer, struct px_str text,
                              struct px_err *err)
{
    enum px_datatype type = writer->tensor->type;
    bool is_true = px_str_is(text, "true"), is_false = px_str_is(text, "false");
    double number;
    int64_t integer;
    uint64_t natural;
    if (type == PX_TYPE_BYTES)
        return px_tensor_put_text(writer, text, err);
    if (type == PX_TYPE_BOOL && (is_true || is_false))
        return px_tensor_put_integer(writer, is_true, err);
    bool is_float = type == PX_TYPE_FP64 || type == PX_TYPE_FP32 || type == PX_TYPE_FP16 ||
                    type == PX_TYPE_BF16;
    if (is_float && px_str_to_f64(text, &number))
        return px_tensor_put_number(writer, number, err);
    bool is_whole = !is_float && type != PX_TYPE_BOOL;
    if (is_whole && px_str_to_i64(text, &integer) && px_tensor_fits_signed(type, integer))
        return px_tensor_put_integer(writer, (uint64_t)integer, err);
    if (is_whole && px_str_to_u64(text, &natural) && px_tensor_fits_unsigned(type, natural))
        return px_tensor_put_integer(writer, natural, err);
    return px_err_set(err, PX_E_INVALID, "'%.*s' is no %s", PX_STR_ARG(text),
                      px_datatype_name(type));
}

static enum px_code prepare_output(struct px_rung_output *output, const struct px_engine *engine,
                                   struct px_arena *arena, struct px_err *err)
{
    const struct px_tensor_spec *spec = px_tensor_specs_find(&engine->gives, output->name);
    struct px_tensor_writer writer;
    if (!spec) {
        const struct px_tensor_specs *gives = &engine->gives;
        enum px_code code = px_err_set(err, PX_E_INVALID, "line %u: unknown output '%.*s'",
                                       output->line, PX_STR_ARG(output->name));
        if (gives->n)
            px_err_hint(err, "the model gives %zu outputs, '%.*s' among them", gives->n,
                        PX_STR_ARG(gives->list[0].name));
        return code;
    }
    enum px_code code = make_shape(output, spec, err);
    if (code == PX_OK)
        code = px_tensor_writer_init(&writer, &output->whole, arena, PX_RUNG_VALUES_MAX, err);
    for (size_t i = 0; code == PX_OK && i < writer.n_total; i++)
        code = put_value(&writer, output->values[output->is_scalar ? 0 : i], err);
    if (code == PX_OK)
        code = px_tensor_writer_end(&writer, err);
    return code == PX_OK ? PX_OK
                         : px_err_wrap(err, "line %u: default of '%.*s'", output->line,
                                       PX_STR_ARG(output->name));
}

static enum px_code prepare_default(struct px_rung *rung, const struct px_engine *engine,
                                    struct px_arena *arena, struct px_err *err)
{
    for (size_t i = 0; i < rung->n_outputs; i++) {
        enum px_code code = prepare_output(&rung->outputs[i], engine, arena, err);
        if (code != PX_OK)
            return code;
    }
    for (size_t i = 0; i < engine->gives.n; i++) {
        struct px_str name = engine->gives.list[i].name;
        bool has = false;
        for (size_t o = 0; o < rung->n_outputs; o++)
            has = has || px_str_eq(rung->outputs[o].name, name);
        if (!has) {
            px_err_set(err, PX_E_INVALID, "line %u: the default has no output '%.*s'",
                       rung->outputs[0].line, PX_STR_ARG(name));
            return px_err_hint(err, "a default answers every output that the model gives");
        }
    }
    return PX_OK;
}

enum px_code px_model_fallback_prepare(struct px_model_fallback *fallback,
                                       const struct px_engine *engine, struct px_arena *arena,
                                       struct px_err *err)
{
    enum px_code code = PX_OK;
    for (size_t i = 0; i < fallback->n_rungs && code == PX_OK; i++) {
        struct px_rung *rung = &fallback->rungs[i];
        bool is_other = rung->kind == PX_RUNG_PREVIOUS_VERSION || rung->kind == PX_RUNG_MODEL;
        if (!engine && !is_other) {
            px_err_set(err, PX_E_CONFLICT,
                       "'%s' is for models of tensors, and this is a tree model",
                       px_rung_kind_name(rung->kind));
            return px_err_hint(err, "a tree model falls back to previous_version or {model: NAME}, "
                                    "when it cannot be loaded");
        }
        if (rung->kind == PX_RUNG_DEFAULT)
            code = prepare_default(rung, engine, arena, err);
    }
    return code;
}

/* ---- answering ---- */

static const struct px_rung_output *find(const struct px_rung *rung, struct px_str name)
{
    for (size_t i = 0; i < rung->n_outputs; i++) {
        if (px_str_eq(rung->outputs[i].name, name))
            return &rung->outputs[i];
    }
    return NULL;
}

static uint64_t rows_of(const struct px_engine *engine, const struct px_run *run)
{
    if (px_engine_has(engine, PX_ENGINE_BATCHES))
        return px_engine_run_rows(engine, run);
    for (size_t i = 0; i < run->n_inputs; i++) {
        const struct px_tensor *input = &run->inputs[i];
        const struct px_tensor_spec *spec = px_tensor_specs_find(&engine->takes, input->name);
        if (spec && counts_rows(spec) && input->n_dims > 0)
            return input->shape[0];
    }
    return 1;
}

static enum px_code repeat(struct px_tensor *to, const struct px_tensor *row, uint64_t n_rows,
                           struct px_arena *arena, struct px_err *err)
{
    char *bytes = px_arena_alloc(arena, n_rows, row->bytes.len);
    if (!bytes)
        return px_arena_check(arena, "the answer", err);
    for (uint64_t i = 0; i < n_rows; i++)
        memcpy(bytes + i * row->bytes.len, row->bytes.ptr, row->bytes.len);
    to->bytes = px_str_n(bytes, n_rows * row->bytes.len);
    to->shape[0] = n_rows;
    return PX_OK;
}

enum px_code px_rung_answer(const struct px_rung *rung, const struct px_engine *engine,
                            struct px_run *run, struct px_err *err)
{
    uint64_t n_rows = rows_of(engine, run);
    for (size_t i = 0; i < run->n_outputs; i++) {
        struct px_tensor *output = &run->outputs[i];
        const struct px_rung_output *value = find(rung, output->name);
        const struct px_tensor_spec *spec = px_tensor_specs_find(&engine->gives, output->name);
        PX_ASSERT(value && spec); /* the request was checked, the rung when it was prepared */
        *output = value->whole;
        enum px_code code =
            counts_rows(spec) ? repeat(output, &value->whole, n_rows, run->arena, err) : PX_OK;
        if (code != PX_OK)
            return code;
    }
    return PX_OK;
}
