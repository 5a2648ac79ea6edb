/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input tensors of Open Inference, read into the call's row matrix.
 *
 * The usual tensor names its shape and datatype before its data, and is then read in one pass straight
 * into the matrix; when "data" comes first its text is kept and read once the rest is known.
 *
 * The values of a tensor are in "data", in the bytes that follow the JSON (binary_data_size) or in shared memory, and
 * in one of them only.
 *
 * A value means its datatype: 0.1 in an FP32 tensor is the float nearest to 0.1, in an FP64 tensor the
 * double, whatever the model's own type is; integers are checked against the datatype's range.
 */
#include "application/serving/model_config.h"
#include "interfaces/rest/v2/v2.h"

enum {
    SEEN_NAME = 1,
    SEEN_SHAPE = 2,
    SEEN_DATATYPE = 4,
    SEEN_DATA = 8,
    SEEN_PARAMETERS = 16,
    NEEDED_FOR_DATA = SEEN_NAME | SEEN_SHAPE | SEEN_DATATYPE,
};

/* One object of "inputs" while it is read. */
struct reading {
    struct px_tensor tensor;
    struct px_parameters parameters;
    struct px_str data; /* its text, when it came before what is needed to read it */
    unsigned seen;
};

/* All of "inputs". */
struct inputs {
    struct px_inputs to;
    struct px_v2_request *request;
    size_t n_read;
    struct px_err *err;
};

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

static enum px_code read_elements(struct px_json *json, struct px_values *values)
{
    unsigned depth = 1;
    if (!px_json_enter_array(json))
        return PX_OK;
    while (next_value(json, &depth)) {
        if (values->n == values->n_total)
            px_json_fail(json, "expected no more than %zu values", values->n);
        enum px_code code = px_v2_read_element(values, json);
        if (code != PX_OK)
            return code;
    }
    return PX_OK;
}

/* Everything but the data is known and `json` stands at it. */
static enum px_code read_data(struct inputs *in, struct px_json *json,
                              const struct px_tensor *tensor)
{
    struct px_values values;
    size_t n_max = (size_t)(json->end - json->at) / PX_JSON_BYTES_PER_VALUE;
    enum px_code code = px_inputs_open(&in->to, tensor, n_max, &values);
    if (code != PX_OK)
        return code;
    if (values.floats)
        px_values_advance(&values, px_json_f32_array(json, values.floats, values.n_total, true));
    else if (values.doubles)
        px_values_advance(&values, px_json_f64_array(json, values.doubles, values.n_total, true));
    else
        code = read_elements(json, &values);
    if (code != PX_OK)
        return code;
    code = px_json_check(json, in->err);
    if (code != PX_OK)
        return px_err_wrap(in->err, "input '%.*s'", PX_STR_ARG(tensor->name));
    return px_values_end(&values);
}

/* ---- the tensor object ---- */

static enum px_code read_shape(struct px_json *json, struct px_tensor *t, struct px_err *err)
{
    t->n_dims = 0;
    px_json_enter_array(json);
    while (px_json_next_element(json)) {
        int64_t dim = px_json_i64(json);
        if (dim < 0)
            px_json_fail(json, "expected a dimension >= 0, got %lld", (long long)dim);
        if (t->n_dims == PX_TENSOR_DIMS_MAX)
            px_json_fail(json, "expected at most %d dimensions", PX_TENSOR_DIMS_MAX);
        if (px_json_failed(json))
            break;
        t->shape[t->n_dims++] = (uint64_t)dim;
    }
    return px_json_check(json, err);
}

static enum px_code read_datatype(struct px_json *json, struct px_tensor *t, struct px_err *err)
{
    struct px_str name = px_json_str(json);
    enum px_code code = px_json_check(json, err);
    if (code != PX_OK)
        return code;
    return px_tensor_read_type(name, &t->type, err);
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

static enum px_code read_member(struct inputs *in, struct px_json *json, struct reading *t,
                                unsigned bit)
{
    if (bit == SEEN_SHAPE)
        return read_shape(json, &t->tensor, in->err);
    if (bit == SEEN_DATATYPE)
        return read_datatype(json, &t->tensor, in->err);
    if (bit == SEEN_PARAMETERS)
        return px_v2_read_parameters(json, PX_PARAMETER_OF_INPUT, &t->parameters, in->err);
    if (bit == SEEN_DATA && (t->seen & NEEDED_FOR_DATA) == NEEDED_FOR_DATA)
        return read_data(in, json, &t->tensor);
    if (bit == SEEN_DATA)
        t->data = px_json_raw(json);
    else if (bit == SEEN_NAME)
        t->tensor.name = px_json_str(json);
    else
        px_json_skip(json);
    return px_json_check(json, in->err);
}

static enum px_code read_late_data(struct inputs *in, const struct reading *t)
{
    struct px_json json;
    px_json_init(&json, t->data, in->request->infer->call.arena, PX_JSON_NONFINITE);
    return read_data(in, &json, &t->tensor);
}

/* Takes the tensor's part of the bytes behind the JSON. */
static enum px_code read_binary(struct inputs *in, struct reading *t)
{
    struct px_str *binary = &in->request->binary;
    uint64_t size = t->parameters.binary_size;
    if (size > binary->len)
        return px_err_set(in->err, PX_E_INVALID,
                          "unexpected size for input '%.*s': its binary_data_size is %llu, and %zu "
                          "bytes are left behind the JSON",
                          PX_STR_ARG(t->tensor.name), (unsigned long long)size, binary->len);
    t->tensor.bytes = px_str_n(binary->ptr, (size_t)size);
    *binary = px_str_n(binary->ptr + size, binary->len - (size_t)size);
    return px_inputs_add(&in->to, &t->tensor);
}

static enum px_code read_shared(struct inputs *in, struct reading *t)
{
    struct px_infer *infer = in->request->infer;
    enum px_code code = px_v2_guard_region(infer);
    if (code == PX_OK)
        code = px_region_read(infer, &t->parameters.region, &t->tensor.bytes);
    if (code == PX_OK)
        return px_inputs_add(&in->to, &t->tensor);
    return px_err_wrap(in->err, "input '%.*s'", PX_STR_ARG(t->tensor.name));
}

static enum px_code check_members(const struct inputs *in, const struct reading *t)
{
    static const struct {
        unsigned bit;
        const char *name;
    } needed[] = {{SEEN_NAME, "name"},
                  {SEEN_SHAPE, "shape"},
                  {SEEN_DATATYPE, "datatype"},
                  {SEEN_DATA, "data"}};
    bool binary = px_parameters_has(&t->parameters, PX_PARAMETER_BINARY_SIZE),
         shared = px_parameters_has(&t->parameters, PX_PARAMETER_REGION);
    unsigned seen = t->seen | (binary || shared ? SEEN_DATA : 0);
    for (size_t i = 0; i < PX_ARRAY_LEN(needed); i++) {
        if (!(seen & needed[i].bit))
            return px_err_set(in->err, PX_E_INVALID, "input %zu ('%.*s') has no '%s'", in->n_read,
                              PX_STR_ARG(t->tensor.name), needed[i].name);
    }
    if (((t->seen & SEEN_DATA) != 0) + binary + shared > 1)
        return px_err_set(in->err, PX_E_INVALID,
                          "input '%.*s': expected one of 'data', 'binary_data_size' and "
                          "'shared_memory_region', got several",
                          PX_STR_ARG(t->tensor.name));
    return PX_OK;
}

/* Values that were not read on the way. */
static enum px_code read_rest(struct inputs *in, struct reading *t)
{
    if (px_parameters_has(&t->parameters, PX_PARAMETER_BINARY_SIZE))
        return read_binary(in, t);
    if (px_parameters_has(&t->parameters, PX_PARAMETER_REGION))
        return read_shared(in, t);
    return t->data.ptr ? read_late_data(in, t) : PX_OK;
}

static enum px_code read_tensor(struct inputs *in, struct px_json *json)
{
    struct reading t = {0};
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
    if (code == PX_OK)
        code = read_rest(in, &t);
    in->n_read++;
    return code;
}

enum px_code px_v2_read_inputs(struct px_v2_request *request)
{
    struct inputs in = {.request = request, .err = &request->infer->call.err};
    enum px_code code = px_inputs_begin(&in.to, request->infer);
    if (code != PX_OK)
        return code;
    px_json_enter_array(&request->json);
    while (px_json_next_element(&request->json)) {
        code = read_tensor(&in, &request->json);
        if (code != PX_OK)
            return code;
    }
    code = px_json_check(&request->json, in.err);
    return code == PX_OK ? px_inputs_end(&in.to) : code;
}

/* ---- a body without JSON ---- */

/* A text stands alone, without its length; [1] is its shape. */
static enum px_code read_raw_text(struct px_inputs *in, struct px_str body)
{
    struct px_values values;
    const struct px_tensor tensor = {
        .name = in->signature->features[0].name, .type = PX_TYPE_BYTES, .shape = {1}, .n_dims = 1};
    if (!px_str_is_utf8(body))
        return px_err_set(in->err, PX_E_INVALID, "the body is not valid UTF-8");
    enum px_code code = px_inputs_open(in, &tensor, 1, &values);
    return code == PX_OK ? px_values_put_text(&values, body) : code;
}

static enum px_code read_raw_rows(struct px_inputs *in, struct px_str body)
{
    enum px_datatype type = in->infer->call.model->engine->feature_type;
    size_t n_cols = in->signature->n_features, row_bytes = n_cols * px_datatype_size(type);
    if (body.len % row_bytes != 0)
        return px_err_set(in->err, PX_E_INVALID,
                          "unexpected size for input '" PX_MODEL_INPUT_NAME
                          "': expected a multiple of "
                          "%zu bytes for shape [-1,%zu] of %s, got %zu",
                          row_bytes, n_cols, px_datatype_name(type), body.len);
    const struct px_tensor tensor = {.name = px_str(PX_MODEL_INPUT_NAME),
                                     .type = type,
                                     .shape = {body.len / row_bytes, n_cols},
                                     .n_dims = 2,
                                     .bytes = body};
    return px_inputs_add(in, &tensor);
}

enum px_code px_v2_read_raw(struct px_infer *infer, struct px_str body)
{
    struct px_inputs in;
    const struct px_signature *signature = infer->call.model->signature;
    enum px_code code = px_inputs_begin(&in, infer);
    if (code != PX_OK)
        return code;
    if (!px_model_is_by_columns(signature))
        return read_raw_rows(&in, body);
    if (signature->n_features == 1)
        return read_raw_text(&in, body);
    return px_err_set(in.err, PX_E_INVALID,
                      "a body without JSON (" PX_V2_LENGTH_HEADER ": 0) is for models with one "
                      "input; model '%.*s' has %zu",
                      PX_STR_ARG(infer->call.model->name), signature->n_features);
}
