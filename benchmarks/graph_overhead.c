/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a step of a graph costs besides its model: graphs of a model that does nothing, against starting that model as often without
 * a graph. Prints JSON: nanoseconds per run for each shape, the least of many rounds.
 *
 * Usage: graph_overhead SECONDS_PER_SHAPE
 */
#include "application/graph/graph_engine.h"
#include "shared/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum { STEPS_MAX = 32, YAML_MAX = 16 << 10, ROUND = 200 };

/* ---- a model that lends its input as its output ---- */

static void start(struct px_engine *engine, struct px_run *run)
{
    (void)engine;
    struct px_str name = run->outputs[0].name;
    run->outputs[0] = run->inputs[0];
    run->outputs[0].name = name;
    px_run_finish(run, PX_OK);
}

static void destroy(struct px_engine *engine)
{
    (void)engine;
}

static const struct px_engine_ops ops = {.abi = PX_ENGINE_ABI,
                                         .caps = PX_ENGINE_TENSORS | PX_ENGINE_ASYNC |
                                                 PX_ENGINE_BATCHES,
                                         .name = "nothing",
                                         .start = start,
                                         .destroy = destroy};
static const struct px_tensor_spec spec = {
    .name = PX_STR("x"), .type = PX_TYPE_FP32, .shape = {-1, 4}, .n_dims = 2};
static struct px_engine model = {.ops = &ops, .takes = {&spec, 1}, .gives = {&spec, 1}};

static enum px_code open_model(void *context, struct px_str path, struct px_graph_model *ret,
                               struct px_err *err)
{
    (void)context;
    (void)path;
    (void)err;
    ret->engine = &model;
    return PX_OK;
}

static void close_model(void *context, struct px_graph_model *closed)
{
    (void)context;
    (void)closed;
}

/* ---- timing ---- */

static float numbers[4];
static _Atomic size_t n_done, n_started;

static void done(struct px_run *run)
{
    PX_ASSERT(run->code == PX_OK);
    n_done++;
}

static void run_once(struct px_engine *engine, struct px_arena *arena)
{
    struct px_tensor input = {.name = engine->takes.list[0].name,
                              .type = PX_TYPE_FP32,
                              .shape = {1, 4},
                              .n_dims = 2,
                              .bytes = px_str_n((const char *)numbers, sizeof numbers)};
    struct px_tensor output = {.name = spec.name};
    struct px_run run = {.inputs = &input,
                         .n_inputs = 1,
                         .outputs = &output,
                         .n_outputs = 1,
                         .arena = arena,
                         .done = done};
    n_started++;
    px_engine_start(engine, &run);
    while (
        n_done <
        n_started) /* a step that seemed long, because the machine was busy, is computed elsewhere */
        continue;
    px_run_release(&run);
    px_arena_reset(arena);
}

/* The least time of one run over rounds, within the budget. */
static double time_runs(struct px_engine *engine, size_t times_each, double seconds)
{
    struct px_arena arena = px_arena(1 << 20);
    double best = 1e30;
    uint64_t end = px_clock_monotonic_ns() + (uint64_t)(seconds * 1e9);
    while (px_clock_monotonic_ns() < end) {
        uint64_t begin = px_clock_monotonic_ns();
        for (size_t i = 0; i < ROUND; i++) {
            for (size_t k = 0; k < times_each; k++)
                run_once(engine, &arena);
        }
        double each = (double)(px_clock_monotonic_ns() - begin) / ROUND;
        best = each < best ? each : best;
    }
    px_arena_deinit(&arena);
    return best;
}

/* ---- shapes ---- */

static void begin(struct px_buf *yaml, const char *last)
{
    px_buf_clear(yaml);
    px_buf_printf(yaml,
                  "phoenix_graph: 1\ninputs: [{name: features, type: FP32, shape: [-1, 4]}]\n"
                  "outputs: [{name: x, from: %s}]\nsteps:\n",
                  last);
}

static void chain(struct px_buf *yaml, unsigned n, const char *extra)
{
    char last[16];
    snprintf(last, sizeof last, "s%u", n - 1);
    begin(yaml, last);
    px_buf_printf(yaml, "  - {name: s0, model: m, inputs: features%s}\n", extra);
    for (unsigned i = 1; i < n; i++)
        px_buf_printf(yaml, "  - {name: s%u, model: m, inputs: s%u%s}\n", i, i - 1, extra);
}

static void fan(struct px_buf *yaml, unsigned n)
{
    begin(yaml, "mean");
    for (unsigned i = 0; i < n; i++)
        px_buf_printf(yaml, "  - {name: s%u, model: m, inputs: features}\n", i);
    px_buf_text(yaml, "  - {name: mean, combine: mean, inputs: [");
    for (unsigned i = 0; i < n; i++)
        px_buf_printf(yaml, "%ss%u", i ? ", " : "", i);
    px_buf_text(yaml, "]}\n");
}

static void measure(const char *name, unsigned n, const struct px_buf *yaml, double seconds)
{
    const struct px_graph_sources sources = {open_model, close_model, NULL, NULL};
    struct px_arena arena = px_arena(8 << 20);
    struct px_engine *engine;
    struct px_err err;
    char text[1024];
    if (px_graph_engine_create(px_buf_view(yaml), &sources, &arena, &engine, &err) != PX_OK) {
        fprintf(stderr, "graph_overhead: %s\n", px_err_text(&err, text, sizeof text));
        exit(1);
    }
    double bare = time_runs(&model, n, seconds / 2), graph = time_runs(engine, 1, seconds / 2);
    printf("{\"shape\": \"%s\", \"steps\": %u, \"bare_ns\": %.0f, \"graph_ns\": %.0f, "
           "\"step_ns\": %.0f}",
           name, n, bare, graph, (graph - bare) / n);
    px_engine_destroy(engine);
    px_arena_deinit(&arena);
}

int main(int argc, char **argv)
{
    static const unsigned sizes[] = {1, 4, 16, STEPS_MAX};
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.5;
    struct px_buf yaml = px_buf(YAML_MAX);
    printf("[");
    for (size_t i = 0; i < PX_ARRAY_LEN(sizes); i++) {
        chain(&yaml, sizes[i], "");
        measure("chain", sizes[i], &yaml, seconds);
        printf(", ");
        fan(&yaml, sizes[i]);
        measure("fan", sizes[i], &yaml, seconds);
        printf(", ");
        chain(&yaml, sizes[i], ", timeout_ms: 1000");
        measure("chain with timeouts", sizes[i], &yaml, seconds);
        printf(i + 1 < PX_ARRAY_LEN(sizes) ? ", " : "]\n");
    }
    px_buf_deinit(&yaml);
    return 0;
}
