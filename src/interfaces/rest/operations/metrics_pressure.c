/* SPDX-License-Identifier: Apache-2.0 */
/* What stands between a request and its model: limits, caches, queues, engines' peers, breakers and ladders. */
#include "application/cache/cache.h"
#include "application/execution/executor.h"
#include "application/serving/limit.h"
#include "application/serving/rescue.h"
#include "interfaces/rest/operations/api.h"
#include "interfaces/rest/operations/metrics_page.h"
#include "interfaces/rest/operations/sums.h"

/* ---- limits ---- */

static void put_refusals(const struct px_metrics_page *page)
{
    static const char name[] = "phoenix_refused_total";
    px_put_head(page->out, name, "counter",
                "Requests that were refused, or given up before they were computed, by reason.");
    for (size_t i = 0; i < page->set->n_models; i++) {
        const struct px_model *model = page->set->models[i];
        for (int reason = 1; model->metrics && reason < PX_REFUSALS; reason++) {
            uint64_t n = px_sum_model(page->rest, model, PX_REFUSED_OFFSET(reason));
            if (n == 0)
                continue;
            px_put_model_name(page->out, name, "", model);
            px_buf_printf(page->out, ",reason=\"%s\"}", px_refusal_name((enum px_refusal)reason));
            px_put_value(page->out, n);
        }
    }
}

static double limit_value(const struct px_limit_report *report, const char *name)
{
    if (strcmp(name, "phoenix_limit") == 0)
        return report->limit;
    return strcmp(name, "phoenix_limit_gradient") == 0 ? report->gradient : report->in_flight;
}

static void put_limit(const struct px_metrics_page *page, const char *name, const char *help)
{
    struct px_limit_report report;
    px_put_head(page->out, name, "gauge", help);
    for (size_t i = 0; i < page->set->n_models; i++) {
        const struct px_model *model = page->set->models[i];
        if (!model->limit)
            continue;
        px_limit_report(model->limit, &report);
        if (report.is_open && strcmp(name, "phoenix_limit_in_flight") != 0)
            continue; /* there is none */
        px_put_model_name(page->out, name, "", model);
        px_buf_text(page->out, "} ");
        px_put_double(page->out, limit_value(&report, name));
        px_buf_byte(page->out, '\n');
    }
}

static void put_limits(const struct px_metrics_page *page)
{
    put_refusals(page);
    put_limit(page, "phoenix_limit", "How many requests of the model may be on their way.");
    put_limit(page, "phoenix_limit_in_flight", "How many requests of a limited model are.");
    put_limit(page, "phoenix_limit_gradient",
              "What requests should take over what they take; below 1 the limit falls.");
}

/* ---- caches ---- */

struct cache_row {
    const char *name, *type, *help;
    size_t offset; /* in px_cache_counts */
};

/* One count of every model that has a cache. */
static void put_cache_count(const struct px_metrics_page *page, const struct cache_row *row)
{
    px_put_head(page->out, row->name, row->type, row->help);
    for (size_t i = 0; i < page->set->n_models; i++) {
        const struct px_model *model = page->set->models[i];
        if (!model->cache)
            continue;
        const char *counts = (const char *)px_cache_counts(model->cache);
        px_put_model_value(page->out, row->name, model,
                           px_metric_get((const void *)(counts + row->offset)));
    }
}

static void put_cache(const struct px_metrics_page *page)
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

static void put_batch_reasons(const struct px_metrics_page *page)
{
    static const char name[] = "phoenix_batches_formed_total";
    px_put_head(page->out, name, "counter",
                "Batches of models with a queue, by the reason that they were formed for.");
    for (size_t i = 0; i < page->set->n_models; i++) {
        struct px_executor_counts counts;
        if (!px_model_counts(page->set->models[i], &counts))
            continue;
        for (int reason = 1; reason < PX_EXECUTOR_REASONS; reason++) {
            px_put_model_name(page->out, name, "", page->set->models[i]);
            px_buf_printf(page->out, ",reason=\"%s\"}",
                          px_batch_reason_name((enum px_batch_reason)reason));
            px_put_value(page->out, counts.batches[reason]);
        }
    }
}

enum queue_number { QUEUE_RETRIED, QUEUE_REFUSED, QUEUE_SHED, QUEUE_LATE, QUEUE_LENGTH };

static void put_queue(const struct px_metrics_page *page, const char *name, const char *type,
                      const char *help, enum queue_number number)
{
    px_put_head(page->out, name, type, help);
    for (size_t i = 0; i < page->set->n_models; i++) {
        struct px_executor_counts counts;
        if (!px_model_counts(page->set->models[i], &counts))
            continue;
        const uint64_t values[] = {[QUEUE_RETRIED] = counts.retried,
                                   [QUEUE_REFUSED] = counts.refused,
                                   [QUEUE_SHED] = counts.shed,
                                   [QUEUE_LATE] = counts.late,
                                   [QUEUE_LENGTH] = counts.queued};
        px_put_model_value(page->out, name, page->set->models[i], values[number]);
    }
}

static void put_queues(const struct px_metrics_page *page)
{
    put_batch_reasons(page);
    put_queue(page, "phoenix_batch_retried_requests_total", "counter",
              "Requests that were computed again by themselves, because the batch that they were "
              "in failed.",
              QUEUE_RETRIED);
    put_queue(page, "phoenix_queue_refused_total", "counter",
              "Requests that found no place in the queue of their model.", QUEUE_REFUSED);
    put_queue(
        page, "phoenix_queue_shed_total", "counter",
        "Requests that more critical ones, or the timeout of their level, took out of the queue.",
        QUEUE_SHED);
    put_queue(page, "phoenix_queue_late_total", "counter",
              "Requests whose deadline passed while they waited or were computed.", QUEUE_LATE);
    put_queue(page, "phoenix_queue_requests", "gauge", "Requests that wait for their model.",
              QUEUE_LENGTH);
}

/* ---- what engines count of themselves ---- */

struct engine_row {
    enum px_engine_metric metric;
    const char *name, *type, *help;
};

/* The lines of one row and one model. */
struct engine_lines {
    const struct px_metrics_page *page;
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
    px_put_model_name(out, lines->row->name, "", lines->model);
    if (peer.len) {
        px_buf_text(out, ",peer=\"");
        px_put_label_text(out, peer);
        px_buf_byte(out, '"');
    }
    px_buf_byte(out, '}');
    px_put_value(out, value);
}

/* The rows of a metric have to stand together, so every engine is asked once for each. */
static void put_engines(const struct px_metrics_page *page)
{
    static const struct engine_row rows[] = {
#define PX_ENGINE_METRIC(id, name, type, help) {PX_ENGINE_METRIC_##id, name, type, help},
#include "application/ports/engine_metrics.def"
#undef PX_ENGINE_METRIC
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(rows); i++) {
        px_put_head(page->out, rows[i].name, rows[i].type, rows[i].help);
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

static void put_breakers(const struct px_metrics_page *page, const char *name, const char *type,
                         const char *help, enum breaker_number number)
{
    px_put_head(page->out, name, type, help);
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
        px_put_model_value(page->out, name, model, values[number]);
    }
}

static void put_fallbacks(const struct px_metrics_page *page, const struct px_model *model)
{
    static const char name[] = "phoenix_fallbacks_total";
    const struct px_model_fallback *ladder = px_rescue_ladder(model->rescue);
    for (size_t rung = 0; rung < ladder->n_rungs; rung++) {
        for (unsigned reason = 0; reason < PX_FALLBACK_REASONS; reason++) {
            if (!(ladder->rungs[rung].reasons >> reason & 1))
                continue;
            px_put_model_name(page->out, name, "", model);
            px_buf_printf(page->out, ",rung=\"%zu\",kind=\"%s\",reason=\"%s\"}", rung + 1,
                          px_rung_kind_name(ladder->rungs[rung].kind),
                          px_fallback_reason_name((enum px_fallback_reason)reason));
            px_put_value(page->out,
                         px_rescue_counted(model->rescue, rung, (enum px_fallback_reason)reason));
        }
    }
}

static void put_rescue(const struct px_metrics_page *page)
{
    put_breakers(page, "phoenix_breaker_state", "gauge",
                 "0: closed, 1: open, 2: half open. Of models that have a breaker.", BREAKER_STATE);
    put_breakers(page, "phoenix_breaker_opened_total", "counter", "How often the breaker opened.",
                 BREAKER_OPENED);
    put_breakers(page, "phoenix_breaker_refused_total", "counter",
                 "Requests that it refused; fallbacks may have answered them.", BREAKER_REFUSED);
    put_breakers(page, "phoenix_breaker_probes_total", "counter",
                 "Requests that passed to see whether the model works again.", BREAKER_PROBES);
    px_put_head(
        page->out, "phoenix_fallbacks_total", "counter",
        "Answers that a rung gave instead of the version, by rung and reason. Of a version that "
        "failed to load: requests that went to the rung.");
    for (size_t i = 0; i < page->set->n_models; i++) {
        if (page->set->models[i]->rescue)
            put_fallbacks(page, page->set->models[i]);
    }
}

void px_put_pressure_metrics(const struct px_metrics_page *page)
{
    put_limits(page);
    put_rescue(page);
    put_cache(page);
    put_queues(page);
    put_engines(page);
}
