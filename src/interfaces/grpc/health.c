/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc.health.v1.Health. Every service of this server serves when the server is ready: at least one model can be asked and
 * it is not draining. The empty name is the server as a whole.
 */
#include "interfaces/grpc/handlers.h"
#include "interfaces/grpc/status.h"
#include "interfaces/grpc/stream.h"

enum { REQUEST_SERVICE = 1, RESPONSE_STATUS = 1, LIST_STATUSES = 1, STATUS_BYTES_MAX = 4 };

enum status { UNKNOWN = 0, SERVING, NOT_SERVING, SERVICE_UNKNOWN };

static enum status status_of(struct px_str service, bool is_ready)
{
    bool known = service.len == 0;
    for (size_t i = 0; !known && px_grpc_service_name(i).ptr; i++)
        known = px_str_eq(service, px_grpc_service_name(i));
    if (!known)
        return SERVICE_UNKNOWN;
    return is_ready ? SERVING : NOT_SERVING;
}

static enum px_code read_request(struct px_str message, struct px_str *ret_service,
                                 struct px_err *err)
{
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field field;
    enum px_code code = PX_OK;
    *ret_service = (struct px_str)PX_STR("");
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        if (field.number == REQUEST_SERVICE)
            code = px_grpc_read_text(&field, "service", ret_service, err);
    }
    return code == PX_OK ? px_grpc_check(&p, "the request", err) : code;
}

void px_grpc_handle_health_check(struct px_grpc_call *call)
{
    struct px_str service;
    struct px_err err;
    enum status status = UNKNOWN;
    enum px_code code = read_request(call->message, &service, &err);
    if (code == PX_OK)
        status = status_of(service, px_serving_is_ready(call->grpc->settings.serving, NULL));
    if (status == SERVICE_UNKNOWN)
        code = px_err_set(&err, PX_E_NOT_FOUND, "unknown service '%.*s'", PX_STR_ARG(service));
    if (code != PX_OK) {
        px_grpc_fail(call, &err);
        return;
    }
    struct px_buf *body = call->exchange->body;
    size_t mark = px_grpc_begin_message(body);
    px_protobuf_put_u64(body, RESPONSE_STATUS, status);
    px_grpc_end_message(body, mark);
    px_grpc_reply(call);
}

static void put_entry(struct px_buf *body, struct px_str service, enum status status)
{
    enum { KEY = 1, VALUE };
    size_t entry = px_protobuf_begin(body, LIST_STATUSES);
    px_protobuf_put_bytes(body, KEY, service);
    size_t value = px_protobuf_begin(body, VALUE);
    px_protobuf_put_u64(body, RESPONSE_STATUS, status);
    px_protobuf_end(body, value);
    px_protobuf_end(body, entry);
}

void px_grpc_handle_health_list(struct px_grpc_call *call)
{
    struct px_buf *body = call->exchange->body;
    bool is_ready = px_serving_is_ready(call->grpc->settings.serving, NULL);
    enum status status = status_of((struct px_str){0}, is_ready);
    size_t mark = px_grpc_begin_message(body);
    put_entry(body, (struct px_str)PX_STR(""), status);
    for (size_t i = 0; px_grpc_service_name(i).ptr; i++)
        put_entry(body, px_grpc_service_name(i), status);
    px_grpc_end_message(body, mark);
    px_grpc_reply(call);
}

/* ---- Watch ---- */

/* Tells the status when it is not what was told last. */
static void look(struct px_grpc_stream *stream, bool is_ready)
{
    char memory[STATUS_BYTES_MAX + 1];
    enum status status = status_of(stream->health.service, is_ready);
    if ((int)status == stream->health.last_status)
        return;
    struct px_buf message = px_buf_fixed(memory, sizeof memory);
    px_protobuf_put_u64(&message, RESPONSE_STATUS, status);
    px_grpc_stream_send(stream, px_buf_view(&message));
    stream->health.last_status = (int)status;
}

static void watch(struct px_grpc_stream *stream, struct px_grpc_slot *slot)
{
    struct px_str service;
    struct px_err err;
    enum px_code code = read_request(slot->message, &service, &err);
    if (code == PX_OK) {
        stream->health.service = px_arena_str(stream->call.exchange->arena, service);
        code = px_arena_check(stream->call.exchange->arena, "the name of the service", &err);
    }
    if (code != PX_OK) {
        px_grpc_slot_fail(slot, &err);
        return;
    }
    stream->health.last_status = -1;
    px_grpc_slot_skip(slot);
    px_grpc_stream_watch(stream);
}

const struct px_grpc_stream_ops px_grpc_health_watch_ops = {
    .message = watch,
    .look = look,
    .takes_one = true,
    .outlives_client = true,
};
