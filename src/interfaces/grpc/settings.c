/* SPDX-License-Identifier: Apache-2.0 */
/* TraceSetting and LogSettings (application/serving/settings.h); the answer is what holds then. */
#include "application/serving/settings.h"
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

static void reply_trace(struct px_grpc_call *call, const struct px_trace_shown *shown)
{
    struct px_buf *body = call->exchange->body;
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
    struct px_trace_shown shown[PX_TRACE_SHOWN];
    struct px_trace_change change = {0};
    struct px_str model;
    struct px_err err;
    enum px_code code = read_trace_request(call->message, &change, &model, &err);
    if (code == PX_OK)
        code = px_serving_change_trace(call->grpc->settings.serving, model, &change, shown, &err);
    if (code == PX_OK)
        reply_trace(call, shown);
    else
        px_grpc_fail(call, &err);
}

/* ---- the log ---- */

enum { BOOL_PARAM = 1, UINT32_PARAM, STRING_PARAM };

static void put_log_value(struct px_buf *buf, const struct px_log_setting_value *value)
{
    switch (value->type) {
    case PX_LOG_SETTING_BOOL:
        px_protobuf_put_u64(buf, BOOL_PARAM, value->boolean);
        break;
    case PX_LOG_SETTING_NUMBER:
        px_protobuf_put_u64(buf, UINT32_PARAM, value->number);
        break;
    case PX_LOG_SETTING_TEXT:
        px_protobuf_put_bytes(buf, STRING_PARAM, value->text);
        break;
    }
}

static void put_log_setting(struct px_buf *buf, const struct px_log_shown *shown)
{
    size_t entry = px_protobuf_begin(buf, SETTINGS);
    px_protobuf_put_text(buf, PX_GRPC_MAP_KEY, shown->key);
    size_t value = px_protobuf_begin(buf, PX_GRPC_MAP_VALUE);
    put_log_value(buf, &shown->value);
    px_protobuf_end(buf, value);
    px_protobuf_end(buf, entry);
}

static void reply_log(struct px_grpc_call *call)
{
    struct px_log_shown shown[PX_LOG_SHOWN];
    struct px_buf *body = call->exchange->body;
    px_log_settings_show(shown);
    size_t mark = px_grpc_begin_message(body);
    for (size_t i = 0; i < PX_LOG_SHOWN; i++)
        put_log_setting(body, &shown[i]);
    px_grpc_end_message(body, mark);
    px_grpc_reply(call);
}

static enum px_code read_log_setting(const struct px_protobuf_field *field,
                                     struct px_log_change *change, struct px_err *err)
{
    struct px_str key, message;
    struct px_protobuf_field choice;
    enum px_code code = px_grpc_read_entry(field, &key, &message, err);
    if (code == PX_OK)
        code = px_grpc_read_choice(message, &choice, err);
    if (code != PX_OK)
        return code;
    struct px_log_setting_value value = {.text = choice.bytes};
    bool is_bytes = choice.wire == PX_PROTOBUF_BYTES;
    if (choice.number == BOOL_PARAM && !is_bytes)
        value.type = PX_LOG_SETTING_BOOL;
    else if (choice.number == UINT32_PARAM && !is_bytes)
        value.type = PX_LOG_SETTING_NUMBER;
    else if (choice.number == STRING_PARAM && is_bytes)
        value.type = PX_LOG_SETTING_TEXT;
    else
        return px_err_set(err, PX_E_INVALID,
                          "setting '%.*s': expected a boolean, a number or a text",
                          PX_STR_ARG(key));
    value.boolean = choice.value != 0;
    value.number = choice.value;
    return px_log_change_add(change, key, &value, err);
}

void px_grpc_handle_log_settings(struct px_grpc_call *call)
{
    struct px_log_change change = {0};
    struct px_protobuf p = px_protobuf(call->message);
    struct px_protobuf_field field;
    struct px_err err;
    enum px_code code = PX_OK;
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        if (field.number == SETTINGS)
            code = read_log_setting(&field, &change, &err);
    }
    if (code == PX_OK)
        code = px_grpc_check(&p, "the request", &err);
    if (code == PX_OK)
        code = px_serving_change_log(call->grpc->settings.serving, &change, &err);
    if (code == PX_OK)
        reply_log(call);
    else
        px_grpc_fail(call, &err);
}
