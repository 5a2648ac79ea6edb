/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the values of an input tensor go: whole matrix or column, how many rows, and one value at a time.
 *
 * Invariants
 *   1. The matrix is made by the first tensor; the others must have as many rows.
 *   2. Every value passes the feature's encoder, unless all features are plain numbers, which encode to
 *      themselves.
 *   3. A shape costs memory only when what follows can hold its values.
 *   4. `row` and `col` are where the n-th value goes, so every value of a complete tensor is set: px_values_put and
 *      px_values_advance are the only ones that move on.
 */
#include "interfaces/inference/inputs.h"

#include <math.h>

enum px_code px_inputs_begin(struct px_inputs *in, struct px_infer *infer)
{
    struct px_call *call = &infer->call;
    const struct px_signature *signature = call->model->signature;
    *in = (struct px_inputs){.infer = infer, .signature = signature, .err = &call->err};
    if (px_infer_has_run(infer))
        return px_run_inputs_begin(in);
    in->is_given = px_arena_zalloc(call->arena, signature->n_features / 64 + 1, sizeof(uint64_t));
    return px_arena_check(call->arena, "the request", in->err);
}

enum px_code px_inputs_end(struct px_inputs *in)
{
    return in->n_read ? PX_OK : px_err_set(in->err, PX_E_INVALID, "'inputs' is empty");
}

/* ---- which values a tensor holds ---- */

static bool is_column_shape(const struct px_tensor *t)
{
    return t->n_dims == 1 || (t->n_dims == 2 && t->shape[1] == 1);
}

static enum px_code refuse_shape(struct px_inputs *in, const struct px_tensor *t, long feature)
{
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    px_tensor_shape_text(t, shape);
    if (feature >= 0)
        return px_err_set(in->err, PX_E_INVALID,
                          "input '%.*s': expected shape [rows] or [rows,1] for one feature, got %s",
                          PX_STR_ARG(t->name), shape);
    px_err_set(in->err, PX_E_INVALID,
               "input '%.*s' is no feature of the model, and its shape %s is not [rows,%zu]",
               PX_STR_ARG(t->name), shape, in->signature->n_features);
    return px_err_hint(in->err,
                       "send one tensor [rows,%zu] with all features in order, or one tensor "
                       "[rows,1] per feature; the first feature is '%.*s'",
                       in->signature->n_features, PX_STR_ARG(in->signature->features[0].name));
}

static enum px_code refuse_beside_whole(struct px_inputs *in, const struct px_tensor *t)
{
    return px_err_set(in->err, PX_E_INVALID,
                      "input '%.*s' comes beside a tensor that already holds all features",
                      PX_STR_ARG(t->name));
}

static enum px_code aim_column(struct px_inputs *in, const struct px_tensor *t, long feature,
                               struct px_target *ret)
{
    uint64_t *word = &in->is_given[feature / 64], bit = 1ull << (feature % 64);
    if (!is_column_shape(t))
        return refuse_shape(in, t, feature);
    if (in->whole)
        return refuse_beside_whole(in, t);
    if (*word & bit)
        return px_err_set(in->err, PX_E_INVALID, "input '%.*s' is given twice",
                          PX_STR_ARG(t->name));
    *word |= bit;
    *ret = (struct px_target){(size_t)feature, t->shape[0], 1};
    return PX_OK;
}

static enum px_code aim_whole(struct px_inputs *in, const struct px_tensor *t,
                              struct px_target *ret)
{
    size_t n = in->signature->n_features;
    bool one_row = t->n_dims == 1 && t->shape[0] == n;
    bool rows = t->n_dims == 2 && t->shape[1] == n;
    bool rows_of_one = t->n_dims == 1 && n == 1;
    if (in->n_read > 0)
        return in->whole ? refuse_beside_whole(in, t)
                         : px_signature_unknown(in->signature, t->name, in->err);
    if (!one_row && !rows && !rows_of_one) {
        if (is_column_shape(t) && in->signature->named)
            return px_signature_unknown(in->signature, t->name, in->err);
        return refuse_shape(in, t, -1);
    }
    in->whole = true;
    *ret = (struct px_target){0, rows || rows_of_one ? t->shape[0] : 1, n};
    return PX_OK;
}

/* Columns usually come in the order of the signature: try the next feature before the map. */
static long find_feature(const struct px_inputs *in, struct px_str name)
{
    const struct px_signature *s = in->signature;
    if (in->n_read < s->n_features && px_str_eq(s->features[in->n_read].name, name))
        return (long)in->n_read;
    return px_signature_find(s, name);
}

static enum px_code check_rows(struct px_inputs *in, const struct px_tensor *t, size_t n_rows)
{
    struct px_call *call = &in->infer->call;
    if (in->n_read == 0)
        return px_call_check_rows(in->infer->serving, call, n_rows);
    if (n_rows == call->rows.n_rows)
        return PX_OK;
    return px_err_set(in->err, PX_E_INVALID, "input '%.*s' has %zu rows, the first input has %zu",
                      PX_STR_ARG(t->name), n_rows, call->rows.n_rows);
}

enum px_code px_inputs_aim(struct px_inputs *in, const struct px_tensor *tensor,
                           struct px_target *ret)
{
    long feature = find_feature(in, tensor->name);
    enum px_code code =
        feature >= 0 ? aim_column(in, tensor, feature, ret) : aim_whole(in, tensor, ret);
    return code == PX_OK ? check_rows(in, tensor, ret->n_rows) : code;
}

enum px_code px_inputs_make_rows(struct px_inputs *in, const struct px_target *target)
{
    struct px_infer *infer = in->infer;
    if (in->n_read++ > 0)
        return PX_OK;
    struct px_matrix *rows = in->whole
                                 ? px_call_rows_unset(infer->serving, &infer->call, target->n_rows)
                                 : px_call_rows(infer->serving, &infer->call, target->n_rows);
    return rows ? PX_OK : in->err->code;
}

/* ---- one value at a time ---- */

/* Values that need no encoding and are of the matrix's own type may go straight into it. */
static void offer_matrix(struct px_values *values)
{
    struct px_matrix *rows = &values->in->infer->call.rows;
    bool dense = values->n_cols == rows->n_cols && rows->stride == rows->n_cols;
    if (!dense || values->tensor->type != rows->type || !values->in->signature->all_numbers)
        return;
    if (rows->type == PX_TYPE_FP32)
        values->floats = rows->data;
    else
        values->doubles = rows->data;
}

struct px_values px_values_begin(struct px_inputs *in, const struct px_tensor *tensor,
                                 const struct px_target *target)
{
    struct px_values values = {
        .in = in,
        .tensor = tensor,
        .n_total = target->n_rows * target->n_cols,
        .feature = target->feature,
        .n_cols = target->n_cols,
    };
    offer_matrix(&values);
    return values;
}

enum px_code px_inputs_open(struct px_inputs *in, const struct px_tensor *tensor, size_t n_max,
                            struct px_values *ret)
{
    struct px_target target;
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    if (in->run_inputs)
        return px_run_inputs_open(in, tensor, n_max, ret);
    enum px_code code = px_inputs_aim(in, tensor, &target);
    if (code != PX_OK)
        return code;
    if (target.n_rows * target.n_cols > n_max)
        return px_err_set(in->err, PX_E_INVALID, "input '%.*s': the data is too short for shape %s",
                          PX_STR_ARG(tensor->name), px_tensor_shape_text(tensor, shape));
    code = px_inputs_make_rows(in, &target);
    if (code == PX_OK)
        *ret = px_values_begin(in, tensor, &target);
    return code;
}

static enum px_code refuse_element(struct px_values *values)
{
    px_err_wrap(values->in->err, "element %zu", values->n);
    return px_err_wrap(values->in->err, "input '%.*s'", PX_STR_ARG(values->tensor->name));
}

/* The feature of the next value; NULL, and an error, when there are enough already. */
static const struct px_feature *next_feature(struct px_values *values)
{
    if (values->n < values->n_total)
        return &values->in->signature->features[values->feature + values->col];
    px_err_set(values->in->err, PX_E_INVALID, "input '%.*s': expected no more than %zu values",
               PX_STR_ARG(values->tensor->name), values->n_total);
    return NULL;
}

static enum px_code put(struct px_values *values, enum px_code code, double value)
{
    if (code != PX_OK)
        return refuse_element(values);
    px_matrix_set(&values->in->infer->call.rows, values->row, values->feature + values->col, value);
    values->n++;
    if (++values->col == values->n_cols) {
        values->col = 0;
        values->row++;
    }
    return PX_OK;
}

/* Readers look at values->n. */
static enum px_code put_run(struct px_values *values, enum px_code code)
{
    values->n = values->writer.n;
    return code;
}

static enum px_code put_integer(struct px_values *values, uint64_t bits)
{
    return put_run(values, px_tensor_put_integer(&values->writer, bits, values->in->err));
}

enum px_code px_values_put_number(struct px_values *values, double number)
{
    if (values->is_run)
        return put_run(values, px_tensor_put_number(&values->writer, number, values->in->err));
    const struct px_feature *feature = next_feature(values);
    if (!feature)
        return values->in->err->code;
    enum px_code code = px_infer_encode_number(values->in->infer, feature, number, &number);
    return put(values, code, number);
}

enum px_code px_values_put_signed(struct px_values *values, int64_t number)
{
    return values->is_run ? put_integer(values, (uint64_t)number)
                          : px_values_put_number(values, (double)number);
}

enum px_code px_values_put_unsigned(struct px_values *values, uint64_t number)
{
    return values->is_run ? put_integer(values, number)
                          : px_values_put_number(values, (double)number);
}

enum px_code px_values_put_bool(struct px_values *values, bool value)
{
    if (values->is_run)
        return put_integer(values, value);
    const struct px_feature *feature = next_feature(values);
    double number = 0;
    if (!feature)
        return values->in->err->code;
    enum px_code code = px_feature_encode_bool(feature, value, &number, values->in->err);
    return put(values, code, number);
}

enum px_code px_values_put_text(struct px_values *values, struct px_str text)
{
    if (values->is_run)
        return put_run(values, px_tensor_put_text(&values->writer, text, values->in->err));
    const struct px_feature *feature = next_feature(values);
    double number = 0;
    if (!feature)
        return values->in->err->code;
    enum px_code code = feature->kind == PX_FEATURE_NUMBER
                            ? px_err_set(values->in->err, PX_E_INVALID,
                                         "feature '%.*s': expected a number datatype, got BYTES",
                                         PX_STR_ARG(feature->name))
                            : px_infer_encode_text(values->in->infer, feature, text, &number);
    return put(values, code, number);
}

enum px_code px_values_put_missing(struct px_values *values)
{
    if (values->is_run)
        return put_run(values, px_tensor_put_missing(&values->writer, values->in->err));
    return next_feature(values) ? put(values, PX_OK, (double)NAN) : values->in->err->code;
}

void px_values_advance(struct px_values *values, size_t n)
{
    PX_ASSERT((values->floats || values->doubles) && n <= values->n_total - values->n);
    values->n += n;
    if (values->is_run) {
        px_tensor_writer_advance(&values->writer, n);
        return;
    }
    values->row = values->n / values->n_cols;
    values->col = values->n % values->n_cols;
}

enum px_code px_values_end(struct px_values *values)
{
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    if (values->is_run)
        return px_tensor_writer_end(&values->writer, values->in->err);
    if (values->n == values->n_total)
        return PX_OK;
    return px_err_set(values->in->err, PX_E_INVALID,
                      "input '%.*s': shape %s needs %zu values, got %zu",
                      PX_STR_ARG(values->tensor->name), px_tensor_shape_text(values->tensor, shape),
                      values->n_total, values->n);
}

enum px_code px_tensor_read_type(struct px_str name, enum px_datatype *ret, struct px_err *err)
{
    *ret = px_datatype_from_name(name);
    if (*ret != PX_TYPE_NONE)
        return PX_OK;
    return px_err_set(err, PX_E_INVALID,
                      "unknown datatype '%.*s'; expected FP32, FP64, INT64, BOOL, BYTES, ...",
                      PX_STR_ARG(name));
}
