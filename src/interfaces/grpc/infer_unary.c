/* SPDX-License-Identifier: Apache-2.0 */
/* ModelInfer. */
#include "interfaces/grpc/handlers.h"
#include "interfaces/grpc/infer.h"
#include "interfaces/grpc/message.h"

static void fail(struct px_infer *infer)
{
    struct px_grpc_infer *inference = px_grpc_infer_of(infer);
    inference->call->infer = NULL;
    px_grpc_answer_error(inference->call, &infer->call.err);
}

static void encode(struct px_infer *infer)
{
    struct px_grpc_infer *inference = px_grpc_infer_of(infer);
    struct px_buf *body = inference->call->exchange->body;
    size_t mark = px_grpc_begin_message(body);
    if (px_grpc_put_infer_response(inference, false, body) != PX_OK) {
        px_infer_fail(infer);
        return;
    }
    px_grpc_end_message(body, mark);
    inference->call->infer = NULL;
    px_grpc_reply(inference->call);
}

static void defer(struct px_infer *infer)
{
    px_http_defer(px_grpc_infer_of(infer)->call->exchange);
}

static void again(struct px_infer *infer)
{
    struct px_grpc_call *call = px_grpc_infer_of(infer)->call;
    call->infer = NULL;
    px_grpc_handle_infer(call);
}

void px_grpc_handle_infer(struct px_grpc_call *call)
{
    struct px_http_exchange *exchange = call->exchange;
    struct px_grpc_infer *inference = px_arena_alloc(exchange->arena, 1, sizeof *inference);
    if (!inference) {
        struct px_err err;
        if (px_arena_check(exchange->arena, "the request", &err) != PX_OK)
            px_grpc_fail(call, &err);
        return;
    }
    const struct px_infer_request request = {
        .serving = call->grpc->settings.serving,
        .shared_memory = call->grpc->settings.shared_memory,
        .arena = exchange->arena,
        .loop = exchange->loop,
        .received_ns = exchange->request.received_ns,
        .deadline_ns = call->deadline_ns,
        .urgency = call->head.urgency,
        .encode = encode,
        .fail = fail,
        .defer = defer,
        .again = again,
    };
    inference->call = call;
    inference->slot = NULL;
    call->infer = &inference->infer;
    px_grpc_infer_start(inference, call->message, &request);
}
