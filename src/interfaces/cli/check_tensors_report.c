/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An engine describes itself as members of a JSON object (ports/engine.h). The page for people shows what those members say,
 * whatever they are, so an engine that has something to tell needs no code here.
 */
#include "interfaces/cli/check_tensors_report.h"

#include "application/graph/graph_engine.h"
#include "application/sequences/sequence_engine.h"
#include "domain/inference/tensor_json.h"
#include "interfaces/cli/check_report.h"
#include "interfaces/cli/visible.h"
#include "shared/clock.h"
#include "shared/json.h"

enum { JSON_MAX = 4 << 20, TENSORS_SHOWN = 40, MEMORY_MAX = 4 << 20, LABEL_WIDTH = 13 };

static void describe(const struct px_package *p, struct px_json_writer *w)
{
    if (p->engine->ops->describe)
        p->engine->ops->describe(p->engine, w);
}

/* ---- for people ---- */

static void print_label(FILE *out, struct px_str label)
{
    fputs("  ", out);
    px_print_visible(out, label);
    fprintf(out, "%*s ", label.len < LABEL_WIDTH ? LABEL_WIDTH - (int)label.len : 0, "");
}

static void print_specs(FILE *out, const char *label, const struct px_tensor_specs *specs)
{
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    for (size_t i = 0; i < specs->n && i < TENSORS_SHOWN; i++) {
        const struct px_tensor_spec *spec = &specs->list[i];
        print_label(out, px_str(i ? "" : label));
        px_print_visible(out, spec->name);
        fprintf(out, "  %s %s%s\n", px_datatype_name(spec->type),
                px_tensor_spec_shape_text(spec, shape), spec->optional ? ", optional" : "");
    }
    if (specs->n > TENSORS_SHOWN)
        fprintf(out, "                and %zu more; --json lists all\n", specs->n - TENSORS_SHOWN);
}

/* A member of the description: texts of a list each on a line of their own. */
static void print_fact(FILE *out, struct px_str key, struct px_json *json)
{
    if (px_json_peek(json) != PX_JSON_ARRAY) {
        bool text = px_json_peek(json) == PX_JSON_STRING;
        print_label(out, key);
        if (px_json_peek(json) == PX_JSON_OBJECT)
            px_print_json(out, px_json_raw(json));
        else
            px_print_visible(out, text ? px_json_str(json) : px_json_raw(json));
        fputc('\n', out);
        return;
    }
    bool first = true;
    px_json_enter_array(json);
    while (px_json_next_element(json)) {
        bool text = px_json_peek(json) == PX_JSON_STRING;
        print_label(out, first ? key : px_str(""));
        px_print_visible(out, text ? px_json_str(json) : px_json_raw(json));
        fputc('\n', out);
        first = false;
    }
}

static void print_facts(FILE *out, const struct px_package *p)
{
    struct px_buf text = px_buf(JSON_MAX);
    struct px_arena arena = px_arena(MEMORY_MAX);
    struct px_json_writer w = px_json_writer(&text);
    struct px_json json;
    struct px_str key;
    px_json_begin_object(&w);
    describe(p, &w);
    px_json_end_object(&w);
    px_json_init(&json, px_buf_view(&text), &arena, 0);
    px_json_enter_object(&json);
    while (px_json_next_key(&json, &key)) {
        if (px_str_is(key, "sequences")) /* how many there are, of a model that is not served */
            px_json_skip(&json);
        else
            print_fact(out, key, &json);
    }
    px_arena_deinit(&arena);
    px_buf_deinit(&text);
}

/* What a model that keeps state keeps. */
static void print_sequences(FILE *out, const struct px_engine *engine)
{
    const struct px_sequence_settings *settings = px_sequence_engine_settings(engine);
    struct px_sequence_counts counts;
    if (!settings || !px_sequence_engine_counts(engine, &counts))
        return;
    print_label(out, px_str("sequences"));
    fprintf(out,
            "at most %zu at a time, %zu bytes of state each, forgotten after %g s without a step\n",
            settings->rules.sequences_max, counts.state_bytes,
            (double)settings->rules.idle_timeout_ns / (double)PX_NS_PER_S);
}

/* The graph of an engine, also of one that keeps sequences. */
static const struct px_graph *find_graph(const struct px_engine *engine)
{
    const struct px_engine *inner = px_sequence_engine_inner(engine);
    return px_graph_of_engine(inner ? inner : engine);
}

/* Names in a drawing come from files of strangers, so it is printed line by line. */
static void print_drawing(FILE *out, const struct px_graph *graph)
{
    struct px_buf text = px_buf(JSON_MAX);
    px_graph_draw(graph, &text);
    struct px_str rest = px_buf_view(&text);
    fputc('\n', out);
    while (rest.len) {
        fputs("  ", out);
        px_print_visible(out, px_str_cut(&rest, '\n'));
        fputc('\n', out);
    }
    fputc('\n', out);
    px_buf_deinit(&text);
}

static const char batching_hint[] =
    "requests could be computed together: every input and output has a first dimension of any "
    "length. 'engine: {name: onnxruntime, batches: true}' in model.yaml does it, and promises that "
    "it counts rows which do not know of each other (docs/api/batching.md)";

static bool may_count_rows(const struct px_tensor_specs *specs)
{
    for (size_t i = 0; i < specs->n; i++) {
        const struct px_tensor_spec *spec = &specs->list[i];
        if (spec->any_rank || spec->n_dims == 0 || spec->shape[0] != PX_DIM_ANY)
            return false;
    }
    return specs->n > 0;
}

/* Only who made the model knows whether its first dimension counts rows; that it may be so is all that can be seen. */
static bool could_batch(const struct px_package *package)
{
    const struct px_engine *engine = package->engine;
    return px_str_is(px_str("onnxruntime"), package->provider) &&
           !px_engine_has(engine, PX_ENGINE_BATCHES) &&
           !px_engine_has(engine, PX_ENGINE_SEQUENCES) && may_count_rows(&engine->takes) &&
           may_count_rows(&engine->gives);
}

static void print_hint(FILE *out, const struct px_package *package)
{
    if (!could_batch(package))
        return;
    print_label(out, px_str("hint"));
    fprintf(out, "%s\n", batching_hint);
}

static void print_golden(FILE *out, const struct px_check_report *report)
{
    print_label(out, px_str("golden"));
    if (!report->has_golden)
        fputs("none\n", out);
    else if (report->golden_passed)
        fprintf(out, "passed: %zu requests are answered as expected\n", report->golden.n_rows);
    else
        fputs("failed\n", out);
}

static void print_warm_up(FILE *out, const struct px_check_report *report)
{
    if (!report->has_warm_up)
        return;
    print_label(out, px_str("warm-up"));
    if (report->warm_up_passed) {
        fputs("passed: a request of zeros is answered\n", out);
        return;
    }
    fputs(report->warm_up_refused ? "refused, which is the model's right; golden requests would "
                                    "show that it answers: "
                                  : "failed: ",
          out);
    px_print_visible(out, px_str(report->warm_up_error.message));
    fputc('\n', out);
}

void px_check_tensors_text(FILE *out, const struct px_package *package,
                           const struct px_check_report *report, const struct px_err *failure)
{
    px_print_visible(out, package->name);
    fputc('\n', out);
    if (package->model_path.len) {
        print_label(out, px_str("file"));
        px_print_visible(out, package->model_path);
        fputc('\n', out);
    }
    print_label(out, px_str("engine"));
    fprintf(out, "%s\n", package->provider);
    print_specs(out, "inputs", &package->engine->takes);
    print_specs(out, "outputs", &package->engine->gives);
    print_sequences(out, package->engine);
    const struct px_graph *graph = find_graph(package->engine);
    if (graph)
        print_drawing(out, graph);
    else
        print_facts(out, package);
    print_golden(out, report);
    print_warm_up(out, report);
    print_hint(out, package);
    print_label(out, px_str("verdict"));
    if (failure && failure->code == report->warm_up_error.code && !report->warm_up_passed)
        fputs("would be opened, but not answer\n", out);
    else if (failure)
        fputs("would not be served\n", out);
    else
        fprintf(out, "would be served: phoenix serve %s\n", package->path.ptr);
}

/* ---- for programs ---- */

static void put_golden(struct px_json_writer *w, const struct px_check_report *report)
{
    px_json_key(w, "golden");
    px_json_begin_object(w);
    px_json_member_bool(w, "passed", report->golden_passed);
    px_json_member_u64(w, "requests", report->golden.n_rows);
    px_json_member_u64(w, "different", report->golden.n_different);
    px_json_end_object(w);
}

static void put_warm_up(struct px_json_writer *w, const struct px_check_report *report)
{
    px_json_key(w, "warm_up");
    px_json_begin_object(w);
    px_json_member_bool(w, "passed", report->warm_up_passed);
    px_json_member_bool(w, "refused", report->warm_up_refused);
    if (!report->warm_up_passed)
        px_check_put_failure(w, &report->warm_up_error);
    px_json_end_object(w);
}

void px_check_tensors_json(FILE *out, const struct px_package *package,
                           const struct px_check_report *report, const struct px_err *failure)
{
    struct px_buf text = px_buf(JSON_MAX);
    struct px_json_writer w = px_json_writer(&text);
    px_json_begin_object(&w);
    px_json_member_bool(&w, "ok", failure == NULL);
    if (failure)
        px_check_put_failure(&w, failure);
    px_json_member_str(&w, "name", package->name);
    px_json_member_str(&w, "file", package->model_path);
    px_json_member_text(&w, "engine", package->provider);
    px_tensor_specs_put_json(&package->engine->takes, "inputs", &w);
    px_tensor_specs_put_json(&package->engine->gives, "outputs", &w);
    px_json_key(&w, "description");
    px_json_begin_object(&w);
    describe(package, &w);
    px_json_end_object(&w);
    if (could_batch(package))
        px_json_member_text(&w, "hint", batching_hint);
    if (report->has_golden)
        put_golden(&w, report);
    if (report->has_warm_up)
        put_warm_up(&w, report);
    px_json_end_object(&w);
    fprintf(out, "%s\n", px_buf_cstr(&text));
    px_buf_deinit(&text);
}
