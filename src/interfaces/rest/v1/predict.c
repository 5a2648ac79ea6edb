/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v1/models/M:predict: which body, which output, and the reply.
 *
 * A body is CSV when Content-Type says text/csv, and JSON when it says so, nothing, or what clients say of any text. The
 * reply is JSON unless Accept prefers text/csv. {"predictions": [...]} holds a number per row, an array per row when
 * the model has several scores, a text per row for labels. TensorFlow Serving's column format ("inputs") is
 * answered under "outputs".
 */
#include "interfaces/rest/v1/v1.h"

#include "interfaces/rest/reply.h"

enum { FORM_ROWS = 0, FORM_COLUMNS };

static enum px_code read_inputs(struct px_json_rows *in)
{
    px_rest_infer(in->infer)->form = FORM_COLUMNS;
    return px_json_rows_columns(in);
}

static const struct px_body_member members[] = {
    {PX_STR("instances"), px_json_rows_instances, true},
    {PX_STR("inputs"), read_inputs, true},
    {PX_STR("output"), px_body_output, false},
    {PX_STR("signature_name"), px_body_signature_name, false},
};
static const struct px_body_form form = {
    .members = members,
    .n_members = PX_ARRAY_LEN(members),
    .hint = "the body is {\"instances\": [...], \"output\": \"scores|labels|margins\"}",
};

enum { REPLY_JSON = 0, REPLY_CSV };

static const struct px_media_offer offers[] = {{PX_STR("application/json"), REPLY_JSON},
                                               {PX_STR("text/csv"), REPLY_CSV}};

/* Also what curl -d and fetch say of a text when nobody tells them. */
static bool is_json(struct px_str type)
{
    static const struct px_str names[] = {PX_STR("application/json"), PX_STR("text/json"),
                                          PX_STR("text/plain"),
                                          PX_STR("application/x-www-form-urlencoded")};
    for (size_t i = 0; i < PX_ARRAY_LEN(names); i++) {
        if (px_str_eq_nocase(type, names[i]))
            return true;
    }
    return type.len == 0 || px_str_ends(type, "+json");
}

enum px_code px_v1_check_json(struct px_infer *infer)
{
    struct px_http_exchange *exchange = px_rest_exchange(infer);
    struct px_str type = px_media_type(px_http_header(&exchange->request, "Content-Type"));
    if (PX_LIKELY(is_json(type)))
        return PX_OK;
    return px_err_set(&infer->call.err, PX_E_UNSUPPORTED_MEDIA,
                      "expected a body of application/json, got '%.*s'", PX_STR_ARG(type));
}

static enum px_code read_body(struct px_infer *infer, const struct px_body_form *body_form)
{
    struct px_http_exchange *exchange = px_rest_exchange(infer);
    struct px_str type = px_media_type(px_http_header(&exchange->request, "Content-Type"));
    struct px_json_rows in;
    if (px_str_eq_nocase(type, (struct px_str)PX_STR("text/csv")))
        return px_read_csv(infer);
    if (!is_json(type))
        return px_err_set(&infer->call.err, PX_E_UNSUPPORTED_MEDIA,
                          "expected a body of application/json or text/csv, got '%.*s'",
                          PX_STR_ARG(type));
    return px_body_read(infer, body_form, &in);
}

void px_v1_run(struct px_infer *infer, const struct px_body_form *body_form)
{
    struct px_http_exchange *exchange = px_rest_exchange(infer);
    enum px_code code = px_check_encoding(exchange, PX_E_UNSUPPORTED_MEDIA, &infer->call.err);
    if (code == PX_OK)
        code = read_body(infer, body_form);
    if (code == PX_OK)
        px_infer_submit(infer);
    else
        px_infer_fail(infer);
}

void px_handle_v1_predict(struct px_rest_request *request)
{
    const struct px_http_request *http = &request->exchange->request;
    bool is_csv = px_media_choose(http, offers, PX_ARRAY_LEN(offers)) == REPLY_CSV;
    struct px_infer *infer =
        px_rest_infer_open(request, is_csv ? px_v1_reply_csv : px_v1_reply_json);
    if (!infer)
        return;
    if (px_infer_has_run(infer)) /* whatever the client prefers: nested values are no table */
        infer->encode = px_v1_reply_json;
    if (px_select_output_by_query(infer) == PX_OK)
        px_v1_run(infer, &form);
    else
        px_infer_fail(infer);
}

void px_put_prediction(struct px_json_writer *w, const struct px_infer *infer, size_t row)
{
    const struct px_matrix *scores = &infer->call.scores;
    char scratch[PX_LABEL_TEXT_MAX];
    if (infer->outputs[0].kind == PX_OUTPUT_LABELS) {
        px_json_put_str(w, px_infer_label(infer, row, scratch));
        return;
    }
    if (scores->n_cols != 1)
        px_json_begin_array(w);
    for (size_t col = 0; col < scores->n_cols; col++)
        px_put_score(w, scores, row, col);
    if (scores->n_cols != 1)
        px_json_end_array(w);
}

void px_put_predictions(struct px_json_writer *w, const struct px_infer *infer, bool by_columns)
{
    if (px_infer_has_run(infer)) {
        px_put_run_predictions(w, infer, by_columns);
        return;
    }
    px_json_begin_array(w);
    for (size_t row = 0; row < infer->call.scores.n_rows; row++)
        px_put_prediction(w, infer, row);
    px_json_end_array(w);
}

void px_v1_reply_json(struct px_infer *infer)
{
    struct px_json_writer w = px_json_writer(px_rest_exchange(infer)->body);
    bool columns = px_rest_infer(infer)->form == FORM_COLUMNS;
    if (!px_check_run_predictions(infer))
        return;
    px_json_begin_object(&w);
    px_json_key(&w, columns ? "outputs" : "predictions");
    px_put_predictions(&w, infer, columns);
    if (infer->call.n_unseen)
        px_json_member_u64(&w, "unseen_categories", infer->call.n_unseen);
    px_rest_put_remarks(&w, infer);
    px_json_end_object(&w);
    px_rest_infer_reply(infer, "application/json");
}
