/* SPDX-License-Identifier: Apache-2.0 */
/* Routing, error forms, probes, metrics, the API of the dashboard and its files. */
#include "interfaces/rest/openapi/openapi.h"
#include "interfaces/rest/router.h"
#include "rest_fixture.h"

#include "harness.h"

static struct rest_fixture f;

static void get(const char *path)
{
    rest_ask(&f, PX_HTTP_GET, path, "");
}

static void predict(const char *path, const char *body)
{
    rest_ask(&f, PX_HTTP_POST, path, body);
}

PX_TEST(errors_take_the_form_of_their_path)
{
    rest_set_up(&f);
    get("/v2/nothing");
    CHECK_INT(f.status, 404);
    CHECK_STR(px_str(f.body), "{\"error\":\"no such path: '/v2/nothing'\"}");
    CHECK_STR(px_str(f.exchange.content_type), "application/json");
    get("/api/v1/nothing");
    CHECK_STR(px_str(f.body),
              "{\"type\":\"urn:phoenix:error:not-found\",\"title\":\"not found\",\"status\":404,"
              "\"detail\":\"no such path: '/api/v1/nothing'\",\"code\":\"NOT_FOUND\"}");
    CHECK_STR(px_str(f.exchange.content_type), "application/problem+json");
    get("/v1/nothing");
    CHECK_CONTAINS(f.body, "\"error\":\"no such path");
    rest_tear_down(&f);
}

PX_TEST(a_wrong_method_names_the_right_ones)
{
    rest_set_up(&f);
    get("/v2/models/bank/infer");
    CHECK_INT(f.status, 405);
    CHECK_STR(px_str(f.headers), "Allow: POST, OPTIONS\r\n");
    CHECK_STR(px_str(f.body), "{\"error\":\"this path takes POST, OPTIONS, and not GET\"}");
    rest_ask(&f, PX_HTTP_DELETE, "/healthz", "");
    CHECK_INT(f.status, 405);
    CHECK_STR(px_str(f.headers), "Allow: GET, HEAD, OPTIONS\r\n");
    CHECK_CONTAINS(f.body, "\"this path takes GET, HEAD, OPTIONS, and not DELETE\"");
    rest_ask(&f, PX_HTTP_OTHER, "/healthz", "");
    CHECK_CONTAINS(f.body, "\"this path takes GET, HEAD, OPTIONS, and no other method\"");
    get("/v2/models/plain%00b");
    CHECK_INT(f.status, 400);
    CHECK_CONTAINS(f.body, "'plain%00b'");
    rest_ask(&f, PX_HTTP_OPTIONS, "/healthz", "");
    CHECK_INT(f.status, 204);
    CHECK_STR(px_str(f.headers), "Allow: GET, HEAD, OPTIONS\r\n");
    rest_ask(&f, PX_HTTP_HEAD, "/healthz", "");
    CHECK_INT(f.status, 200);
    predict("/predict", "{}"); /* fits the row of the dashboard's files, but is none */
    CHECK_INT(f.status, 404);
    rest_ask(&f, PX_HTTP_OPTIONS, "/nothing/at/all", "");
    CHECK_INT(f.status, 404);
    rest_tear_down(&f);
}

PX_TEST(segments_are_decoded)
{
    rest_set_up(&f);
    get("/v2/models/%62ank/ready");
    CHECK_STR(px_str(f.body), "{\"name\":\"bank\",\"ready\":true}");
    predict("/v1/models/plain%3Apredict", "{\"instances\":[]}");
    CHECK_INT(f.status, 200);
    get("/v2/models/a%2Fb/ready");
    CHECK_CONTAINS(f.body, "a/b");
    get("/v2/models/a%00\"b/ready"); /* it would end the name in a message */
    CHECK_INT(f.status, 400);
    CHECK_CONTAINS(f.body, "a%00\\\"b");
    static const char *const bad[] = {"/v2/models/%", "/v2/models/%4", "/v2/models/%4g",
                                      "/v2/models/%zz"};
    for (size_t i = 0; i < PX_ARRAY_LEN(bad); i++) {
        get(bad[i]);
        CHECK_INT(f.status, 400);
        CHECK_CONTAINS(f.body, "two hexadecimal digits");
    }
    rest_tear_down(&f);
}

PX_TEST(empty_and_extra_segments_match_nothing)
{
    static const char *const paths[] = {"/v2/models//ready",
                                        "/v2//models",
                                        "//",
                                        "/v2/models/bank/versions//ready",
                                        "/v1/models/:predict",
                                        "/v2/models/bank/ready/x",
                                        "/a/b/c/d/e/f/g/h/i/j/k",
                                        "/V2"};
    rest_set_up(&f);
    for (size_t i = 0; i < PX_ARRAY_LEN(paths); i++) {
        get(paths[i]);
        CHECK_INT(f.status, 404);
    }
    rest_tear_down(&f);
}

PX_TEST(every_route_is_found_by_its_own_pattern)
{
    struct px_arena arena = px_arena(4096);
    struct px_route_match match;
    struct px_err err;
    for (size_t i = 0; i < px_n_routes; i++) {
        const struct px_own_routes own = {.n = 0};
        const struct px_http_exchange exchange = {
            .arena = &arena,
            .request = {.method = px_routes[i].method, .path = px_str(px_routes[i].pattern)}};
        CHECK_OK(px_route_find(&own, &exchange, &match, &err));
        CHECK(match.route == &px_routes[i] || px_str_is(px_str(match.route->pattern), "/{file}"));
    }
    px_arena_deinit(&arena);
}

PX_TEST(refusals_of_the_transport_take_the_form_of_the_path)
{
    struct px_err err;
    rest_set_up(&f);
    px_err_set(&err, PX_E_TOO_LARGE, "the body is too large");
    rest_begin(&f);
    f.exchange.request.path = px_str("/v2/models/bank/infer");
    f.handler.refuse(f.handler.context, &f.exchange, &err);
    rest_end(&f);
    CHECK_INT(f.status, 413);
    CHECK_STR(px_str(f.body), "{\"error\":\"the body is too large\"}");
    rest_begin(&f);
    f.handler.refuse(f.handler.context, &f.exchange, &err);
    rest_end(&f);
    CHECK_CONTAINS(f.body, "\"code\":\"TOO_LARGE\"");
    px_err_set(&err, PX_E_OVERLOADED, "too many connections");
    rest_begin(&f);
    f.handler.refuse(f.handler.context, &f.exchange, &err);
    rest_end(&f);
    CHECK_STR(px_str(f.headers), "Retry-After: 1\r\n");
    px_err_set(&err, PX_E_LIMITED, "a peer answered 429");
    err.retry_ns = 7 * PX_NS_PER_S;
    rest_begin(&f);
    f.handler.refuse(f.handler.context, &f.exchange, &err);
    rest_end(&f);
    CHECK_INT(f.status, 429);
    CHECK_CONTAINS(f.headers, "Retry-After: 7\r\n");
    rest_tear_down(&f);
}

PX_TEST(probes)
{
    rest_set_up(&f);
    get("/healthz");
    CHECK_STR(px_str(f.body), "{\"live\":true}");
    get("/readyz");
    CHECK_STR(px_str(f.body), "{\"ready\":true}");
    px_serving_drain(f.serving);
    get("/readyz");
    CHECK_INT(f.status, 503);
    CHECK_CONTAINS(f.body, "{\"ready\":false,\"missing\":[\"");
    CHECK_CONTAINS(f.body, "model 'broken' version '1' failed: broken.json");
    get("/healthz");
    CHECK_INT(f.status, 200);
    rest_tear_down(&f);
}

static void make_traffic(void)
{
    predict("/v1/models/plain:predict", "{\"instances\":[[0.5,0,0,null],[0.25,0,0,0]]}");
    predict("/v1/models/plain:predict", "{\"instances\":[[1]]}");
    predict("/v1/models/nobody:predict", "{}");
    f.handler.loop_busy(f.handler.context, 1, 20000);
}

PX_TEST(metrics)
{
    rest_set_up(&f);
    make_traffic();
    get("/metrics");
    CHECK_INT(f.status, 200);
    CHECK_STR(px_str(f.exchange.content_type), "text/plain; version=0.0.4; charset=utf-8");
    CHECK_CONTAINS(f.body, "# TYPE phoenix_requests_total counter\n");
    CHECK_CONTAINS(f.body, "phoenix_requests_total{model=\"plain\",version=\"1\"} 1\n");
    CHECK_CONTAINS(f.body, "phoenix_rows_total{model=\"plain\",version=\"1\"} 2\n");
    CHECK_CONTAINS(f.body, "phoenix_missing_values_total{model=\"plain\",version=\"1\"} 1\n");
    CHECK_CONTAINS(f.body, "phoenix_request_failures_total{model=\"plain\",version=\"1\"} 1\n");
    CHECK_CONTAINS(
        f.body,
        "phoenix_request_errors_total{model=\"plain\",version=\"1\",reason=\"INVALID\"} 1\n");
    CHECK_CONTAINS(
        f.body, "phoenix_request_errors_total{model=\"\",version=\"\",reason=\"NOT_FOUND\"} 1\n");
    CHECK_CONTAINS(f.body, "phoenix_batch_rows_bucket{model=\"plain\",version=\"1\",le=\"1\"} 0\n");
    CHECK_CONTAINS(f.body, "phoenix_batch_rows_bucket{model=\"plain\",version=\"1\",le=\"2\"} 1\n");
    CHECK_CONTAINS(f.body,
                   "phoenix_batch_rows_bucket{model=\"plain\",version=\"1\",le=\"+Inf\"} 1\n");
    CHECK_CONTAINS(
        f.body,
        "phoenix_request_duration_seconds_bucket{model=\"plain\",version=\"1\",le=\"+Inf\"} 1\n");
    CHECK_CONTAINS(f.body, "phoenix_model_ready{model=\"broken\",version=\"1\"} 0\n");
    CHECK_CONTAINS(f.body,
                   "phoenix_model_info{model=\"bank\",version=\"2\",format=\"xgboost-json\","
                   "objective=\"binary:logistic\",engine=\"recorder\"} 1\n");
    CHECK_CONTAINS(f.body, "phoenix_model_plan_row_seconds{model=\"bank\",version=\"2\",rows=\"1\","
                           "kernel=\"walker\"} 2.5e-07\n");
    CHECK_CONTAINS(f.body, "phoenix_http_requests_total 4\n");
    CHECK_CONTAINS(f.body, "phoenix_loop_wakeups_total 1\n");
    CHECK_CONTAINS(f.body, "phoenix_loop_busy_seconds_count 1\n");
    CHECK(!strstr(f.body, "phoenix_connections"));
    rest_tear_down(&f);
}

static size_t seven(void *context)
{
    (void)context;
    return 7;
}

PX_TEST(the_transport_may_tell_its_connections)
{
    rest_set_up(&f);
    px_rest_watch_connections(f.rest, seven, NULL);
    get("/metrics");
    CHECK_CONTAINS(f.body, "phoenix_connections 7.0\n");
    get("/api/v1/stats");
    CHECK_CONTAINS(f.body, "\"connections\":7,");
    rest_tear_down(&f);
}

PX_TEST(models)
{
    rest_set_up(&f);
    get("/api/v1/models");
    CHECK_INT(f.status, 200);
    CHECK_CONTAINS(f.body,
                   "{\"name\":\"bank\",\"version\":\"1\",\"state\":\"READY\",\"default\":false,"
                   "\"loaded_at\":\"1970-01-01T00:00:00.000Z\"");
    CHECK_CONTAINS(f.body,
                   "{\"name\":\"bank\",\"version\":\"2\",\"state\":\"READY\",\"default\":true");
    CHECK_CONTAINS(f.body, "{\"name\":\"job\",\"type\":\"category\",\"categories\":[\"admin.\","
                           "\"technician\",\"7\"]}");
    CHECK_CONTAINS(f.body, "\"labels\":[\"no\",\"yes\"]");
    CHECK_CONTAINS(f.body, "\"sample\":{\"age\":58}");
    CHECK_CONTAINS(f.body,
                   "\"plan\":{\"forced\":false,\"choices\":[{\"rows\":1,\"kernel\":\"walker\","
                   "\"ns_per_row\":250.0,\"measured\":true},{\"rows\":2,");
    CHECK_CONTAINS(f.body, "\"kernels\":[{\"name\":\"wide\",\"state\":\"refused\",\"reason\":"
                           "\"tree 17 has 5230 leaves, at most 256\"},{\"name\":\"walker\","
                           "\"state\":\"chosen\",\"bytes\":64}],\"self_test\":{\"passed\":true,"
                           "\"kernels\":1,\"rows\":768}}");
    CHECK_CONTAINS(f.body, "\"engine\":{\"name\":\"recorder\",\"feature_type\":\"FP32\"");
    CHECK_CONTAINS(f.body,
                   "{\"name\":\"broken\",\"version\":\"1\",\"state\":\"FAILED\",\"default\":false,"
                   "\"reason\":\"broken.json: the file ends inside a tree\"}");
    get("/api/v1/version");
    CHECK_CONTAINS(f.body, "{\"name\":\"phoenix\",\"version\":\"" PX_VERSION "\",\"compiler\":\"");
    rest_tear_down(&f);
}

PX_TEST(stats)
{
    rest_set_up(&f);
    make_traffic();
    get("/api/v1/stats");
    CHECK_INT(f.status, 200);
    CHECK_CONTAINS(f.body, "\"ready\":true,\"draining\":false,");
    CHECK_CONTAINS(f.body, "\"http_requests\":4,\"loop_wakeups\":1,\"errors\":{\"NOT_FOUND\":1}");
    CHECK_CONTAINS(f.body,
                   "{\"loop\":1,\"http_requests\":4,\"wakeups\":1,\"busy_us\":{\"count\":1,");
    CHECK_CONTAINS(f.body,
                   "\"requests\":1,\"rows\":2,\"batches\":1,\"failures\":1,"
                   "\"missing_values\":1,\"unseen_categories\":0,\"cache_hits\":0,\"cache_joined\":"
                   "0,\"cache_misses\":0,\"errors\":{\"INVALID\":1},\"latency_us\":{");
    CHECK_CONTAINS(f.body, "\"batch_bins\":[{\"max\":1,\"count\":0},{\"max\":2,\"count\":1}");
    CHECK_CONTAINS(f.body, "{\"max\":null,\"count\":0}]");
    CHECK_CONTAINS(f.body, "{\"min\":0.25,\"max\":0.3");
    CHECK_CONTAINS(f.body, "{\"name\":\"broken\",\"version\":\"1\",\"state\":\"FAILED\"}");
    rest_tear_down(&f);
}

PX_TEST(dashboard_files)
{
    char tag[64];
    rest_set_up(&f);
    get("/");
    CHECK_STR(px_str(f.body), "{\"status\":\"alive\"}");
    rest_header(&f, "Accept", "text/html,*/*;q=0.8");
    get("/");
    CHECK_INT(f.status, 200);
    CHECK_STR(px_str(f.exchange.content_type), "text/html; charset=utf-8");
    CHECK_CONTAINS(f.headers, "Content-Security-Policy: default-src 'none'; script-src 'self';");
    CHECK_CONTAINS(f.headers, "X-Content-Type-Options: nosniff\r\n");
    const char *at = strstr(f.headers, "ETag: ");
    CHECK(at);
    snprintf(tag, sizeof tag, "\"x\", %.20s", at + 6);
    rest_header(&f, "If-None-Match", tag);
    get("/index.html");
    CHECK_INT(f.status, 304);
    CHECK_INT(f.exchange.static_body.len, 0);
    get("/nothing.js");
    CHECK_INT(f.status, 404);
    rest_tear_down(&f);
}

PX_TEST(every_route_is_in_the_description)
{
    for (size_t i = 0; i < px_n_routes; i++) {
        if (!px_operation_find(&px_routes[i]))
            CHECK_STR(px_str(px_routes[i].pattern), "a row in openapi/operations.def");
    }
    rest_set_up(&f);
    get("/openapi.json");
    CHECK_INT(f.status, 200);
    CHECK_STR(px_str(f.exchange.content_type), "application/json");
    CHECK_CONTAINS(f.body, "\"openapi\":\"3.1.0\"");
    CHECK_CONTAINS(f.body, "\"operationId\":\"post_v1_predict_version\"");
    get("/docs");
    CHECK_INT(f.status, 200);
    CHECK_STR(px_str(f.exchange.content_type), "text/html; charset=utf-8");
    rest_tear_down(&f);
}

PX_TEST(creation_survives_any_failed_allocation)
{
    const struct px_serving_limits limits = {
        .request_rows_max = 1, .batch_rows_max = 1, .wave_bytes_max = 1 << 26};
    struct px_serving *serving = NULL;
    struct px_rest *rest = NULL;
    struct px_err err;
    CHECK_OK(px_serving_create(1, &limits, &serving, &err));
    for (uint64_t n = 1;; n++) {
        px_alloc_fail_at(n);
        enum px_code code =
            px_rest_create(&(struct px_rest_settings){.serving = serving}, &rest, &err);
        px_alloc_fail_at(0);
        if (code == PX_OK)
            break;
        CHECK_INT(code, PX_E_NO_MEMORY);
    }
    px_rest_destroy(rest);
    px_rest_destroy(NULL);
    px_serving_destroy(serving);
}

/* The response of a request whose n-th allocation fails, on cold memory. */
static void ask_without_memory(uint64_t n, const char *path, const char *type, const char *body)
{
    px_arena_deinit(&f.arena);
    px_buf_deinit(&f.buf);
    rest_header(&f, "Content-Type", type);
    px_alloc_fail_at(n);
    predict(path, body);
    px_alloc_fail_at(0);
    CHECK(f.exchange.finished);
}

/* Errors that were counted so far, of models and of the process. */
static uint64_t count_errors(void)
{
    const struct px_model_set *set = px_serving_models(f.serving);
    uint64_t sum = 0;
    for (size_t code = 0; code < PX_METRIC_CODES; code++) {
        sum += px_metric_get(&px_serving_loop_metrics(f.serving, 1)->errors[code]);
        for (size_t i = 0; i < set->n_models; i++) {
            if (set->models[i]->metrics)
                sum += px_metric_get(&set->models[i]->metrics[1].errors[code]);
        }
    }
    return sum;
}

PX_TEST(a_reply_over_its_limit_is_counted)
{
    static const struct {
        enum px_http_method method;
        const char *path, *body;
    } requests[] = {
        {PX_HTTP_GET, "/metrics", ""},
        {PX_HTTP_GET, "/v2/models/bank", ""},
        {PX_HTTP_POST, "/v1/models/plain:predict", "{\"instances\":[[1,2,3,4]]}"},
    };
    rest_set_up(&f);
    px_buf_deinit(&f.buf);
    f.buf = px_buf(16);
    for (size_t i = 0; i < PX_ARRAY_LEN(requests); i++) {
        rest_ask(&f, requests[i].method, requests[i].path, requests[i].body);
        CHECK_INT(f.status, 413);
        CHECK_INT(count_errors(), i + 1);
    }
    rest_tear_down(&f);
}

PX_TEST(a_request_survives_any_failed_allocation)
{
    static const struct {
        const char *path, *type, *body;
    } requests[] = {
        {"/v2/models/bank/infer", "application/json",
         "{\"inputs\":[{\"name\":\"age\",\"shape\":[1],\"datatype\":\"FP32\",\"data\":[1]}]}"},
        {"/v1/models/bank:predict", "application/json",
         "{\"instances\":[{\"age\":1},{\"job\":\"a\\u00e9\"},{},{}]}"},
        {"/v1/models/plain:predict", "text/csv", "1,2,3,4\n1,2,3,4\n1,2,3,4\n"},
        {"/v2/models/%62ank/infer", "application/json", "{}"},
    };
    rest_set_up(&f);
    for (size_t i = 0; i < PX_ARRAY_LEN(requests); i++) {
        ask_without_memory(0, requests[i].path, requests[i].type, requests[i].body);
        int want = f.status;
        for (uint64_t n = 1; n < 12; n++) {
            uint64_t n_errors = count_errors();
            ask_without_memory(n, requests[i].path, requests[i].type, requests[i].body);
            CHECK(f.status == want || f.status == 413 || f.status == 503);
            CHECK_INT(count_errors() - n_errors, f.status != 200);
        }
    }
    rest_tear_down(&f);
}

PX_TEST(labels_of_metrics_are_escaped)
{
    struct px_model *model;
    rest_set_up(&f);
    model = rest_make_model(&f, "a\"b\\c\nd\xC3\xA9", "\xFF", &f.plain, &f.regression_info,
                            rest_engine_create(&f, PX_TYPE_FP32, 4, 1));
    CHECK_OK(px_serving_publish(f.serving, &model, 1, NULL));
    get("/metrics");
    CHECK_CONTAINS(f.body, "{model=\"a\\\"b\\\\c\\nd\xC3\xA9\",version=\"?\"}");
    rest_tear_down(&f);
}

PX_TEST_MAIN(T(errors_take_the_form_of_their_path) T(a_wrong_method_names_the_right_ones)
                 T(segments_are_decoded) T(empty_and_extra_segments_match_nothing)
                     T(every_route_is_found_by_its_own_pattern)
                         T(refusals_of_the_transport_take_the_form_of_the_path) T(probes) T(metrics)
                             T(the_transport_may_tell_its_connections) T(models) T(stats)
                                 T(dashboard_files) T(every_route_is_in_the_description)
                                     T(creation_survives_any_failed_allocation)
                                         T(a_reply_over_its_limit_is_counted)
                                             T(a_request_survives_any_failed_allocation)
                                                 T(labels_of_metrics_are_escaped))
