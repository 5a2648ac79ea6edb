/* SPDX-License-Identifier: Apache-2.0 */
/*
 * V1 JSON bodies: {"instances": [{"age": 58, ...} | [58, ...], ...], "output": "labels"}.
 *
 * Clients repeat the same keys in the same order, row after row, and usually in the signature's order; so
 * each key is first compared with the feature after the last one and looked up only when that fails.
 * Unknown keys are errors, at the top as in an instance: a misspelt feature would silently be missing.
 */
#include "interfaces/rest/v1.h"

#include <math.h>

struct instances {
    struct px_infer *infer;
    const struct px_signature *signature;
    struct px_json json;
    struct px_row_growth growth;
    uint64_t *is_given; /* bit per feature of the current object */
    struct px_err *err;
};

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

static enum px_code read_text(struct instances *in, const struct px_feature *feature, double *ret)
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

/* The next value as the number that the model takes for this feature. */
static enum px_code read_value(struct instances *in, const struct px_feature *feature, double *ret)
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
        return refuse_type(feature, "an object", in->err);
    case PX_JSON_NONE:
        break;
    }
    px_json_skip(json); /* at the end of the text: let the reader say what is wrong */
    return px_json_check(json, in->err);
}

static enum px_code set_value(struct instances *in, size_t row, size_t feature)
{
    double value;
    enum px_code code = read_value(in, &in->signature->features[feature], &value);
    if (code == PX_OK)
        px_matrix_set(&in->infer->call.rows, row, feature, value);
    return code;
}

static enum px_code read_object(struct instances *in, size_t row)
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
        if (feature < 0)
            return px_signature_unknown(s, key, in->err);
        uint64_t *word = &in->is_given[feature / 64], bit = 1ull << (feature % 64);
        if (*word & bit)
            return px_err_set(in->err, PX_E_INVALID, "feature '%.*s' is given twice",
                              PX_STR_ARG(key));
        *word |= bit;
        enum px_code code = set_value(in, row, (size_t)feature);
        if (code != PX_OK)
            return code;
        expected = (size_t)feature + 1;
    }
    return px_json_check(&in->json, in->err);
}

static enum px_code read_array(struct instances *in, size_t row)
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

static enum px_code read_instance(struct instances *in, size_t row)
{
    enum px_json_type type = px_json_peek(&in->json);
    enum px_code code;
    if (type == PX_JSON_OBJECT)
        code = read_object(in, row);
    else if (type == PX_JSON_ARRAY)
        code = read_array(in, row);
    else if (type == PX_JSON_NONE)
        return read_value(in, &in->signature->features[0], &(double){0});
    else
        code = px_err_set(in->err, PX_E_INVALID,
                          "expected an object {feature: value, ...} or an array of %zu values",
                          in->signature->n_features);
    if (code != PX_OK)
        px_err_wrap(in->err, "instance %zu", row);
    return code;
}

static enum px_code read_instances(struct instances *in)
{
    struct px_json *json = &in->json;
    if (!px_json_enter_array(json))
        return px_json_check(json, in->err);
    const char *first = json->at;
    while (px_json_next_element(json)) {
        size_t row;
        enum px_code code = px_rows_add(&in->growth, (size_t)(json->at - first),
                                        (size_t)(json->end - json->at), &row);
        if (code == PX_OK)
            code = read_instance(in, row);
        if (code != PX_OK)
            return code;
    }
    enum px_code code = px_json_check(json, in->err);
    return code == PX_OK ? px_rows_end(&in->growth) : code;
}

static enum px_code refuse_key(struct instances *in, struct px_str key)
{
    static const struct px_str known[] = {PX_STR("instances"), PX_STR("output"),
                                          PX_STR("signature_name")};
    px_err_set(in->err, PX_E_INVALID, "unknown member '%.*s'", PX_STR_ARG(key));
    if (px_err_suggest(in->err, key, known, PX_ARRAY_LEN(known)))
        return PX_E_INVALID;
    return px_err_hint(in->err, "the body is {\"instances\": [...], \"output\": "
                                "\"scores|labels|margins\"}");
}

/* TensorFlow Serving's clients name the signature; there is one. */
static enum px_code read_signature_name(struct instances *in)
{
    struct px_str name = px_json_str(&in->json);
    if (!px_json_failed(&in->json) && !px_str_is(name, "serving_default"))
        return px_err_set(in->err, PX_E_INVALID,
                          "signature_name: expected 'serving_default', got '%.*s'",
                          PX_STR_ARG(name));
    return px_json_check(&in->json, in->err);
}

static enum px_code read_output(struct instances *in)
{
    struct px_str name = px_json_str(&in->json);
    enum px_code code = px_json_check(&in->json, in->err);
    return code == PX_OK ? px_v1_select_output(in->infer, name) : code;
}

static enum px_code read_body(struct instances *in)
{
    struct px_str key;
    bool seen = false;
    px_json_enter_object(&in->json);
    while (px_json_next_key(&in->json, &key)) {
        enum px_code code;
        if (px_str_is(key, "instances")) {
            if (seen)
                return px_err_set(in->err, PX_E_INVALID, "member 'instances' is repeated");
            seen = true;
            code = read_instances(in);
        } else if (px_str_is(key, "output")) {
            code = read_output(in);
        } else if (px_str_is(key, "signature_name")) {
            code = read_signature_name(in);
        } else {
            code = refuse_key(in, key);
        }
        if (code != PX_OK)
            return code;
    }
    enum px_code code = px_json_finish(&in->json, in->err);
    if (code == PX_OK && !seen)
        code = px_err_set(in->err, PX_E_INVALID, "the request has no 'instances'");
    return code;
}

enum px_code px_v1_read_json(struct px_infer *infer)
{
    struct px_call *call = &infer->call;
    const struct px_signature *signature = call->model->signature;
    struct instances in = {
        .infer = infer, .signature = signature, .growth.infer = infer, .err = &call->err};
    in.is_given = px_arena_alloc(call->arena, signature->n_features / 64 + 1, sizeof(uint64_t));
    if (!in.is_given)
        return px_arena_check(call->arena, "the request", in.err);
    px_json_init(&in.json, px_rest_exchange(infer)->request.body, call->arena, PX_JSON_NONFINITE);
    return read_body(&in);
}
