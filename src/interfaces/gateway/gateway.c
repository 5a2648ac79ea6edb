/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both handlers score in the same core, whose wave takes all calls of a loop together; so gRPC's wave, which runs the
 * core's and then settles its streams, comes last, and REST's runs before it what REST parked besides.
 */
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
    gateway->rest.wave(gateway->rest.context, loop);
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
    if (gateway->rest.loop_busy)
        gateway->rest.loop_busy(gateway->rest.context, loop, busy_ns);
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
