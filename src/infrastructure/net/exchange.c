/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/net/exchange.h"

#include "infrastructure/net/worker.h"
#include "shared/clock.h"

enum px_code px_exchange_check_rate(const struct px_worker *worker, uint64_t began_ns,
                                    size_t received, struct px_err *err)
{
    uint64_t allowed_ns = worker->config.body_timeout_ms * PX_NS_PER_MS +
                          received * PX_NS_PER_S / PX_EXCHANGE_BODY_RATE_MIN;
    if (worker->loop.now_ns - began_ns <= allowed_ns)
        return PX_OK;
    return px_err_set(err, PX_E_TIMEOUT,
                      "the body of the request came more slowly than %d bytes per second",
                      (int)PX_EXCHANGE_BODY_RATE_MIN);
}

void px_exchange_queue_up(struct px_net_exchange *exchange)
{
    px_queue_add(&exchange->worker->round, &exchange->in_round);
}

struct px_net_exchange *px_exchange_pop(struct px_queue *queue)
{
    struct px_queue_node *node = px_queue_pop(queue);
    return node ? PX_CONTAINER_OF(node, struct px_net_exchange, in_round) : NULL;
}

/* Deadlines cost a tick only while somebody has one. */
static void watch_deadline(struct px_net_exchange *exchange)
{
    struct px_worker *worker = exchange->worker;
    if (exchange->http.deadline_ns && !worker->tick.list)
        px_deadline_arm(&worker->tick, &worker->ticks, worker->loop.now_ns);
}

void px_exchange_enter_long(struct px_net_exchange *exchange)
{
    struct px_worker *worker = exchange->worker;
    watch_deadline(exchange);
    if (exchange->is_long)
        return;
    exchange->is_long = true;
    exchange->long_previous = NULL;
    exchange->long_next = worker->long_first;
    if (worker->long_first)
        worker->long_first->long_previous = exchange;
    worker->long_first = exchange;
    worker->n_long++;
}

void px_exchange_leave_long(struct px_net_exchange *exchange)
{
    struct px_worker *worker = exchange->worker;
    if (!exchange->is_long)
        return;
    exchange->is_long = false;
    worker->n_long--;
    if (exchange->long_previous)
        exchange->long_previous->long_next = exchange->long_next;
    else
        worker->long_first = exchange->long_next;
    if (exchange->long_next)
        exchange->long_next->long_previous = exchange->long_previous;
}

static void resume(struct px_http_exchange *http)
{
    struct px_net_exchange *exchange = PX_CONTAINER_OF(http, struct px_net_exchange, http);
    exchange->is_resumed = true;
    px_exchange_queue_up(exchange);
}

void px_exchange_begin(struct px_net_exchange *exchange, const struct px_http_request *request,
                       struct px_arena *arena, struct px_buf *body)
{
    exchange->is_handed_over = exchange->is_resumed = exchange->is_encoded = false;
    exchange->http = (struct px_http_exchange){
        .request = *request,
        .arena = arena,
        .loop = exchange->worker->index,
        .body = body,
        .resume = resume,
    };
}

/* Bytes that a body may be decoded to now; small ones are never turned away. */
static size_t room_for_decoded(const struct px_http1_pool *loop)
{
    size_t left =
        loop->input_bytes < loop->input_bytes_max ? loop->input_bytes_max - loop->input_bytes : 0;
    return left > PX_HTTP1_INPUT_FIRST ? left : PX_HTTP1_INPUT_FIRST;
}

/* False when the handler has been asked to refuse the request instead. */
static bool decode_body(struct px_net_exchange *exchange)
{
    struct px_worker *worker = exchange->worker;
    struct px_http_exchange *http = &exchange->http;
    size_t room = room_for_decoded(&worker->exchanges), left = room;
    enum px_code code =
        px_net_decode_request(&worker->coding, &http->request, http->arena, &left, &worker->err);
    exchange->decoded_charged += room - left;
    worker->exchanges.input_bytes += room - left;
    if (code == PX_OK)
        return true;
    px_exchange_refuse(exchange, &worker->err);
    return false;
}

void px_exchange_forget_decoded(struct px_net_exchange *exchange)
{
    if (PX_LIKELY(exchange->decoded_charged == 0))
        return;
    exchange->worker->exchanges.input_bytes -= exchange->decoded_charged;
    exchange->decoded_charged = 0;
}

void px_exchange_hand_over(struct px_net_exchange *exchange, bool streamed)
{
    struct px_worker *worker = exchange->worker;
    exchange->is_handed_over = true;
    exchange->http.streamed = streamed;
    worker->wave_due = true;
    px_exchange_queue_up(exchange);
    if (!streamed && !decode_body(exchange))
        return;
    worker->handler.handle(worker->handler.context, &exchange->http);
    if (streamed)
        px_exchange_enter_long(exchange);
}

void px_exchange_piece(struct px_net_exchange *exchange, struct px_str piece, bool is_last)
{
    struct px_worker *worker = exchange->worker;
    if (exchange->http.finished || exchange->http.abandoned)
        return;
    worker->wave_due = true;
    worker->handler.piece(worker->handler.context, &exchange->http, piece, is_last);
    watch_deadline(exchange);
}

void px_exchange_settle(struct px_net_exchange *exchange)
{
    struct px_http_exchange *http = &exchange->http;
    if (http->finished && http->may_compress && !http->streamed && !exchange->is_encoded) {
        exchange->is_encoded = true;
        px_net_encode_response(&exchange->worker->coding, http);
    }
    exchange->kind->settle(exchange);
}

void px_exchange_refuse(struct px_net_exchange *exchange, const struct px_err *err)
{
    const struct px_http_handler *handler = &exchange->worker->handler;
    exchange->is_handed_over = true;
    handler->refuse(handler->context, &exchange->http, err);
    if (!exchange->http.finished)
        px_http_finish(&exchange->http);
}

void px_exchange_abandon(struct px_net_exchange *exchange, enum px_http_end why)
{
    const struct px_http_handler *handler = &exchange->worker->handler;
    if (exchange->http.finished || exchange->http.abandoned)
        return;
    exchange->http.abandoned = true;
    if (handler->abandon)
        handler->abandon(handler->context, &exchange->http, why);
}

void px_exchange_tick(struct px_worker *worker)
{
    bool is_needed = false;
    for (struct px_net_exchange *x = worker->long_first, *next; x; x = next) {
        next =
            x->long_next; /* an abandoned exchange leaves the list when it is settled, not before */
        const struct px_http_exchange *http = &x->http;
        if (!http->deadline_ns || http->abandoned || http->finished)
            continue;
        if (http->deadline_ns <= worker->loop.now_ns)
            px_exchange_abandon(x, PX_HTTP_LATE);
        else
            is_needed = true;
    }
    if (is_needed)
        px_deadline_arm(&worker->tick, &worker->ticks, worker->loop.now_ns);
}
