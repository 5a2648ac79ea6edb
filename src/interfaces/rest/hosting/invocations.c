/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /invocations, GET /ping, /health and /version: MLflow's scoring server and SageMaker's container contract,
 * which share a path.
 *
 * Bodies, by Content-Type
 *   application/json       MLflow: one of dataframe_split, dataframe_records, instances and inputs, with params;
 *                          SageMaker: instances of {"features": [values]}
 *   application/jsonlines  SageMaker: a row per line, {"features": [values]} or as in instances
 *   text/csv               with a header (MLflow) or without (SageMaker); v1/csv.c tells them apart
 * Replies, by Accept: {"predictions": [...]} (JSON), a line per row (CSV), or {"score": ...} per line (JSON lines). A
 * SageMaker row in JSON is answered in its form, {"predictions": [{"score": ...}]}.
 *
 * Which model: X-Amzn-SageMaker-Target-Model, else serving.default_model, else the only one there is.
 */
#include "interfaces/rest/served.h"
#include "interfaces/rest/v1/v1.h"

#include "interfaces/rest/reply.h"

static const char row_key[] = "features";

/* ---- which model ---- */

/* The name of the only model, whatever its versions; empty when there are several. */
static struct px_str only_model(const struct px_model_set *set)
{
    for (size_t i = 1; i < set->n_models; i++) {
        if (!px_str_eq(set->models[i]->name, set->models[0]->name))
            return (struct px_str){0};
    }
    return set->n_models ? set->models[0]->name : (struct px_str){0};
}

/* A target is the name of an artifact: "bank.tar.gz" or "/bank.tar.gz" is the model `bank`. */
static struct px_str target_model(struct px_str target)
{
    static const char suffix[] = ".tar.gz";
    if (px_str_starts(target, "/"))
        target = px_str_n(target.ptr + 1, target.len - 1);
    if (px_str_ends(target, suffix))
        target.len -= sizeof suffix - 1;
    return target;
}

bool px_rest_choose_model(struct px_rest_request *request)
{
    const struct px_rest *rest = request->rest;
    struct px_str target =
        px_http_header(&request->exchange->request, "X-Amzn-SageMaker-Target-Model");
    if (target.len)
        request->args[0] = target_model(target);
    else if (px_rest_live(rest)->default_model.len)
        request->args[0] =
            px_arena_str(request->exchange->arena, px_rest_live(rest)->default_model);
    else
        request->args[0] = only_model(px_serving_models(rest->settings.serving));
    if (request->args[0].len)
        return true;
    struct px_err err;
    if (px_arena_check(request->exchange->arena, "the model's name", &err) == PX_OK) {
        px_err_set(&err, PX_E_INVALID, "several models are served, and the request names none");
        px_err_hint(&err, "set serving.default_model, or use /v1/models/NAME:predict");
    }
    px_rest_fail(request, &err);
    return false;
}

/* ---- the body ---- */

enum row_form { FORM_PLAIN = 0, FORM_SAGEMAKER };

static enum px_code read_instances(struct px_json_rows *in)
{
    enum px_code code = px_json_rows_instances(in);
    px_rest_infer(in->infer)->form = in->met_row_key ? FORM_SAGEMAKER : FORM_PLAIN;
    return code;
}

static const struct px_body_member members[] = {
    {PX_STR("dataframe_split"), px_json_rows_split, true},
    {PX_STR("dataframe_records"), px_json_rows_records, true},
    {PX_STR("instances"), read_instances, true},
    {PX_STR("inputs"), px_json_rows_columns, true},
    {PX_STR("params"), px_body_parameters, false},
};
static const struct px_body_form form = {
    .members = members,
    .n_members = PX_ARRAY_LEN(members),
    .hint = "the body has one of dataframe_split, dataframe_records, instances and inputs",
    .row_key = row_key,
};

enum media { MEDIA_NONE = 0, MEDIA_JSON, MEDIA_CSV, MEDIA_LINES };

static const struct px_media_offer media_types[] = {
    {PX_STR("application/json"), MEDIA_JSON},
    {PX_STR("text/csv"), MEDIA_CSV},
    {PX_STR("application/jsonlines"), MEDIA_LINES},
    {PX_STR("application/x-jsonlines"), MEDIA_LINES},
    {PX_STR("application/x-ndjson"), MEDIA_LINES},
};

static unsigned media_of(struct px_str type)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(media_types); i++) {
        if (px_str_eq_nocase(type, media_types[i].name))
            return media_types[i].id;
    }
    return MEDIA_NONE;
}

static enum px_code read_body(struct px_infer *infer)
{
    struct px_json_rows in;
    struct px_str type =
        px_media_type(px_http_header(&px_rest_exchange(infer)->request, "Content-Type"));
    switch (type.len ? media_of(type) : MEDIA_JSON) {
    case MEDIA_JSON:
        return px_body_read(infer, &form, &in);
    case MEDIA_CSV:
        return px_read_csv(infer);
    case MEDIA_LINES:
        px_rest_infer(infer)->form = FORM_SAGEMAKER;
        return px_json_rows_lines(infer, row_key);
    default:
        break;
    }
    return px_err_set(&infer->call.err, PX_E_UNSUPPORTED_MEDIA,
                      "expected application/json, application/jsonlines or text/csv, got '%.*s'",
                      PX_STR_ARG(type));
}

/* ---- the reply ---- */

/* {"score": 0.25}, or {"predicted_label": "yes"}. */
static void put_sagemaker_members(struct px_json_writer *w, const struct px_infer *infer,
                                  size_t row)
{
    bool labels = infer->outputs[0].kind == PX_OUTPUT_LABELS;
    px_json_key(w, labels ? "predicted_label" : "score");
    px_put_prediction(w, infer, row);
}

static void put_sagemaker_rows(struct px_json_writer *w, const struct px_infer *infer)
{
    px_json_begin_array(w);
    for (size_t row = 0; row < infer->call.scores.n_rows; row++) {
        px_json_begin_object(w);
        put_sagemaker_members(w, infer, row);
        px_json_end_object(w);
    }
    px_json_end_array(w);
}

static void reply_json(struct px_infer *infer)
{
    struct px_json_writer w = px_json_writer(px_rest_exchange(infer)->body);
    bool sagemaker = px_rest_infer(infer)->form == FORM_SAGEMAKER;
    if (!px_check_run_predictions(infer))
        return;
    px_json_begin_object(&w);
    px_json_key(&w, "predictions");
    if (sagemaker)
        put_sagemaker_rows(&w, infer);
    else
        px_put_predictions(&w, infer, false);
    px_rest_put_remarks(&w, infer);
    px_json_end_object(&w);
    px_rest_infer_reply(infer, "application/json");
}

static void reply_csv(struct px_infer *infer)
{
    for (size_t row = 0; row < infer->call.scores.n_rows; row++)
        px_put_csv_row(px_rest_exchange(infer)->body, infer, row);
    px_rest_infer_reply(infer, "text/csv; charset=utf-8");
}

static void reply_lines(struct px_infer *infer)
{
    struct px_buf *body = px_rest_exchange(infer)->body;
    for (size_t row = 0; row < infer->call.scores.n_rows; row++) {
        struct px_json_writer w = px_json_writer(body);
        px_json_begin_object(&w);
        put_sagemaker_members(&w, infer, row);
        px_rest_put_remarks(&w, infer); /* a line is all that its reader has */
        px_json_end_object(&w);
        px_buf_byte(body, '\n');
    }
    px_rest_infer_reply(infer, "application/jsonlines");
}

static void (*choose_reply(const struct px_http_request *request))(struct px_infer *infer)
{
    unsigned media = px_media_choose(request, media_types, PX_ARRAY_LEN(media_types));
    return media == MEDIA_CSV ? reply_csv : media == MEDIA_LINES ? reply_lines : reply_json;
}

void px_handle_invocations(struct px_rest_request *request)
{
    if (!px_rest_choose_model(request))
        return;
    struct px_infer *infer = px_rest_infer_open(request, choose_reply(&request->exchange->request));
    if (!infer)
        return;
    if (px_infer_has_run(infer))
        infer->encode = reply_json;
    enum px_code code =
        px_check_encoding(request->exchange, PX_E_UNSUPPORTED_MEDIA, &infer->call.err);
    if (code == PX_OK)
        code = px_select_output_by_query(infer);
    if (code == PX_OK)
        code = read_body(infer);
    if (code == PX_OK)
        px_infer_submit(infer);
    else
        px_infer_fail(infer);
}

/* ---- health ---- */

void px_handle_ping(struct px_rest_request *request)
{
    struct px_err err;
    if (!px_serving_is_ready(request->rest->settings.serving, &err)) {
        px_rest_fail(request, &err);
        return;
    }
    px_buf_byte(request->exchange->body, '\n');
    px_reply_finish(request, 200, "text/plain; charset=utf-8");
}

/* An operation of its own, since the description of the API names each by its handler. */
void px_handle_mlflow_health(struct px_rest_request *request)
{
    px_handle_ping(request);
}

void px_handle_version(struct px_rest_request *request)
{
    px_buf_text(request->exchange->body, PX_VERSION);
    px_reply_finish(request, 200, "text/plain; charset=utf-8");
}
