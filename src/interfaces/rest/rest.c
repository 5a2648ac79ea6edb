/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handler: counts, routes, and answers what no route answers.
 *
 * Nothing here decides about models; a handler translates between HTTP and the serving core. A failed
 * inference is counted by the core, every other error here, in the loop's own shard.
 */
#include "interfaces/rest/rest.h"

#include "interfaces/rest/cors.h"
#include "interfaces/rest/guard.h"
#include "interfaces/rest/handlers.h"
#include "interfaces/rest/inference.h"
#include "interfaces/rest/operations/api_stream.h"
#include "interfaces/rest/reply.h"
#include "interfaces/rest/served.h"
#include "shared/alloc.h"

enum { COLUMN_NAME_MAX = 1 << 20 };

void px_rest_fail(struct px_rest_request *request, const struct px_err *err)
{
    px_serving_count_error(request->rest->settings.serving, request->exchange->loop, err->code);
    px_reply_error(request->exchange, err);
}

/* A path of one segment fits the dashboard's row: without such a file it is just unknown. */
static bool is_unknown_file(const struct px_rest *rest, const struct px_route_match *match)
{
    return match->near && match->near->handle == px_handle_asset &&
           !px_rest_has_asset(rest, match->args[0]);
}

static void add_allow(struct px_http_exchange *exchange, unsigned allowed)
{
    const char *header = px_route_allow_header(allowed, exchange->arena);
    if (header)
        px_reply_add_header(exchange, header);
}

static void answer_unrouted(struct px_rest_request *request, const struct px_route_match *match,
                            struct px_err *err)
{
    struct px_http_exchange *exchange = request->exchange;
    if (is_unknown_file(request->rest, match))
        px_err_set(err, PX_E_NOT_FOUND, "no such path: '%.*s'", PX_STR_ARG(exchange->request.path));
    else if (match->allowed)
        add_allow(exchange, match->allowed);
    px_rest_fail(request, err);
}

static void dispatch(struct px_rest *rest, struct px_http_exchange *exchange)
{
    struct px_rest_request request = {.rest = rest, .exchange = exchange};
    struct px_route_match match;
    struct px_err err;
    px_cors_begin(rest, exchange);
    if (px_route_find(&rest->own_routes, exchange, &match, &err) != PX_OK) {
        answer_unrouted(&request, &match, &err);
        return;
    }
    if (!match.route) { /* OPTIONS */
        add_allow(exchange, match.allowed);
        px_cors_preflight(rest, exchange, match.allowed);
        px_reply_finish(&request, 204, NULL);
        return;
    }
    memcpy(request.args, match.args, sizeof request.args);
    bool has_label = match.args[1].len && strstr(match.route->pattern, "{label}");
    if (px_guard_check(rest, &exchange->request, match.route->controls, &err) != PX_OK)
        px_rest_fail(&request, &err);
    else if (has_label && px_label_resolve(&request, &err) != PX_OK)
        px_rest_fail(&request, &err);
    else
        match.route->handle(&request);
}

static void handle(void *context, struct px_http_exchange *exchange)
{
    struct px_rest *rest = context;
    px_serving_count_request(rest->settings.serving, exchange->loop);
    dispatch(rest, exchange);
}

void px_rest_dispatch_again(struct px_rest *rest, struct px_http_exchange *exchange)
{
    px_buf_clear(exchange->body);
    exchange->extra_headers = NULL;
    exchange->state = NULL;
    dispatch(rest, exchange);
}

static void refuse(void *context, struct px_http_exchange *exchange, const struct px_err *err)
{
    struct px_rest *rest = context;
    px_serving_count_error(rest->settings.serving, exchange->loop, err->code);
    px_cors_begin(rest, exchange);
    px_reply_error(exchange, err);
}

static void abandon(void *context, struct px_http_exchange *exchange, enum px_http_end why)
{
    (void)context;
    (void)why;
    if (exchange->streamed)
        px_stats_stream_abandon(exchange);
    else
        px_rest_infer_abandon(exchange);
}

static bool streams(void *context, const struct px_http_request *request)
{
    const struct px_rest *rest = context;
    return rest->streams && px_stats_streams_take(request);
}

/* A stream of events asks for nothing more. */
static void piece(void *context, struct px_http_exchange *exchange, struct px_str bytes,
                  bool is_last)
{
    (void)context;
    (void)exchange;
    (void)bytes;
    (void)is_last;
}

enum px_code px_rest_check_settings(const struct px_rest_settings *settings, struct px_err *err)
{
    enum px_code code = px_cors_check(settings, err);
    if (code == PX_OK)
        code = px_vertex_check(settings, err);
    return code == PX_OK ? px_labels_check(settings, err) : code;
}

static enum px_code check_served(const struct px_rest_settings *settings, struct px_err *err)
{
    const struct px_served_names names = {settings->serving, "serving.default_model",
                                          settings->models_may_come};
    enum px_code code = PX_OK;
    if (settings->default_model.len)
        code = px_served_check(&names, settings->default_model, (struct px_str){0}, err);
    return code == PX_OK ? px_labels_check_served(settings, err) : code;
}

enum px_code px_rest_check_change(const struct px_rest *rest,
                                  const struct px_rest_settings *settings, struct px_err *err)
{
    struct px_rest_settings next = rest->settings;
    next.default_model = settings->default_model;
    next.version_labels = settings->version_labels;
    return check_served(&next, err);
}

void px_rest_change(struct px_rest *rest, const struct px_rest_settings *settings)
{
    struct px_rest_settings *next = &rest->versions[px_rest_live(rest) == &rest->versions[0]];
    *next = rest->settings;
    next->default_model = settings->default_model;
    next->version_labels = settings->version_labels;
    next->cors_origins = settings->cors_origins;
    next->cors_headers = settings->cors_headers;
    next->cors_max_age_s = settings->cors_max_age_s;
    next->cors_credentials = settings->cors_credentials;
    atomic_store_explicit(&rest->live, next, memory_order_release); /* see px_rest_live */
}

enum px_code px_rest_create(const struct px_rest_settings *settings, struct px_rest **ret,
                            struct px_err *err)
{
    unsigned n_loops = px_serving_n_loops(settings->serving);
    enum px_code code = px_rest_check_settings(settings, err);
    if (code == PX_OK)
        code = check_served(settings, err);
    if (code != PX_OK)
        return code;
    struct px_rest *rest = px_alloc(1, sizeof *rest);
    if (!rest)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the REST interface");
    rest->settings = rest->versions[0] = *settings;
    atomic_store_explicit(&rest->live, &rest->versions[0], memory_order_relaxed);
    rest->n_loops = n_loops;
    rest->loops = px_alloc_aligned(PX_CACHE_LINE, n_loops, sizeof *rest->loops);
    code = rest->loops ? px_vertex_routes(settings, &rest->own_routes, err)
                       : px_err_set(err, PX_E_NO_MEMORY,
                                    "no memory for the REST interface of %u loops", n_loops);
    if (code == PX_OK)
        code = px_rest_assets_init(rest, err);
    if (code != PX_OK) {
        px_rest_destroy(rest);
        return code;
    }
    for (unsigned i = 0; i < n_loops; i++) {
        px_csv_init(&rest->loops[i].csv, ',');
        rest->loops[i].name = px_buf(COLUMN_NAME_MAX);
    }
    *ret = rest;
    return PX_OK;
}

void px_rest_destroy(struct px_rest *rest)
{
    if (!rest)
        return;
    for (unsigned i = 0; rest->loops && i < rest->n_loops; i++) {
        px_csv_deinit(&rest->loops[i].csv);
        px_buf_deinit(&rest->loops[i].name);
    }
    px_rest_forget_loops(rest);
    px_rest_assets_deinit(rest);
    px_vertex_free(&rest->own_routes);
    px_free(rest->loops);
    px_free(rest);
}

struct px_http_handler px_rest_handler(struct px_rest *rest)
{
    return (struct px_http_handler){
        .context = rest,
        .handle = handle,
        .refuse = refuse,
        .streams = streams,
        .piece = piece,
        .abandon = abandon,
    };
}

void px_rest_watch_connections(struct px_rest *rest, size_t (*count)(void *context), void *context)
{
    rest->count_connections = count;
    rest->count_context = context;
}

enum px_code px_rest_use_loops(struct px_rest *rest, const struct px_loops *loops,
                               struct px_err *err)
{
    PX_ASSERT(!rest->streams && loops->n_loops == rest->n_loops);
    return px_stats_streams_create(rest, loops, &rest->streams, err);
}

void px_rest_close_streams(struct px_rest *rest)
{
    if (rest->streams)
        px_stats_streams_close(rest->streams);
}

void px_rest_forget_loops(struct px_rest *rest)
{
    px_stats_streams_destroy(rest->streams);
    rest->streams = NULL;
}
