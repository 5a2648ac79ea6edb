/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handler: finds the method, unwraps the message, and answers what no method answers.
 *
 * Nothing here decides about models; a handler translates between messages and the serving core. A failed inference is
 * counted by the core, every other error here, in the loop's own shard.
 */
#include "interfaces/grpc/grpc.h"

#include "interfaces/grpc/infer.h"
#include "interfaces/grpc/status.h"
#include "interfaces/grpc/stream.h"
#include "interfaces/inference/deadline.h"
#include "shared/alloc.h"

/* What is wrong with a request before its method matters, as HTTP says it. */
static bool answer_http(struct px_grpc_call *call)
{
    struct px_http_exchange *exchange = call->exchange;
    const struct px_http_request *request = &exchange->request;
    if (request->method != PX_HTTP_POST) {
        exchange->status = 405;
        exchange->extra_headers = "allow: POST\r\n";
        px_grpc_count_error(call, PX_E_METHOD_NOT_ALLOWED);
    } else if (!px_grpc_is_content_type(px_http_header(request, "content-type"))) {
        exchange->status = 415;
        exchange->extra_headers = "accept: application/grpc\r\n";
        px_grpc_count_error(call, PX_E_UNSUPPORTED_MEDIA);
    } else {
        return false;
    }
    px_http_finish(exchange);
    return true;
}

static enum px_code open_call(struct px_grpc_call *call, struct px_err *err)
{
    const struct px_http_request *request = &call->exchange->request;
    enum px_code code = px_grpc_read_head(request, &call->head, err);
    if (code != PX_OK)
        return code;
    if (call->head.has_timeout) {
        call->deadline_ns = px_deadline_after(request->received_ns, call->head.timeout_ns);
        call->exchange->deadline_ns = call->deadline_ns;
    }
    call->method = px_grpc_find_method(request->path);
    if (!call->method)
        return px_err_set(err, PX_E_UNSUPPORTED, "unknown method '%.*s'",
                          PX_STR_ARG(request->path));
    if (call->method->stream)
        return px_err_set(err, PX_E_UNSUPPORTED, "'%.*s' needs a transport that streams",
                          PX_STR_ARG(request->path));
    return px_grpc_unwrap(call, err);
}

static void handle_unary(struct px_grpc *grpc, struct px_http_exchange *exchange)
{
    struct px_err err;
    struct px_grpc_call spare = {.grpc = grpc, .exchange = exchange};
    if (answer_http(&spare))
        return;
    struct px_grpc_call *call = px_arena_alloc(exchange->arena, 1, sizeof *call);
    if (!call) {
        px_err_set(&err, PX_E_NO_MEMORY, "no memory for the call");
        px_grpc_fail(&spare, &err);
        return;
    }
    *call = spare;
    exchange->state = call;
    if (open_call(call, &err) == PX_OK)
        call->method->unary(call);
    else
        px_grpc_fail(call, &err);
}

static const struct px_grpc_method *find_stream(const struct px_http_request *request)
{
    if (request->method != PX_HTTP_POST ||
        !px_grpc_is_content_type(px_http_header(request, "content-type")))
        return NULL;
    const struct px_grpc_method *method = px_grpc_find_method(request->path);
    return method && method->stream ? method : NULL;
}

static bool streams(void *context, const struct px_http_request *request)
{
    (void)context;
    return find_stream(request) != NULL;
}

static void handle(void *context, struct px_http_exchange *exchange)
{
    struct px_grpc *grpc = context;
    const struct px_grpc_method *method = find_stream(&exchange->request);
    px_serving_count_request(grpc->settings.serving, exchange->loop);
    if (method)
        px_grpc_stream_open(grpc, exchange, method);
    else
        handle_unary(grpc, exchange);
}

static void piece(void *context, struct px_http_exchange *exchange, struct px_str bytes,
                  bool is_last)
{
    (void)context;
    if (exchange->state)
        px_grpc_stream_piece(exchange->state, bytes, is_last);
}

static void abandon(void *context, struct px_http_exchange *exchange, enum px_http_end why)
{
    struct px_grpc_call *call = exchange->state;
    (void)context;
    if (call && call->stream)
        px_grpc_stream_abandon(call->stream, why);
    else if (call && call->waits_for)
        px_grpc_repository_abandon(call, why);
    else if (call && call->infer)
        px_call_cancel(&call->infer->call);
}

static void wave(void *context, unsigned loop)
{
    px_grpc_streams_settle(context, loop);
}

static void refuse(void *context, struct px_http_exchange *exchange, const struct px_err *err)
{
    struct px_grpc_call call = {.grpc = context, .exchange = exchange};
    px_grpc_fail(&call, err);
}

struct px_http_handler px_grpc_handler(struct px_grpc *grpc)
{
    return (struct px_http_handler){
        .context = grpc,
        .handle = handle,
        .wave = wave,
        .refuse = refuse,
        .streams = streams,
        .piece = piece,
        .abandon = abandon,
    };
}

bool px_grpc_takes(const struct px_http_request *request)
{
    return request->version == PX_HTTP_2 &&
           (px_grpc_is_service_path(request->path) ||
            px_str_starts(px_http_header(request, "content-type"), "application/grpc"));
}

/* ---- waking loops ---- */

static void run_task(struct px_loop_task *task)
{
    struct px_grpc_loop *loop = PX_CONTAINER_OF(task, struct px_grpc_loop, task);
    struct px_grpc *grpc = loop->grpc;
    atomic_store(&loop->is_posted, false);
    if (atomic_load(&grpc->is_closing))
        px_grpc_streams_close(grpc, (unsigned)(loop - grpc->per_loop));
    /* Watchers are looked at after the wave that follows. */
}

static void wake_loops(struct px_grpc *grpc)
{
    for (unsigned i = 0; grpc->loops && i < grpc->n_loops; i++) {
        struct px_grpc_loop *loop = &grpc->per_loop[i];
        if (!atomic_exchange(&loop->is_posted, true))
            (void)px_loops_post(grpc->loops, i, &loop->task);
    }
}

void px_grpc_announce_health(struct px_grpc *grpc)
{
    wake_loops(grpc);
}

void px_grpc_close_streams(struct px_grpc *grpc)
{
    atomic_store(&grpc->is_closing, true);
    wake_loops(grpc);
}

void px_grpc_use_loops(struct px_grpc *grpc, const struct px_loops *loops)
{
    PX_ASSERT(loops->n_loops == grpc->n_loops);
    grpc->loops = loops;
}

/* ---- life ---- */

enum px_code px_grpc_create(const struct px_grpc_settings *settings, struct px_grpc **ret,
                            struct px_err *err)
{
    unsigned n_loops = px_serving_n_loops(settings->serving);
    struct px_grpc *grpc = px_alloc(1, sizeof *grpc);
    if (grpc)
        grpc->per_loop = px_alloc_aligned(PX_CACHE_LINE, n_loops, sizeof *grpc->per_loop);
    if (!grpc || !grpc->per_loop) {
        px_free(grpc);
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the gRPC interface");
    }
    grpc->settings = *settings;
    grpc->n_loops = n_loops;
    /* Any one message always finds room, compressed and decompressed. */
    size_t slot_bytes_max = 2 * settings->message_bytes_max;
    if (slot_bytes_max < PX_GRPC_LOOP_BYTES)
        slot_bytes_max = PX_GRPC_LOOP_BYTES;
    for (unsigned i = 0; i < n_loops; i++) {
        grpc->per_loop[i].grpc = grpc;
        grpc->per_loop[i].slot_bytes_max = slot_bytes_max;
        grpc->per_loop[i].task.run = run_task;
        grpc->per_loop[i].scratch = px_buf(settings->message_bytes_max);
    }
    *ret = grpc;
    return PX_OK;
}

void px_grpc_destroy(struct px_grpc *grpc)
{
    if (!grpc)
        return;
    for (unsigned i = 0; i < grpc->n_loops; i++) {
        px_grpc_slots_free(&grpc->per_loop[i]);
        px_buf_deinit(&grpc->per_loop[i].scratch);
    }
    px_free(grpc->per_loop);
    px_free(grpc);
}
