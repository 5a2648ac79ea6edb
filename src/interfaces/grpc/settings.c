/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TraceSetting and LogSettings: settings that are read and changed while the server runs. A change is read as a whole
 * before anything of it holds; the answer is what holds then. Who may not load models may not change them either.
 */
#include "application/serving/repository.h"
#include "application/telemetry/log_settings.h"
#include "interfaces/grpc/handlers.h"
#include "interfaces/grpc/message.h"
#include "interfaces/grpc/parameters.h"

enum { VALUES_MAX = 4 };

enum { SETTINGS = 1, TRACE_MODEL_NAME = 2, SETTING_VALUE = 1 };

/* ---- traces ---- */

static void put_trace_setting(struct px_buf *buf, const struct px_trace_shown *shown)
{
    size_t entry = px_protobuf_begin(buf, SETTINGS);
    px_protobuf_put_text(buf, PX_GRPC_MAP_KEY, shown->key);
    size_t value = px_protobuf_begin(buf, PX_GRPC_MAP_VALUE);
    for (size_t i = 0; i < shown->n_values; i++)
        px_protobuf_put_text(buf, SETTING_VALUE, shown->values[i]);
    px_protobuf_end(buf, value);
    px_protobuf_end(buf, entry);
}

static void reply_trace(struct px_grpc_call *call, struct px_trace *trace, struct px_str model)
{
    struct px_trace_shown shown[PX_TRACE_SHOWN];
    struct px_buf *body = call->exchange->body;
    px_trace_show(trace, model, shown);
    size_t mark = px_grpc_begin_message(body);
    for (size_t i = 0; i < PX_TRACE_SHOWN; i++)
        put_trace_setting(body, &shown[i]);
    px_grpc_end_message(body, mark);
    px_grpc_reply(call);
}

/* An entry of the map: a key, and a message of texts; without any the setting is cleared. */
static enum px_code read_trace_setting(const struct px_protobuf_field *field,
                                       struct px_trace_change *change, struct px_err *err)
{
    struct px_str key, message, values[VALUES_MAX];
    size_t n = 0;
    enum px_code code = px_grpc_read_entry(field, &key, &message, err);
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field value;
    while (code == PX_OK && px_protobuf_next(&p, &value)) {
        if (value.number != SETTING_VALUE)
            continue;
        if (n == VALUES_MAX)
            return px_err_set(err, PX_E_INVALID, "setting '%.*s': expected at most %d values",
                              PX_STR_ARG(key), VALUES_MAX);
        code = px_grpc_read_text(&value, "a setting", &values[n++], err);
    }
    if (code == PX_OK)
        code = px_grpc_check(&p, "a setting", err);
    return code == PX_OK ? px_trace_change_add(change, key, values, n, err) : code;
}

static enum px_code read_trace_request(struct px_str message, struct px_trace_change *change,
                                       struct px_str *ret_model, struct px_err *err)
{
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field field;
    enum px_code code = PX_OK;
    *ret_model = (struct px_str)PX_STR("");
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        if (field.number == SETTINGS)
            code = read_trace_setting(&field, change, err);
        else if (field.number == TRACE_MODEL_NAME)
            code = px_grpc_read_text(&field, "model_name", ret_model, err);
    }
    return code == PX_OK ? px_grpc_check(&p, "the request", err) : code;
}

void px_grpc_handle_trace_setting(struct px_grpc_call *call)
{
    struct px_serving *serving = call->grpc->serving;
    struct px_trace *trace = px_serving_trace(serving);
    struct px_trace_change change = {0};
    struct px_str model;
    struct px_err err;
    enum px_code code = read_trace_request(call->message, &change, &model, &err);
    if (code == PX_OK && !trace)
        code = px_err_set(&err, PX_E_UNAVAILABLE, "this server does not trace");
    /* A model that is named must be known. */
    if (code == PX_OK && model.len && !px_serving_find(serving, model, (struct px_str){0}, &err))
        code = err.code;
    bool changes = change.given || change.cleared;
    if (code == PX_OK && changes)
        code = px_serving_check_control(serving, "changing trace settings", &err);
    if (code == PX_OK && changes)
        code = px_trace_update(trace, model, &change, &err);
    if (code == PX_OK)
        reply_trace(call, trace, model);
    else
        px_grpc_fail(call, &err);
}

/* ---- the log ---- */

enum { BOOL_PARAM = 1, UINT32_PARAM, STRING_PARAM };

static size_t begin_log_setting(struct px_buf *buf, const char *key, size_t *ret_value)
{
    size_t entry = px_protobuf_begin(buf, SETTINGS);
    px_protobuf_put_text(buf, PX_GRPC_MAP_KEY, key);
    *ret_value = px_protobuf_begin(buf, PX_GRPC_MAP_VALUE);
    return entry;
}

static void put_log_number(struct px_buf *buf, const char *key, uint32_t field, uint64_t number)
{
    size_t value, entry = begin_log_setting(buf, key, &value);
    px_protobuf_put_u64(buf, field, number);
    px_protobuf_end(buf, value);
    px_protobuf_end(buf, entry);
}

static void put_log_text(struct px_buf *buf, const char *key, const char *text)
{
    size_t value, entry = begin_log_setting(buf, key, &value);
    px_protobuf_put_text(buf, STRING_PARAM, text);
    px_protobuf_end(buf, value);
    px_protobuf_end(buf, entry);
}

static void reply_log(struct px_grpc_call *call)
{
    struct px_log_settings settings;
    struct px_buf *body = call->exchange->body;
    px_log_read(&settings);
    size_t mark = px_grpc_begin_message(body);
    put_log_text(body, "log_file", "");
    put_log_number(body, "log_info", BOOL_PARAM, settings.info);
    put_log_number(body, "log_warning", BOOL_PARAM, settings.warning);
    put_log_number(body, "log_error", BOOL_PARAM, settings.error);
    put_log_number(body, "log_verbose_level", UINT32_PARAM, settings.verbose_level);
    put_log_text(body, "log_format", px_log_time_name(settings.time));
    px_grpc_end_message(body, mark);
    px_grpc_reply(call);
}

static enum px_code read_log_setting(const struct px_protobuf_field *field,
                                     struct px_log_settings *settings, struct px_err *err)
{
    struct px_str key, message;
    struct px_protobuf_field choice;
    enum px_code code = px_grpc_read_entry(field, &key, &message, err);
    if (code == PX_OK)
        code = px_grpc_read_choice(message, &choice, err);
    if (code != PX_OK)
        return code;
    struct px_log_value_given value = {.text = choice.bytes};
    bool is_bytes = choice.wire == PX_PROTOBUF_BYTES;
    if (choice.number == BOOL_PARAM && !is_bytes)
        value.type = PX_LOG_GIVEN_BOOL;
    else if (choice.number == UINT32_PARAM && !is_bytes)
        value.type = PX_LOG_GIVEN_NUMBER;
    else if (choice.number == STRING_PARAM && is_bytes)
        value.type = PX_LOG_GIVEN_TEXT;
    else
        return px_err_set(err, PX_E_INVALID,
                          "setting '%.*s': expected a boolean, a number or a text",
                          PX_STR_ARG(key));
    value.boolean = choice.value != 0;
    value.number = choice.value;
    return px_log_settings_set(settings, key, &value, err);
}

void px_grpc_handle_log_settings(struct px_grpc_call *call)
{
    struct px_log_settings settings;
    struct px_protobuf p = px_protobuf(call->message);
    struct px_protobuf_field field;
    struct px_err err;
    enum px_code code = PX_OK;
    bool changes = false;
    px_log_read(&settings);
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        if (field.number != SETTINGS)
            continue;
        code = read_log_setting(&field, &settings, &err);
        changes = true;
    }
    if (code == PX_OK)
        code = px_grpc_check(&p, "the request", &err);
    if (code == PX_OK && changes)
        code = px_serving_check_control(call->grpc->serving, "changing log settings", &err);
    if (code != PX_OK) {
        px_grpc_fail(call, &err);
        return;
    }
    if (changes)
        px_log_update(&settings);
    reply_log(call);
}
