/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REST: every HTTP route of Phoenix over the serving core. Fills a px_http_handler for the transport.
 *
 * The routes are a table (routes.def). Open Inference (/v2), V1 (/v1/models/M:predict), operations
 * (/metrics, /healthz, /readyz, /api/v1/...) and the dashboard's files each have a file here.
 *
 * Threads: the handler on the loops, everything else on the control thread.
 */
#ifndef PX_INTERFACES_REST_REST_H
#define PX_INTERFACES_REST_REST_H

#include "application/ports/http.h"
#include "application/ports/loops.h"
#include "application/ports/shared_memory.h"
#include "application/serving/serving.h"

struct px_live_config;
struct px_pressure;
struct px_rest;

/* What is lent must outlive the interface; texts too, which may be empty. */
struct px_rest_settings {
    struct px_serving *serving;
    struct px_live_config *live_config; /* for /api/v1/config; NULL: it answers 503 */
    const struct px_pressure *pressure; /* how near the process is to its limits; NULL: not told */
    struct px_shared_memory *shared_memory; /* for tensors; NULL: requests for it are refused */
    struct px_str
        default_model; /* that answers where a path names none (/invocations, Vertex AI) */
    struct px_str version_labels; /* "MODEL:LABEL=VERSION, ..." */
    bool models_may_come; /* both may name what nobody serves yet: clients may load models later */
    struct px_str vertex_predict_route, vertex_health_route;
    size_t
        header_bytes_max; /* of a request that the transport takes, its path among them; 0: any */
    struct px_str cors_origins; /* "*", or origins separated by commas; empty: no CORS */
    struct px_str cors_headers; /* that pages may send */
    int64_t cors_max_age_s;
    bool cors_credentials;
    /*
     * Control of models, and of shared memory, is open only because nobody but this machine reaches the server:
     * then a request for it must name this machine as its host (guard.c).
     */
    bool models_need_local_host, memory_needs_local_host;
};

/* Can they hold at all, whatever is served? Looks at no model; PX_E_INVALID names the setting that is wrong. */
PX_MUST_USE enum px_code px_rest_check_settings(const struct px_rest_settings *settings,
                                                struct px_err *err);

/* Before the loops start, when the models are there. PX_E_INVALID names the setting that is wrong. */
PX_MUST_USE enum px_code px_rest_create(const struct px_rest_settings *settings,
                                        struct px_rest **ret, struct px_err *err);
void px_rest_destroy(struct px_rest *rest);

/*
 * Other settings of CORS, another default model and other labels, from each loop's next request on; the rest of `settings` is not looked
 * at. The texts of the former ones must stay until every loop has passed (application/control/loop_round.h). One at a time.
 */
void px_rest_change(struct px_rest *rest, const struct px_rest_settings *settings);
/* Could it? Looks at the models, so call it on a loop. */
PX_MUST_USE enum px_code px_rest_check_change(const struct px_rest *rest,
                                              const struct px_rest_settings *settings,
                                              struct px_err *err);

/* The handler, without a wave: who runs it runs the core's (interfaces/gateway). Valid until px_rest_destroy. */
struct px_http_handler px_rest_handler(struct px_rest *rest);

/*
 * Lends the transport's count of open connections to /metrics and /api/v1/stats, which leave the number
 * out otherwise. Call it before the loops start; `count` runs on any loop.
 */
void px_rest_watch_connections(struct px_rest *rest, size_t (*count)(void *context), void *context);

/*
 * Lends the transport's loops, before they start: /api/v1/stats/stream then streams, once a second, and answers once
 * otherwise. `loops` must outlive px_rest_forget_loops.
 */
PX_MUST_USE enum px_code px_rest_use_loops(struct px_rest *rest, const struct px_loops *loops,
                                           struct px_err *err);
/* Ends all streams, and refuses new ones: the server is about to stop. */
void px_rest_close_streams(struct px_rest *rest);
/* When the loops have stopped or never started, and before they are destroyed. */
void px_rest_forget_loops(struct px_rest *rest);

#endif
