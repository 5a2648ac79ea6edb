/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /metrics: the numbers of every loop, summed, in Prometheus text format 0.0.4.
 *
 * The counters come from metrics.def; histograms keep nanoseconds with 6 % resolution and are cut into the
 * buckets below, so a bucket's count is right to that resolution. Counters of a model are labelled with
 * its name and version. Nothing is locked: see application/telemetry/metrics.h for what a sum means.
 */
#include "application/pressure/pressure.h"
#include "application/serving/repository.h"
#include "interfaces/rest/handlers.h"
#include "interfaces/rest/operations/metrics_page.h"
#include "interfaces/rest/operations/process.h"
#include "interfaces/rest/operations/sums.h"
#include "interfaces/rest/reply.h"
#include "shared/alloc.h"
#include "shared/clock.h"

static void put_server_counters(const struct px_metrics_page *page)
{
#define PX_MODEL_COUNTER(field, name, help)
#define PX_SERVER_COUNTER(field, name, help)                                                       \
    px_put_head(page->out, name, "counter", help);                                                 \
    px_put_plain(page->out, name, px_sum_loop(page->rest, offsetof(struct px_loop_metrics, field)));
#include "application/telemetry/metrics.def"
#undef PX_MODEL_COUNTER
#undef PX_SERVER_COUNTER
}

/* Models that came and went while the server answered, and what traces cost. */
static void put_repository(const struct px_metrics_page *page)
{
    static const struct px_repository_counts none;
    const struct px_repository_counts *counts = px_repository_counts(page->rest->settings.serving);
    const struct px_trace *trace = px_serving_trace(page->rest->settings.serving);
    struct px_buf *out = page->out;
    if (!counts)
        counts = &none;
    px_put_counter(out, "phoenix_model_loads_total",
                   "Loads that clients asked for, or polling, and that succeeded.",
                   px_metric_get(&counts->loads));
    px_put_counter(out, "phoenix_model_load_failures_total",
                   "Loads that clients asked for, or polling, and that failed.",
                   px_metric_get(&counts->failed_loads));
    px_put_counter(out, "phoenix_model_unloads_total",
                   "Unloads that clients asked for, or polling.", px_metric_get(&counts->unloads));
    px_put_seconds_total(out, "phoenix_model_load_seconds_total",
                         "Time that loads took, failed ones too.", px_metric_get(&counts->load_ns));
    px_put_counter(out, "phoenix_traces_dropped_total",
                   "Sampled requests whose trace found no room or could not be written.",
                   trace ? px_trace_dropped(trace) : 0);
}

/* Which models are in memory, and how those came and went that were asked for. */
static void put_residency(const struct px_metrics_page *page)
{
    const struct px_residency_counts *counts = px_residency_counts(page->rest->settings.serving);
    struct px_residency_view view;
    struct px_buf *out = page->out;
    px_residency_look(page->rest->settings.serving, &view);
    px_put_gauge(out, "phoenix_models_resident", "Model versions in memory.",
                 (double)view.n_resident);
    px_put_gauge(out, "phoenix_models_registered",
                 "Model versions that are loaded when they are asked for.",
                 (double)view.n_registered);
    px_put_gauge(out, "phoenix_models_resident_bytes",
                 "Memory that the models in memory took when they were loaded, measured.",
                 (double)view.resident_bytes);
    px_put_gauge(out, "phoenix_models_memory_max_bytes",
                 "serving.memory_max; 0 when there is none.", (double)view.memory_max);
    px_put_gauge(out, "phoenix_model_waiting_requests",
                 "Requests that wait until their model is in memory.", (double)view.n_waiting);
    px_put_counter(out, "phoenix_model_misses_total",
                   "Requests that found their model registered only.",
                   px_metric_get(&counts->misses));
    px_put_counter(out, "phoenix_model_misses_refused_total",
                   "Of them, requests whose model did not come in time.",
                   px_metric_get(&counts->refused));
    px_put_counter(out, "phoenix_model_demand_loads_total",
                   "Loads that requests caused and that succeeded.", px_metric_get(&counts->loads));
    px_put_counter(out, "phoenix_model_demand_load_failures_total",
                   "Loads that requests caused and that failed.",
                   px_metric_get(&counts->failed_loads));
    px_put_seconds_total(out, "phoenix_model_demand_load_seconds_total", "Time that these took.",
                         px_metric_get(&counts->load_ns));
    px_put_counter(out, "phoenix_model_loads_put_off_total",
                   "Loads that found no room, because nothing could leave.",
                   px_metric_get(&counts->no_room));
    px_put_counter(out, "phoenix_model_evictions_total", "Models that left memory to make room.",
                   px_metric_get(&counts->evictions));
    px_put_seconds_total(out, "phoenix_model_evicted_age_seconds_total",
                         "From their last use to their eviction, added up.",
                         px_metric_get(&counts->evicted_age_ns));
    px_put_counter(out, "phoenix_model_preloads_total",
                   "Models that were loaded because they would probably be used.",
                   px_metric_get(&counts->preloads));
    px_put_counter(out, "phoenix_model_preload_failures_total", "Such loads that failed.",
                   px_metric_get(&counts->failed_preloads));
    px_put_counter(out, "phoenix_model_preload_hits_total",
                   "Of them, models that were used; seen at the next look.",
                   px_metric_get(&counts->preload_hits));
    px_put_counter(out, "phoenix_model_preload_unused_total",
                   "Of them, models that left memory without having been used.",
                   px_metric_get(&counts->preload_unused));
    const struct px_warm_up_counts *warmed = px_warm_up_counts(page->rest->settings.serving);
    px_put_counter(out, "phoenix_model_warm_up_recorded_total",
                   "Recorded requests that new versions computed before they answered anybody.",
                   px_metric_get(&warmed->runs));
    px_put_counter(out, "phoenix_model_warm_up_recorded_failures_total",
                   "Of them, those that failed.", px_metric_get(&warmed->failures));
}

static void put_loop_busy(const struct px_metrics_page *page)
{
    static const char name[] = "phoenix_loop_busy_seconds";
    struct px_histogram_view view = {0};
    px_put_head(
        page->out, name, "histogram",
        "How long an event loop was busy in one wake-up: the lag of what arrived meanwhile.");
    for (unsigned i = 0; i < page->rest->n_loops; i++)
        px_histogram_merge(&view,
                           &px_serving_loop_metrics(page->rest->settings.serving, i)->busy_ns);
    px_put_seconds(page->out, name, NULL, &view);
}

static void put_pressure(struct px_buf *out, const struct px_pressure *pressure)
{
    px_put_gauge(out, "phoenix_open_files", "Open descriptors.",
                 (double)px_pressure_used(pressure, PX_PRESSURE_FILES));
    px_put_gauge(out, "phoenix_open_files_max",
                 "Descriptors that the process may have; 0: no limit.",
                 (double)px_pressure_max(pressure, PX_PRESSURE_FILES));
    px_put_gauge(out, "phoenix_memory_bytes",
                 "Memory that counts against the limit that is nearest: the control group's, the "
                 "address space, or the machine's.",
                 (double)px_pressure_used(pressure, PX_PRESSURE_MEMORY));
    px_put_gauge(out, "phoenix_memory_max_bytes", "That limit; 0: it is not known.",
                 (double)px_pressure_max(pressure, PX_PRESSURE_MEMORY));
}

static void put_process(const struct px_metrics_page *page)
{
    struct px_rest *rest = page->rest;
    struct px_buf *out = page->out;
    uint64_t started_ns = px_serving_started_ns(rest->settings.serving);
    px_put_head(out, "phoenix_build_info", "gauge", "Version of this binary; always 1.");
    px_buf_text(out,
                "phoenix_build_info{version=\"" PX_VERSION "\",compiler=\"" __VERSION__ "\"} 1\n");
    px_put_gauge(out, "phoenix_ready", "1 when traffic is welcome.",
                 px_serving_is_ready(rest->settings.serving, NULL) ? 1 : 0);
    px_put_gauge(out, "phoenix_uptime_seconds", "Since the start of the server.",
                 (double)(px_clock_wall_ns() - started_ns) / (double)PX_NS_PER_S);
    if (rest->count_connections)
        px_put_gauge(out, "phoenix_connections", "Open connections.",
                     (double)rest->count_connections(rest->count_context));
    px_put_counter(out, "phoenix_heap_allocations_total",
                   "Heap allocations; predictions add none once the server is warm.",
                   px_alloc_count());
    if (rest->settings.pressure)
        put_pressure(out, rest->settings.pressure);
    px_put_gauge(out, "process_resident_memory_bytes", "Resident memory.",
                 (double)px_process_resident_bytes());
    px_put_gauge(out, "process_start_time_seconds", "Start of the server, Unix time.",
                 (double)started_ns / (double)PX_NS_PER_S);
    px_put_head(out, "process_cpu_seconds_total", "counter", "User and system time.");
    px_buf_text(out, "process_cpu_seconds_total ");
    px_put_double(out, px_process_cpu_seconds());
    px_buf_byte(out, '\n');
}

void px_handle_metrics(struct px_rest_request *request)
{
    struct px_metrics_page page = {
        .rest = request->rest,
        .set = px_serving_models(request->rest->settings.serving),
        .out = request->exchange->body,
    };
    px_put_model_metrics(&page);
    px_put_pressure_metrics(&page);
    put_server_counters(&page);
    put_repository(&page);
    put_residency(&page);
    px_put_fetching_metrics(&page);
    put_loop_busy(&page);
    put_process(&page);
    px_reply_finish(request, 200, "text/plain; version=0.0.4; charset=utf-8");
}
