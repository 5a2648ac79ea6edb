/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/rest/inference.h"

#include "application/tensors/json_value.h"
#include "interfaces/inference/deadline.h"
#include "interfaces/inference/terms.h"
#include "interfaces/rest/media.h"
#include "interfaces/rest/reply.h"

static void fail(struct px_infer *infer)
{
    px_reply_error(px_rest_exchange(infer), &infer->call.err);
}

static void defer(struct px_infer *infer)
{
    px_http_defer(px_rest_exchange(infer));
}

static void again(struct px_infer *infer)
{
    px_rest_dispatch_again(px_rest_infer(infer)->rest, px_rest_exchange(infer));
}

static struct px_infer *refuse(struct px_rest_request *request, const struct px_err *err)
{
    px_rest_fail(request, err);
    return NULL;
}

static struct px_infer *refuse_memory(struct px_rest_request *request)
{
    struct px_err err;
    if (px_arena_check(request->exchange->arena, "the request", &err) != PX_OK)
        px_rest_fail(request, &err);
    return NULL;
}

struct px_infer *px_rest_infer_open(struct px_rest_request *request,
                                    void (*encode)(struct px_infer *infer))
{
    struct px_http_exchange *exchange = request->exchange;
    struct px_rest_infer *own = px_arena_alloc(exchange->arena, 1, sizeof *own);
    if (!own)
        return refuse_memory(request);
    struct px_terms terms;
    struct px_err err;
    if (px_terms_read(&exchange->request, &terms, &err) != PX_OK)
        return refuse(request, &err);
    uint64_t received_ns = exchange->request.received_ns, deadline_ns = exchange->deadline_ns;
    if (terms.timeout_ns)
        deadline_ns =
            px_deadline_earlier(deadline_ns, px_deadline_after(received_ns, terms.timeout_ns));
    own->rest = request->rest;
    own->exchange = exchange;
    own->form = 0;
    exchange->state = own;
    const struct px_infer_request asked = {
        .serving = request->rest->settings.serving,
        .shared_memory = request->rest->settings.shared_memory,
        .model_name = request->args[0],
        .version = request->args[1],
        .arena = exchange->arena,
        .loop = exchange->loop,
        .received_ns = received_ns,
        .deadline_ns = deadline_ns,
        .urgency = terms.urgency,
        .owner = own,
        .encode = encode,
        .fail = fail,
        .defer = defer,
        .again = again,
    };
    return px_infer_open(&own->infer, &asked) == PX_OK ? &own->infer : NULL;
}

static void loaded(struct px_call *call)
{
    struct px_rest_infer *own = call->owner;
    if (call->code == PX_OK)
        px_rest_dispatch_again(own->rest, own->exchange);
    else
        px_reply_error(own->exchange, &call->err);
}

/* True: the request goes on later. Else `err` says why not. */
static bool await_model(struct px_rest_request *request, struct px_err *err)
{
    struct px_http_exchange *exchange = request->exchange;
    struct px_serving *serving = request->rest->settings.serving;
    struct px_rest_infer *own = px_arena_zalloc(exchange->arena, 1, sizeof *own);
    if (px_arena_check(exchange->arena, "the request", err) != PX_OK)
        return false;
    own->rest = request->rest;
    own->exchange = exchange;
    own->infer.call = (struct px_call){.model_name = request->args[0],
                                       .version = request->args[1],
                                       .loop = exchange->loop,
                                       .received_ns = exchange->request.received_ns,
                                       .deadline_ns = exchange->deadline_ns,
                                       .owner = own};
    if (px_call_await_model(serving, &own->infer.call, loaded) != PX_OK) {
        *err = own->infer.call.err;
        return false;
    }
    exchange->state = own;
    px_http_defer(exchange);
    return true;
}

const struct px_model *px_rest_find_model(struct px_rest_request *request)
{
    struct px_serving *serving = request->rest->settings.serving;
    struct px_err err;
    const struct px_model *model =
        px_serving_find(serving, request->args[0], request->args[1], &err);
    if (!model && !(err.code == PX_E_UNAVAILABLE && await_model(request, &err)))
        px_rest_fail(request, &err);
    return model;
}

/* "Phoenix-Degraded: deep,rules": steps of an ensemble that were answered by their fallback. */
static void add_degraded(struct px_http_exchange *exchange, struct px_str steps)
{
    static const char name[] = "Phoenix-Degraded: ";
    size_t cap = sizeof name + steps.len + 2;
    char *header = px_arena_alloc(exchange->arena, cap, 1);
    if (!header)
        return; /* the body says it too */
    snprintf(header, cap, "%s%.*s\r\n", name, PX_STR_ARG(steps));
    px_reply_add_header(exchange, header);
}

/* "Phoenix-Fallback: previous_version; reason=open; name=\"bank\"; version=\"1\"" */
static void add_fallback(struct px_http_exchange *exchange, const struct px_infer *infer)
{
    enum { HEADER_MAX = 120 };
    const struct px_model *other = px_infer_stand_in(infer);
    size_t cap = HEADER_MAX + (other ? other->name.len + other->version.len : 0);
    char *header = px_arena_alloc(exchange->arena, cap, 1);
    if (!header)
        return; /* the body says it too */
    int n = snprintf(header, cap, "Phoenix-Fallback: %s; reason=%s", px_infer_fallback(infer),
                     px_infer_fallback_reason(infer));
    char *end = header + n;
    cap -= (size_t)n;
    if (other)
        snprintf(end, cap, "; name=\"%.*s\"; version=\"%.*s\"\r\n", PX_STR_ARG(other->name),
                 PX_STR_ARG(other->version));
    else
        snprintf(end, cap, "\r\n");
    px_reply_add_header(exchange, header);
}

static void add_cache(struct px_http_exchange *exchange, enum px_call_cache cache)
{
    static const char *const headers[] = {[PX_CALL_CACHE_MISS] = "Phoenix-Cache: miss\r\n",
                                          [PX_CALL_CACHE_HIT] = "Phoenix-Cache: hit\r\n",
                                          [PX_CALL_CACHE_JOINED] = "Phoenix-Cache: joined\r\n"};
    px_reply_add_header(exchange, headers[cache]);
}

void px_rest_put_remarks(struct px_json_writer *w, const struct px_infer *infer)
{
    struct px_str degraded = px_infer_degraded(infer);
    if (degraded.len)
        px_json_member_str(w, "degraded", degraded);
    const struct px_model *other = px_infer_stand_in(infer);
    if (!px_infer_fallback(infer))
        return;
    px_json_member_text(w, "fallback", px_infer_fallback(infer));
    px_json_member_text(w, "fallback_reason", px_infer_fallback_reason(infer));
    if (!other)
        return;
    px_json_member_str(w, "fallback_model", other->name);
    px_json_member_str(w, "fallback_version", other->version);
}

void px_rest_infer_reply(struct px_infer *infer, const char *content_type)
{
    struct px_http_exchange *exchange = px_rest_exchange(infer);
    struct px_str degraded = px_infer_degraded(infer);
    if (PX_UNLIKELY(degraded.len > 0))
        add_degraded(exchange, degraded);
    if (PX_UNLIKELY(px_infer_fallback(infer) != NULL))
        add_fallback(exchange, infer);
    if (PX_UNLIKELY(infer->call.cache != PX_CALL_UNCACHED))
        add_cache(exchange, infer->call.cache);
    if (px_buf_check(exchange->body, "the response", &infer->call.err) == PX_OK)
        px_reply_whole(exchange, 200, content_type);
    else
        px_infer_fail(infer);
}

void px_rest_infer_abandon(struct px_http_exchange *exchange)
{
    struct px_rest_infer *own = exchange->state;
    if (own)
        px_call_cancel(&own->infer.call);
}

void px_put_score(struct px_json_writer *w, const struct px_matrix *scores, size_t row, size_t col)
{
    size_t at = row * scores->stride + col;
    px_json_put_element(w, scores->type,
                        (const char *)scores->data + at * px_datatype_size(scores->type));
}

enum px_code px_check_encoding(struct px_http_exchange *exchange, enum px_code code,
                               struct px_err *err)
{
    struct px_str coding = exchange->request.coding;
    if (PX_LIKELY(coding.len == 0))
        return px_check_charset(&exchange->request, err);
    px_reply_add_header(exchange, "Accept-Encoding: " PX_CODINGS "\r\n");
    px_err_set(err, code, "Content-Encoding '%.*s' is not supported", PX_STR_ARG(coding));
    return px_err_hint(err, "send the body with gzip, deflate or zstd, or uncompressed");
}
