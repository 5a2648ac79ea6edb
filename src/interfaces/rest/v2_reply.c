/* SPDX-License-Identifier: Apache-2.0 */
/* The answer to an inference, with members in Triton's order and flat data. */
#include "interfaces/rest/reply.h"
#include "interfaces/rest/v2.h"

static void put_shape(struct px_json_writer *w, const struct px_tensor *t)
{
    px_json_key(w, "shape");
    px_json_begin_array(w);
    for (size_t i = 0; i < t->n_dims; i++)
        px_json_put_u64(w, t->shape[i]);
    px_json_end_array(w);
}

static void put_texts(struct px_json_writer *w, const struct px_tensor *t)
{
    struct px_str rest = t->bytes, text;
    while (px_tensor_next_text(&rest, &text))
        px_json_put_str(w, text);
}

static void put_data(struct px_json_writer *w, const struct px_tensor *t,
                     const struct px_matrix *scores)
{
    px_json_key(w, "data");
    px_json_begin_array(w);
    if (t->type == PX_TYPE_BYTES)
        put_texts(w, t);
    for (size_t row = 0; t->type != PX_TYPE_BYTES && row < scores->n_rows; row++) {
        for (size_t col = 0; col < scores->n_cols; col++)
            px_put_score(w, scores, row, col);
    }
    px_json_end_array(w);
}

static void put_output(struct px_json_writer *w, const struct px_tensor *t,
                       const struct px_matrix *scores)
{
    px_json_begin_object(w);
    px_json_member_str(w, "name", t->name);
    px_json_member_text(w, "datatype", px_datatype_name(t->type));
    put_shape(w, t);
    put_data(w, t, scores);
    px_json_end_object(w);
}

void px_v2_reply(struct px_infer *infer)
{
    const struct px_model *model = infer->call.model;
    struct px_tensor tensors[PX_INFER_OUTPUTS_MAX];
    for (size_t i = 0; i < infer->n_outputs; i++) {
        if (px_output_tensor(infer, &infer->outputs[i], &tensors[i]) != PX_OK) {
            px_infer_fail(infer);
            return;
        }
    }
    struct px_json_writer w = px_json_writer(px_rest_exchange(infer)->body);
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
        put_output(&w, &tensors[i], &infer->call.scores);
    px_json_end_array(&w);
    px_json_end_object(&w);
    px_reply_json(px_rest_exchange(infer), 200);
}
