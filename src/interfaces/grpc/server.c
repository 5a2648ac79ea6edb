/* SPDX-License-Identifier: Apache-2.0 */
/* Health and description of the server, in the protocol's own calls. */
#include "interfaces/grpc/handlers.h"
#include "interfaces/grpc/message.h"
#include "interfaces/grpc/status.h"
#include "interfaces/inference/extensions.h"

static void reply_bool(struct px_grpc_call *call, bool value)
{
    struct px_buf *body = call->exchange->body;
    size_t mark = px_grpc_begin_message(body);
    if (value)
        px_protobuf_put_bool(body, 1, true);
    px_grpc_end_message(body, mark);
    px_grpc_reply(call);
}

void px_grpc_handle_server_live(struct px_grpc_call *call)
{
    reply_bool(call, true);
}

void px_grpc_handle_server_ready(struct px_grpc_call *call)
{
    reply_bool(call, px_serving_is_ready(call->grpc->settings.serving, NULL));
}

void px_grpc_handle_server_metadata(struct px_grpc_call *call)
{
    enum { NAME = 1, VERSION, EXTENSIONS };
    struct px_buf *body = call->exchange->body;
    bool has_shared_memory = call->grpc->settings.shared_memory != NULL;
    size_t mark = px_grpc_begin_message(body);
    px_protobuf_put_text(body, NAME, "phoenix");
    px_protobuf_put_text(body, VERSION, PX_VERSION);
    for (size_t i = 0; px_extension(i, has_shared_memory); i++)
        px_protobuf_put_text(body, EXTENSIONS, px_extension(i, has_shared_memory));
    px_grpc_end_message(body, mark);
    px_grpc_reply(call);
}
