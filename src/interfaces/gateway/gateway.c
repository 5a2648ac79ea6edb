/* SPDX-License-Identifier: Apache-2.0 */
/* The core's wave takes all calls of a loop together, whoever parked them; gRPC's comes behind it and settles its streams. */
#include "interfaces/gateway/gateway.h"

#include "interfaces/grpc/grpc.h"

static const struct px_http_handler *handler_of(const struct px_gateway *gateway,
                                                const struct px_http_request *request)
{
    return px_grpc_takes(request) ? &gateway->grpc : &gateway->rest;
}

static void handle(void *context, struct px_http_exchange *exchange)
{
    const struct px_http_handler *to = handler_of(context, &exchange->request);
    to->handle(to->context, exchange);
}

static void wave(void *context, unsigned loop)
{
    const struct px_gateway *gateway = context;
    px_serving_wave(gateway->serving, loop);
    gateway->grpc.wave(gateway->grpc.context, loop);
}

static void refuse(void *context, struct px_http_exchange *exchange, const struct px_err *err)
{
    const struct px_http_handler *to = handler_of(context, &exchange->request);
    to->refuse(to->context, exchange, err);
}

static void loop_busy(void *context, unsigned loop, uint64_t busy_ns)
{
    const struct px_gateway *gateway = context;
    struct px_loop_metrics *metrics = px_serving_loop_metrics(gateway->serving, loop);
    px_metric_add(&metrics->loop_wakeups, 1);
    px_histogram_add(&metrics->busy_ns, busy_ns);
    px_serving_note_lag(gateway->serving, loop, busy_ns);
    px_serving_end_wakeup(gateway->serving, loop);
}

static bool streams(void *context, const struct px_http_request *request)
{
    const struct px_http_handler *to = handler_of(context, request);
    return to->streams && to->streams(to->context, request);
}

static void piece(void *context, struct px_http_exchange *exchange, struct px_str bytes,
                  bool is_last)
{
    const struct px_http_handler *to = handler_of(context, &exchange->request);
    to->piece(to->context, exchange, bytes, is_last);
}

static void abandon(void *context, struct px_http_exchange *exchange, enum px_http_end why)
{
    const struct px_http_handler *to = handler_of(context, &exchange->request);
    if (to->abandon)
        to->abandon(to->context, exchange, why);
}

struct px_http_handler px_gateway_handler(struct px_gateway *gateway)
{
    return (struct px_http_handler){
        .context = gateway,
        .handle = handle,
        .wave = wave,
        .refuse = refuse,
        .loop_busy = loop_busy,
        .streams = streams,
        .piece = piece,
        .abandon = abandon,
    };
}
