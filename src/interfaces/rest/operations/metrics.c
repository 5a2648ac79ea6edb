/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /metrics: the numbers of every loop, summed, in Prometheus text format 0.0.4.
 *
 * The counters come from metrics.def; histograms keep nanoseconds with 6 % resolution and are cut into the
 * buckets below, so a bucket's count is right to that resolution. Counters of a model are labelled with
 * its name and version. Nothing is locked: see application/telemetry/metrics.h for what a sum means.
 */
#include "application/cache/cache.h"
#include "application/execution/executor.h"
#include "application/pressure/pressure.h"
#include "application/serving/model_config.h"
#include "application/serving/repository.h"
#include "application/serving/rescue.h"
#include "interfaces/rest/handlers.h"
#include "interfaces/rest/operations/api.h"
#include "interfaces/rest/operations/process.h"
#include "interfaces/rest/operations/sums.h"
#include "interfaces/rest/reply.h"
#include "shared/alloc.h"
#include "shared/clock.h"
#include "shared/number.h"

static const uint64_t latency_bounds_us[] = {10,     25,     50,     100,     250,     500,
                                             1000,   2500,   5000,   10000,   25000,   50000,
                                             100000, 250000, 500000, 1000000, 2500000, 10000000};

struct page {
    struct px_rest *rest;
    const struct px_model_set *set;
    struct px_buf *out;
};

struct cache_row {
    const char *name, *type, *help;
    size_t offset; /* in px_cache_counts */
};

/* ---- lines ---- */

static void put_head(struct px_buf *out, const char *name, const char *type, const char *help)
{
    px_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label must be UTF-8 or the whole page is unreadable; a file name, and so a model's name, may be anything. */
static void put_label_text(struct px_buf *out, struct px_str text)
{
    bool is_utf8 = px_str_is_utf8(text);
    for (size_t i = 0; i < text.len; i++) {
        char c = is_utf8 || (text.ptr[i] & 0x80) == 0 ? text.ptr[i] : '?';
        if (c == '\\' || c == '"')
            px_buf_byte(out, '\\');
        if (c == '\n')
            px_buf_text(out, "\\n");
        else
            px_buf_byte(out, c);
    }
}

/* name{model="m",version="1" -- and leaves the braces open for more labels */
static void put_model_name(struct px_buf *out, const char *name, const char *suffix,
                           const struct px_model *model)
{
    px_buf_printf(out, "%s%s{model=\"", name, suffix);
    put_label_text(out, model->name);
    px_buf_text(out, "\",version=\"");
    put_label_text(out, model->version);
    px_buf_byte(out, '"');
}

static void put_double(struct px_buf *out, double value)
{
    char text[PX_NUMBER_TEXT_MAX];
    px_buf_append(out, text, px_number_print_f64(value, text));
}

static void put_value(struct px_buf *out, uint64_t value)
{
    px_buf_byte(out, ' ');
    px_buf_u64(out, value);
    px_buf_byte(out, '\n');
}

static void put_plain(struct px_buf *out, const char *name, uint64_t value)
{
    px_buf_text(out, name);
    put_value(out, value);
}

/* ---- histograms; `model` is NULL for the process ---- */

static void put_bucket(struct px_buf *out, const char *name, const struct px_model *model,
                       const char *bound, uint64_t count)
{
    if (model)
        put_model_name(out, name, "_bucket", model);
    else
        px_buf_printf(out, "%s_bucket{", name);
    px_buf_printf(out, "%sle=\"%s\"}", model ? "," : "", bound);
    put_value(out, count);
}

static void put_sum_and_count(struct px_buf *out, const char *name, const struct px_model *model,
                              double sum, uint64_t count)
{
    if (model) {
        put_model_name(out, name, "_sum", model);
        px_buf_byte(out, '}');
    } else {
        px_buf_printf(out, "%s_sum", name);
    }
    px_buf_byte(out, ' ');
    put_double(out, sum);
    px_buf_byte(out, '\n');
    if (model) {
        put_model_name(out, name, "_count", model);
        px_buf_byte(out, '}');
    } else {
        px_buf_printf(out, "%s_count", name);
    }
    put_value(out, count);
}

static void put_seconds(struct px_buf *out, const char *name, const struct px_model *model,
                        const struct px_histogram_view *view)
{
    char bound[PX_NUMBER_TEXT_MAX + 1];
    for (size_t i = 0; i < PX_ARRAY_LEN(latency_bounds_us); i++) {
        size_t n = px_number_print_f64((double)latency_bounds_us[i] / 1e6, bound);
        bound[n] = '\0';
        put_bucket(out, name, model, bound,
                   px_histogram_count_below(view, latency_bounds_us[i] * PX_NS_PER_US));
    }
    put_bucket(out, name, model, "+Inf", view->count);
    put_sum_and_count(out, name, model, (double)view->sum / (double)PX_NS_PER_S, view->count);
}

/* ---- per model ---- */

static void put_model_counters(const struct page *page)
{
#define PX_MODEL_COUNTER(field, name, help)                                                        \
    put_head(page->out, name, "counter", help);                                                    \
    for (size_t i = 0; i < page->set->n_models; i++) {                                             \
        const struct px_model *model = page->set->models[i];                                       \
        if (!model->metrics)                                                                       \
            continue;                                                                              \
        put_model_name(page->out, name, "", model);                                                \
        px_buf_byte(page->out, '}');                                                               \
        put_value(page->out,                                                                       \
                  px_sum_model(page->rest, model, offsetof(struct px_model_metrics, field)));      \
    }
#define PX_SERVER_COUNTER(field, name, help)
#include "application/telemetry/metrics.def"
#undef PX_MODEL_COUNTER
#undef PX_SERVER_COUNTER
}

static void put_model_histogram(const struct page *page, const char *name, const char *help,
                                size_t offset)
{
    put_head(page->out, name, "histogram", help);
    for (size_t i = 0; i < page->set->n_models; i++) {
        struct px_histogram_view view = {0};
        if (!page->set->models[i]->metrics)
            continue;
        px_sum_model_histogram(page->rest, page->set->models[i], offset, &view);
        put_seconds(page->out, name, page->set->models[i], &view);
    }
}

static void put_batch_sizes(const struct page *page)
{
    static const char name[] = "phoenix_batch_rows";
    put_head(page->out, name, "histogram", "Rows of one engine call.");
    for (size_t i = 0; i < page->set->n_models; i++) {
        const struct px_model *model = page->set->models[i];
        uint64_t count = 0;
        if (!model->metrics)
            continue;
        for (unsigned bin = 0; bin < PX_BATCH_BINS; bin++) {
            char bound[24] = "+Inf";
            count += px_sum_model(page->rest, model, PX_BATCH_BIN_OFFSET(bin));
            if (bin + 1 < PX_BATCH_BINS)
                snprintf(bound, sizeof bound, "%llu", (unsigned long long)px_batch_bin_max(bin));
            put_bucket(page->out, name, model, bound, count);
        }
        uint64_t rows = px_sum_model(page->rest, model, offsetof(struct px_model_metrics, rows));
        put_sum_and_count(page->out, name, model, (double)rows, count);
    }
}

static void put_model_errors(const struct page *page)
{
    static const char name[] = "phoenix_request_errors_total";
    put_head(page->out, name, "counter",
             "Failed requests by reason; without a model when none was found.");
    for (int code = 1; code < PX_METRIC_CODES; code++) {
        uint64_t n = px_sum_loop(page->rest, PX_LOOP_ERROR_OFFSET(code));
        if (n) {
            px_buf_printf(page->out, "%s{model=\"\",version=\"\",reason=\"%s\"}", name,
                          px_code_name((enum px_code)code));
            put_value(page->out, n);
        }
        for (size_t i = 0; i < page->set->n_models; i++) {
            const struct px_model *model = page->set->models[i];
            n = model->metrics ? px_sum_model(page->rest, model, PX_MODEL_ERROR_OFFSET(code)) : 0;
            if (!n)
                continue;
            put_model_name(page->out, name, "", model);
            px_buf_printf(page->out, ",reason=\"%s\"}", px_code_name((enum px_code)code));
            put_value(page->out, n);
        }
    }
}

static void put_model_states(const struct page *page)
{
    put_head(page->out, "phoenix_model_ready", "gauge",
             "1 when the model version answers requests.");
    for (size_t i = 0; i < page->set->n_models; i++) {
        const struct px_model *model = page->set->models[i];
        if (model->state == PX_MODEL_REGISTERED)
            continue; /* there may be thousands: phoenix_models_registered */
        put_model_name(page->out, "phoenix_model_ready", "", model);
        px_buf_byte(page->out, '}');
        put_value(page->out, px_model_is_able(model, NULL));
    }
    put_head(page->out, "phoenix_model_info", "gauge", "What the model version is; always 1.");
    for (size_t i = 0; i < page->set->n_models; i++) {
        const struct px_model *model = page->set->models[i];
        if (model->state != PX_MODEL_READY)
            continue;
        put_model_name(page->out, "phoenix_model_info", "", model);
        px_buf_printf(page->out, ",format=\"%s\",objective=\"", px_model_platform(model));
        if (model->forest)
            put_label_text(page->out, model->forest->objective);
        px_buf_printf(page->out, "\",engine=\"%s\"}", px_engine_name(model->engine));
        put_value(page->out, 1);
    }
}

static void put_model_plans(const struct page *page)
{
    static const char name[] = "phoenix_model_plan_row_seconds";
    put_head(
        page->out, name, "gauge",
        "What a row costs in batches of `rows` rows by the plan made at load, and its kernel.");
    for (size_t i = 0; i < page->set->n_models; i++) {
        const struct px_model *model = page->set->models[i];
        for (size_t c = 0; model->forest && c < model->forest->n_choices; c++) {
            const struct px_forest_choice *choice = &model->forest->choices[c];
            put_model_name(page->out, name, "", model);
            px_buf_printf(page->out, ",rows=\"%zu\",kernel=\"%s\"} ", choice->rows, choice->kernel);
            put_double(page->out, choice->ns_per_row / (double)PX_NS_PER_S);
            px_buf_byte(page->out, '\n');
        }
    }
}

static void put_refusals(const struct page *page)
{
    static const char name[] = "phoenix_refused_total";
    put_head(page->out, name, "counter",
             "Requests that were refused, or given up before they were computed, by reason.");
    for (size_t i = 0; i < page->set->n_models; i++) {
        const struct px_model *model = page->set->models[i];
        for (int reason = 1; model->metrics && reason < PX_REFUSALS; reason++) {
            uint64_t n = px_sum_model(page->rest, model, PX_REFUSED_OFFSET(reason));
            if (n == 0)
                continue;
            put_model_name(page->out, name, "", model);
            px_buf_printf(page->out, ",reason=\"%s\"}", px_refusal_name((enum px_refusal)reason));
            put_value(page->out, n);
        }
    }
}

static double limit_value(const struct px_limit_report *report, const char *name)
{
    if (strcmp(name, "phoenix_limit") == 0)
        return report->limit;
    return strcmp(name, "phoenix_limit_gradient") == 0 ? report->gradient : report->in_flight;
}

static void put_limit(const struct page *page, const char *name, const char *help)
{
    struct px_limit_report report;
    put_head(page->out, name, "gauge", help);
    for (size_t i = 0; i < page->set->n_models; i++) {
        const struct px_model *model = page->set->models[i];
        if (!model->limit)
            continue;
        px_limit_report(model->limit, &report);
        put_model_name(page->out, name, "", model);
        px_buf_text(page->out, "} ");
        put_double(page->out, limit_value(&report, name));
        px_buf_byte(page->out, '\n');
    }
}

static void put_limits(const struct page *page)
{
    put_refusals(page);
    put_limit(page, "phoenix_limit", "How many requests of the model may be on their way.");
    put_limit(page, "phoenix_limit_in_flight", "How many requests of a limited model are.");
    put_limit(page, "phoenix_limit_gradient",
              "What requests should take over what they take; below 1 the limit falls.");
}

/* One count of every model that has a cache. */
static void put_cache_count(const struct page *page, const struct cache_row *row)
{
    put_head(page->out, row->name, row->type, row->help);
    for (size_t i = 0; i < page->set->n_models; i++) {
        const struct px_model *model = page->set->models[i];
        if (!model->cache)
            continue;
        put_model_name(page->out, row->name, "", model);
        px_buf_byte(page->out, '}');
        const char *counts = (const char *)px_cache_counts(model->cache);
        put_value(page->out, px_metric_get((const void *)(counts + row->offset)));
    }
}

static void put_cache(const struct page *page)
{
    static const struct cache_row rows[] = {
        {"phoenix_cache_entries", "gauge", "Answers that are kept.",
         offsetof(struct px_cache_counts, entries)},
        {"phoenix_cache_bytes", "gauge", "Memory of kept answers and their requests.",
         offsetof(struct px_cache_counts, bytes)},
        {"phoenix_cache_evictions_total", "counter", "Answers that went to make room.",
         offsetof(struct px_cache_counts, evictions)},
        {"phoenix_cache_expired_total", "counter", "Answers that were asked for after their time.",
         offsetof(struct px_cache_counts, expired)},
        {"phoenix_cache_unkept_total", "counter",
         "Answers that were not kept: too large, degraded, or no memory.",
         offsetof(struct px_cache_counts, unkept)},
        {"phoenix_cache_collisions_total", "counter",
         "Requests with the hash of another one; they are computed.",
         offsetof(struct px_cache_counts, collisions)},
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(rows); i++)
        put_cache_count(page, &rows[i]);
}

/* ---- queues ---- */

static void put_batch_reasons(const struct page *page)
{
    static const char name[] = "phoenix_batches_formed_total";
    put_head(page->out, name, "counter",
             "Batches of models with a queue, by the reason that they were formed for.");
    for (size_t i = 0; i < page->set->n_models; i++) {
        struct px_executor_counts counts;
        if (!px_model_counts(page->set->models[i], &counts))
            continue;
        for (int reason = 1; reason < PX_EXECUTOR_REASONS; reason++) {
            put_model_name(page->out, name, "", page->set->models[i]);
            px_buf_printf(page->out, ",reason=\"%s\"}",
                          px_batch_reason_name((enum px_batch_reason)reason));
            put_value(page->out, counts.batches[reason]);
        }
    }
}

/* One number of each queue; `offset` is of a uint64_t of its counts. */
static void put_queue_counter(const struct page *page, const char *name, const char *help,
                              size_t offset)
{
    put_head(page->out, name, "counter", help);
    for (size_t i = 0; i < page->set->n_models; i++) {
        struct px_executor_counts counts;
        uint64_t value;
        if (!px_model_counts(page->set->models[i], &counts))
            continue;
        memcpy(&value, (const char *)&counts + offset, sizeof value);
        put_model_name(page->out, name, "", page->set->models[i]);
        px_buf_byte(page->out, '}');
        put_value(page->out, value);
    }
}

static void put_queues(const struct page *page)
{
    static const char name[] = "phoenix_queue_requests";
    put_batch_reasons(page);
    put_queue_counter(
        page, "phoenix_batch_retried_requests_total",
        "Requests that were computed again by themselves, because the batch that they "
        "were in failed.",
        offsetof(struct px_executor_counts, retried));
    put_queue_counter(page, "phoenix_queue_refused_total",
                      "Requests that found no place in the queue of their model.",
                      offsetof(struct px_executor_counts, refused));
    put_queue_counter(
        page, "phoenix_queue_shed_total",
        "Requests that more critical ones, or the timeout of their level, took out of "
        "the queue.",
        offsetof(struct px_executor_counts, shed));
    put_queue_counter(page, "phoenix_queue_late_total",
                      "Requests whose deadline passed while they waited or were computed.",
                      offsetof(struct px_executor_counts, late));
    put_head(page->out, name, "gauge", "Requests that wait for their model.");
    for (size_t i = 0; i < page->set->n_models; i++) {
        struct px_executor_counts counts;
        if (!px_model_counts(page->set->models[i], &counts))
            continue;
        put_model_name(page->out, name, "", page->set->models[i]);
        px_buf_byte(page->out, '}');
        put_value(page->out, counts.queued);
    }
}

/* ---- what engines count of themselves ---- */

struct engine_row {
    enum px_engine_metric metric;
    const char *name, *type, *help;
};

/* The lines of one row and one model. */
struct engine_lines {
    const struct page *page;
    const struct px_model *model;
    const struct engine_row *row;
};

static void put_engine_line(void *context, enum px_engine_metric metric, struct px_str peer,
                            uint64_t value)
{
    const struct engine_lines *lines = context;
    struct px_buf *out = lines->page->out;
    if (metric != lines->row->metric)
        return;
    put_model_name(out, lines->row->name, "", lines->model);
    if (peer.len) {
        px_buf_text(out, ",peer=\"");
        put_label_text(out, peer);
        px_buf_byte(out, '"');
    }
    px_buf_byte(out, '}');
    put_value(out, value);
}

/* The rows of a metric have to stand together, so every engine is asked once for each. */
static void put_engines(const struct page *page)
{
    static const struct engine_row rows[] = {
#define PX_ENGINE_METRIC(id, name, type, help) {PX_ENGINE_METRIC_##id, name, type, help},
#include "application/ports/engine_metrics.def"
#undef PX_ENGINE_METRIC
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(rows); i++) {
        put_head(page->out, rows[i].name, rows[i].type, rows[i].help);
        for (size_t m = 0; m < page->set->n_models; m++) {
            const struct px_model *model = page->set->models[m];
            struct engine_lines lines = {page, model, &rows[i]};
            struct px_engine_measures measures = {put_engine_line, &lines};
            if (model->state == PX_MODEL_READY)
                px_engine_measure(model->engine, &measures);
        }
    }
}

/* ---- breakers and ladders ---- */

enum breaker_number { BREAKER_STATE, BREAKER_OPENED, BREAKER_REFUSED, BREAKER_PROBES };

static void put_breakers(const struct page *page, const char *name, const char *type,
                         const char *help, enum breaker_number number)
{
    put_head(page->out, name, type, help);
    for (size_t i = 0; i < page->set->n_models; i++) {
        const struct px_model *model = page->set->models[i];
        struct px_rescue_report report;
        if (!model->rescue || !px_rescue_has_breaker(model->rescue))
            continue;
        px_rescue_report(model->rescue, &report);
        const uint64_t values[] = {[BREAKER_STATE] = report.state,
                                   [BREAKER_OPENED] = report.n_opened,
                                   [BREAKER_REFUSED] = report.n_refused,
                                   [BREAKER_PROBES] = report.n_probes};
        put_model_name(page->out, name, "", model);
        px_buf_byte(page->out, '}');
        put_value(page->out, values[number]);
    }
}

static void put_fallbacks(const struct page *page, const struct px_model *model)
{
    static const char name[] = "phoenix_fallbacks_total";
    const struct px_model_fallback *ladder = px_rescue_ladder(model->rescue);
    for (size_t rung = 0; rung < ladder->n_rungs; rung++) {
        for (unsigned reason = 0; reason < PX_FALLBACK_REASONS; reason++) {
            if (!(ladder->rungs[rung].reasons >> reason & 1))
                continue;
            put_model_name(page->out, name, "", model);
            px_buf_printf(page->out, ",rung=\"%zu\",kind=\"%s\",reason=\"%s\"}", rung + 1,
                          px_rung_kind_name(ladder->rungs[rung].kind),
                          px_fallback_reason_name((enum px_fallback_reason)reason));
            put_value(page->out,
                      px_rescue_counted(model->rescue, rung, (enum px_fallback_reason)reason));
        }
    }
}

static void put_rescue(const struct page *page)
{
    put_breakers(page, "phoenix_breaker_state", "gauge",
                 "0: closed, 1: open, 2: half open. Of models that have a breaker.", BREAKER_STATE);
    put_breakers(page, "phoenix_breaker_opened_total", "counter", "How often the breaker opened.",
                 BREAKER_OPENED);
    put_breakers(page, "phoenix_breaker_refused_total", "counter",
                 "Requests that it refused; fallbacks may have answered them.", BREAKER_REFUSED);
    put_breakers(page, "phoenix_breaker_probes_total", "counter",
                 "Requests that passed to see whether the model works again.", BREAKER_PROBES);
    put_head(page->out, "phoenix_fallbacks_total", "counter",
             "Requests for the version that a rung of its ladder took over, by rung and reason.");
    for (size_t i = 0; i < page->set->n_models; i++) {
        if (page->set->models[i]->rescue)
            put_fallbacks(page, page->set->models[i]);
    }
}

/* ---- the process ---- */

static void put_server_counters(const struct page *page)
{
#define PX_MODEL_COUNTER(field, name, help)
#define PX_SERVER_COUNTER(field, name, help)                                                       \
    put_head(page->out, name, "counter", help);                                                    \
    put_plain(page->out, name, px_sum_loop(page->rest, offsetof(struct px_loop_metrics, field)));
#include "application/telemetry/metrics.def"
#undef PX_MODEL_COUNTER
#undef PX_SERVER_COUNTER
}

static void put_counter(struct px_buf *out, const char *name, const char *help, uint64_t value)
{
    put_head(out, name, "counter", help);
    put_plain(out, name, value);
}

/* Models that came and went while the server answered, and what traces cost. */
static void put_repository(const struct page *page)
{
    static const struct px_repository_counts none;
    const struct px_repository_counts *counts = px_repository_counts(page->rest->settings.serving);
    const struct px_trace *trace = px_serving_trace(page->rest->settings.serving);
    struct px_buf *out = page->out;
    if (!counts)
        counts = &none;
    put_counter(out, "phoenix_model_loads_total",
                "Loads that clients asked for and that succeeded.", px_metric_get(&counts->loads));
    put_counter(out, "phoenix_model_load_failures_total",
                "Loads that clients asked for and that failed.",
                px_metric_get(&counts->failed_loads));
    put_counter(out, "phoenix_model_unloads_total", "Unloads that clients asked for.",
                px_metric_get(&counts->unloads));
    put_head(out, "phoenix_model_load_seconds_total", "counter",
             "Time that loads took, failed ones too.");
    px_buf_text(out, "phoenix_model_load_seconds_total ");
    put_double(out, (double)px_metric_get(&counts->load_ns) / (double)PX_NS_PER_S);
    px_buf_byte(out, '\n');
    put_counter(out, "phoenix_traces_dropped_total",
                "Sampled requests whose trace found no room or could not be written.",
                trace ? px_trace_dropped(trace) : 0);
}

static void put_gauge(struct px_buf *out, const char *name, const char *help, double value)
{
    put_head(out, name, "gauge", help);
    px_buf_printf(out, "%s ", name);
    put_double(out, value);
    px_buf_byte(out, '\n');
}

static void put_seconds_total(struct px_buf *out, const char *name, const char *help, uint64_t ns)
{
    put_head(out, name, "counter", help);
    px_buf_printf(out, "%s ", name);
    put_double(out, (double)ns / (double)PX_NS_PER_S);
    px_buf_byte(out, '\n');
}

/* Which models are in memory, and how those came and went that were asked for. */
static void put_residency(const struct page *page)
{
    const struct px_residency_counts *counts = px_residency_counts(page->rest->settings.serving);
    struct px_residency_view view;
    struct px_buf *out = page->out;
    px_residency_look(page->rest->settings.serving, &view);
    put_gauge(out, "phoenix_models_resident", "Model versions in memory.", (double)view.n_resident);
    put_gauge(out, "phoenix_models_registered",
              "Model versions that are loaded when they are asked for.", (double)view.n_registered);
    put_gauge(out, "phoenix_models_resident_bytes",
              "Memory that the models in memory took when they were loaded, measured.",
              (double)view.resident_bytes);
    put_gauge(out, "phoenix_models_memory_max_bytes", "serving.memory_max; 0 when there is none.",
              (double)view.memory_max);
    put_gauge(out, "phoenix_model_waiting_requests",
              "Requests that wait until their model is in memory.", (double)view.n_waiting);
    put_counter(out, "phoenix_model_misses_total",
                "Requests that found their model registered only.", px_metric_get(&counts->misses));
    put_counter(out, "phoenix_model_misses_refused_total",
                "Of them, requests whose model did not come in time.",
                px_metric_get(&counts->refused));
    put_counter(out, "phoenix_model_demand_loads_total", "Loads that requests caused.",
                px_metric_get(&counts->loads));
    put_counter(out, "phoenix_model_demand_load_failures_total",
                "Loads that requests caused and that failed.",
                px_metric_get(&counts->failed_loads));
    put_seconds_total(out, "phoenix_model_demand_load_seconds_total", "Time that these took.",
                      px_metric_get(&counts->load_ns));
    put_counter(out, "phoenix_model_loads_put_off_total",
                "Loads that found no room, because nothing could leave.",
                px_metric_get(&counts->no_room));
    put_counter(out, "phoenix_model_evictions_total", "Models that left memory to make room.",
                px_metric_get(&counts->evictions));
    put_seconds_total(out, "phoenix_model_evicted_age_seconds_total",
                      "From their last use to their eviction, added up.",
                      px_metric_get(&counts->evicted_age_ns));
}

static void put_loop_busy(const struct page *page)
{
    static const char name[] = "phoenix_loop_busy_seconds";
    struct px_histogram_view view = {0};
    put_head(page->out, name, "histogram",
             "How long an event loop was busy in one wake-up: the lag of what arrived meanwhile.");
    for (unsigned i = 0; i < page->rest->n_loops; i++)
        px_histogram_merge(&view,
                           &px_serving_loop_metrics(page->rest->settings.serving, i)->busy_ns);
    put_seconds(page->out, name, NULL, &view);
}

static void put_pressure(struct px_buf *out, const struct px_pressure *pressure)
{
    put_gauge(out, "phoenix_open_files", "Open descriptors.",
              (double)px_pressure_used(pressure, PX_PRESSURE_FILES));
    put_gauge(out, "phoenix_open_files_max", "Descriptors that the process may have; 0: no limit.",
              (double)px_pressure_max(pressure, PX_PRESSURE_FILES));
    put_gauge(out, "phoenix_memory_bytes",
              "Memory that counts against the limit that is nearest: the control group's, the "
              "address space, or the machine's.",
              (double)px_pressure_used(pressure, PX_PRESSURE_MEMORY));
    put_gauge(out, "phoenix_memory_max_bytes", "That limit; 0: it is not known.",
              (double)px_pressure_max(pressure, PX_PRESSURE_MEMORY));
}

static void put_process(const struct page *page)
{
    struct px_rest *rest = page->rest;
    struct px_buf *out = page->out;
    uint64_t started_ns = px_serving_started_ns(rest->settings.serving);
    put_head(out, "phoenix_build_info", "gauge", "Version of this binary; always 1.");
    px_buf_text(out,
                "phoenix_build_info{version=\"" PX_VERSION "\",compiler=\"" __VERSION__ "\"} 1\n");
    put_gauge(out, "phoenix_ready", "1 when traffic is welcome.",
              px_serving_is_ready(rest->settings.serving, NULL) ? 1 : 0);
    put_gauge(out, "phoenix_uptime_seconds", "Since the start of the server.",
              (double)(px_clock_wall_ns() - started_ns) / (double)PX_NS_PER_S);
    if (rest->count_connections)
        put_gauge(out, "phoenix_connections", "Open connections.",
                  (double)rest->count_connections(rest->count_context));
    put_head(out, "phoenix_heap_allocations_total", "counter",
             "Heap allocations; predictions add none once the server is warm.");
    put_plain(out, "phoenix_heap_allocations_total", px_alloc_count());
    if (rest->settings.pressure)
        put_pressure(out, rest->settings.pressure);
    put_gauge(out, "process_resident_memory_bytes", "Resident memory.",
              (double)px_process_resident_bytes());
    put_gauge(out, "process_start_time_seconds", "Start of the server, Unix time.",
              (double)started_ns / (double)PX_NS_PER_S);
    put_head(out, "process_cpu_seconds_total", "counter", "User and system time.");
    px_buf_text(out, "process_cpu_seconds_total ");
    put_double(out, px_process_cpu_seconds());
    px_buf_byte(out, '\n');
}

void px_handle_metrics(struct px_rest_request *request)
{
    struct page page = {
        .rest = request->rest,
        .set = px_serving_models(request->rest->settings.serving),
        .out = request->exchange->body,
    };
    put_model_counters(&page);
    put_model_histogram(&page, "phoenix_request_duration_seconds",
                        "From the request read to its answer ready.",
                        offsetof(struct px_model_metrics, latency_ns));
    put_model_histogram(&page, "phoenix_engine_duration_seconds", "One engine call.",
                        offsetof(struct px_model_metrics, engine_ns));
    put_batch_sizes(&page);
    put_model_errors(&page);
    put_model_states(&page);
    put_model_plans(&page);
    put_limits(&page);
    put_rescue(&page);
    put_cache(&page);
    put_queues(&page);
    put_engines(&page);
    put_server_counters(&page);
    put_repository(&page);
    put_residency(&page);
    put_loop_busy(&page);
    put_process(&page);
    px_reply_finish(request, 200, "text/plain; version=0.0.4; charset=utf-8");
}
