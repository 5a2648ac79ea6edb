/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RepositoryIndex, RepositoryModelLoad and RepositoryModelUnload.
 *
 * The call is deferred until the repository answers on this loop. A client that goes, or a deadline that passes, ends
 * the call, never the load: `owner` is then taken back, which the repository does not look at.
 */
#include "application/serving/repository.h"
#include "interfaces/grpc/handlers.h"
#include "interfaces/grpc/message.h"
#include "interfaces/grpc/parameters.h"

enum index_field { INDEX_REPOSITORY_NAME = 1, INDEX_READY };

enum load_field { LOAD_REPOSITORY_NAME = 1, LOAD_MODEL_NAME, LOAD_PARAMETERS };

static void put_entry(struct px_buf *buf, const struct px_repository_entry *entry)
{
    enum { MODELS = 1, NAME = 1, VERSION, STATE, REASON };
    size_t model = px_protobuf_begin(buf, MODELS);
    px_protobuf_put_bytes(buf, NAME, entry->name);
    px_protobuf_put_bytes(buf, VERSION, entry->version);
    px_protobuf_put_text(buf, STATE, entry->state);
    if (entry->reason.len)
        px_protobuf_put_bytes(buf, REASON,
                              px_str_n(entry->reason.ptr, px_str_utf8_prefix(entry->reason)));
    px_protobuf_end(buf, model);
}

static void done(struct px_repository_request *request)
{
    struct px_grpc_call *call = request->owner;
    if (!call)
        return; /* it ended before */
    call->waits_for = NULL;
    if (request->code != PX_OK) {
        px_grpc_fail(call, &request->err);
        return;
    }
    struct px_buf *body = call->exchange->body;
    size_t mark = px_grpc_begin_message(body);
    for (size_t i = 0; i < request->n_entries; i++)
        put_entry(body, &request->entries[i]);
    px_grpc_end_message(body, mark);
    px_grpc_reply(call);
}

void px_grpc_repository_abandon(struct px_grpc_call *call, enum px_http_end why)
{
    struct px_err err;
    call->waits_for->owner = NULL;
    call->waits_for = NULL;
    if (why == PX_HTTP_LATE)
        px_err_set(&err, PX_E_DEADLINE, "the deadline passed; what was asked for goes on");
    else
        px_err_set(&err, PX_E_CANCELLED, "the client has gone");
    px_grpc_fail(call, &err);
}

/* ---- requests ---- */

/* Fields of ModelRepositoryParameter. */
static enum px_code read_value(const struct px_protobuf_field *field,
                               struct px_repository_value *ret)
{
    enum { BOOL_PARAM = 1, INT64_PARAM, STRING_PARAM, BYTES_PARAM };
    bool is_bytes = field->wire == PX_PROTOBUF_BYTES;
    *ret = (struct px_repository_value){
        .text = field->bytes, .boolean = field->value != 0, .integer = px_protobuf_i64(field)};
    if (field->number == BOOL_PARAM && !is_bytes)
        ret->type = PX_REPOSITORY_BOOL;
    else if (field->number == INT64_PARAM && !is_bytes)
        ret->type = PX_REPOSITORY_INT;
    else if (field->number == STRING_PARAM && is_bytes)
        ret->type = PX_REPOSITORY_TEXT;
    else if (field->number == BYTES_PARAM && is_bytes)
        ret->type = PX_REPOSITORY_BYTES;
    else
        return PX_E_INVALID;
    return PX_OK;
}

static enum px_code read_parameter(struct px_repository_request *request,
                                   const struct px_protobuf_field *field, struct px_err *err)
{
    struct px_str key, message;
    struct px_protobuf_field choice;
    struct px_repository_value value;
    enum px_code code = px_grpc_read_entry(field, &key, &message, err);
    if (code == PX_OK)
        code = px_grpc_read_choice(message, &choice, err);
    if (code != PX_OK)
        return code;
    if (read_value(&choice, &value) != PX_OK)
        return px_err_set(err, PX_E_INVALID,
                          "parameter '%.*s': expected a boolean, an integer, a text or bytes",
                          PX_STR_ARG(key));
    return px_repository_add_parameter(request, key, &value, err);
}

/* There is one repository: a name would be ignored, so it is refused. */
static enum px_code check_repository(struct px_str name, struct px_err *err)
{
    return name.len == 0 ? PX_OK
                         : px_err_set(err, PX_E_UNSUPPORTED,
                                      "'repository_name' specification is not supported");
}

static enum px_code read_index(struct px_repository_request *request, struct px_str message,
                               struct px_err *err)
{
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field field;
    enum px_code code = PX_OK;
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        if (field.number == INDEX_REPOSITORY_NAME)
            code = check_repository(field.bytes, err);
        else if (field.number == INDEX_READY)
            request->ready_only = field.value != 0;
    }
    return code == PX_OK ? px_grpc_check(&p, "the request", err) : code;
}

static enum px_code read_load(struct px_repository_request *request, struct px_str message,
                              struct px_err *err)
{
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field field;
    enum px_code code = PX_OK;
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        if (field.number == LOAD_REPOSITORY_NAME)
            code = check_repository(field.bytes, err);
        else if (field.number == LOAD_MODEL_NAME)
            code = px_grpc_read_text(&field, "model_name", &request->name, err);
        else if (field.number == LOAD_PARAMETERS)
            code = read_parameter(request, &field, err);
    }
    return code == PX_OK ? px_grpc_check(&p, "the request", err) : code;
}

static void ask(struct px_grpc_call *call, enum px_repository_action action)
{
    struct px_repository_request *request = px_repository_request_create(action);
    struct px_err err;
    if (!request) {
        px_err_set(&err, PX_E_NO_MEMORY, "no memory for the request");
        px_grpc_fail(call, &err);
        return;
    }
    request->loop = call->exchange->loop;
    request->done = done;
    request->owner = call;
    enum px_code code = action == PX_REPOSITORY_INDEX ? read_index(request, call->message, &err)
                                                      : read_load(request, call->message, &err);
    if (code != PX_OK) {
        px_repository_request_free(request);
        px_grpc_fail(call, &err);
        return;
    }
    call->waits_for = request;
    if (px_repository_submit(call->grpc->settings.serving, request, &err) == PX_OK) {
        px_http_defer(call->exchange);
    } else {
        call->waits_for = NULL;
        px_grpc_fail(call, &err);
    }
}

void px_grpc_handle_repository_index(struct px_grpc_call *call)
{
    ask(call, PX_REPOSITORY_INDEX);
}

void px_grpc_handle_repository_load(struct px_grpc_call *call)
{
    ask(call, PX_REPOSITORY_LOAD);
}

void px_grpc_handle_repository_unload(struct px_grpc_call *call)
{
    ask(call, PX_REPOSITORY_UNLOAD);
}
