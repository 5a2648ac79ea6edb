/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answer to an inference, with members in Triton's order and flat data; binary tensors follow the JSON. When none of
 * them has a byte the answer is plain JSON, which clients then expect.
 */
#include "interfaces/rest/reply.h"
#include "application/tensors/json_tensors.h"
#include "application/tensors/json_value.h"
#include "interfaces/rest/v2/v2.h"

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

static void put_data(struct px_json_writer *w, const struct px_tensor *t)
{
    size_t size = px_datatype_size(t->type);
    px_json_key(w, "data");
    px_json_begin_array(w);
    if (t->type == PX_TYPE_BYTES)
        put_texts(w, t);
    for (size_t at = 0; size && at + size <= t->bytes.len; at += size)
        px_json_put_element(w, t->type, t->bytes.ptr + at);
    px_json_end_array(w);
}

static void put_parameters(struct px_json_writer *w, const struct px_infer_output *output,
                           const struct px_tensor *t)
{
    px_json_key(w, "parameters");
    px_json_begin_object(w);
    if (output->shared.region) {
        px_json_member_str(w, "shared_memory_region", output->shared.range.name);
        if (output->shared.range.offset)
            px_json_member_u64(w, "shared_memory_offset", output->shared.range.offset);
        px_json_member_u64(w, "shared_memory_byte_size", t->bytes.len);
    } else {
        px_json_member_u64(w, "binary_data_size", t->bytes.len);
    }
    px_json_end_object(w);
}

static bool is_binary(const struct px_infer *infer, const struct px_infer_output *output)
{
    unsigned form = output->form == PX_V2_FORM_DEFAULT ? px_rest_infer(infer)->form : output->form;
    return form == PX_V2_FORM_BINARY;
}

static void put_output(struct px_json_writer *w, const struct px_infer *infer,
                       const struct px_infer_output *output, const struct px_tensor *t)
{
    px_json_begin_object(w);
    px_json_member_str(w, "name", t->name);
    px_json_member_text(w, "datatype", px_datatype_name(t->type));
    put_shape(w, t);
    if (output->shared.region || is_binary(infer, output))
        put_parameters(w, output, t);
    else
        put_data(w, t);
    px_json_end_object(w);
}

/* What the client should know of how its request was answered. */
static void put_remarks(struct px_json_writer *w, const struct px_infer *infer)
{
    struct px_str degraded = px_infer_degraded(infer);
    const char *cache = px_infer_cache(infer);
    if (!infer->call.n_unseen && !degraded.len && !cache && !px_infer_fallback(infer))
        return;
    px_json_key(w, "parameters");
    px_json_begin_object(w);
    if (infer->call.n_unseen)
        px_json_member_u64(w, "unseen_categories", infer->call.n_unseen);
    if (cache)
        px_json_member_text(w, "cache", cache);
    px_rest_put_remarks(w, infer);
    px_json_end_object(w);
}

static void put_reply(struct px_json_writer *w, const struct px_infer *infer,
                      const struct px_tensor *tensors)
{
    const struct px_model *model = infer->call.model;
    px_json_begin_object(w);
    if (infer->id.len)
        px_json_member_str(w, "id", infer->id);
    px_json_member_str(w, "model_name", model->name);
    px_json_member_str(w, "model_version", model->version);
    put_remarks(w, infer);
    px_json_key(w, "outputs");
    px_json_begin_array(w);
    for (size_t i = 0; i < infer->n_outputs; i++)
        put_output(w, infer, &infer->outputs[i], &tensors[i]);
    px_json_end_array(w);
    px_json_end_object(w);
}

static size_t put_binary(struct px_buf *body, const struct px_infer *infer,
                         const struct px_tensor *tensors)
{
    size_t n_bytes = 0;
    for (size_t i = 0; i < infer->n_outputs; i++) {
        const struct px_infer_output *output = &infer->outputs[i];
        if (output->shared.region || !is_binary(infer, output))
            continue;
        px_buf_str(body, tensors[i].bytes);
        n_bytes += tensors[i].bytes.len;
    }
    return n_bytes;
}

/* "Inference-Header-Content-Length: 129\r\n", for a body of JSON and bytes. */
static const char *length_header(struct px_arena *arena, size_t json_len)
{
    enum { CAP = sizeof PX_V2_LENGTH_HEADER ": \r\n" + 20 };
    char *text = px_arena_alloc(arena, CAP, 1);
    if (text)
        snprintf(text, CAP, PX_V2_LENGTH_HEADER ": %zu\r\n", json_len);
    return text;
}

static void finish_binary(struct px_infer *infer, size_t json_len)
{
    struct px_http_exchange *exchange = px_rest_exchange(infer);
    const char *header = exchange->body->failed ? NULL : length_header(exchange->arena, json_len);
    if (header) {
        px_reply_add_header(exchange, header);
        px_rest_infer_reply(infer, "application/octet-stream");
        return;
    }
    if (px_buf_check(exchange->body, "the response", &infer->call.err) == PX_OK)
        (void)px_err_set(&infer->call.err, PX_E_TOO_LARGE,
                         "no memory of the request is left for its answer");
    px_infer_fail(infer);
}

/* Outputs that go as JSON have to be texts of UTF-8, if they are texts. */
static enum px_code check_texts(struct px_infer *infer, const struct px_tensor *tensors)
{
    enum px_code code = PX_OK;
    for (size_t i = 0; code == PX_OK && i < infer->n_outputs; i++) {
        const struct px_infer_output *output = &infer->outputs[i];
        if (!output->shared.region && !is_binary(infer, output))
            code = px_json_check_output(&tensors[i], &infer->call.err);
    }
    return code;
}

void px_v2_reply(struct px_infer *infer)
{
    struct px_http_exchange *exchange = px_rest_exchange(infer);
    PX_UNINITIALIZED struct px_tensor tensors[PX_INFER_OUTPUTS_MAX];
    if (px_output_tensors(infer, tensors) != PX_OK || check_texts(infer, tensors) != PX_OK) {
        px_infer_fail(infer);
        return;
    }
    struct px_json_writer w = px_json_writer(exchange->body);
    put_reply(&w, infer, tensors);
    exchange->may_compress = true;
    size_t json_len = exchange->body->len;
    if (put_binary(exchange->body, infer, tensors) > 0)
        finish_binary(infer, json_len);
    else
        px_rest_infer_reply(infer, "application/json");
}
