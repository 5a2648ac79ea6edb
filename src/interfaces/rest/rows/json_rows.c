/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows as JSON values: an object {"age": 58, ...} or an array [58, ...] each.
 *
 * Clients repeat the same keys in the same order, row after row, and usually in the signature's order; so
 * each key is first compared with the feature after the last one and looked up only when that fails.
 * Unknown keys are errors unless the dialect is known to send tables: a misspelt feature would silently be missing.
 */
#include "interfaces/rest/rows/rows.h"
#include "shared/base64.h"

#include <math.h>

static enum px_code refuse_type(const struct px_feature *feature, const char *got,
                                struct px_err *err)
{
    static const char *const expected[] = {
        [PX_FEATURE_NUMBER] = "a number",
        [PX_FEATURE_CATEGORY] = "a category's name",
        [PX_FEATURE_BOOLEAN] = "true or false",
        [PX_FEATURE_DATETIME] = "an ISO 8601 date-time as text",
    };
    return px_err_set(err, PX_E_INVALID, "feature '%.*s': expected %s or null, got %s",
                      PX_STR_ARG(feature->name), expected[feature->kind], got);
}

static enum px_code read_text(struct px_json_rows *in, const struct px_feature *feature,
                              double *ret)
{
    char got[96];
    struct px_str text = px_json_str(&in->json);
    if (px_json_failed(&in->json))
        return px_json_check(&in->json, in->err);
    if (feature->kind != PX_FEATURE_NUMBER)
        return px_infer_encode_text(in->infer, feature, text, ret);
    snprintf(got, sizeof got, "the text \"%.*s\"", text.len < 64 ? (int)text.len : 64, text.ptr);
    (void)refuse_type(feature, got, in->err);
    return px_err_hint(in->err, "send numbers without quotes, and null for a missing value");
}

/* {"b64": "..."}: TensorFlow Serving's clients send texts so, since to TensorFlow they are bytes. */
static enum px_code read_base64(struct px_json_rows *in, const struct px_feature *feature,
                                double *ret)
{
    struct px_json *json = &in->json;
    struct px_str key, coded = {0};
    size_t n_members = 0, len = 0;
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        if (n_members++ || !px_str_is(key, "b64"))
            return refuse_type(feature, "an object", in->err);
        coded = px_json_str(json);
    }
    enum px_code code = px_json_check(json, in->err);
    if (code == PX_OK && (!coded.ptr || feature->kind == PX_FEATURE_NUMBER))
        code = refuse_type(feature, coded.ptr ? "bytes" : "an object", in->err);
    if (code != PX_OK)
        return code;
    char *text = px_arena_alloc(in->infer->call.arena, px_base64_decoded_max(coded.len), 1);
    if (!text)
        return px_arena_check(in->infer->call.arena, "the request", in->err);
    code = px_base64_decode(coded, text, &len, in->err);
    if (code != PX_OK)
        return px_err_wrap(in->err, "feature '%.*s'", PX_STR_ARG(feature->name));
    if (!px_str_is_utf8(px_str_n(text, len)))
        return refuse_type(feature, "bytes that are no UTF-8", in->err);
    return px_infer_encode_text(in->infer, feature, px_str_n(text, len), ret);
}

static enum px_code read_scalar(struct px_json_rows *in, const struct px_feature *feature,
                                double *ret)
{
    struct px_json *json = &in->json;
    double number;
    bool flag;
    switch (px_json_peek(json)) {
    case PX_JSON_NUMBER:
        number = px_json_f64(json);
        return px_infer_encode_number(in->infer, feature, number, ret);
    case PX_JSON_NULL:
        *ret = px_json_null(json) ? (double)NAN : 0;
        return PX_OK;
    case PX_JSON_STRING:
        return read_text(in, feature, ret);
    case PX_JSON_BOOL:
        flag = px_json_bool(json);
        return px_feature_encode_bool(feature, flag, ret, in->err);
    case PX_JSON_ARRAY:
        return refuse_type(feature, "an array", in->err);
    case PX_JSON_OBJECT:
        return read_base64(in, feature, ret);
    case PX_JSON_NONE:
        break;
    }
    px_json_skip(json); /* at the end of the text: let the reader say what is wrong */
    return px_json_check(json, in->err);
}

/* A feature of shape [1], as TensorFlow's and MLflow's clients send it. */
static enum px_code read_wrapped(struct px_json_rows *in, const struct px_feature *feature,
                                 double *ret)
{
    struct px_json *json = &in->json;
    size_t n = 0;
    px_json_enter_array(json);
    while (px_json_next_element(json)) {
        enum px_code code =
            n++ ? refuse_type(feature, "several values", in->err) : read_scalar(in, feature, ret);
        if (code != PX_OK)
            return code;
    }
    enum px_code code = px_json_check(json, in->err);
    return code == PX_OK && n == 0 ? refuse_type(feature, "an empty array", in->err) : code;
}

enum px_code px_json_rows_value(struct px_json_rows *in, size_t feature, double *ret)
{
    const struct px_feature *which = &in->signature->features[feature];
    if (px_json_peek(&in->json) == PX_JSON_ARRAY)
        return read_wrapped(in, which, ret);
    return read_scalar(in, which, ret);
}

static enum px_code set_value(struct px_json_rows *in, size_t row, size_t feature)
{
    double value;
    enum px_code code = px_json_rows_value(in, feature, &value);
    if (code == PX_OK)
        px_matrix_set(&in->infer->call.rows, row, feature, value);
    return code;
}

static enum px_code read_array(struct px_json_rows *in, size_t row)
{
    size_t n = in->signature->n_features, i = 0;
    px_json_enter_array(&in->json);
    while (px_json_next_element(&in->json)) {
        if (i == n)
            return px_err_set(in->err, PX_E_INVALID, "expected %zu values, got more", n);
        enum px_code code = set_value(in, row, i++);
        if (code != PX_OK)
            return code;
    }
    enum px_code code = px_json_check(&in->json, in->err);
    if (code == PX_OK && i != n)
        code = px_err_set(in->err, PX_E_INVALID, "expected %zu values, got %zu", n, i);
    return code;
}

static enum px_code read_member(struct px_json_rows *in, size_t row, size_t feature)
{
    uint64_t *word = &in->is_given[feature / 64], bit = 1ull << (feature % 64);
    if (*word & bit)
        return px_err_set(in->err, PX_E_INVALID, "feature '%.*s' is given twice",
                          PX_STR_ARG(in->signature->features[feature].name));
    *word |= bit;
    return set_value(in, row, feature);
}

static enum px_code read_unknown(struct px_json_rows *in, size_t row, struct px_str key)
{
    if (in->row_key && px_str_is(key, in->row_key) && px_json_peek(&in->json) == PX_JSON_ARRAY) {
        in->met_row_key = true;
        return read_array(in, row);
    }
    if (!in->skips_unknown)
        return px_signature_unknown(in->signature, key, in->err);
    px_json_skip(&in->json);
    return px_json_check(&in->json, in->err);
}

static enum px_code read_object(struct px_json_rows *in, size_t row)
{
    const struct px_signature *s = in->signature;
    size_t n_words = s->n_features / 64 + 1, expected = 0;
    struct px_str key;
    memset(in->is_given, 0, n_words * sizeof *in->is_given);
    px_json_enter_object(&in->json);
    while (px_json_next_key(&in->json, &key)) {
        long feature = (long)expected;
        if (expected >= s->n_features || !px_str_eq(key, s->features[expected].name))
            feature = px_signature_find(s, key);
        enum px_code code =
            feature < 0 ? read_unknown(in, row, key) : read_member(in, row, (size_t)feature);
        if (code != PX_OK)
            return code;
        expected = feature < 0 ? expected : (size_t)feature + 1;
    }
    for (size_t i = 0; i < n_words; i++)
        in->is_ever[i] |= in->is_given[i];
    return px_json_check(&in->json, in->err);
}

static enum px_code read_row(struct px_json_rows *in, size_t row)
{
    enum px_json_type type = px_json_peek(&in->json);
    if (type == PX_JSON_OBJECT)
        return read_object(in, row);
    if (type == PX_JSON_ARRAY)
        return read_array(in, row);
    if (type == PX_JSON_NONE || in->signature->n_features == 1)
        return set_value(in, row, 0); /* of one feature the value alone is a row */
    return px_err_set(in->err, PX_E_INVALID,
                      "expected an object {feature: value, ...} or an array of %zu values",
                      in->signature->n_features);
}

enum px_code px_json_rows_line(struct px_json_rows *in, size_t used, size_t left)
{
    size_t row;
    enum px_code code = px_rows_add(&in->growth, used, left, &row);
    return code == PX_OK ? read_row(in, row) : code;
}

enum px_code px_json_rows_instance(struct px_json_rows *in, size_t used, size_t left)
{
    size_t row = in->growth.n;
    bool is_end = px_json_peek(&in->json) == PX_JSON_NONE;
    enum px_code code = px_json_rows_line(in, used, left);
    if (code != PX_OK && !is_end && in->growth.n > row)
        px_err_wrap(in->err, "instance %zu", row);
    return code;
}

enum px_code px_json_rows_instances(struct px_json_rows *in)
{
    if (px_infer_has_run(in->infer))
        return px_json_tensors_instances(in);
    struct px_json *json = &in->json;
    if (!px_json_enter_array(json))
        return px_json_check(json, in->err);
    const char *first = json->at;
    while (px_json_next_element(json)) {
        enum px_code code =
            px_json_rows_instance(in, (size_t)(json->at - first), (size_t)(json->end - json->at));
        if (code != PX_OK)
            return code;
    }
    enum px_code code = px_json_check(json, in->err);
    return code == PX_OK ? px_rows_end(&in->growth) : code;
}

enum px_code px_json_rows_init(struct px_json_rows *in, struct px_infer *infer, struct px_str text)
{
    struct px_call *call = &infer->call;
    const struct px_signature *signature = call->model->signature;
    size_t n_words = signature->n_features / 64 + 1;
    *in = (struct px_json_rows){
        .infer = infer, .signature = signature, .growth.infer = infer, .err = &call->err};
    in->is_given = px_arena_alloc(call->arena, n_words, sizeof(uint64_t));
    in->is_ever = px_arena_zalloc(call->arena, n_words, sizeof(uint64_t));
    if (!in->is_given || !in->is_ever)
        return px_arena_check(call->arena, "the request", in->err);
    px_json_init(&in->json, text, call->arena, PX_JSON_NONFINITE);
    return PX_OK;
}
