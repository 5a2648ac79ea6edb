/* SPDX-License-Identifier: Apache-2.0 */
/* What each model does: its requests, errors, times, batches, state and plan. */
#include "application/serving/model_config.h"
#include "interfaces/rest/operations/metrics_page.h"
#include "interfaces/rest/operations/sums.h"
#include "shared/clock.h"

static void put_model_counters(const struct px_metrics_page *page)
{
#define PX_MODEL_COUNTER(field, name, help)                                                        \
    px_put_head(page->out, name, "counter", help);                                                 \
    for (size_t i = 0; i < page->set->n_models; i++) {                                             \
        const struct px_model *model = page->set->models[i];                                       \
        if (!model->metrics)                                                                       \
            continue;                                                                              \
        px_put_model_name(page->out, name, "", model);                                             \
        px_buf_byte(page->out, '}');                                                               \
        px_put_value(page->out,                                                                    \
                     px_sum_model(page->rest, model, offsetof(struct px_model_metrics, field)));   \
    }
#define PX_SERVER_COUNTER(field, name, help)
#include "application/telemetry/metrics.def"
#undef PX_MODEL_COUNTER
#undef PX_SERVER_COUNTER
}

static void put_model_histogram(const struct px_metrics_page *page, const char *name,
                                const char *help, size_t offset)
{
    px_put_head(page->out, name, "histogram", help);
    for (size_t i = 0; i < page->set->n_models; i++) {
        struct px_histogram_view view = {0};
        if (!page->set->models[i]->metrics)
            continue;
        px_sum_model_histogram(page->rest, page->set->models[i], offset, &view);
        px_put_seconds(page->out, name, page->set->models[i], &view);
    }
}

static void put_batch_sizes(const struct px_metrics_page *page)
{
    static const char name[] = "phoenix_batch_rows";
    px_put_head(page->out, name, "histogram", "Rows of one engine call.");
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
            px_put_bucket(page->out, name, model, bound, count);
        }
        uint64_t rows = px_sum_model(page->rest, model, offsetof(struct px_model_metrics, rows));
        px_put_sum_and_count(page->out, name, model, (double)rows, count);
    }
}

static void put_model_errors(const struct px_metrics_page *page)
{
    static const char name[] = "phoenix_request_errors_total";
    px_put_head(page->out, name, "counter",
                "Failed requests by reason; without a model when none was found.");
    for (int code = 1; code < PX_METRIC_CODES; code++) {
        uint64_t n = px_sum_loop(page->rest, PX_LOOP_ERROR_OFFSET(code));
        if (n) {
            px_buf_printf(page->out, "%s{model=\"\",version=\"\",reason=\"%s\"}", name,
                          px_code_name((enum px_code)code));
            px_put_value(page->out, n);
        }
        for (size_t i = 0; i < page->set->n_models; i++) {
            const struct px_model *model = page->set->models[i];
            n = model->metrics ? px_sum_model(page->rest, model, PX_MODEL_ERROR_OFFSET(code)) : 0;
            if (!n)
                continue;
            px_put_model_name(page->out, name, "", model);
            px_buf_printf(page->out, ",reason=\"%s\"}", px_code_name((enum px_code)code));
            px_put_value(page->out, n);
        }
    }
}

static void put_model_states(const struct px_metrics_page *page)
{
    px_put_head(page->out, "phoenix_model_ready", "gauge",
                "1 when the model version answers requests.");
    for (size_t i = 0; i < page->set->n_models; i++) {
        const struct px_model *model = page->set->models[i];
        if (model->state == PX_MODEL_REGISTERED)
            continue; /* there may be thousands: phoenix_models_registered */
        px_put_model_value(page->out, "phoenix_model_ready", model, px_model_is_able(model, NULL));
    }
    px_put_head(page->out, "phoenix_model_info", "gauge", "What the model version is; always 1.");
    for (size_t i = 0; i < page->set->n_models; i++) {
        const struct px_model *model = page->set->models[i];
        if (model->state != PX_MODEL_READY)
            continue;
        px_put_model_name(page->out, "phoenix_model_info", "", model);
        px_buf_printf(page->out, ",format=\"%s\",objective=\"", px_model_platform(model));
        if (model->forest)
            px_put_label_text(page->out, model->forest->objective);
        px_buf_printf(page->out, "\",engine=\"%s\"}", px_engine_name(model->engine));
        px_put_value(page->out, 1);
    }
}

static void put_model_plans(const struct px_metrics_page *page)
{
    static const char name[] = "phoenix_model_plan_row_seconds";
    px_put_head(
        page->out, name, "gauge",
        "What a row costs in batches of `rows` rows by the plan made at load, and its kernel.");
    for (size_t i = 0; i < page->set->n_models; i++) {
        const struct px_model *model = page->set->models[i];
        for (size_t c = 0; model->forest && c < model->forest->n_choices; c++) {
            const struct px_forest_choice *choice = &model->forest->choices[c];
            px_put_model_name(page->out, name, "", model);
            px_buf_printf(page->out, ",rows=\"%zu\",kernel=\"%s\"} ", choice->rows, choice->kernel);
            px_put_double(page->out, choice->ns_per_row / (double)PX_NS_PER_S);
            px_buf_byte(page->out, '\n');
        }
    }
}

void px_put_model_metrics(const struct px_metrics_page *page)
{
    put_model_counters(page);
    put_model_histogram(page, "phoenix_request_duration_seconds",
                        "From the request read to its answer ready.",
                        offsetof(struct px_model_metrics, latency_ns));
    put_model_histogram(page, "phoenix_engine_duration_seconds", "One engine call.",
                        offsetof(struct px_model_metrics, engine_ns));
    put_batch_sizes(page);
    put_model_errors(page);
    put_model_states(page);
    put_model_plans(page);
}
