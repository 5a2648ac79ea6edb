/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v1/models/M:predict: which body, which output, and the reply.
 *
 * A body is CSV when Content-Type says text/csv and JSON otherwise (curl -d says form data). The reply is
 * JSON unless Accept prefers text/csv. {"predictions": [...]} holds a number per row, an array per row when
 * the model has several scores, a text per row for labels.
 */
#include "interfaces/rest/v1.h"

#include "interfaces/rest/reply.h"

static struct px_str media_type(struct px_str header)
{
    struct px_str rest = header;
    return px_str_trim(px_str_cut(&rest, ';'));
}

/* Good enough for the two media types there are: CSV when it is named. */
static bool wants_csv(const struct px_http_request *request)
{
    static const struct px_str csv = PX_STR("text/csv");
    struct px_str rest = px_http_header(request, "Accept");
    while (rest.ptr) {
        if (px_str_eq_nocase(media_type(px_str_cut(&rest, ',')), csv))
            return true;
    }
    return false;
}

enum px_code px_v1_select_output(struct px_infer *infer, struct px_str name)
{
    struct px_err *err = &infer->call.err;
    if (infer->n_outputs)
        return px_err_set(err, PX_E_INVALID, "'output' is given twice");
    if (px_str_is(name, "scores"))
        return px_infer_add_output(infer, infer->call.model->signature->output_name);
    if (px_str_is(name, "labels") || px_str_is(name, "margins"))
        return px_infer_add_output(infer, name);
    return px_err_set(err, PX_E_INVALID,
                      "output: expected 'scores', 'labels' or 'margins', got '%.*s'",
                      PX_STR_ARG(name));
}

/* ?output=labels, for bodies that have no other place for it. */
static enum px_code read_query(struct px_infer *infer)
{
    struct px_str rest = px_rest_exchange(infer)->request.query;
    while (rest.ptr) {
        struct px_str value = px_str_cut(&rest, '&'), key = px_str_cut(&value, '=');
        if (px_str_is(key, "output")) {
            enum px_code code = px_v1_select_output(infer, value);
            if (code != PX_OK)
                return code;
        }
    }
    return PX_OK;
}

void px_handle_v1_predict(struct px_rest_request *request)
{
    const struct px_http_request *http = &request->exchange->request;
    struct px_str type = media_type(px_http_header(http, "Content-Type"));
    struct px_infer *infer =
        px_rest_infer_open(request, wants_csv(http) ? px_v1_reply_csv : px_v1_reply_json);
    if (!infer)
        return;
    enum px_code code =
        px_check_encoding(request->exchange, PX_E_UNSUPPORTED_MEDIA, &infer->call.err);
    if (code == PX_OK)
        code = read_query(infer);
    if (code == PX_OK)
        code = px_str_eq_nocase(type, (struct px_str)PX_STR("text/csv")) ? px_v1_read_csv(infer)
                                                                         : px_v1_read_json(infer);
    if (code == PX_OK)
        px_infer_submit(infer);
    else
        px_infer_fail(infer);
}

static void put_scores(struct px_json_writer *w, const struct px_matrix *scores)
{
    for (size_t row = 0; row < scores->n_rows; row++) {
        if (scores->n_cols != 1)
            px_json_begin_array(w);
        for (size_t col = 0; col < scores->n_cols; col++)
            px_put_score(w, scores, row, col);
        if (scores->n_cols != 1)
            px_json_end_array(w);
    }
}

void px_v1_reply_json(struct px_infer *infer)
{
    struct px_json_writer w = px_json_writer(px_rest_exchange(infer)->body);
    px_json_begin_object(&w);
    px_json_key(&w, "predictions");
    px_json_begin_array(&w);
    if (infer->outputs[0].kind == PX_OUTPUT_LABELS) {
        for (size_t row = 0; row < infer->call.scores.n_rows; row++) {
            char scratch[PX_LABEL_TEXT_MAX];
            px_json_put_str(&w, px_infer_label(infer, row, scratch));
        }
    } else {
        put_scores(&w, &infer->call.scores);
    }
    px_json_end_array(&w);
    if (infer->call.n_unseen)
        px_json_member_u64(&w, "unseen_categories", infer->call.n_unseen);
    px_json_end_object(&w);
    px_reply_json(px_rest_exchange(infer), 200);
}
