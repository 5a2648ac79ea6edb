/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Triton's trace and logging extensions: settings that are read and changed while the server runs. A change is read as a
 * whole before anything of it holds; the answer is what holds then. Who may not load models may not change them either: a
 * stranger would silence the log, or have other clients' tensors written to a file.
 */
#include "application/serving/repository.h"
#include "application/telemetry/log_settings.h"
#include "interfaces/rest/inference.h"
#include "interfaces/rest/reply.h"

enum { VALUES_MAX = 4 };

/* An empty body is an empty object; false when there is nothing to read. */
static bool has_body(const struct px_http_exchange *exchange)
{
    return exchange->request.body.len > 0;
}

/* ---- traces ---- */

static void put_trace_settings(struct px_rest_request *request)
{
    struct px_trace_shown shown[PX_TRACE_SHOWN];
    struct px_json_writer w = px_json_writer(request->exchange->body);
    px_trace_show(px_serving_trace(request->rest->serving), request->args[0], shown);
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

/* A model that is named must be known. */
static enum px_code check_model(struct px_rest_request *request, struct px_err *err)
{
    struct px_serving *serving = request->rest->serving;
    if (!px_serving_trace(serving))
        return px_err_set(err, PX_E_UNAVAILABLE, "this server does not trace");
    if (request->args[0].len == 0 ||
        px_serving_find(serving, request->args[0], (struct px_str){0}, err))
        return PX_OK;
    return err->code;
}

void px_handle_v2_trace_read(struct px_rest_request *request)
{
    struct px_err err;
    if (check_model(request, &err) == PX_OK)
        put_trace_settings(request);
    else
        px_rest_fail(request, &err);
}

static enum px_code update_trace(struct px_rest_request *request,
                                 const struct px_trace_change *change, struct px_err *err)
{
    struct px_serving *serving = request->rest->serving;
    enum px_code code = px_serving_check_control(serving, "changing trace settings", err);
    if (code != PX_OK)
        return code;
    return px_trace_update(px_serving_trace(serving), request->args[0], change, err);
}

void px_handle_v2_trace_update(struct px_rest_request *request)
{
    struct px_trace_change change = {0};
    struct px_err err;
    enum px_code code = check_model(request, &err);
    if (code == PX_OK)
        code = read_trace_change(request->exchange, &change, &err);
    if (code == PX_OK && (change.given || change.cleared))
        code = update_trace(request, &change, &err);
    if (code == PX_OK)
        put_trace_settings(request);
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

static void put_log_settings(struct px_rest_request *request)
{
    struct px_log_settings settings;
    struct px_json_writer w = px_json_writer(request->exchange->body);
    px_log_read(&settings);
    px_json_begin_object(&w);
    px_json_member_text(&w, "log_file", "");
    px_json_member_bool(&w, "log_info", settings.info);
    px_json_member_bool(&w, "log_warning", settings.warning);
    px_json_member_bool(&w, "log_error", settings.error);
    px_json_member_u64(&w, "log_verbose_level", settings.verbose_level);
    px_json_member_text(&w, "log_format", px_log_time_name(settings.time));
    px_json_end_object(&w);
    px_reply_json(request, 200);
}

static struct px_log_value_given read_log_value(struct px_json *json)
{
    struct px_log_value_given value = {0};
    if (px_json_peek(json) == PX_JSON_BOOL) {
        value.type = PX_LOG_GIVEN_BOOL;
        value.boolean = px_json_bool(json);
    } else if (px_json_peek(json) == PX_JSON_NUMBER) {
        value.type = PX_LOG_GIVEN_NUMBER;
        value.number = px_json_u64(json);
    } else {
        value.type = PX_LOG_GIVEN_TEXT;
        value.text = px_json_str(json);
    }
    return value;
}

static enum px_code read_log_change(struct px_http_exchange *exchange,
                                    struct px_log_settings *settings, struct px_err *err)
{
    struct px_json json;
    struct px_str key;
    enum px_code code = px_check_encoding(exchange, PX_E_UNSUPPORTED, err);
    if (code != PX_OK || !has_body(exchange))
        return code;
    px_json_init(&json, exchange->request.body, exchange->arena, 0);
    px_json_enter_object(&json);
    while (px_json_next_key(&json, &key)) {
        struct px_log_value_given value = read_log_value(&json);
        code = px_json_check(&json, err);
        if (code == PX_OK)
            code = px_log_settings_set(settings, key, &value, err);
        if (code != PX_OK)
            return code;
    }
    return px_json_finish(&json, err);
}

void px_handle_v2_log_read(struct px_rest_request *request)
{
    put_log_settings(request);
}

void px_handle_v2_log_update(struct px_rest_request *request)
{
    struct px_log_settings settings;
    struct px_err err;
    enum px_code code = PX_OK;
    px_log_read(&settings);
    if (has_body(request->exchange))
        code = px_serving_check_control(request->rest->serving, "changing log settings", &err);
    if (code == PX_OK)
        code = read_log_change(request->exchange, &settings, &err);
    if (code != PX_OK) {
        px_rest_fail(request, &err);
        return;
    }
    px_log_update(&settings);
    put_log_settings(request);
}
