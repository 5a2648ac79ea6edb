/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v2/models/M/infer: the request object and the outputs that it asks for.
 *
 * Members may come in any order, unknown ones are passed over as Triton does, a repeated one is refused
 * because it would make the request mean two things. The form of outputs that do not say it is the request's, which is
 * known only at the end, because the parameters may follow the outputs: reply.c looks at both.
 */
#include "interfaces/rest/guard.h"
#include "interfaces/rest/reply.h"
#include "interfaces/rest/v2/v2.h"

enum { SEEN_ID = 1, SEEN_PARAMETERS = 2, SEEN_INPUTS = 4, SEEN_OUTPUTS = 8 };

enum px_code px_v2_guard_region(struct px_infer *infer)
{
    return px_guard_check(px_rest_infer(infer)->rest, &px_rest_exchange(infer)->request,
                          PX_CONTROLS_MEMORY, &infer->call.err);
}

/* Adds the output with what its parameters say. */
static enum px_code add_output(struct px_infer *infer, struct px_str name,
                               const struct px_parameters *parameters)
{
    enum px_code code =
        px_parameters_has(parameters, PX_PARAMETER_REGION) ? px_v2_guard_region(infer) : PX_OK;
    if (code == PX_OK)
        code = px_output_ask(infer, name, parameters);
    if (code == PX_OK && px_parameters_has(parameters, PX_PARAMETER_BINARY))
        infer->outputs[infer->n_outputs - 1].form =
            parameters->binary ? PX_V2_FORM_BINARY : PX_V2_FORM_JSON;
    return code;
}

static enum px_code read_output(struct px_infer *infer, struct px_json *json)
{
    struct px_parameters parameters = {0};
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
            enum px_code code =
                px_v2_read_parameters(json, PX_PARAMETER_OF_OUTPUT, &parameters, &infer->call.err);
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
    return add_output(infer, name, &parameters);
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

static enum px_code read_request_parameters(struct px_v2_request *request)
{
    struct px_call *call = &request->infer->call;
    struct px_parameters parameters;
    enum px_code code =
        px_v2_read_parameters(&request->json, PX_PARAMETER_OF_REQUEST, &parameters, &call->err);
    if (code != PX_OK)
        return code;
    px_rest_infer(request->infer)->form = parameters.binary ? PX_V2_FORM_BINARY : PX_V2_FORM_JSON;
    px_parameters_apply(&parameters, request->infer);
    return PX_OK;
}

static enum px_code read_member(struct px_v2_request *request, unsigned bit)
{
    struct px_infer *infer = request->infer;
    struct px_json *json = &request->json;
    if (bit == SEEN_INPUTS)
        return px_v2_read_inputs(request);
    if (bit == SEEN_OUTPUTS)
        return read_outputs(infer, json);
    if (bit == SEEN_PARAMETERS)
        return read_request_parameters(request);
    if (bit == SEEN_ID)
        infer->id = px_json_str(json);
    else
        px_json_skip(json);
    return px_json_check(json, &infer->call.err);
}

static enum px_code read_members(struct px_v2_request *request)
{
    struct px_err *err = &request->infer->call.err;
    struct px_json *json = &request->json;
    struct px_str key;
    unsigned seen = 0;
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        unsigned bit = member_bit(key);
        if (seen & bit)
            px_json_fail(json, "member '%.*s' is repeated", PX_STR_ARG(key));
        seen |= bit;
        enum px_code code = read_member(request, bit);
        if (code != PX_OK)
            return code;
    }
    enum px_code code = px_json_finish(json, err);
    if (code == PX_OK && !(seen & SEEN_INPUTS))
        code = px_err_set(err, PX_E_INVALID, "the request has no 'inputs'");
    if (code == PX_OK && request->binary.len)
        code = px_err_set(err, PX_E_INVALID,
                          "unexpected additional input data: %zu bytes follow the tensors",
                          request->binary.len);
    return code;
}

static enum px_code read_request(struct px_infer *infer, size_t json_len)
{
    struct px_str body = px_rest_exchange(infer)->request.body;
    struct px_v2_request request = {
        .infer = infer,
        .binary = px_str_n(body.ptr + json_len, body.len - json_len),
    };
    px_json_init(&request.json, px_str_n(body.ptr, json_len), infer->call.arena, PX_JSON_NONFINITE);
    px_rest_infer(infer)->form = PX_V2_FORM_JSON;
    return read_members(&request);
}

/* How much of the body is JSON: all of it without the header. */
static enum px_code read_json_length(struct px_infer *infer, bool *ret_split, size_t *ret)
{
    const struct px_http_request *request = &px_rest_exchange(infer)->request;
    struct px_str length = px_http_header(request, PX_V2_LENGTH_HEADER);
    uint64_t n = request->body.len;
    *ret_split = length.ptr != NULL;
    if (length.ptr && (!px_str_to_u64(px_str_trim(length), &n) || n > request->body.len))
        return px_err_set(&infer->call.err, PX_E_INVALID,
                          PX_V2_LENGTH_HEADER ": expected a number from 0 to the body's "
                                              "length %zu, got '%.*s'",
                          request->body.len, PX_STR_ARG(length));
    *ret = (size_t)n;
    return PX_OK;
}

static enum px_code read_body(struct px_infer *infer)
{
    bool split = false;
    size_t json_len = 0;
    enum px_code code =
        px_check_encoding(px_rest_exchange(infer), PX_E_UNSUPPORTED, &infer->call.err);
    if (code == PX_OK)
        code = read_json_length(infer, &split, &json_len);
    if (code != PX_OK)
        return code;
    if (!split || json_len > 0)
        return read_request(infer, json_len);
    px_rest_infer(infer)->form = PX_V2_FORM_BINARY;
    return px_v2_read_raw(infer, px_rest_exchange(infer)->request.body);
}

void px_handle_v2_infer(struct px_rest_request *request)
{
    struct px_infer *infer = px_rest_infer_open(request, px_v2_reply);
    if (!infer)
        return;
    if (read_body(infer) == PX_OK)
        px_infer_submit(infer);
    else
        px_infer_fail(infer);
}
