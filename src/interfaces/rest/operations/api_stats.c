/* SPDX-License-Identifier: Apache-2.0 */
/* GET /api/v1/stats: the live numbers that the dashboard draws. docs/api/rest.md shows the form. */
#include "interfaces/rest/operations/api.h"
#include "interfaces/rest/operations/process.h"
#include "interfaces/rest/operations/sums.h"
#include "interfaces/rest/reply.h"
#include "shared/alloc.h"
#include "shared/clock.h"

static void put_us(struct px_json_writer *w, const char *key, double ns)
{
    px_json_member_f64(w, key, ns / (double)PX_NS_PER_US);
}

static void put_latency(struct px_json_writer *w, const char *key,
                        const struct px_histogram_view *view)
{
    double mean = view->count ? (double)view->sum / (double)view->count : 0;
    px_json_key(w, key);
    px_json_begin_object(w);
    px_json_member_u64(w, "count", view->count);
    put_us(w, "mean", mean);
    put_us(w, "p50", (double)px_histogram_quantile(view, 0.5));
    put_us(w, "p90", (double)px_histogram_quantile(view, 0.9));
    put_us(w, "p99", (double)px_histogram_quantile(view, 0.99));
    put_us(w, "p999", (double)px_histogram_quantile(view, 0.999));
    put_us(w, "max", (double)view->max);
    px_json_end_object(w);
}

static void put_model_latency(struct px_json_writer *w, const struct px_rest *rest,
                              const struct px_model *model, const char *key, size_t offset)
{
    struct px_histogram_view view = {0};
    px_sum_model_histogram(rest, model, offset, &view);
    put_latency(w, key, &view);
}

static void put_batch_bins(struct px_json_writer *w, const struct px_rest *rest,
                           const struct px_model *model)
{
    px_json_key(w, "batch_bins");
    px_json_begin_array(w);
    for (unsigned bin = 0; bin < PX_BATCH_BINS; bin++) {
        px_json_begin_object(w);
        px_json_key(w, "max");
        if (bin + 1 < PX_BATCH_BINS)
            px_json_put_u64(w, px_batch_bin_max(bin));
        else
            px_json_put_null(w);
        px_json_member_u64(w, "count", px_sum_model(rest, model, PX_BATCH_BIN_OFFSET(bin)));
        px_json_end_object(w);
    }
    px_json_end_array(w);
}

static void put_score_bins(struct px_json_writer *w, const struct px_rest *rest,
                           const struct px_model *model)
{
    double width = (model->score_max - model->score_min) / PX_SCORE_BINS;
    px_json_key(w, "score_bins");
    px_json_begin_array(w);
    for (unsigned bin = 0; bin < PX_SCORE_BINS; bin++) {
        px_json_begin_object(w);
        px_json_member_f64(w, "min", model->score_min + width * bin);
        px_json_member_f64(w, "max", model->score_min + width * (bin + 1));
        px_json_member_u64(w, "count", px_sum_model(rest, model, PX_SCORE_BIN_OFFSET(bin)));
        px_json_end_object(w);
    }
    px_json_end_array(w);
}

static void put_model_errors(struct px_json_writer *w, const struct px_rest *rest,
                             const struct px_model *model)
{
    px_json_key(w, "errors");
    px_json_begin_object(w);
    for (int code = 1; code < PX_METRIC_CODES; code++) {
        uint64_t n = px_sum_model(rest, model, PX_MODEL_ERROR_OFFSET(code));
        if (n)
            px_json_member_u64(w, px_code_name((enum px_code)code), n);
    }
    px_json_end_object(w);
}

static void put_model_counters(struct px_json_writer *w, const struct px_rest *rest,
                               const struct px_model *model)
{
#define PX_MODEL_COUNTER(field, name, help)                                                        \
    px_json_member_u64(w, #field,                                                                  \
                       px_sum_model(rest, model, offsetof(struct px_model_metrics, field)));
#define PX_SERVER_COUNTER(field, name, help)
#include "application/telemetry/metrics.def"
#undef PX_MODEL_COUNTER
#undef PX_SERVER_COUNTER
}

static void put_model(struct px_json_writer *w, const struct px_rest *rest,
                      const struct px_model *model)
{
    px_json_begin_object(w);
    px_put_model_head(w, model);
    if (model->state == PX_MODEL_READY) {
        put_model_counters(w, rest, model);
        put_model_errors(w, rest, model);
        put_model_latency(w, rest, model, "latency_us",
                          offsetof(struct px_model_metrics, latency_ns));
        put_model_latency(w, rest, model, "engine_us",
                          offsetof(struct px_model_metrics, engine_ns));
        put_batch_bins(w, rest, model);
        put_score_bins(w, rest, model);
    }
    px_json_end_object(w);
}

static void put_loops(struct px_json_writer *w, const struct px_rest *rest)
{
    px_json_key(w, "loops");
    px_json_begin_array(w);
    for (unsigned i = 0; i < rest->n_loops; i++) {
        struct px_loop_metrics *loop = px_serving_loop_metrics(rest->settings.serving, i);
        struct px_histogram_view view = {0};
        px_histogram_merge(&view, &loop->busy_ns);
        px_json_begin_object(w);
        px_json_member_u64(w, "loop", i);
        px_json_member_u64(w, "http_requests", px_metric_get(&loop->http_requests));
        px_json_member_u64(w, "wakeups", px_metric_get(&loop->loop_wakeups));
        put_latency(w, "busy_us", &view);
        px_json_end_object(w);
    }
    px_json_end_array(w);
}

static void put_server_errors(struct px_json_writer *w, const struct px_rest *rest)
{
    px_json_key(w, "errors");
    px_json_begin_object(w);
    for (int code = 1; code < PX_METRIC_CODES; code++) {
        uint64_t n = px_sum_loop(rest, PX_LOOP_ERROR_OFFSET(code));
        if (n)
            px_json_member_u64(w, px_code_name((enum px_code)code), n);
    }
    px_json_end_object(w);
}

static void put_server(struct px_json_writer *w, const struct px_rest *rest)
{
    uint64_t started_ns = px_serving_started_ns(rest->settings.serving);
    px_json_member_text(w, "version", PX_VERSION);
    px_put_time(w, "started_at", started_ns);
    px_json_member_f64(w, "uptime_s",
                       (double)(px_clock_wall_ns() - started_ns) / (double)PX_NS_PER_S);
    px_json_member_bool(w, "ready", px_serving_is_ready(rest->settings.serving, NULL));
    px_json_member_bool(w, "draining", px_serving_is_draining(rest->settings.serving));
    px_json_member_u64(w, "resident_bytes", px_process_resident_bytes());
    px_json_member_u64(w, "heap_allocations", px_alloc_count());
    if (rest->count_connections)
        px_json_member_u64(w, "connections", rest->count_connections(rest->count_context));
#define PX_MODEL_COUNTER(field, name, help)
#define PX_SERVER_COUNTER(field, name, help)                                                       \
    px_json_member_u64(w, #field, px_sum_loop(rest, offsetof(struct px_loop_metrics, field)));
#include "application/telemetry/metrics.def"
#undef PX_MODEL_COUNTER
#undef PX_SERVER_COUNTER
}

void px_put_stats(struct px_json_writer *w, const struct px_rest *rest)
{
    const struct px_model_set *set = px_serving_models(rest->settings.serving);
    px_json_begin_object(w);
    put_server(w, rest);
    put_server_errors(w, rest);
    put_loops(w, rest);
    px_json_key(w, "models");
    px_json_begin_array(w);
    for (size_t i = 0; i < set->n_models; i++)
        put_model(w, rest, set->models[i]);
    px_json_end_array(w);
    px_json_end_object(w);
}

void px_handle_api_stats(struct px_rest_request *request)
{
    struct px_json_writer w = px_json_writer(request->exchange->body);
    px_put_stats(&w, request->rest);
    px_reply_json(request, 200);
}
