/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v1/models/M:explain: what each feature contributed to the margin.
 *
 * {"explanations": [...], "features": [names]}: per row the contributions in the order of `features` and the
 * expected margin last, or an array of such arrays when the model has several margins (classes). The rows are scored
 * as for predict, so an explanation passes the same stages and is counted as a request; it is computed when the score
 * is there, on the loop, which is why the core bounds how much of it one wake-up does.
 */
#include "interfaces/rest/v1/v1.h"

#include "interfaces/rest/reply.h"

static const struct px_body_member members[] = {
    {PX_STR("instances"), px_json_rows_instances, true},
    {PX_STR("inputs"), px_json_rows_columns, true},
    {PX_STR("signature_name"), px_body_signature_name, false},
};
static const struct px_body_form form = {
    .members = members,
    .n_members = PX_ARRAY_LEN(members),
    .hint = "the body is {\"instances\": [...]}",
};

static void put_margin(struct px_json_writer *w, const double *contributions, size_t n)
{
    px_json_begin_array(w);
    for (size_t i = 0; i < n; i++)
        px_json_put_f64(w, contributions[i], true);
    px_json_end_array(w);
}

static void put_row(struct px_json_writer *w, const struct px_engine *engine, const double *row)
{
    size_t width = engine->n_features + 1;
    if (engine->n_margins == 1) {
        put_margin(w, row, width);
        return;
    }
    px_json_begin_array(w);
    for (size_t k = 0; k < engine->n_margins; k++)
        put_margin(w, row + k * width, width);
    px_json_end_array(w);
}

static void put_features(struct px_json_writer *w, const struct px_signature *signature)
{
    px_json_key(w, "features");
    px_json_begin_array(w);
    for (size_t i = 0; i < signature->n_features; i++)
        px_json_put_str(w, signature->features[i].name);
    px_json_end_array(w);
}

static void reply(struct px_infer *infer)
{
    struct px_call *call = &infer->call;
    const struct px_engine *engine = call->model->engine;
    double *contributions;
    if (px_call_explain(infer->serving, call, &contributions) != PX_OK) {
        px_infer_fail(infer);
        return;
    }
    struct px_json_writer w = px_json_writer(px_rest_exchange(infer)->body);
    px_json_begin_object(&w);
    px_json_key(&w, "explanations");
    px_json_begin_array(&w);
    for (size_t i = 0; i < call->rows.n_rows; i++)
        put_row(&w, engine, contributions + i * engine->n_margins * (engine->n_features + 1));
    px_json_end_array(&w);
    put_features(&w, call->model->signature);
    px_rest_put_remarks(&w, infer);
    px_json_end_object(&w);
    call->cache = PX_CALL_UNCACHED; /* which was about the scores: this was computed now */
    px_rest_infer_reply(infer, "application/json");
}

void px_handle_v1_explain(struct px_rest_request *request)
{
    struct px_infer *infer = px_rest_infer_open(request, reply);
    if (infer && px_infer_has_run(infer)) {
        px_err_set(&infer->call.err, PX_E_UNSUPPORTED, "engine '%s' explains nothing",
                   px_engine_name(infer->call.model->engine));
        px_infer_fail(infer);
    } else if (infer) {
        px_v1_run(infer, &form);
    }
}
