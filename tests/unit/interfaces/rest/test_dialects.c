/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow, SageMaker, Vertex AI, TensorFlow Serving, explanations and CORS: ways to misread their bodies and rules. */
#include "rest_fixture.h"

#include "harness.h"

static struct rest_fixture f;

static void set_up(const struct px_rest_settings *options)
{
    rest_set_up(&f);
    CHECK_OK(rest_use_settings(&f, *options, NULL));
}

static void set_up_for(const char *model)
{
    set_up(&(struct px_rest_settings){.default_model = px_str(model)});
}

static void check(const char *path, const char *body, const char *reply)
{
    rest_ask(&f, PX_HTTP_POST, path, body);
    CHECK_STR(px_str(f.body), reply);
    CHECK_INT(f.status, 200);
}

static void refused(const char *path, const char *body, int status, const char *part)
{
    rest_ask(&f, PX_HTTP_POST, path, body);
    CHECK_CONTAINS(f.body, part);
    CHECK_INT(f.status, status);
}

static void ask_as(const char *type, const char *accept, const char *body)
{
    rest_header(&f, "Content-Type", type);
    rest_header(&f, "Accept", accept);
    rest_ask(&f, PX_HTTP_POST, "/invocations", body);
}

PX_TEST(the_four_forms_of_mlflow_are_the_same_rows)
{
    static const char reply[] = "{\"predictions\":[[3.0,4.0,5.0],[7.0,8.0,9.0]]}";
    set_up_for("multi");
    check("/invocations", "{\"instances\":[{\"a\":1,\"b\":2},[3,4]]}", reply);
    check("/invocations", "{\"inputs\":{\"b\":[2,4],\"a\":[[1],[3]]}}", reply);
    check("/invocations", "{\"inputs\":[[1,2],[3,4]]}", reply);
    check("/invocations",
          "{\"dataframe_records\":[{\"b\":2,\"a\":1,\"id\":\"x\"},{\"a\":3,\"b\":4}]}", reply);
    check("/invocations",
          "{\"dataframe_split\":{\"columns\":[\"b\",\"id\",\"a\"],\"index\":[0,1],"
          "\"data\":[[2,\"x\",1],[4,{},3]]}}",
          reply);
    check("/invocations",
          "{\"dataframe_split\":{\"data\":[[1,2],[3,4]],\"columns\":[\"a\",\"b\"]}}", reply);
    check("/invocations", "{\"dataframe_split\":{\"columns\":[0,1],\"data\":[[1,2],[3,4]]}}",
          reply);
    check("/invocations", "{\"dataframe_split\":{\"data\":[[1,2],[3,4]]},\"params\":{\"x\":1}}",
          reply);
    check("/invocations", "{\"inputs\":{\"a\":1,\"b\":2}}", "{\"predictions\":[[3.0,4.0,5.0]]}");
    check("/invocations", "{\"dataframe_records\":[]}", "{\"predictions\":[]}");
    rest_tear_down(&f);
}

PX_TEST(a_table_with_a_misspelt_column_is_refused_in_mlflows_form)
{
    static const char *const bodies[][2] = {
        {"{\"dataframe_split\":{\"columns\":[\"a\",\"c\"],\"data\":[]}}", "'b'"},
        {"{\"dataframe_split\":{\"columns\":[0],\"data\":[]}}", "expected 2 columns, got 1"},
        {"{\"dataframe_split\":{\"data\":[[1]]}}", "row 0: expected 2 values, got 1"},
        {"{\"dataframe_split\":{\"data\":[[1,2,3]]}}", "expected 2 values, got more"},
        {"{\"dataframe_split\":{\"columns\":[]}}", "the table has no 'data'"},
        {"{\"dataframe_split\":{\"rows\":[]}}", "unknown or repeated member 'rows'"},
        {"{\"dataframe_split\":[]}", "expected an object"},
        {"{\"dataframe_split\":{\"columns\":{},\"data\":[]}}", "expected an array"},
        {"{\"dataframe_split\":{\"columns\":[null],\"data\":[]}}", "expected a string"},
        {"{\"dataframe_records\":[{\"a\":1}]}", "no column for feature 'b'"},
        {"{\"inputs\":{\"a\":[1],\"c\":[1]}}", "unknown feature 'c'"},
        {"{\"inputs\":{\"a\":[1],\"a\":[1]}}", "given twice"},
        {"{\"inputs\":{\"a\":[1],\"b\":[1,2]}}", "got more"},
        {"{\"inputs\":{\"a\":[1,2],\"b\":[1]}}", "column 'b': expected 2 values"},
        {"{\"inputs\":{\"a\":[1,2],\"b\":5}}", "got one that is no list"},
        {"{\"inputs\":{\"a\":5,\"b\":[1,2]}}", "got more"},
        {"{\"inputs\":{\"a\":[[1,2]]}}", "several values"},
        {"{\"inputs\":{\"a\":[[]]}}", "an empty array"},
        {"{\"instances\":[],\"inputs\":[]}", "got both"},
        {"{\"instances\":[],\"instances\":[]}", "repeated"},
        {"{\"instance\":[]}", "did you mean 'instances'"},
        {"{}", "the request has no 'dataframe_split'"},
        {"[]", "expected an object"},
    };
    set_up_for("multi");
    for (size_t i = 0; i < PX_ARRAY_LEN(bodies); i++) {
        refused("/invocations", bodies[i][0], 400, bodies[i][1]);
        CHECK_CONTAINS(f.body, "\"error_code\":\"BAD_REQUEST\",\"message\":\"");
    }
    rest_tear_down(&f);
}

PX_TEST(an_output_is_chosen_by_params_or_query)
{
    set_up_for("bank");
    check("/invocations", "{\"params\":{\"output\":\"labels\"},\"instances\":[{\"age\":1}]}",
          "{\"predictions\":[\"yes\"]}");
    f.query = "output=margins";
    check("/invocations", "{\"instances\":[{\"age\":1}],\"params\":null}",
          "{\"predictions\":[-1.0]}");
    refused("/invocations", "{\"instances\":[],\"params\":{\"output\":\"best\"}}", 400, "'best'");
    rest_tear_down(&f);
}

PX_TEST(which_model_answers_is_never_guessed)
{
    rest_set_up(&f);
    refused("/invocations", "{\"instances\":[]}", 400, "serving.default_model");
    rest_header(&f, "X-Amzn-SageMaker-Target-Model", "/plain.tar.gz");
    check("/invocations", "{\"instances\":[[1,2,3,4]]}", "{\"predictions\":[10.0]}");
    rest_header(&f, "X-Amzn-SageMaker-Target-Model", "nobody");
    refused("/invocations", "{}", 404, "RESOURCE_DOES_NOT_EXIST");
    rest_tear_down(&f);
}

/* As mlflow 3.17 answers for a model with a signature. */
PX_TEST(an_empty_csv_body_is_no_table_and_a_header_alone_is_one)
{
    static const char *const lost[] = {"", "\n", "\r\n\n"};
    set_up_for("multi");
    for (size_t i = 0; i < PX_ARRAY_LEN(lost); i++) {
        ask_as("text/csv", "*/*", lost[i]);
        CHECK_INT(f.status, 400);
        CHECK_CONTAINS(f.body, "\"error_code\":\"BAD_REQUEST\"");
        CHECK_CONTAINS(f.body, "got an empty body");
    }
    for (size_t i = 0; i < PX_ARRAY_LEN(lost); i++) {
        ask_as("application/jsonlines", "*/*", lost[i]);
        CHECK_INT(f.status, 400);
        CHECK_CONTAINS(f.body, "got an empty body");
    }
    ask_as("text/csv", "*/*", "a,b");
    CHECK_STR(px_str(f.body), "{\"predictions\":[]}");
    ask_as("text/csv", "*/*", "b,a\n\n");
    CHECK_STR(px_str(f.body), "{\"predictions\":[]}");
    ask_as("text/csv", "*/*", "a\n");
    CHECK_INT(f.status, 400);
    CHECK_CONTAINS(f.body, "'b'");
    rest_tear_down(&f);
}

PX_TEST(sagemaker_rows_come_and_go_as_csv_and_lines)
{
    set_up_for("plain");
    ask_as("text/csv", "text/csv", "1,2,3,4\n5,6,7,8\n");
    CHECK_STR(px_str(f.body), "10.0\n26.0\n");
    ask_as("application/jsonlines", "application/jsonlines",
           "{\"features\":[1,2,3,4]}\n\n[5,6,7,8]");
    CHECK_STR(px_str(f.body), "{\"score\":10.0}\n{\"score\":26.0}\n");
    ask_as("application/json; charset=utf-8", "*/*", "{\"instances\":[{\"features\":[1,2,3,4]}]}");
    CHECK_STR(px_str(f.body), "{\"predictions\":[{\"score\":10.0}]}");
    ask_as("application/x-ndjson", "application/json", "{\"f0\":1}\r\n");
    CHECK_STR(px_str(f.body), "{\"predictions\":[{\"score\":1.0}]}");
    ask_as("application/jsonlines", "", "[1,2,3,4]\n[1,2");
    CHECK_CONTAINS(f.body, "\"JSON line 2 column 5: ");
    ask_as("application/jsonlines", "", "[1,2,3,4]\n{\"f0\":\"x\"}");
    CHECK_CONTAINS(f.body, "\"line 2: feature 'f0'");
    ask_as("application/x-npy", "", "x");
    CHECK_INT(f.status, 415);
    rest_tear_down(&f);
}

PX_TEST(probes_say_whether_models_are_there)
{
    static const char *const paths[] = {"/ping", "/health"};
    rest_set_up(&f);
    for (size_t i = 0; i < PX_ARRAY_LEN(paths); i++) {
        rest_ask(&f, PX_HTTP_GET, paths[i], "");
        CHECK_INT(f.status, 200);
    }
    rest_ask(&f, PX_HTTP_GET, "/version", "");
    CHECK_STR(px_str(f.body), PX_VERSION);
    px_serving_drain(f.serving);
    rest_ask(&f, PX_HTTP_GET, "/ping", "");
    CHECK_INT(f.status, 503);
    rest_tear_down(&f);
}

PX_TEST(vertex_paths_exist_only_when_they_are_set)
{
    rest_set_up(&f);
    refused("/predict", "{\"instances\":[]}", 404, "no such path");
    rest_tear_down(&f);
    set_up(&(struct px_rest_settings){.default_model = px_str("plain"),
                                      .vertex_predict_route = px_str("/predict"),
                                      .vertex_health_route = px_str("/v1/models")});
    check("/predict", "{\"instances\":[[1,2,3,4]],\"parameters\":{\"any\":[1]}}",
          "{\"predictions\":[10.0]}");
    rest_ask(&f, PX_HTTP_GET, "/v1/models", ""); /* the setting is stronger than the table */
    CHECK_STR(px_str(f.body), "\n");
    refused("/predict", "{\"instances\":[],\"outputs\":1}", 400, "unknown member");
    rest_tear_down(&f);
}

PX_TEST(origins_that_browsers_send_are_taken)
{
    rest_set_up(&f);
    const struct px_rest_settings options = {
        .cors_origins = PX_STR("https://a.example, http://localhost:3000,HTTP://A.example:8080, "
                               "http://[::1]:3000, https://[::1], chrome-extension://abc, "
                               "https://127.0.0.1:80"),
        .cors_headers = PX_STR("Accept")};
    CHECK_OK(px_rest_check_settings(&options, NULL));
    rest_tear_down(&f);
}

PX_TEST(vertex_paths_have_their_methods_as_any_other)
{
    static const char predict[] = "/v1/endpoints/e/deployedModels/d:predict";
    static const char far[] = "/v1/projects/p/locations/l/endpoints/e/deployedModels/d:predict";
    set_up(&(struct px_rest_settings){.default_model = px_str("plain"),
                                      .cors_origins = px_str("*"),
                                      .cors_headers = px_str("Accept"),
                                      .vertex_predict_route = px_str(predict),
                                      .vertex_health_route = px_str("/alive")});
    rest_header(&f, "Origin", "https://a.example");
    rest_header(&f, "Access-Control-Request-Method", "POST");
    rest_ask(&f, PX_HTTP_OPTIONS, predict, "");
    CHECK_INT(f.status, 204);
    CHECK_CONTAINS(f.headers, "Allow: POST, OPTIONS\r\n");
    CHECK_CONTAINS(f.headers, "Access-Control-Allow-Methods: POST, OPTIONS\r\n");
    rest_ask(&f, PX_HTTP_GET, predict, "");
    CHECK_INT(f.status, 405);
    CHECK_CONTAINS(f.headers, "Allow: POST, OPTIONS\r\n");
    rest_ask(&f, PX_HTTP_POST, "/alive", "");
    CHECK_INT(f.status, 405);
    CHECK_CONTAINS(f.headers, "Allow: GET, HEAD, OPTIONS\r\n");
    rest_ask(&f, PX_HTTP_GET, "/openapi.json", "");
    CHECK_CONTAINS(f.body, "\"/v1/endpoints/e/deployedModels/d:predict\":{\"post\"");
    CHECK_CONTAINS(f.body, "\"/alive\":{\"get\"");
    rest_tear_down(&f);
    set_up(&(struct px_rest_settings){.default_model = px_str("plain"),
                                      .vertex_predict_route = px_str(far)});
    rest_ask(&f, PX_HTTP_OPTIONS, far, ""); /* more segments than the table has */
    CHECK_INT(f.status, 204);
    CHECK_STR(px_str(f.headers), "Allow: POST, OPTIONS\r\n");
    rest_tear_down(&f);
}

PX_TEST(columns_of_tensorflow_are_answered_as_columns)
{
    rest_set_up(&f);
    check("/v1/models/multi:predict", "{\"inputs\":{\"a\":[1],\"b\":[2]}}",
          "{\"outputs\":[[3.0,4.0,5.0]]}");
    check("/v1/models/multi/labels/stable:predict", "{\"inputs\":[[1,2]]}",
          "{\"outputs\":[[3.0,4.0,5.0]]}");
    rest_tear_down(&f);
}

PX_TEST(a_label_stands_for_its_version_and_no_other)
{
    set_up(&(struct px_rest_settings){.version_labels = px_str("bank:old=1, ,bank:new = 2")});
    rest_ask(&f, PX_HTTP_GET, "/v1/models/bank/labels/old/metadata", "");
    CHECK_CONTAINS(f.body, "\"version\":\"1\"");
    CHECK_CONTAINS(f.body, "\"job\":{\"dtype\":\"DT_STRING\"");
    rest_ask(&f, PX_HTTP_GET, "/v1/models/bank/labels/stable/metadata", "");
    CHECK_CONTAINS(f.body, "\"version\":\"2\"");
    rest_ask(&f, PX_HTTP_GET, "/v1/models/plain/labels/old", "");
    CHECK_INT(f.status, 404);
    rest_ask(&f, PX_HTTP_GET, "/v1/models/nobody/metadata", "");
    CHECK_INT(f.status, 404);
    rest_ask(&f, PX_HTTP_GET, "/v1/models/multi/metadata", "");
    CHECK_CONTAINS(f.body, "{\"size\":\"3\",\"name\":\"\"}");
    rest_tear_down(&f);
}

PX_TEST(classes_and_values_of_examples)
{
    rest_set_up(&f);
    check("/v1/models/bank:classify", "{\"examples\":[{\"age\":0.25}],\"signature_name\":\"any\"}",
          "{\"results\":[[[\"no\",0.75],[\"yes\",0.25]]]}");
    check("/v1/models/multi:classify", "{\"examples\":[{\"a\":1,\"b\":[1]}]}",
          "{\"results\":[[[\"0\",2.0],[\"1\",3.0],[\"2\",4.0]]]}");
    check("/v1/models/plain:regress", "{\"context\":{\"f3\":4},\"examples\":[{\"f0\":1},{}]}",
          "{\"results\":[5.0,4.0]}");
    refused("/v1/models/plain:regress", "{\"context\":{\"f0\":4},\"examples\":[{\"f0\":1}]}", 400,
            "in an example as well");
    refused("/v1/models/plain:regress", "{\"context\":{\"f9\":4},\"examples\":[{}]}", 400,
            "context: unknown feature 'f9'");
    refused("/v1/models/plain:regress", "{\"context\":{},\"context\":{},\"examples\":[]}", 400,
            "repeated");
    refused("/v1/models/plain:regress", "{\"context\":1,\"examples\":[]}", 400, "context");
    refused("/v1/models/multi:regress", "{}", 400, "no single score");
    refused("/v1/models/plain:classify", "{}", 400, "use :predict");
    rest_tear_down(&f);
}

PX_TEST(explanations_have_a_number_per_feature_and_the_expected_margin)
{
    rest_set_up(&f);
    check("/v1/models/plain:explain", "{\"instances\":[[1,2,3,4]]}",
          "{\"explanations\":[[1.0,2.0,3.0,4.0,0.0]],\"features\":[\"f0\",\"f1\",\"f2\",\"f3\"]}");
    check("/v1/models/multi:explain", "{\"inputs\":{\"a\":[1],\"b\":[2]}}",
          "{\"explanations\":[[[1.0,2.0,0.0],[1.0,2.0,1.0],[1.0,2.0,2.0]]],"
          "\"features\":[\"a\",\"b\"]}");
    check("/v1/models/multi:explain", "{\"instances\":[]}",
          "{\"explanations\":[],\"features\":[\"a\",\"b\"]}");
    refused("/v1/models/multi:explain",
            "{\"instances\":[[1,1],[1,1],[1,1],[1,1],[1,1],[1,1],[1,1],[1,1],[1,1],[1,1],[1,1]]}",
            413, "expected at most 10 rows");
    refused("/v1/models/nobody:explain", "{}", 404, "nobody");
    rest_tear_down(&f);
}

enum { TOGETHER = 4 };

/* Explanations of four rows, four, four and two in one wave; each has the status expected. */
static void explain_together(const int statuses[TOGETHER])
{
    static const char four[] = "{\"instances\":[[1,1],[1,1],[1,1],[1,1]]}";
    static const char *const bodies[TOGETHER] = {four, four, four, "{\"instances\":[[1,1],[1,1]]}"};
    static struct px_http_exchange exchanges[TOGETHER];
    struct px_buf replies[TOGETHER];
    px_arena_reset(&f.arena);
    for (size_t i = 0; i < TOGETHER; i++) {
        struct px_http_exchange *exchange = &exchanges[i];
        replies[i] = px_buf(1 << 16);
        *exchange = (struct px_http_exchange){.arena = &f.arena, .body = &replies[i], .loop = 1};
        exchange->request.method = PX_HTTP_POST;
        exchange->request.path = px_str("/v1/models/multi:explain");
        exchange->request.body = px_str(bodies[i]);
        f.handler.handle(f.handler.context, exchange);
    }
    f.handler.wave(f.handler.context, 1);
    for (size_t i = 0; i < TOGETHER; i++) {
        CHECK_INT(exchanges[i].status, statuses[i]);
        px_buf_deinit(&replies[i]);
    }
}

PX_TEST(explanations_of_one_wakeup_share_a_budget)
{
    static const int ten_rows_fit[TOGETHER] = {200, 200, 503, 200};
    static const int none_fits[TOGETHER] = {503, 503, 503, 503};
    rest_set_up(&f);
    explain_together(ten_rows_fit);
    explain_together(none_fits); /* a wave of the same wake-up */
    f.handler.loop_busy(f.handler.context, 1, 0);
    explain_together(ten_rows_fit);
    rest_tear_down(&f);
}

static void get_from(const char *origin)
{
    rest_header(&f, "Origin", origin);
    rest_ask(&f, PX_HTTP_GET, "/v1/models", "");
}

PX_TEST(only_listed_origins_may_read)
{
    set_up(&(struct px_rest_settings){.cors_origins =
                                          px_str("https://a.example,https://b.example:8443"),
                                      .cors_headers = px_str("Content-Type"),
                                      .cors_max_age_s = 60,
                                      .cors_credentials = true});
    get_from("https://b.example:8443");
    CHECK_CONTAINS(f.headers, "Access-Control-Allow-Origin: https://b.example:8443\r\n");
    CHECK_CONTAINS(f.headers, "Access-Control-Allow-Credentials: true\r\n");
    get_from("https://a.example.evil");
    CHECK_STR(px_str(f.headers), "Vary: Origin\r\n");
    get_from("https://a.example\r\nX: y");
    CHECK_STR(px_str(f.headers), "Vary: Origin\r\n");
    rest_header(&f, "Origin", "https://a.example");
    rest_header(&f, "Access-Control-Request-Method", "POST");
    rest_ask(&f, PX_HTTP_OPTIONS, "/invocations", "");
    CHECK_INT(f.status, 204);
    CHECK_CONTAINS(f.headers, "Access-Control-Allow-Methods: POST, OPTIONS\r\n");
    CHECK_CONTAINS(f.headers, "Access-Control-Max-Age: 60\r\n");
    CHECK_CONTAINS(f.headers, "Allow: POST, OPTIONS\r\n");
    rest_tear_down(&f);
}

PX_TEST(any_origin_is_a_star_without_vary)
{
    set_up(&(struct px_rest_settings){.cors_origins = px_str("*")});
    get_from("https://x.example");
    CHECK_CONTAINS(f.headers, "Access-Control-Allow-Origin: *\r\n");
    CHECK(!strstr(f.headers, "Vary"));
    rest_tear_down(&f);
    rest_set_up(&f);
    get_from("https://x.example");
    CHECK_STR(px_str(f.headers), "");
    rest_tear_down(&f);
}

PX_TEST(settings_that_cannot_be_are_refused)
{
    static const struct {
        struct px_rest_settings options;
        const char *part;
    } bad[] = {
        {{.cors_origins = PX_STR("*"), .cors_credentials = true}, "cors_credentials"},
        {{.cors_origins = PX_STR("example.com")}, "cors_origins"},
        {{.cors_origins = PX_STR("https://a.example/path")}, "cors_origins"},
        {{.cors_origins = PX_STR("https://a.example https://b.example")}, "cors_origins"},
        {{.cors_origins = PX_STR("https://a.example,*")}, "cors_origins"},
        {{.cors_origins = PX_STR("*, https://a.example")}, "cors_origins"},
        {{.cors_origins = PX_STR("https://*.example.com")}, "cors_origins"},
        {{.cors_origins = PX_STR("https://a.example/")}, "cors_origins"},
        {{.cors_origins = PX_STR("https://a.example:443")}, "cors_origins"},
        {{.cors_origins = PX_STR("http://a.example:80")}, "cors_origins"},
        {{.cors_origins = PX_STR("https://a.example:x")}, "cors_origins"},
        {{.cors_origins = PX_STR("https://u@a.example")}, "cors_origins"},
        {{.cors_origins = PX_STR("https://")}, "cors_origins"},
        {{.cors_origins = PX_STR("https:a.example")}, "cors_origins"},
        {{.cors_origins = PX_STR("//a.example")}, "cors_origins"},
        {{.cors_headers = PX_STR("A\r\nB")}, "cors_headers"},
        {{.version_labels = PX_STR("bank=1")}, "version_labels"},
        {{.version_labels = PX_STR("::::")}, "version_labels"},
        {{.vertex_predict_route = PX_STR("predict")}, "vertex.predict_route"},
        {{.vertex_predict_route = PX_STR("/a?b")}, "vertex.predict_route"},
        {{.vertex_predict_route = PX_STR("/a b")}, "vertex.predict_route"},
        {{.vertex_predict_route = PX_STR("/a/{b}")}, "vertex.predict_route"},
        {{.vertex_health_route = PX_STR("/a#b")}, "vertex.health_route"},
        {{.vertex_predict_route = PX_STR("/a"), .vertex_health_route = PX_STR("/a")},
         "vertex.health_route"},
        {{.vertex_health_route = PX_STR("health")}, "vertex.health_route"},
    };
    rest_set_up(&f);
    for (size_t i = 0; i < PX_ARRAY_LEN(bad); i++) {
        struct px_err err;
        CHECK_INT(rest_use_settings(&f, bad[i].options, &err), PX_E_INVALID);
        CHECK_CONTAINS(err.message, bad[i].part);
    }
    rest_tear_down(&f);
}

PX_TEST(a_setting_that_names_what_nobody_serves_is_refused_unless_it_may_come)
{
    static const struct {
        struct px_rest_settings options;
        const char *message; /* NULL: fine */
    } settings[] = {
        {{.default_model = PX_STR("bnak")},
         "serving.default_model: no model 'bnak' is served; there is bank, broken, multi, plain"},
        {{.default_model = PX_STR("broken")}, NULL}, /* its own failure is shown as such */
        {{.version_labels = PX_STR("bank:old=1, bank:new=3")},
         "serving.version_labels: model 'bank' has no version '3'; it has 1, 2"},
        {{.version_labels = PX_STR("tank:old=1")}, "serving.version_labels: no model 'tank' is"},
        {{.version_labels = PX_STR("bank:old=1, bank:new=2")}, NULL},
    };
    rest_set_up(&f);
    for (size_t i = 0; i < PX_ARRAY_LEN(settings); i++) {
        struct px_err err;
        struct px_rest_settings options = settings[i].options;
        CHECK_INT(rest_use_settings(&f, options, &err), settings[i].message ? PX_E_INVALID : PX_OK);
        if (settings[i].message) {
            CHECK_CONTAINS(err.message, settings[i].message);
            CHECK_CONTAINS(err.hint, "serving.model_control");
        }
        options.models_may_come = true;
        CHECK_OK(rest_use_settings(&f, options, NULL));
    }
    rest_tear_down(&f);
}

/* The n-th allocation of a request fails, on cold memory: one answer, whatever it is. */
PX_TEST(a_request_survives_any_failed_allocation)
{
    static const char *const requests[][2] = {
        {"/invocations",
         "{\"dataframe_split\":{\"columns\":[\"a\",\"b\"],\"data\":[[1,2],[3,4]]}}"},
        {"/invocations", "{\"dataframe_records\":[{\"a\":1,\"b\":2}]}"},
        {"/v1/models/multi:explain", "{\"inputs\":{\"a\":[1],\"b\":[2]}}"},
        {"/v1/models/multi:classify", "{\"examples\":[{\"a\":1}],\"context\":{\"b\":1}}"},
    };
    set_up(&(struct px_rest_settings){.default_model = px_str("multi"),
                                      .cors_origins = px_str("https://a.example")});
    for (size_t i = 0; i < PX_ARRAY_LEN(requests); i++) {
        for (uint64_t n = 1;; n++) {
            px_arena_deinit(&f.arena);
            px_buf_deinit(&f.buf);
            rest_header(&f, "Origin", "https://a.example");
            px_alloc_fail_at(n);
            rest_ask(&f, PX_HTTP_POST, requests[i][0], requests[i][1]);
            px_alloc_fail_at(0);
            CHECK(f.exchange.finished);
            if (f.status == 200)
                break;
            CHECK_INT(f.status, 503);
        }
    }
    rest_tear_down(&f);
}

// clang-format off
PX_TEST_MAIN(
    T(the_four_forms_of_mlflow_are_the_same_rows)
    T(a_table_with_a_misspelt_column_is_refused_in_mlflows_form)
    T(an_output_is_chosen_by_params_or_query)
    T(which_model_answers_is_never_guessed)
    T(an_empty_csv_body_is_no_table_and_a_header_alone_is_one)
    T(sagemaker_rows_come_and_go_as_csv_and_lines)
    T(probes_say_whether_models_are_there)
    T(vertex_paths_exist_only_when_they_are_set) T(vertex_paths_have_their_methods_as_any_other) T(origins_that_browsers_send_are_taken)
    T(columns_of_tensorflow_are_answered_as_columns)
    T(a_label_stands_for_its_version_and_no_other)
    T(classes_and_values_of_examples)
    T(explanations_have_a_number_per_feature_and_the_expected_margin)
    T(explanations_of_one_wakeup_share_a_budget)
    T(only_listed_origins_may_read)
    T(any_origin_is_a_star_without_vary)
    T(settings_that_cannot_be_are_refused)
    T(a_setting_that_names_what_nobody_serves_is_refused_unless_it_may_come)
    T(a_request_survives_any_failed_allocation)
)
