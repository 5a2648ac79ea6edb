/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC over HTTP/2: inference.GRPCInferenceService with Triton's extensions, health checks and reflection, over the
 * serving core. Fills a px_http_handler for the transport.
 *
 * The calls are a table (methods.def). A call with one message is a whole exchange, a call with a stream of messages
 * a streamed one; both are scored in the loop's wave, together with what came over REST.
 *
 * Threads: create and destroy on the control thread; px_grpc_announce_health and px_grpc_close_streams on any; the handler on the loops.
 */
#ifndef PX_INTERFACES_GRPC_GRPC_H
#define PX_INTERFACES_GRPC_GRPC_H

#include "application/ports/coding.h"
#include "application/ports/http.h"
#include "application/ports/loops.h"
#include "application/ports/shared_memory.h"
#include "application/serving/serving.h"

struct px_grpc;

struct px_grpc_settings {
    struct px_serving *serving;
    struct px_shared_memory *shared_memory; /* NULL when the server has none */
    struct px_coder *const *coders;         /* one for each loop; NULL: no compression */
    size_t message_bytes_max;               /* of one message, after decompression */
    size_t request_memory_max;              /* of what one message of a stream is decoded into */
};

PX_MUST_USE enum px_code px_grpc_create(const struct px_grpc_settings *settings,
                                        struct px_grpc **ret, struct px_err *err);
void px_grpc_destroy(struct px_grpc *grpc); /* NULL is fine */

/* The handler; its wave comes behind the core's, which is not in it (interfaces/gateway). Valid until px_grpc_destroy. */
struct px_http_handler px_grpc_handler(struct px_grpc *grpc);

/*
 * Is this request gRPC's to answer: over HTTP/2, with gRPC's content type or the path of one of its services?
 * Anything else is somebody else's.
 */
bool px_grpc_takes(const struct px_http_request *request);

/* Lends the loops that px_grpc_announce_health reaches watchers on; `loops` must outlive `grpc`. */
void px_grpc_use_loops(struct px_grpc *grpc, const struct px_loops *loops);

/* The server's health may have changed: whoever watches it hears of it. Loops also look after each of their waves. */
void px_grpc_announce_health(struct px_grpc *grpc);
/* The server stops: streams that clients hold open end with UNAVAILABLE, so that it need not wait for them. */
void px_grpc_close_streams(struct px_grpc *grpc);

#endif
