/* SPDX-License-Identifier: Apache-2.0 */
/* Models of tensors in the dialects that send rows: KServe's V1, TensorFlow Serving's, MLflow's, SageMaker's and Vertex AI's. */
#include "application/tensors/json_tensors.h"

#include "interfaces/rest/rows/rows.h"

typedef enum px_code read_tensors(struct px_json_tensors *to, struct px_str text,
                                  struct px_err *err);

static enum px_code read(struct px_json_rows *in, read_tensors *read_text)
{
    struct px_call *call = &in->infer->call;
    struct px_str text = px_json_raw(&in->json);
    struct px_json_tensors to = {.takes = &call->model->engine->takes, .arena = call->arena};
    enum px_code code = px_json_check(&in->json, in->err);
    if (code == PX_OK)
        code = read_text(&to, text, in->err);
    call->run->inputs = to.inputs;
    call->run->n_inputs = to.n_inputs;
    return code;
}

enum px_code px_json_tensors_instances(struct px_json_rows *in)
{
    return read(in, px_json_read_instances);
}

enum px_code px_json_tensors_inputs(struct px_json_rows *in)
{
    return read(in, px_json_read_inputs);
}

enum px_code px_refuse_tables(struct px_infer *infer, const char *what)
{
    px_err_set(&infer->call.err, PX_E_UNSUPPORTED, "model '%.*s' takes tensors, not %s",
               PX_STR_ARG(infer->call.model->name), what);
    return px_err_hint(&infer->call.err,
                       "send JSON with \"instances\" or \"inputs\", or use /v2/models/%.*s/infer",
                       PX_STR_ARG(infer->call.model->name));
}

bool px_check_run_predictions(struct px_infer *infer)
{
    const struct px_run *run = px_infer_has_run(infer) ? infer->call.run : NULL;
    for (size_t i = 0; run && i < run->n_outputs; i++) {
        if (px_json_check_output(&run->outputs[i], &infer->call.err) == PX_OK)
            continue;
        px_infer_fail(infer);
        return false;
    }
    return true;
}

void px_put_run_predictions(struct px_json_writer *w, const struct px_infer *infer, bool by_columns)
{
    const struct px_run *run = infer->call.run;
    PX_UNINITIALIZED struct px_str left[PX_ENGINE_TENSORS_MAX];
    struct px_json_rows_of_tensors rows;
    if (by_columns || !px_json_rows_begin(&rows, run->outputs, run->n_outputs, left)) {
        px_json_put_columns(w, run->outputs, run->n_outputs);
        return;
    }
    px_json_begin_array(w);
    for (size_t i = 0; i < rows.n_rows && !w->buf->failed; i++)
        px_json_rows_put(&rows, w);
    px_json_end_array(w);
}
