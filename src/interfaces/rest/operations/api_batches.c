/* SPDX-License-Identifier: Apache-2.0 */
/* GET /api/v1/models/{model}/batches: how a model's requests are put together, and why the latest batches were formed. */
#include "application/execution/executor.h"
#include "application/graph/graph_engine.h"
#include "application/sequences/sequence_engine.h"
#include "interfaces/rest/operations/api.h"
#include "interfaces/rest/reply.h"
#include "shared/clock.h"

#include <math.h>

/* Models that keep state have their queue behind the sequences. NULL of NULL. */
static const struct px_engine *queue_of(const struct px_engine *engine)
{
    const struct px_engine *inner = engine ? px_sequence_engine_inner(engine) : NULL;
    return inner ? inner : engine;
}

bool px_model_batches(const struct px_model *model, struct px_executor_report *ret)
{
    const struct px_engine *engine = queue_of(model->engine); /* NULL of a model that failed */
    return engine && px_executor_report(engine, ret);
}

bool px_model_counts(const struct px_model *model, struct px_executor_counts *ret)
{
    const struct px_engine *engine = queue_of(model->engine); /* NULL of a model that failed */
    return engine && px_executor_counts(engine, ret);
}

static void put_us(struct px_json_writer *w, const char *key, double ns)
{
    px_json_member_f64(w, key, round(ns / 100) / 10);
}

static void put_batch(struct px_json_writer *w, const struct px_executor_batch *batch,
                      uint64_t now_ns)
{
    px_json_begin_object(w);
    px_json_member_f64(w, "age_ms", round((double)(now_ns - batch->formed_ns) / 1e5) / 10);
    px_json_member_u64(w, "rows", batch->rows);
    px_json_member_u64(w, "requests", batch->requests);
    px_json_member_text(w, "reason", px_batch_reason_name(batch->reason));
    put_us(w, "oldest_wait_us", (double)batch->waited_ns);
    put_us(w, "took_us", (double)batch->took_ns);
    if (batch->predicted_ns)
        put_us(w, "predicted_us", (double)batch->predicted_ns);
    if (batch->in_place)
        px_json_member_bool(w, "in_place", true);
    if (batch->retried)
        px_json_member_bool(w, "retried", true);
    if (batch->code != PX_OK)
        px_json_member_text(w, "error", px_code_name(batch->code));
    px_json_end_object(w);
}

static void put_settings(struct px_json_writer *w, const struct px_executor_report *report)
{
    px_json_key(w, "settings");
    px_json_begin_object(w);
    px_json_member_u64(w, "instances", report->counts.n_threads);
    px_json_member_u64(w, "queue_max", report->batching.policy.items_max);
    if (report->batches)
        px_batching_put_json(&report->batching, w);
    px_json_end_object(w);
}

static void put_counts(struct px_json_writer *w, const struct px_executor_counts *counts)
{
    px_json_member_u64(w, "queued", counts->queued);
    px_json_member_u64(w, "running", counts->running);
    px_json_member_u64(w, "refused", counts->refused);
    px_json_member_u64(w, "shed", counts->shed);
    px_json_member_u64(w, "late", counts->late);
    px_json_member_u64(w, "cancelled", counts->cancelled);
    px_json_member_u64(w, "retried", counts->retried);
}

static void put_queue(struct px_json_writer *w, const struct px_executor_report *report)
{
    uint64_t now_ns = px_clock_monotonic_ns();
    px_json_member_text(w, "form", report->batches ? "queue" : "none");
    px_json_member_text(w, "why", report->why);
    put_settings(w, report);
    px_executor_put_cost(report, w);
    put_counts(w, &report->counts);
    px_json_key(w, "batches");
    px_json_begin_array(w);
    for (size_t i = 0; i < report->n_batches; i++)
        put_batch(w, &report->latest[i], now_ns);
    px_json_end_array(w);
}

/* ---- graphs ---- */

enum { STEP_NAME_MAX = 512 };

static void put_steps(struct px_json_writer *w, const struct px_engine *engine, const char *outer,
                      struct px_executor_report *report)
{
    const struct px_graph *graph = px_graph_of_engine(engine);
    for (size_t i = 0; graph && i < graph->n_steps; i++) {
        const struct px_engine *model = queue_of(px_graph_step_model(engine, i));
        char name[STEP_NAME_MAX];
        snprintf(name, sizeof name, "%s%s%.*s", outer, *outer ? "/" : "",
                 PX_STR_ARG(graph->steps[i].name));
        if (model && px_executor_report(model, report)) {
            px_json_begin_object(w);
            px_json_member_text(w, "name", name);
            put_queue(w, report);
            px_json_end_object(w);
        } else if (model) {
            put_steps(w, model, name, report); /* as deep as graphs may be nested */
        }
    }
}

/* A graph has no queue; its steps do, those of graphs inside under "graph/step". */
static void put_graph(struct px_json_writer *w, const struct px_model *model,
                      struct px_executor_report *report)
{
    px_put_batching_form(w, model);
    if (!model->engine || !px_graph_of_engine(queue_of(model->engine)))
        return;
    px_json_key(w, "steps");
    px_json_begin_array(w);
    put_steps(w, queue_of(model->engine), "", report);
    px_json_end_array(w);
}

void px_put_batching_form(struct px_json_writer *w, const struct px_model *model)
{
    bool is_wave = !px_engine_has(model->engine, PX_ENGINE_TENSORS);
    px_json_member_text(w, "form", is_wave ? "wave" : "none");
    px_json_member_text(w, "why",
                        is_wave
                            ? "it takes microseconds: what one wake-up of an event loop brought "
                              "is scored together, and nothing waits"
                            : "its engine has no queue here: what it is made of batches by itself");
}

void px_handle_api_batches(struct px_rest_request *request)
{
    struct px_serving *serving = request->rest->settings.serving;
    struct px_json_writer w = px_json_writer(request->exchange->body);
    struct px_err err = {0};
    const struct px_model *model =
        px_serving_find(serving, request->args[0], request->args[1], &err);
    struct px_executor_report *report = px_arena_alloc(request->exchange->arena, 1, sizeof *report);
    enum px_code code =
        model ? px_arena_check(request->exchange->arena, "the batches", &err) : err.code;
    if (code != PX_OK || !report) {
        px_rest_fail(request, &err);
        return;
    }
    px_json_begin_object(&w);
    px_put_model_head(&w, model);
    if (px_model_batches(model, report))
        put_queue(&w, report);
    else
        put_graph(&w, model, report);
    px_json_end_object(&w);
    px_reply_json(request, 200);
}
