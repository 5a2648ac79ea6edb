/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v2/models/M/infer: the request object, its parameters and the outputs that it asks for.
 *
 * Members may come in any order, unknown ones are passed over as Triton does, a repeated one is refused
 * because it would make the request mean two things. What the server cannot do (binary tensors, shared
 * memory, compression) is refused by name: a client that asked for it must not get something else.
 */
#include "interfaces/rest/reply.h"
#include "interfaces/rest/v2.h"

enum { SEEN_ID = 1, SEEN_PARAMETERS = 2, SEEN_INPUTS = 4, SEEN_OUTPUTS = 8 };

static const struct px_v2_refusal request_refusals[] = {
    {"binary_data_output", "binary tensors are not supported; ask for JSON (binary_data=False)"},
    {"headers", "the name is reserved"},
    {NULL, NULL},
};

static const struct px_v2_refusal output_refusals[] = {
    {"binary_data", "binary tensors are not supported; ask for JSON (binary_data=False)"},
    {"classification", "the classification extension is not supported; ask for output 'labels'"},
    {"shared_memory_region", "shared memory is not supported"},
    {NULL, NULL},
};

static bool is_number_parameter(struct px_str key)
{
    return px_str_is(key, "priority") || px_str_is(key, "timeout");
}

static bool is_bool_parameter(struct px_str key)
{
    return px_str_is(key, "sequence_start") || px_str_is(key, "sequence_end") ||
           px_str_is(key, "binary_data_output") || px_str_is(key, "binary_data");
}

/* One value; true when it is something other than false. */
static bool read_parameter(struct px_json *json, struct px_str key)
{
    enum px_json_type type = px_json_peek(json);
    if (is_bool_parameter(key))
        return px_json_bool(json);
    if (is_number_parameter(key)) {
        (void)px_json_u64(json);
        return true;
    }
    if (type == PX_JSON_BOOL)
        return px_json_bool(json);
    if (type == PX_JSON_STRING || type == PX_JSON_NUMBER)
        px_json_skip(json);
    else
        px_json_fail(json, "expected text, a number or a boolean for parameter '%.*s'",
                     PX_STR_ARG(key));
    return true;
}

static const struct px_v2_refusal *find_refusal(const struct px_v2_refusal *refused,
                                                struct px_str key)
{
    for (; refused->name; refused++) {
        if (px_str_is(key, refused->name))
            return refused;
    }
    return NULL;
}

enum px_code px_v2_read_parameters(struct px_json *json, const struct px_v2_refusal *refused,
                                   struct px_err *err)
{
    struct px_str key;
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        if (px_str_starts(key, "triton_"))
            return px_err_set(err, PX_E_INVALID,
                              "parameter '%.*s': names that start with 'triton_' are reserved",
                              PX_STR_ARG(key));
        bool set = read_parameter(json, key);
        const struct px_v2_refusal *refusal = find_refusal(refused, key);
        if (set && refusal && !px_json_failed(json))
            return px_err_set(err, PX_E_UNSUPPORTED, "parameter '%.*s': %s", PX_STR_ARG(key),
                              refusal->reason);
    }
    return px_json_check(json, err);
}

static enum px_code read_output(struct px_infer *infer, struct px_json *json)
{
    struct px_str key, name = {0};
    bool named = false;
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        if (px_str_is(key, "name")) {
            if (named)
                px_json_fail(json, "member 'name' is repeated");
            name = px_json_str(json);
            named = true;
        } else if (px_str_is(key, "parameters")) {
            enum px_code code = px_v2_read_parameters(json, output_refusals, &infer->call.err);
            if (code != PX_OK)
                return code;
        } else {
            px_json_skip(json);
        }
    }
    enum px_code code = px_json_check(json, &infer->call.err);
    if (code != PX_OK)
        return code;
    if (!named)
        return px_err_set(&infer->call.err, PX_E_INVALID, "an output without 'name'");
    return px_infer_add_output(infer, name);
}

static enum px_code read_outputs(struct px_infer *infer, struct px_json *json)
{
    px_json_enter_array(json);
    while (px_json_next_element(json)) {
        enum px_code code = read_output(infer, json);
        if (code != PX_OK)
            return code;
    }
    return px_json_check(json, &infer->call.err);
}

static unsigned member_bit(struct px_str key)
{
    if (px_str_is(key, "inputs"))
        return SEEN_INPUTS;
    if (px_str_is(key, "outputs"))
        return SEEN_OUTPUTS;
    if (px_str_is(key, "id"))
        return SEEN_ID;
    return px_str_is(key, "parameters") ? SEEN_PARAMETERS : 0;
}

static enum px_code read_member(struct px_infer *infer, struct px_json *json, unsigned bit)
{
    if (bit == SEEN_INPUTS)
        return px_v2_read_inputs(infer, json);
    if (bit == SEEN_OUTPUTS)
        return read_outputs(infer, json);
    if (bit == SEEN_PARAMETERS)
        return px_v2_read_parameters(json, request_refusals, &infer->call.err);
    if (bit == SEEN_ID)
        infer->id = px_json_str(json);
    else
        px_json_skip(json);
    return px_json_check(json, &infer->call.err);
}

static enum px_code read_request(struct px_infer *infer)
{
    struct px_err *err = &infer->call.err;
    struct px_json json;
    struct px_str key;
    unsigned seen = 0;
    px_json_init(&json, px_rest_exchange(infer)->request.body, px_rest_exchange(infer)->arena,
                 PX_JSON_NONFINITE);
    px_json_enter_object(&json);
    while (px_json_next_key(&json, &key)) {
        unsigned bit = member_bit(key);
        if (seen & bit)
            px_json_fail(&json, "member '%.*s' is repeated", PX_STR_ARG(key));
        seen |= bit;
        enum px_code code = read_member(infer, &json, bit);
        if (code != PX_OK)
            return code;
    }
    enum px_code code = px_json_finish(&json, err);
    if (code == PX_OK && !(seen & SEEN_INPUTS))
        code = px_err_set(err, PX_E_INVALID, "the request has no 'inputs'");
    return code;
}

/* The C++ client names the length of the JSON part even when that is the whole body. */
static enum px_code check_headers(struct px_infer *infer)
{
    struct px_err *err = &infer->call.err;
    const struct px_http_request *request = &px_rest_exchange(infer)->request;
    struct px_str length = px_http_header(request, "Inference-Header-Content-Length");
    uint64_t n = request->body.len;
    enum px_code code = px_check_encoding(px_rest_exchange(infer), PX_E_UNSUPPORTED, err);
    if (code != PX_OK || !length.ptr)
        return code;
    if (!px_str_to_u64(px_str_trim(length), &n) || n > request->body.len)
        return px_err_set(err, PX_E_INVALID,
                          "Inference-Header-Content-Length: expected a number from 0 to the body's "
                          "length %zu, got '%.*s'",
                          request->body.len, PX_STR_ARG(length));
    if (n == request->body.len)
        return PX_OK;
    px_err_set(err, PX_E_UNSUPPORTED, "binary tensors are not supported");
    return px_err_hint(err, "send the tensors as JSON: set_data_from_numpy(x, binary_data=False)");
}

void px_handle_v2_infer(struct px_rest_request *request)
{
    struct px_infer *infer = px_rest_infer_open(request, px_v2_reply);
    if (!infer)
        return;
    enum px_code code = check_headers(infer);
    if (code == PX_OK)
        code = read_request(infer);
    if (code == PX_OK)
        px_infer_submit(infer);
    else
        px_infer_fail(infer);
}
