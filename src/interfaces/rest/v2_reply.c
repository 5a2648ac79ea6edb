/* SPDX-License-Identifier: Apache-2.0 */
/* The answer to an inference, with members in Triton's order and flat data. */
#include "interfaces/rest/reply.h"
#include "interfaces/rest/v2.h"

static void put_shape(struct px_json_writer *w, size_t n_rows, size_t n_cols)
{
    px_json_key(w, "shape");
    px_json_begin_array(w);
    px_json_put_u64(w, n_rows);
    px_json_put_u64(w, n_cols);
    px_json_end_array(w);
}

static void put_scores(struct px_json_writer *w, const struct px_matrix *scores, struct px_str name)
{
    px_json_member_str(w, "name", name);
    px_json_member_text(w, "datatype", px_datatype_name(scores->type));
    put_shape(w, scores->n_rows, scores->n_cols);
    px_json_key(w, "data");
    px_json_begin_array(w);
    for (size_t row = 0; row < scores->n_rows; row++) {
        for (size_t col = 0; col < scores->n_cols; col++)
            px_put_score(w, scores, row, col);
    }
    px_json_end_array(w);
}

static void put_labels(struct px_json_writer *w, const struct px_infer *infer)
{
    size_t n_rows = infer->call.scores.n_rows;
    px_json_member_text(w, "name", "labels");
    px_json_member_text(w, "datatype", "BYTES");
    put_shape(w, n_rows, 1);
    px_json_key(w, "data");
    px_json_begin_array(w);
    for (size_t row = 0; row < n_rows; row++) {
        char scratch[PX_LABEL_TEXT_MAX];
        px_json_put_str(w, px_infer_label(infer, row, scratch));
    }
    px_json_end_array(w);
}

static void put_output(struct px_json_writer *w, const struct px_infer *infer,
                       enum px_output output)
{
    static const struct px_str margins = PX_STR("margins");
    const struct px_model *model = infer->call.model;
    px_json_begin_object(w);
    if (output == PX_OUTPUT_LABELS)
        put_labels(w, infer);
    else
        put_scores(w, &infer->call.scores,
                   output == PX_OUTPUT_MARGINS ? margins : model->signature->output_name);
    px_json_end_object(w);
}

void px_v2_reply(struct px_infer *infer)
{
    const struct px_model *model = infer->call.model;
    struct px_json_writer w = px_json_writer(infer->exchange->body);
    px_json_begin_object(&w);
    if (infer->id.len) {
        px_json_member_str(&w, "id", infer->id);
    }
    px_json_member_str(&w, "model_name", model->name);
    px_json_member_str(&w, "model_version", model->version);
    if (infer->call.n_unseen) {
        px_json_key(&w, "parameters");
        px_json_begin_object(&w);
        px_json_member_u64(&w, "unseen_categories", infer->call.n_unseen);
        px_json_end_object(&w);
    }
    px_json_key(&w, "outputs");
    px_json_begin_array(&w);
    for (size_t i = 0; i < infer->n_outputs; i++)
        put_output(&w, infer, infer->outputs[i]);
    px_json_end_array(&w);
    px_json_end_object(&w);
    px_reply_json(infer->exchange, 200);
}
