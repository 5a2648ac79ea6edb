/* SPDX-License-Identifier: Apache-2.0 */
/* A resolver for tests of graphs: models that exist as specs only, known by their path. */
#ifndef PX_TESTS_GRAPH_SPECS_H
#define PX_TESTS_GRAPH_SPECS_H

#include "domain/graph/graph.h"

struct graph_model {
    const char *path;
    struct px_tensor_specs takes, gives;
    bool row_wise;
};

#define GRAPH_ROWS(text)                                                                           \
    {                                                                                              \
        .name = PX_STR(text), .type = PX_TYPE_FP32, .shape = {-1}, .n_dims = 1                     \
    }

static const struct px_tensor_spec graph_x[] = {
    {.name = PX_STR("x"), .type = PX_TYPE_FP32, .shape = {-1, 4}, .n_dims = 2},
    {.name = PX_STR("mask"), .type = PX_TYPE_BOOL, .shape = {-1}, .n_dims = 1, .optional = true}};
static const struct px_tensor_spec graph_pair[] = {GRAPH_ROWS("first"), GRAPH_ROWS("second")};
static const struct px_tensor_spec graph_scores[] = {GRAPH_ROWS("predictions")};
static const struct px_tensor_spec graph_classes[] = {
    {.name = PX_STR("label"), .type = PX_TYPE_BYTES, .shape = {-1}, .n_dims = 1},
    {.name = PX_STR("probabilities"), .type = PX_TYPE_FP32, .shape = {-1, 2}, .n_dims = 2}};
static const struct px_tensor_spec graph_meta[] = {
    {.name = PX_STR("x"), .type = PX_TYPE_FP32, .shape = {-1, 3}, .n_dims = 2}};
static const struct px_tensor_spec graph_flag[] = {
    {.name = PX_STR("blocked"), .type = PX_TYPE_BOOL, .shape = {-1}, .n_dims = 1},
    {.name = PX_STR("count"), .type = PX_TYPE_INT64, .shape = {1}, .n_dims = 1}};

static const struct graph_model graph_models[] = {
    {"scorer", {graph_x, 2}, {graph_scores, 1}, true},
    {"classifier", {graph_x, 2}, {graph_classes, 2}, true},
    {"pair", {graph_pair, 2}, {graph_scores, 1}, true},
    {"meta", {graph_meta, 1}, {graph_scores, 1}, true},
    {"rules", {graph_x, 2}, {graph_flag, 2}, false},
};

static enum px_code graph_resolve(void *context, const struct px_graph *graph, size_t at,
                                  const struct px_tensor_specs *inputs,
                                  struct px_graph_resolved *ret, struct px_err *err)
{
    const struct px_graph_step *step = &graph->steps[at];
    (void)context;
    if (step->kind == PX_GRAPH_PROCESSOR) { /* gives what it is given */
        *ret = (struct px_graph_resolved){*inputs, *inputs, false};
        return PX_OK;
    }
    for (size_t i = 0; i < PX_ARRAY_LEN(graph_models); i++) {
        const struct graph_model *model = &graph_models[i];
        if (px_str_is(step->what, model->path)) {
            *ret = (struct px_graph_resolved){model->takes, model->gives, model->row_wise};
            return PX_OK;
        }
    }
    return px_err_set(err, PX_E_NOT_FOUND, "there is no model '%.*s'", PX_STR_ARG(step->what));
}

static const struct px_graph_resolver graph_resolver = {graph_resolve, NULL};

#endif
