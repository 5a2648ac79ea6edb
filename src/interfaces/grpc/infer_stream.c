/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ModelStreamInfer: independent requests, one answer for each, in order. A request that fails is answered in its place
 * and the stream goes on, unless the client asked for a status instead (metadata triton_grpc_error).
 */
#include "interfaces/grpc/handlers.h"
#include "interfaces/grpc/infer.h"
#include "interfaces/grpc/stream.h"
#include "shared/clock.h"

enum { ERROR_MESSAGE = 1, INFER_RESPONSE = 2, RESPONSE_ID = 3 };

static void fail(struct px_infer *infer)
{
    struct px_grpc_infer *inference = px_grpc_infer_of(infer);
    struct px_grpc_slot *slot = inference->slot;
    const struct px_err *err = &infer->call.err;
    char text[PX_ERR_MESSAGE_MAX + PX_ERR_HINT_MAX + 4];
    if (inference->call->head.errors_end_stream) {
        px_grpc_slot_fail(slot, err);
        return;
    }
    struct px_buf *buf = px_grpc_slot_begin(slot);
    struct px_str message = px_str(px_err_text(err, text, sizeof text));
    px_protobuf_put_bytes(buf, ERROR_MESSAGE, px_str_n(message.ptr, px_str_utf8_prefix(message)));
    size_t response = px_protobuf_begin(buf, INFER_RESPONSE);
    px_protobuf_put_bytes(buf, RESPONSE_ID, inference->infer.id);
    px_protobuf_end(buf, response);
    px_grpc_slot_done(slot);
}

static void encode(struct px_infer *infer)
{
    struct px_grpc_infer *inference = px_grpc_infer_of(infer);
    struct px_buf *buf = px_grpc_slot_begin(inference->slot);
    size_t response = px_protobuf_begin(buf, INFER_RESPONSE);
    if (px_grpc_put_infer_response(inference, true, buf) != PX_OK) {
        px_grpc_slot_cancel(inference->slot);
        px_infer_fail(infer);
        return;
    }
    px_protobuf_end(buf, response);
    px_grpc_slot_done(inference->slot);
}

static void start(struct px_grpc_infer *inference, uint64_t received_ns);

/* The slot is where it was: answers leave in order. */
static void again(struct px_infer *infer)
{
    start(px_grpc_infer_of(infer), infer->call.received_ns);
}

static void start(struct px_grpc_infer *inference, uint64_t received_ns)
{
    struct px_grpc_slot *slot = inference->slot;
    struct px_grpc_call *call = inference->call;
    const struct px_infer_request request = {
        .serving = call->grpc->settings.serving,
        .shared_memory = call->grpc->settings.shared_memory,
        .arena = &slot->arena,
        .loop = call->exchange->loop,
        .received_ns = received_ns,
        .deadline_ns = call->deadline_ns,
        .urgency = call->head.urgency,
        .encode = encode,
        .fail = fail,
        .again = again,
    };
    px_grpc_infer_start(inference, slot->message, &request);
}

static void take_message(struct px_grpc_stream *stream, struct px_grpc_slot *slot)
{
    struct px_grpc_infer *inference = px_arena_alloc(&slot->arena, 1, sizeof *inference);
    if (!inference) {
        struct px_err err;
        if (px_arena_check(&slot->arena, "the request", &err) != PX_OK)
            px_grpc_slot_fail(slot, &err);
        return;
    }
    inference->call = &stream->call;
    inference->slot = slot;
    slot->state = inference;
    px_grpc_slot_park(slot);
    start(inference, px_clock_monotonic_ns());
}

static void cancel(struct px_grpc_slot *slot)
{
    struct px_grpc_infer *inference = slot->state;
    px_call_cancel(&inference->infer.call);
}

const struct px_grpc_stream_ops px_grpc_infer_stream_ops = {.message = take_message,
                                                            .cancel = cancel};
