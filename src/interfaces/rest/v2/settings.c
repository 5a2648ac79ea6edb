/* SPDX-License-Identifier: Apache-2.0 */
/* Triton's trace and logging extensions (application/serving/settings.h); the answer is what holds then. */
#include "application/serving/settings.h"
#include "interfaces/rest/inference.h"
#include "interfaces/rest/reply.h"

enum { VALUES_MAX = 4 };

/* An empty body is an empty object; false when there is nothing to read. */
static bool has_body(const struct px_http_exchange *exchange)
{
    return exchange->request.body.len > 0;
}

/* ---- traces ---- */

static void reply_trace(struct px_rest_request *request, const struct px_trace_shown *shown)
{
    struct px_json_writer w = px_json_writer(request->exchange->body);
    px_json_begin_object(&w);
    for (size_t i = 0; i < PX_TRACE_SHOWN; i++) {
        px_json_key(&w, shown[i].key);
        if (shown[i].is_list)
            px_json_begin_array(&w);
        for (size_t k = 0; k < shown[i].n_values; k++)
            px_json_put_text(&w, shown[i].values[k]);
        if (shown[i].is_list)
            px_json_end_array(&w);
    }
    px_json_end_object(&w);
    px_reply_json(request, 200);
}

/* The values of one setting: text, a number, a list of texts, or null for none. */
static size_t read_values(struct px_json *json, struct px_str values[VALUES_MAX])
{
    size_t n = 0;
    if (px_json_null(json))
        return 0;
    if (px_json_peek(json) == PX_JSON_NUMBER) {
        values[n++] = px_json_raw(json);
        return n;
    }
    if (px_json_peek(json) != PX_JSON_ARRAY) {
        values[n++] = px_json_str(json);
        return n;
    }
    px_json_enter_array(json);
    while (px_json_next_element(json)) {
        struct px_str value = px_json_str(json);
        if (n == VALUES_MAX)
            px_json_fail(json, "expected at most %d values", VALUES_MAX);
        else
            values[n++] = value;
    }
    return n;
}

static enum px_code read_trace_change(struct px_http_exchange *exchange,
                                      struct px_trace_change *change, struct px_err *err)
{
    struct px_json json;
    struct px_str key, values[VALUES_MAX];
    enum px_code code = px_check_encoding(exchange, PX_E_UNSUPPORTED, err);
    if (code != PX_OK || !has_body(exchange))
        return code;
    px_json_init(&json, exchange->request.body, exchange->arena, 0);
    px_json_enter_object(&json);
    while (px_json_next_key(&json, &key)) {
        size_t n = read_values(&json, values);
        code = px_json_check(&json, err);
        if (code == PX_OK)
            code = px_trace_change_add(change, key, values, n, err);
        if (code != PX_OK)
            return code;
    }
    return px_json_finish(&json, err);
}

void px_handle_v2_trace_read(struct px_rest_request *request)
{
    struct px_trace_shown shown[PX_TRACE_SHOWN];
    struct px_err err;
    if (px_serving_show_trace(request->rest->settings.serving, request->args[0], shown, &err) ==
        PX_OK)
        reply_trace(request, shown);
    else
        px_rest_fail(request, &err);
}

void px_handle_v2_trace_update(struct px_rest_request *request)
{
    struct px_trace_shown shown[PX_TRACE_SHOWN];
    struct px_trace_change change = {0};
    struct px_err err;
    enum px_code code = read_trace_change(request->exchange, &change, &err);
    if (code == PX_OK)
        code = px_serving_change_trace(request->rest->settings.serving, request->args[0], &change,
                                       shown, &err);
    if (code == PX_OK)
        reply_trace(request, shown);
    else
        px_rest_fail(request, &err);
}

/* Operations of their own, since the description of the API names each by its handler. */
void px_handle_v2_model_trace_read(struct px_rest_request *request)
{
    px_handle_v2_trace_read(request);
}

void px_handle_v2_model_trace_update(struct px_rest_request *request)
{
    px_handle_v2_trace_update(request);
}

/* ---- the log ---- */

static void put_log_value(struct px_json_writer *w, const struct px_log_setting_value *value)
{
    switch (value->type) {
    case PX_LOG_SETTING_BOOL:
        px_json_put_bool(w, value->boolean);
        break;
    case PX_LOG_SETTING_NUMBER:
        px_json_put_u64(w, value->number);
        break;
    case PX_LOG_SETTING_TEXT:
        px_json_put_str(w, value->text);
        break;
    }
}

static void reply_log(struct px_rest_request *request)
{
    struct px_log_shown shown[PX_LOG_SHOWN];
    struct px_json_writer w = px_json_writer(request->exchange->body);
    px_log_settings_show(shown);
    px_json_begin_object(&w);
    for (size_t i = 0; i < PX_LOG_SHOWN; i++) {
        px_json_key(&w, shown[i].key);
        put_log_value(&w, &shown[i].value);
    }
    px_json_end_object(&w);
    px_reply_json(request, 200);
}

static struct px_log_setting_value read_log_value(struct px_json *json)
{
    struct px_log_setting_value value = {0};
    if (px_json_peek(json) == PX_JSON_BOOL) {
        value.type = PX_LOG_SETTING_BOOL;
        value.boolean = px_json_bool(json);
    } else if (px_json_peek(json) == PX_JSON_NUMBER) {
        value.type = PX_LOG_SETTING_NUMBER;
        value.number = px_json_u64(json);
    } else {
        value.type = PX_LOG_SETTING_TEXT;
        value.text = px_json_str(json);
    }
    return value;
}

static enum px_code read_log_change(struct px_http_exchange *exchange, struct px_log_change *change,
                                    struct px_err *err)
{
    struct px_json json;
    struct px_str key;
    enum px_code code = px_check_encoding(exchange, PX_E_UNSUPPORTED, err);
    if (code != PX_OK || !has_body(exchange))
        return code;
    px_json_init(&json, exchange->request.body, exchange->arena, 0);
    px_json_enter_object(&json);
    while (px_json_next_key(&json, &key)) {
        struct px_log_setting_value value = read_log_value(&json);
        code = px_json_check(&json, err);
        if (code == PX_OK)
            code = px_log_change_add(change, key, &value, err);
        if (code != PX_OK)
            return code;
    }
    return px_json_finish(&json, err);
}

void px_handle_v2_log_read(struct px_rest_request *request)
{
    reply_log(request);
}

void px_handle_v2_log_update(struct px_rest_request *request)
{
    struct px_log_change change = {0};
    struct px_err err;
    enum px_code code = read_log_change(request->exchange, &change, &err);
    if (code == PX_OK)
        code = px_serving_change_log(request->rest->settings.serving, &change, &err);
    if (code == PX_OK)
        reply_log(request);
    else
        px_rest_fail(request, &err);
}
