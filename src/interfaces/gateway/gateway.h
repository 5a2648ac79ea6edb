/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gateway: one px_http_handler over gRPC and REST, for a transport that brings both on one port. A request is gRPC's
 * when px_grpc_takes says so, else REST's, from its first call to its last. Both score in the same core: its wave and the
 * end of a wake-up are the gateway's.
 *
 * Threads: create on the control thread; the handler on the loops.
 */
#ifndef PX_INTERFACES_GATEWAY_GATEWAY_H
#define PX_INTERFACES_GATEWAY_GATEWAY_H

#include "application/ports/http.h"
#include "application/serving/serving.h"

/* Owned by the caller, who keeps it while the transport runs. */
struct px_gateway {
    struct px_serving *serving;
    struct px_http_handler rest, grpc;
};

/* The handler over both; `gateway` is its context. */
struct px_http_handler px_gateway_handler(struct px_gateway *gateway);

#endif
