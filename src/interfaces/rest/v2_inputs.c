/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input tensors of Open Inference JSON, read into the call's row matrix.
 *
 * The usual tensor names its shape and datatype before its data, and is then read in one pass straight
 * into the matrix; when "data" comes first its text is kept and read once the rest is known. The matrix is
 * made by the first tensor, which says how many rows there are.
 *
 * Invariants
 *   1. A value means its datatype: 0.1 in an FP32 tensor is the float nearest to 0.1, in an FP64 tensor the
 *      double, whatever the model's own type is; integers are checked against the datatype's range.
 *   2. Every value passes the feature's encoder, unless all features are plain numbers, which encode to
 *      themselves.
 *   3. A shape costs memory only when the text that follows is long enough to hold its values.
 */
#include "interfaces/rest/v2.h"

enum {
    SEEN_NAME = 1,
    SEEN_SHAPE = 2,
    SEEN_DATATYPE = 4,
    SEEN_DATA = 8,
    SEEN_PARAMETERS = 16,
    NEEDED_FOR_DATA = SEEN_NAME | SEEN_SHAPE | SEEN_DATATYPE,
    DIMS_MAX = 8,
};

struct tensor {
    struct px_str name;
    struct px_str type_name;
    enum px_datatype type;
    uint64_t shape[DIMS_MAX];
    size_t n_dims;
    struct px_str data; /* its text, when it came before what is needed to read it */
    unsigned seen;
};

struct inputs {
    struct px_infer *infer;
    const struct px_signature *signature;
    size_t n_read;
    bool whole;         /* the first tensor was the whole matrix */
    uint64_t *is_given; /* bit per feature, for columns */
    struct px_err *err;
};

/* What a tensor's values go to: features [feature, feature + n_cols) of every row. */
struct target {
    size_t feature, n_rows, n_cols;
};

static const struct px_v2_refusal input_refusals[] = {
    {"binary_data_size", "binary tensors are not supported; send 'data' (binary_data=False)"},
    {"shared_memory_region", "shared memory is not supported; send 'data'"},
    {NULL, NULL},
};

static bool is_plain(const struct px_signature *signature)
{
    for (size_t i = 0; i < signature->n_features; i++) {
        if (signature->features[i].kind != PX_FEATURE_NUMBER)
            return false;
    }
    return true;
}

/* "[2,3]" */
static const char *shape_text(const struct tensor *t, char *out, size_t cap)
{
    size_t n = (size_t)snprintf(out, cap, "[");
    for (size_t i = 0; i < t->n_dims && n < cap; i++)
        n += (size_t)snprintf(out + n, cap - n, "%s%llu", i ? "," : "",
                              (unsigned long long)t->shape[i]);
    if (n < cap)
        snprintf(out + n, cap - n, "]");
    return out;
}

/* ---- which values a tensor holds ---- */

static bool is_column_shape(const struct tensor *t)
{
    return t->n_dims == 1 || (t->n_dims == 2 && t->shape[1] == 1);
}

static enum px_code refuse_shape(struct inputs *in, const struct tensor *t, long feature)
{
    char shape[128];
    shape_text(t, shape, sizeof shape);
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

static enum px_code aim_column(struct inputs *in, const struct tensor *t, long feature,
                               struct target *ret)
{
    uint64_t *word = &in->is_given[feature / 64], bit = 1ull << (feature % 64);
    if (!is_column_shape(t))
        return refuse_shape(in, t, feature);
    if (in->whole)
        return px_err_set(in->err, PX_E_INVALID,
                          "input '%.*s' comes beside a tensor that already holds all features",
                          PX_STR_ARG(t->name));
    if (*word & bit)
        return px_err_set(in->err, PX_E_INVALID, "input '%.*s' is given twice",
                          PX_STR_ARG(t->name));
    *word |= bit;
    *ret = (struct target){(size_t)feature, t->shape[0], 1};
    return PX_OK;
}

static enum px_code aim_whole(struct inputs *in, const struct tensor *t, struct target *ret)
{
    size_t n = in->signature->n_features;
    bool one_row = t->n_dims == 1 && t->shape[0] == n;
    bool rows = t->n_dims == 2 && t->shape[1] == n;
    bool rows_of_one = t->n_dims == 1 && n == 1;
    if (in->n_read > 0)
        return in->whole ? px_err_set(in->err, PX_E_INVALID,
                                      "input '%.*s' comes beside a tensor that already holds all "
                                      "features",
                                      PX_STR_ARG(t->name))
                         : px_signature_unknown(in->signature, t->name, in->err);
    if (!one_row && !rows && !rows_of_one) {
        if (is_column_shape(t) && in->signature->named)
            return px_signature_unknown(in->signature, t->name, in->err);
        return refuse_shape(in, t, -1);
    }
    in->whole = true;
    *ret = (struct target){0, rows || rows_of_one ? t->shape[0] : 1, n};
    return PX_OK;
}

/* Columns usually come in the order of the signature: try the next feature before the map. */
static long find_feature(const struct inputs *in, struct px_str name)
{
    const struct px_signature *s = in->signature;
    if (in->n_read < s->n_features && px_str_eq(s->features[in->n_read].name, name))
        return (long)in->n_read;
    return px_signature_find(s, name);
}

/* Makes the matrix for the first tensor, and holds the others to its number of rows. */
static enum px_code make_rows(struct inputs *in, const struct tensor *t,
                              const struct target *target, size_t text_len)
{
    struct px_call *call = &in->infer->call;
    size_t rows_max = px_serving_limits(in->infer->rest->serving)->request_rows_max;
    char shape[128];
    if (in->n_read > 0) {
        if (target->n_rows == call->rows.n_rows)
            return PX_OK;
        return px_err_set(in->err, PX_E_INVALID,
                          "input '%.*s' has %zu rows, the first input has %zu", PX_STR_ARG(t->name),
                          target->n_rows, call->rows.n_rows);
    }
    if (target->n_rows > rows_max) {
        px_err_set(in->err, PX_E_TOO_LARGE,
                   "expected at most %zu rows in one request, got shape %s", rows_max,
                   shape_text(t, shape, sizeof shape));
        return px_err_hint(in->err, "split the request, or raise serving.request_rows_max");
    }
    if (target->n_rows * target->n_cols > text_len / PX_JSON_BYTES_PER_VALUE)
        return px_err_set(in->err, PX_E_INVALID, "input '%.*s': the data is too short for shape %s",
                          PX_STR_ARG(t->name), shape_text(t, shape, sizeof shape));
    return px_call_rows(in->infer->rest->serving, call, target->n_rows) ? PX_OK : in->err->code;
}

/* ---- values ---- */

/* Moves to the next value that is no array, at whatever nesting; false at the end or on failure. */
static bool next_value(struct px_json *json, unsigned *depth)
{
    for (;;) {
        if (!px_json_next_element(json)) {
            if (px_json_failed(json) || --*depth == 0)
                return false;
        } else if (px_json_peek(json) == PX_JSON_ARRAY) {
            if (!px_json_enter_array(json))
                return false;
            ++*depth;
        } else {
            return true;
        }
    }
}

static enum px_code read_elements(struct inputs *in, struct px_json *json, const struct tensor *t,
                                  const struct target *target, size_t *ret_n)
{
    struct px_matrix *rows = &in->infer->call.rows;
    size_t n = 0, row = 0, col = 0;
    unsigned depth = 1;
    if (!px_json_enter_array(json))
        return px_json_check(json, in->err);
    while (next_value(json, &depth)) {
        double value;
        if (row == target->n_rows)
            px_json_fail(json, "expected no more than %zu values", n);
        enum px_code code = px_v2_read_element(
            in->infer, json, t->type, &in->signature->features[target->feature + col], &value);
        if (px_json_failed(json))
            break;
        if (code != PX_OK) {
            px_err_wrap(in->err, "element %zu", n);
            return code;
        }
        px_matrix_set(rows, row, target->feature + col, value);
        n++;
        if (++col == target->n_cols) {
            col = 0;
            row++;
        }
    }
    *ret_n = n;
    return px_json_check(json, in->err);
}

/* Values that need no encoding and are of the matrix's own type go straight into it. */
static bool read_directly(struct inputs *in, struct px_json *json, const struct tensor *t,
                          const struct target *target, size_t *ret_n)
{
    struct px_matrix *rows = &in->infer->call.rows;
    size_t max = target->n_rows * target->n_cols;
    bool dense = target->n_cols == rows->n_cols && rows->stride == rows->n_cols;
    if (!dense || t->type != rows->type || !is_plain(in->signature))
        return false;
    if (rows->type == PX_TYPE_FP32)
        *ret_n = px_json_f32_array(json, rows->data, max, true);
    else
        *ret_n = px_json_f64_array(json, rows->data, max, true);
    return true;
}

static enum px_code read_values(struct inputs *in, struct px_json *json, const struct tensor *t,
                                const struct target *target)
{
    size_t n = 0, wanted = target->n_rows * target->n_cols;
    char shape[128];
    enum px_code code = PX_OK;
    if (read_directly(in, json, t, target, &n))
        code = px_json_check(json, in->err);
    else
        code = read_elements(in, json, t, target, &n);
    if (code == PX_OK && n != wanted)
        code = px_err_set(in->err, PX_E_INVALID, "shape %s needs %zu values, got %zu",
                          shape_text(t, shape, sizeof shape), wanted, n);
    if (code != PX_OK)
        px_err_wrap(in->err, "input '%.*s'", PX_STR_ARG(t->name));
    return code;
}

/* Everything but the data is known and `json` stands at it. */
static enum px_code read_data(struct inputs *in, struct px_json *json, const struct tensor *t)
{
    struct target target = {0};
    size_t text_len = (size_t)(json->end - json->at);
    long feature = find_feature(in, t->name);
    enum px_code code =
        feature >= 0 ? aim_column(in, t, feature, &target) : aim_whole(in, t, &target);
    if (code == PX_OK)
        code = make_rows(in, t, &target, text_len);
    if (code == PX_OK)
        code = read_values(in, json, t, &target);
    return code;
}

/* ---- the tensor object ---- */

static enum px_code read_shape(struct px_json *json, struct tensor *t, struct px_err *err)
{
    t->n_dims = 0;
    px_json_enter_array(json);
    while (px_json_next_element(json)) {
        int64_t dim = px_json_i64(json);
        if (dim < 0)
            px_json_fail(json, "expected a dimension >= 0, got %lld", (long long)dim);
        if (t->n_dims == DIMS_MAX)
            px_json_fail(json, "expected at most %d dimensions", DIMS_MAX);
        if (px_json_failed(json))
            break;
        t->shape[t->n_dims++] = (uint64_t)dim;
    }
    return px_json_check(json, err);
}

static enum px_code read_datatype(struct px_json *json, struct tensor *t, struct px_err *err)
{
    t->type_name = px_json_str(json);
    enum px_code code = px_json_check(json, err);
    if (code != PX_OK)
        return code;
    t->type = px_datatype_from_name(t->type_name);
    if (t->type == PX_TYPE_NONE)
        return px_err_set(err, PX_E_INVALID,
                          "unknown datatype '%.*s'; expected FP32, FP64, INT64, BOOL, BYTES, ...",
                          PX_STR_ARG(t->type_name));
    return PX_OK;
}

static unsigned member_bit(struct px_str key)
{
    if (px_str_is(key, "name"))
        return SEEN_NAME;
    if (px_str_is(key, "shape"))
        return SEEN_SHAPE;
    if (px_str_is(key, "datatype"))
        return SEEN_DATATYPE;
    if (px_str_is(key, "data"))
        return SEEN_DATA;
    return px_str_is(key, "parameters") ? SEEN_PARAMETERS : 0;
}

static enum px_code read_member(struct inputs *in, struct px_json *json, struct tensor *t,
                                unsigned bit)
{
    if (bit == SEEN_SHAPE)
        return read_shape(json, t, in->err);
    if (bit == SEEN_DATATYPE)
        return read_datatype(json, t, in->err);
    if (bit == SEEN_PARAMETERS)
        return px_v2_read_parameters(json, input_refusals, in->err);
    if (bit == SEEN_DATA && (t->seen & NEEDED_FOR_DATA) == NEEDED_FOR_DATA)
        return read_data(in, json, t);
    if (bit == SEEN_DATA)
        t->data = px_json_raw(json);
    else if (bit == SEEN_NAME)
        t->name = px_json_str(json);
    else
        px_json_skip(json);
    return px_json_check(json, in->err);
}

static enum px_code read_late_data(struct inputs *in, const struct tensor *t)
{
    struct px_json json;
    px_json_init(&json, t->data, in->infer->exchange->arena, PX_JSON_NONFINITE);
    return read_data(in, &json, t);
}

static enum px_code check_members(const struct inputs *in, const struct tensor *t)
{
    static const struct {
        unsigned bit;
        const char *name;
    } needed[] = {{SEEN_NAME, "name"},
                  {SEEN_SHAPE, "shape"},
                  {SEEN_DATATYPE, "datatype"},
                  {SEEN_DATA, "data"}};
    for (size_t i = 0; i < PX_ARRAY_LEN(needed); i++) {
        if (!(t->seen & needed[i].bit))
            return px_err_set(in->err, PX_E_INVALID, "input %zu ('%.*s') has no '%s'", in->n_read,
                              PX_STR_ARG(t->name), needed[i].name);
    }
    return PX_OK;
}

static enum px_code read_tensor(struct inputs *in, struct px_json *json)
{
    struct tensor t = {0};
    struct px_str key;
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        unsigned bit = member_bit(key);
        if (t.seen & bit)
            px_json_fail(json, "member '%.*s' is repeated", PX_STR_ARG(key));
        enum px_code code = read_member(in, json, &t, bit);
        if (code != PX_OK)
            return code;
        t.seen |= bit;
    }
    enum px_code code = px_json_check(json, in->err);
    if (code == PX_OK)
        code = check_members(in, &t);
    if (code == PX_OK && t.data.ptr)
        code = read_late_data(in, &t);
    in->n_read++;
    return code;
}

enum px_code px_v2_read_inputs(struct px_infer *infer, struct px_json *json)
{
    struct px_call *call = &infer->call;
    const struct px_signature *signature = call->model->signature;
    struct inputs in = {.infer = infer, .signature = signature, .err = &call->err};
    in.is_given = px_arena_zalloc(call->arena, signature->n_features / 64 + 1, sizeof(uint64_t));
    if (!in.is_given)
        return px_arena_check(call->arena, "the request", in.err);
    px_json_enter_array(json);
    while (px_json_next_element(json)) {
        enum px_code code = read_tensor(&in, json);
        if (code != PX_OK)
            return code;
    }
    enum px_code code = px_json_check(json, in.err);
    if (code == PX_OK && in.n_read == 0)
        code = px_err_set(in.err, PX_E_INVALID, "'inputs' is empty");
    return code;
}
