/* SPDX-License-Identifier: Apache-2.0 */
/* graph.yaml: whatever parses has an order that holds, can be drawn and is JSON; its conditions and combiners meet real tensors. */
#include "fuzz.h"

#include "../support/graph_specs.h"
#include "domain/graph/combine.h"
#include "domain/graph/condition.h"
#include "domain/graph/values.h"
#include "shared/unconst.h"

enum { ROWS = 3, ELEMENTS_MAX = 1 << 12 };

/* Every step comes after all that it needs. */
static void check_order(const struct px_graph *graph)
{
    uint64_t before = 0;
    for (size_t i = 0; i < graph->n_steps; i++) {
        const struct px_graph_step *step = &graph->steps[graph->order[i]];
        uint64_t needs = step->needs | step->otherwise.needs | step->fallback.needs |
                         (step->when ? step->when->needs : 0);
        PX_ASSERT((needs & ~before) == 0);
        before |= UINT64_C(1) << graph->order[i];
    }
}

static void check_json(const struct px_graph *graph)
{
    struct px_buf text = px_buf(16 << 20);
    struct px_json_writer w = px_json_writer(&text);
    struct px_json json;
    struct px_arena arena = px_arena(1 << 20);
    px_json_begin_object(&w);
    px_graph_put_json(graph, NULL, &w);
    px_json_end_object(&w);
    px_json_init(&json, px_buf_view(&text), &arena, 0);
    px_json_skip(&json);
    PX_ASSERT(text.failed || px_json_finish(&json, NULL) == PX_OK);
    px_buf_clear(&text);
    px_graph_draw(graph, &text);
    px_buf_deinit(&text);
    px_arena_deinit(&arena);
}

/* A tensor of zeros (or empty texts) that fits the spec, with ROWS where a length is open. */
static bool make_tensor(const struct px_tensor_spec *spec, struct px_tensor *tensor)
{
    static const char zeros[ELEMENTS_MAX * 8];
    size_t n, size = spec->type == PX_TYPE_BYTES ? 4 : px_datatype_size(spec->type);
    *tensor = (struct px_tensor){.name = spec->name, .type = spec->type, .n_dims = spec->n_dims};
    for (size_t i = 0; i < spec->n_dims; i++)
        tensor->shape[i] = spec->shape[i] == PX_DIM_ANY ? ROWS : (uint64_t)spec->shape[i];
    if (!px_tensor_elements(tensor, &n) || n > ELEMENTS_MAX)
        return false;
    for (size_t i = 1; n == 0 && i < spec->n_dims;
         i++) { /* the product of a row may still be large */
        if (tensor->shape[i] > ELEMENTS_MAX)
            return false;
    }
    tensor->bytes = px_str_n(zeros, n * size);
    return true;
}

static const struct px_tensor *get_tensor(void *context, struct px_graph_source source)
{
    static struct px_tensor tensors[PX_GRAPH_CONDITION_NODES_MAX];
    static size_t next;
    struct px_tensor *tensor = &tensors[next++ % PX_GRAPH_CONDITION_NODES_MAX];
    return make_tensor(px_graph_spec(context, source), tensor) ? tensor : NULL;
}

static void try_condition(const struct px_graph *graph, const struct px_graph_condition *condition,
                          struct px_arena *arena)
{
    const struct px_graph_tensors tensors = {get_tensor, px_unconst(graph)};
    struct px_graph_rows rows;
    struct px_err err;
    if (condition && px_graph_condition_evaluate(condition, &tensors, arena, &rows, &err) == PX_OK)
        PX_ASSERT(rows.n_chosen <= rows.n);
}

static void try_combiner(const struct px_graph *graph, const struct px_graph_step *step,
                         struct px_arena *arena)
{
    struct px_tensor tensors[PX_GRAPH_TENSORS_MAX], result;
    const struct px_tensor *inputs[PX_GRAPH_TENSORS_MAX];
    struct px_err err;
    for (size_t i = 0; i < step->n_inputs; i++) {
        inputs[i] = &tensors[i];
        if (!make_tensor(px_graph_spec(graph, step->inputs[i].from.source), &tensors[i]))
            return;
    }
    enum px_code code =
        px_graph_combine(step->combiner, inputs, step->n_inputs, arena, &result, &err);
    if (code == PX_OK)
        PX_ASSERT(px_tensor_check_bytes(&result, &err) == PX_OK &&
                  result.type == step->combiner->gives.type);
}

static void try_graph(const struct px_graph *graph, struct px_arena *arena)
{
    check_order(graph);
    check_json(graph);
    for (size_t i = 0; i < graph->n_steps; i++) {
        const struct px_graph_step *step = &graph->steps[i];
        try_condition(graph, step->when, arena);
        if (step->combiner)
            try_combiner(graph, step, arena);
    }
    for (size_t i = 0; i < graph->n_exits; i++)
        try_condition(graph, graph->exits[i].when, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct px_arena arena = px_arena(64 << 20);
    struct px_graph *graph;
    struct px_err err;
    struct px_str text = px_str_n((const char *)data, size);
    (void)px_graph_recognise(text);
    if (px_graph_read(text, &graph_resolver, &arena, &graph, &err) == PX_OK)
        try_graph(graph, &arena);
    px_arena_deinit(&arena);
    return 0;
}
