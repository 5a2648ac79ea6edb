/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to interfaces/rest: the room's own object, one request on its way, and the handlers of routes.def.
 *
 * A handler fills the exchange's response and finishes it, or parks an inference (infer.h) that is
 * finished by the wave. Everything that it allocates is in the exchange's arena.
 */
#ifndef PX_INTERFACES_REST_HANDLERS_H
#define PX_INTERFACES_REST_HANDLERS_H

#include "interfaces/rest/rest.h"
#include "interfaces/rest/router.h"
#include "shared/csv.h"

#include <stdatomic.h>

/* What one loop keeps between requests, so that it need not allocate again. */
struct px_rest_loop {
    struct px_csv csv;
    struct px_buf name; /* of the column of a CSV reply that is being written */
} __attribute__((aligned(PX_CACHE_LINE)));

struct px_rest_asset;    /* operations/assets.c */
struct px_stats_streams; /* operations/api_stream.c */

struct px_rest {
    struct px_rest_settings settings; /* what never changes; the rest by px_rest_live */
    struct px_rest_settings versions[2];
    _Atomic(const struct px_rest_settings *) live; /* one of them */
    struct px_rest_loop *loops;                    /* [n_loops] */
    unsigned n_loops;
    struct px_rest_asset *assets;
    size_t n_assets;
    struct px_buf openapi;                      /* the bytes of one of them */
    struct px_own_routes own_routes;            /* their patterns are owned */
    struct px_stats_streams *streams;           /* NULL: nobody lent the loops */
    size_t (*count_connections)(void *context); /* NULL when nobody tells */
    void *count_context;
};

struct px_rest_request {
    struct px_rest *rest;
    struct px_http_exchange *exchange;
    /* Decoded {segments}, in the order of the pattern: model, version. */
    struct px_str args[PX_ROUTE_ARGS_MAX];
};

#define PX_ROUTE(method, pattern, handler, summary)                                                \
    void px_handle_##handler(struct px_rest_request *request);
#define PX_CONTROL(what, method, pattern, handler, summary)                                        \
    PX_ROUTE(method, pattern, handler, summary)
#include "interfaces/rest/routes.def"
#undef PX_CONTROL
#undef PX_ROUTE
/* Of paths that the configuration names (hosting/vertex.c). */
void px_handle_vertex_predict(struct px_rest_request *request);
void px_handle_vertex_health(struct px_rest_request *request);

/* Vertex AI's two paths: are they paths, and the rows that settings make of them (hosting/vertex.c). */
PX_MUST_USE enum px_code px_vertex_check(const struct px_rest_settings *settings,
                                         struct px_err *err);
PX_MUST_USE enum px_code px_vertex_routes(const struct px_rest_settings *settings,
                                          struct px_own_routes *ret, struct px_err *err);
void px_vertex_free(struct px_own_routes *routes);

/* What px_rest_change may change, as it holds in this wake-up; copy what a request keeps for longer. */
static inline const struct px_rest_settings *px_rest_live(const struct px_rest *rest)
{
    /* Pairs with the release in px_rest_change. */
    return atomic_load_explicit(&rest->live, memory_order_acquire);
}

/* Handles a deferred exchange as if it had come now; its request is as it came. */
void px_rest_dispatch_again(struct px_rest *rest, struct px_http_exchange *exchange);

/* Counts an error that concerns no model, and answers with it. */
void px_rest_fail(struct px_rest_request *request, const struct px_err *err);

/* The dashboard's files with their headers, made once (operations/assets.c). */
PX_MUST_USE enum px_code px_rest_assets_init(struct px_rest *rest, struct px_err *err);
void px_rest_assets_deinit(struct px_rest *rest);
/* Is there a file of this name? The empty name is the front page. */
bool px_rest_has_asset(const struct px_rest *rest, struct px_str name);

#endif
