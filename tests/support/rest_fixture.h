/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The REST handler over models that record what they are asked, without sockets or model files.
 *
 *     struct rest_fixture f;
 *     rest_set_up(&f);
 *     rest_ask(&f, PX_HTTP_POST, "/v2/models/plain/infer", body);    // f.status, f.body, f.headers
 *     rest_tear_down(&f);
 *
 * Models (version 1 each): `plain`, four unnamed numbers, FP32, one score; `bank`, five named features of
 * every kind, labels no and yes; `multi`, two named numbers, FP64, three scores; `broken`, FAILED; `bank` has a
 * version 2 as well. The score in column c of a row is the sum of its values that are present plus c; a
 * margin is the negative of that, a feature's contribution its value and the expected margin the column. Row r of the last engine call is in f.engine_rows.
 */
#ifndef PX_TESTS_REST_FIXTURE_H
#define PX_TESTS_REST_FIXTURE_H

#include "application/serving/serving_impl.h"
#include "interfaces/gateway/gateway.h"
#include "interfaces/rest/rest.h"
#include "shared/alloc.h"
#include "shared/clock.h"

#include <math.h>

enum {
    REST_EXPLAIN_MAX = 10,
    REST_ROWS_MAX = 100,
    REST_COLS_MAX = 8,
    REST_HEADERS_MAX = 8,
    REST_ARENA_MAX = 1 << 20
};

struct rest_engine {
    struct px_engine base; /* first */
    double *rows;          /* [REST_ROWS_MAX][REST_COLS_MAX], where the last call is recorded */
    size_t *n_rows;
};

struct rest_fixture {
    struct px_serving *serving;
    struct px_rest *rest;
    struct px_gateway gateway; /* without gRPC: it runs the wave */
    struct px_http_handler handler;
    struct px_signature plain, bank, multi;
    struct px_forest_info binary_info, regression_info, multi_info;
    double engine_rows[REST_ROWS_MAX][REST_COLS_MAX];
    size_t engine_n_rows;
    /* the next request's headers, cleared by rest_ask */
    struct px_http_header request_headers[REST_HEADERS_MAX];
    size_t n_request_headers;
    const char *query;
    /* the last response */
    struct px_http_exchange exchange;
    struct px_arena arena;
    struct px_buf buf;
    int status;
    const char *body; /* NUL-terminated, what the client gets */
    const char *headers;
};

static inline enum px_code rest_engine_score(struct px_engine *engine, const struct px_matrix *rows,
                                             struct px_matrix *scores, void *scratch,
                                             unsigned flags, struct px_err *err)
{
    struct rest_engine *self = (struct rest_engine *)engine;
    (void)scratch;
    (void)err;
    *self->n_rows = rows->n_rows;
    for (size_t row = 0; row < rows->n_rows; row++) {
        double sum = 0;
        for (size_t col = 0; col < rows->n_cols; col++) {
            double value = px_matrix_get(rows, row, col);
            if (row < REST_ROWS_MAX)
                self->rows[row * REST_COLS_MAX + col] = value;
            sum += isnan(value) ? 0 : value;
        }
        for (size_t col = 0; col < scores->n_cols; col++)
            px_matrix_set(scores, row, col, (flags & PX_SCORE_MARGIN ? -sum : sum) + (double)col);
    }
    return PX_OK;
}

static inline enum px_code rest_engine_explain(struct px_engine *engine,
                                               const struct px_matrix *rows, double *out,
                                               struct px_arena *arena, struct px_err *err)
{
    (void)arena;
    (void)err;
    for (size_t row = 0; row < rows->n_rows; row++) {
        for (size_t k = 0; k < engine->n_margins; k++) {
            for (size_t i = 0; i < rows->n_cols; i++)
                *out++ = px_matrix_get(rows, row, i);
            *out++ = (double)k;
        }
    }
    return PX_OK;
}

static inline double rest_engine_explain_steps(const struct px_engine *engine)
{
    (void)engine;
    return (double)PX_EXPLAIN_STEPS_MAX / REST_EXPLAIN_MAX;
}

static inline size_t rest_engine_scratch_size(const struct px_engine *engine, size_t rows_max)
{
    (void)engine;
    (void)rows_max;
    return 0;
}

static inline void rest_engine_destroy(struct px_engine *engine)
{
    px_free(engine);
}

static inline struct px_engine *rest_engine_create(struct rest_fixture *f, enum px_datatype type,
                                                   size_t n_features, size_t n_outputs)
{
    static const struct px_engine_ops ops = {
        .abi = PX_ENGINE_ABI,
        .caps = PX_ENGINE_WAVE | PX_ENGINE_MARGIN | PX_ENGINE_EXPLAIN,
        .name = "recorder",
        .score = rest_engine_score,
        .explain = rest_engine_explain,
        .explain_steps = rest_engine_explain_steps,
        .scratch_size = rest_engine_scratch_size,
        .destroy = rest_engine_destroy,
    };
    struct rest_engine *engine = px_xalloc(1, sizeof *engine);
    engine->base = (struct px_engine){.ops = &ops,
                                      .feature_type = type,
                                      .score_type = type,
                                      .n_features = n_features,
                                      .n_outputs = n_outputs,
                                      .n_margins = n_outputs};
    engine->rows = &f->engine_rows[0][0];
    engine->n_rows = &f->engine_n_rows;
    return &engine->base;
}

static inline void rest_finish_signature(struct px_signature *signature)
{
    struct px_err err;
    if (px_signature_finish(signature, &err) != PX_OK)
        abort();
}

static inline void rest_make_signatures(struct rest_fixture *f)
{
    static struct px_feature numbers[4] = {{.name = PX_STR("f0"), .kind = PX_FEATURE_NUMBER},
                                           {.name = PX_STR("f1"), .kind = PX_FEATURE_NUMBER},
                                           {.name = PX_STR("f2"), .kind = PX_FEATURE_NUMBER},
                                           {.name = PX_STR("f3"), .kind = PX_FEATURE_NUMBER}};
    static const struct px_str jobs[] = {PX_STR("admin."), PX_STR("technician"), PX_STR("7")};
    static struct px_feature bank[5] = {{.name = PX_STR("age"), .kind = PX_FEATURE_NUMBER},
                                        {.name = PX_STR("job"),
                                         .kind = PX_FEATURE_CATEGORY,
                                         .categories = jobs,
                                         .n_categories = 3,
                                         .other = 3},
                                        {.name = PX_STR("married"), .kind = PX_FEATURE_BOOLEAN},
                                        {.name = PX_STR("since"), .kind = PX_FEATURE_DATETIME},
                                        {.name = PX_STR("balance"), .kind = PX_FEATURE_NUMBER}};
    static const struct px_str labels[] = {PX_STR("no"), PX_STR("yes")};
    static struct px_feature pair[2] = {{.name = PX_STR("a"), .kind = PX_FEATURE_NUMBER},
                                        {.name = PX_STR("b"), .kind = PX_FEATURE_NUMBER}};
    struct px_str output = PX_STR("predictions");
    f->plain = (struct px_signature){
        .features = numbers, .n_features = 4, .task = PX_TASK_REGRESSION, .output_name = output};
    f->bank = (struct px_signature){.features = bank,
                                    .n_features = 5,
                                    .named = true,
                                    .task = PX_TASK_BINARY,
                                    .output_name = output,
                                    .labels = labels,
                                    .n_labels = 2};
    f->multi = (struct px_signature){.features = pair,
                                     .n_features = 2,
                                     .named = true,
                                     .task = PX_TASK_MULTICLASS,
                                     .output_name = output};
    rest_finish_signature(&f->plain);
    rest_finish_signature(&f->bank);
    rest_finish_signature(&f->multi);
}

static inline void rest_make_infos(struct rest_fixture *f)
{
    static const struct px_forest_choice choices[] = {
        {.rows = 1, .kernel = "walker", .ns_per_row = 250, .measured = true},
        {.rows = 2, .kernel = "walker", .ns_per_row = 12.25}};
    static const struct px_forest_kernel kernels[] = {
        {.name = "wide",
         .state = PX_KERNEL_REFUSED,
         .reason = "tree 17 has 5230 leaves, at most 256"},
        {.name = "walker", .state = PX_KERNEL_CHOSEN, .reason = "", .bytes = 64}};
    f->regression_info = (struct px_forest_info){
        .format = PX_FOREST_XGBOOST_JSON,
        .library_version = PX_STR("3.2.0"),
        .objective = PX_STR("reg:squarederror"),
        .feature_type = PX_TYPE_FP32,
        .score_type = PX_TYPE_FP32,
        .n_features = 4,
        .n_outputs = 1,
        .n_margins = 1,
        .n_trees = 1,
        .kernel_one = "walker",
        .kernel_many = "walker",
        .choices = choices,
        .n_choices = PX_ARRAY_LEN(choices),
        .kernels = kernels,
        .n_kernels = PX_ARRAY_LEN(kernels),
        .self_test = {.done = true, .passed = true, .n_kernels = 1, .n_rows = 768}};
    f->binary_info = f->regression_info;
    f->binary_info.objective = (struct px_str)PX_STR("binary:logistic");
    f->binary_info.n_features = 5;
    f->binary_info.n_classes = 2;
    f->binary_info.score_is_probability = true;
    f->binary_info.decision_threshold = 0.5;
    f->multi_info = f->binary_info;
    f->multi_info.n_features = 2;
    f->multi_info.n_classes = 3;
    f->multi_info.n_outputs = f->multi_info.n_margins = 3;
}

static inline struct px_model *rest_make_model(struct rest_fixture *f, const char *name,
                                               const char *version,
                                               const struct px_signature *signature,
                                               const struct px_forest_info *info,
                                               struct px_engine *engine)
{
    struct px_model *model = px_xalloc(1, sizeof *model);
    model->name = px_str(name);
    model->version = px_str(version);
    model->state = PX_MODEL_READY;
    model->signature = signature;
    model->forest = info;
    model->engine = engine;
    model->score_max = 1;
    model->loaded_ns = 1;
    model->sample_json = px_str("{\"age\":58}");
    if (px_model_reserve(f->serving, model, NULL) != PX_OK)
        abort();
    return model;
}

static inline struct px_model *rest_make_broken(void)
{
    struct px_model *model = px_xalloc(1, sizeof *model);
    model->name = px_str("broken");
    model->version = px_str("1");
    model->state = PX_MODEL_FAILED;
    px_err_set(&model->reason, PX_E_CORRUPT, "broken.json: the file ends inside a tree");
    return model;
}

static inline void rest_no_wave(void *context, unsigned loop)
{
    (void)context;
    (void)loop;
}

/* Replaces the interface by one of these settings, but for the models; on failure it stays. */
static inline enum px_code rest_use_settings(struct rest_fixture *f,
                                             struct px_rest_settings settings, struct px_err *err)
{
    struct px_rest *rest = NULL;
    settings.serving = f->serving;
    enum px_code code = px_rest_create(&settings, &rest, err);
    if (code != PX_OK)
        return code;
    px_rest_destroy(f->rest);
    f->rest = rest;
    f->gateway = (struct px_gateway){
        .serving = f->serving, .rest = px_rest_handler(rest), .grpc = {.wave = rest_no_wave}};
    f->handler = px_gateway_handler(&f->gateway);
    return PX_OK;
}

static inline void rest_set_up(struct rest_fixture *f)
{
    const struct px_serving_limits limits = {
        .request_rows_max = REST_ROWS_MAX, .batch_rows_max = 64, .wave_bytes_max = 1 << 26};
    struct px_err err;
    *f = (struct rest_fixture){0};
    rest_make_signatures(f);
    rest_make_infos(f);
    if (px_serving_create(2, &limits, &f->serving, &err) != PX_OK)
        abort();
    struct px_model *models[] = {
        rest_make_model(f, "plain", "1", &f->plain, &f->regression_info,
                        rest_engine_create(f, PX_TYPE_FP32, 4, 1)),
        rest_make_model(f, "bank", "1", &f->bank, &f->binary_info,
                        rest_engine_create(f, PX_TYPE_FP32, 5, 1)),
        rest_make_model(f, "bank", "2", &f->bank, &f->binary_info,
                        rest_engine_create(f, PX_TYPE_FP32, 5, 1)),
        rest_make_model(f, "multi", "1", &f->multi, &f->multi_info,
                        rest_engine_create(f, PX_TYPE_FP64, 2, 3)),
        rest_make_broken(),
    };
    if (px_serving_publish(f->serving, models, PX_ARRAY_LEN(models), &err) != PX_OK ||
        rest_use_settings(f, (struct px_rest_settings){0}, &err) != PX_OK)
        abort();
    f->arena = px_arena(REST_ARENA_MAX);
    f->buf = px_buf(1 << 20);
}

static inline void rest_tear_down(struct rest_fixture *f)
{
    px_rest_destroy(f->rest);
    px_serving_destroy(f->serving);
    px_signature_deinit(&f->plain);
    px_signature_deinit(&f->bank);
    px_signature_deinit(&f->multi);
    px_arena_deinit(&f->arena);
    px_buf_deinit(&f->buf);
}

static inline void rest_header(struct rest_fixture *f, const char *name, const char *value)
{
    if (f->n_request_headers < REST_HEADERS_MAX)
        f->request_headers[f->n_request_headers++] =
            (struct px_http_header){px_str(name), px_str(value)};
}

static inline void rest_begin(struct rest_fixture *f)
{
    px_arena_reset(&f->arena);
    px_buf_clear(&f->buf);
    f->exchange = (struct px_http_exchange){.arena = &f->arena, .body = &f->buf, .loop = 1};
    f->exchange.request.headers = f->request_headers;
    f->exchange.request.n_headers = f->n_request_headers;
    /* As of a coding that the transport does not know. */
    f->exchange.request.coding = px_http_header(&f->exchange.request, "Content-Encoding");
    f->exchange.request.received_ns = px_clock_monotonic_ns();
}

static inline void rest_end(struct rest_fixture *f)
{
    f->n_request_headers = 0;
    f->query = NULL;
    f->status = f->exchange.finished ? f->exchange.status : 0;
    f->body = f->exchange.static_body.len ? f->exchange.static_body.ptr : px_buf_cstr(&f->buf);
    f->headers = f->exchange.extra_headers ? f->exchange.extra_headers : "";
}

/* One request with any bytes as its body, answered. */
static inline void rest_ask_bytes(struct rest_fixture *f, enum px_http_method method,
                                  const char *path, struct px_str body)
{
    rest_begin(f);
    f->exchange.request.method = method;
    f->exchange.request.path = px_str(path);
    f->exchange.request.query = px_str(f->query);
    f->exchange.request.body = body;
    f->handler.handle(f->handler.context, &f->exchange);
    f->handler.wave(f->handler.context, f->exchange.loop);
    px_serving_end_wakeup(f->serving, f->exchange.loop);
    rest_end(f);
}

static inline void rest_ask(struct rest_fixture *f, enum px_http_method method, const char *path,
                            const char *body)
{
    rest_ask_bytes(f, method, path, px_str(body));
}

#endif
