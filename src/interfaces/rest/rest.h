/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REST: every HTTP route of Phoenix over the serving core. Fills a px_http_handler for the transport.
 *
 * The routes are a table (routes.def). Open Inference (/v2), V1 (/v1/models/M:predict), operations
 * (/metrics, /healthz, /readyz, /api/v1/...) and the dashboard's files each have a file here.
 *
 * Threads: create, destroy and px_rest_watch_connections on the control thread; the handler on the loops.
 */
#ifndef PX_INTERFACES_REST_REST_H
#define PX_INTERFACES_REST_REST_H

#include "application/ports/http.h"
#include "application/ports/shared_memory.h"
#include "application/serving/serving.h"

struct px_rest;

PX_MUST_USE enum px_code px_rest_create(struct px_serving *serving, struct px_rest **ret,
                                        struct px_err *err);
void px_rest_destroy(struct px_rest *rest);

/* The handler for the transport; valid until px_rest_destroy. */
struct px_http_handler px_rest_handler(struct px_rest *rest);

/*
 * Lends the transport's count of open connections to /metrics and /api/v1/stats, which leave the number
 * out otherwise. Call it before the loops start; `count` runs on any loop.
 */
void px_rest_watch_connections(struct px_rest *rest, size_t (*count)(void *context), void *context);

/* Lends shared memory for tensors, before the loops start; without it requests for it are refused. */
void px_rest_use_shared_memory(struct px_rest *rest, struct px_shared_memory *memory);

#endif
