/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v1/models/M:predict: which body, which output, and the reply.
 *
 * A body is CSV when Content-Type says text/csv and JSON otherwise (curl -d says form data). The reply is
 * JSON unless Accept prefers text/csv. {"predictions": [...]} holds a number per row, an array per row when
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

/* Good enough for the two media types there are: CSV when it is named. */
static bool wants_csv(const struct px_http_request *request)
{
    static const struct px_str csv = PX_STR("text/csv");
    struct px_str rest = px_http_header(request, "Accept");
    while (rest.ptr) {
        if (px_str_eq_nocase(px_media_type(px_str_cut(&rest, ',')), csv))
            return true;
    }
    return false;
}

void px_v1_run(struct px_infer *infer, const struct px_body_form *body_form)
{
    struct px_http_exchange *exchange = px_rest_exchange(infer);
    struct px_str type = px_media_type(px_http_header(&exchange->request, "Content-Type"));
    struct px_json_rows in;
    enum px_code code = px_check_encoding(exchange, PX_E_UNSUPPORTED_MEDIA, &infer->call.err);
    if (code == PX_OK)
        code = px_str_eq_nocase(type, (struct px_str)PX_STR("text/csv"))
                   ? px_read_csv(infer)
                   : px_body_read(infer, body_form, &in);
    if (code == PX_OK)
        px_infer_submit(infer);
    else
        px_infer_fail(infer);
}

void px_handle_v1_predict(struct px_rest_request *request)
{
    const struct px_http_request *http = &request->exchange->request;
    struct px_infer *infer =
        px_rest_infer_open(request, wants_csv(http) ? px_v1_reply_csv : px_v1_reply_json);
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
    px_json_begin_object(&w);
    px_json_key(&w, columns ? "outputs" : "predictions");
    px_put_predictions(&w, infer, columns);
    if (infer->call.n_unseen)
        px_json_member_u64(&w, "unseen_categories", infer->call.n_unseen);
    px_json_end_object(&w);
    px_rest_infer_reply(infer, "application/json");
}
