/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading an ONNX model that is a tree ensemble: the file (onnx_model), what its graph means
 * (onnx_graph), and the internal form of that (onnx_emit, onnx_result).
 */
#include "domain/forest/readers/onnx/onnx_graph.h"
#include "domain/forest/readers/readers.h"

#include <inttypes.h>

enum { ML_OPSET_KNOWN = 5, ARENA_SLACK = 48 << 20 };

static enum px_code read_graph(struct px_onnx_graph *graph, struct px_err *err)
{
    enum px_code code = px_onnx_graph_run(graph, err);
    if (code == PX_OK && graph->ensembles.len == 0)
        code = px_err_set(err, PX_E_UNSUPPORTED, "the graph has no tree ensemble");
    if (code == PX_OK && graph->model->ml_opset > ML_OPSET_KNOWN)
        code = px_ir_warn(graph->ir, err,
                          "the model uses version %" PRId64
                          " of ai.onnx.ml, newer than %d, the newest known here; compare some "
                          "predictions before serving it",
                          graph->model->ml_opset, ML_OPSET_KNOWN);
    return code == PX_OK ? px_onnx_result(graph, err) : code;
}

enum px_code px_onnx_read(struct px_forest_ir *ir, struct px_str bytes, struct px_err *err)
{
    struct px_onnx_model model = {0};
    struct px_onnx_graph graph = {.model = &model, .ir = ir};
    size_t room = bytes.len > SIZE_MAX / 16 ? SIZE_MAX / 2 : bytes.len * 8;
    graph.arena = px_arena(room + ARENA_SLACK);
    enum px_code code = px_onnx_model_read(&model, bytes, err);
    if (code == PX_OK)
        code = read_graph(&graph, err);
    px_onnx_graph_deinit(&graph);
    px_onnx_model_deinit(&model);
    return code;
}
