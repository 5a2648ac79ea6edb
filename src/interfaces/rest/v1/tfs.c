/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What TensorFlow Serving has beyond V1: :classify, :regress and metadata.
 *
 * Both verbs take {"examples": [{feature: value | [value]}], "context": {features that all examples share}} and
 * answer {"results": [...]}: per example [[label, score], ...] or a number. The format of the examples is TensorFlow
 * Serving's api_rest; the key "results" is what its server writes (its page says "result").
 */
#include "interfaces/rest/v1/v1.h"

#include "interfaces/rest/reply.h"

#include <inttypes.h>
#include <math.h>

/* The context may come before the examples; it is applied when all are there. */
static enum px_code hold_context(struct px_json_rows *in)
{
    if (in->held.ptr)
        return px_err_set(in->err, PX_E_INVALID, "member 'context' is repeated");
    in->held = px_json_raw(&in->json);
    return px_json_check(&in->json, in->err);
}

static enum px_code share_feature(struct px_json_rows *in, struct px_str name)
{
    struct px_matrix *rows = &in->infer->call.rows;
    double value;
    long feature = px_signature_find(in->signature, name);
    if (feature < 0)
        return px_signature_unknown(in->signature, name, in->err);
    if (in->is_ever[feature / 64] >> (feature % 64) & 1)
        return px_err_set(in->err, PX_E_INVALID, "feature '%.*s' is in an example as well",
                          PX_STR_ARG(name));
    enum px_code code = px_json_rows_value(in, (size_t)feature, &value);
    for (size_t i = 0; code == PX_OK && i < rows->n_rows; i++)
        px_matrix_set(rows, i, (size_t)feature, value);
    return code;
}

static enum px_code apply_context(struct px_json_rows *in)
{
    struct px_str name;
    enum px_code code = PX_OK;
    if (!in->held.ptr)
        return PX_OK;
    px_json_init(&in->json, in->held, in->infer->call.arena, PX_JSON_NONFINITE);
    px_json_enter_object(&in->json);
    while (code == PX_OK && px_json_next_key(&in->json, &name))
        code = share_feature(in, name);
    if (code == PX_OK)
        code = px_json_finish(&in->json, in->err);
    return code == PX_OK ? code : px_err_wrap(in->err, "context");
}

/* The signature's name says which head of a SavedModel is meant; here any name is the one there is. */
static enum px_code skip_signature_name(struct px_json_rows *in)
{
    (void)px_json_str(&in->json);
    return px_json_check(&in->json, in->err);
}

static const struct px_body_member members[] = {
    {PX_STR("examples"), px_json_rows_instances, true},
    {PX_STR("context"), hold_context, false},
    {PX_STR("signature_name"), skip_signature_name, false},
};
static const struct px_body_form form = {
    .members = members,
    .n_members = PX_ARRAY_LEN(members),
    .hint = "the body is {\"examples\": [{feature: value, ...}, ...], \"context\": {...}}",
};

static void run(struct px_infer *infer)
{
    struct px_json_rows in;
    enum px_code code =
        px_check_encoding(px_rest_exchange(infer), PX_E_UNSUPPORTED_MEDIA, &infer->call.err);
    if (code == PX_OK)
        code = px_v1_check_json(infer);
    if (code == PX_OK)
        code = px_body_read(infer, &form, &in);
    if (code == PX_OK)
        code = apply_context(&in);
    if (code == PX_OK)
        px_infer_submit(infer);
    else
        px_infer_fail(infer);
}

static struct px_json_writer begin_results(struct px_infer *infer)
{
    struct px_json_writer w = px_json_writer(px_rest_exchange(infer)->body);
    px_json_begin_object(&w);
    px_json_key(&w, "results");
    px_json_begin_array(&w);
    return w;
}

static void end_results(struct px_json_writer *w, struct px_infer *infer)
{
    px_json_end_array(w);
    px_rest_put_remarks(w, infer);
    px_json_end_object(w);
    px_rest_infer_reply(infer, "application/json");
}

/* ---- classify ---- */

static void put_class(struct px_json_writer *w, const struct px_infer *infer, size_t number)
{
    const struct px_signature *signature = infer->call.model->signature;
    char text[PX_LABEL_TEXT_MAX];
    if (number < signature->n_labels) {
        px_json_put_str(w, signature->labels[number]);
        return;
    }
    snprintf(text, sizeof text, "%zu", number);
    px_json_put_text(w, text);
}

/* The score of class 0 of two, in the type of the other. */
static void put_complement(struct px_json_writer *w, const struct px_matrix *scores, size_t row)
{
    double score = px_matrix_get(scores, row, 0);
    if (scores->type == PX_TYPE_FP32)
        px_json_put_f32(w, 1.0F - (float)score, true);
    else
        px_json_put_f64(w, 1.0 - score, true);
}

static void put_classes(struct px_json_writer *w, const struct px_infer *infer, size_t row)
{
    const struct px_matrix *scores = &infer->call.scores;
    bool is_pair = scores->n_cols == 1;
    size_t n = is_pair ? 2 : scores->n_cols;
    px_json_begin_array(w);
    for (size_t i = 0; i < n; i++) {
        px_json_begin_array(w);
        put_class(w, infer, i);
        if (is_pair && i == 0)
            put_complement(w, scores, row);
        else
            px_put_score(w, scores, row, is_pair ? 0 : i);
        px_json_end_array(w);
    }
    px_json_end_array(w);
}

static void reply_classes(struct px_infer *infer)
{
    struct px_json_writer w = begin_results(infer);
    for (size_t row = 0; row < infer->call.scores.n_rows; row++)
        put_classes(&w, infer, row);
    end_results(&w, infer);
}

static bool has_class_scores(const struct px_model *model)
{
    const struct px_forest_info *forest = model->forest;
    if (!forest || !px_model_has_labels(model))
        return false;
    return forest->n_outputs > 1 ? forest->n_outputs == forest->n_classes
                                 : forest->n_classes == 2 && forest->score_is_probability;
}

static void refuse(struct px_infer *infer, const char *what)
{
    const struct px_model *model = infer->call.model;
    px_err_set(&infer->call.err, PX_E_INVALID, "model '%.*s' %s", PX_STR_ARG(model->name), what);
    px_err_hint(&infer->call.err, "use :predict");
    px_infer_fail(infer);
}

void px_handle_tfs_classify(struct px_rest_request *request)
{
    struct px_infer *infer = px_rest_infer_open(request, reply_classes);
    if (infer && has_class_scores(infer->call.model))
        run(infer);
    else if (infer)
        refuse(infer, "has no probability for each class");
}

/* ---- regress ---- */

static void reply_values(struct px_infer *infer)
{
    struct px_json_writer w = begin_results(infer);
    for (size_t row = 0; row < infer->call.scores.n_rows; row++)
        px_put_score(&w, &infer->call.scores, row, 0);
    end_results(&w, infer);
}

void px_handle_tfs_regress(struct px_rest_request *request)
{
    struct px_infer *infer = px_rest_infer_open(request, reply_values);
    if (infer && infer->call.model->engine->n_outputs == 1)
        run(infer);
    else if (infer)
        refuse(infer, "has no single score for a row");
}

/* ---- metadata ---- */

static const char *tensorflow_type(const struct px_feature *feature, enum px_datatype number)
{
    if (feature->kind == PX_FEATURE_BOOLEAN)
        return "DT_BOOL";
    if (px_feature_takes_text(feature))
        return "DT_STRING";
    return number == PX_TYPE_FP32 ? "DT_FLOAT" : "DT_DOUBLE";
}

/* A size is text, as in the JSON form of int64. */
static void put_dimension(struct px_json_writer *w, int64_t length)
{
    char size[24];
    snprintf(size, sizeof size, "%" PRId64, length);
    px_json_begin_object(w);
    px_json_member_text(w, "size", size);
    px_json_member_text(w, "name", "");
    px_json_end_object(w);
}

static void put_tensor(struct px_json_writer *w, const char *type,
                       const struct px_tensor_spec *spec)
{
    px_json_key_str(w, spec->name);
    px_json_begin_object(w);
    px_json_member_text(w, "dtype", type);
    px_json_key(w, "tensor_shape");
    px_json_begin_object(w);
    px_json_key(w, "dim");
    px_json_begin_array(w);
    for (size_t i = 0; i < spec->n_dims; i++)
        put_dimension(w, spec->shape[i]);
    px_json_end_array(w);
    px_json_member_bool(w, "unknown_rank", spec->any_rank);
    px_json_end_object(w);
    px_json_member_str(w, "name", spec->name);
    px_json_end_object(w);
}

/* Rows of any number, then `width` values unless that is one. */
static void put_rows_tensor(struct px_json_writer *w, struct px_str name, const char *type,
                            size_t width)
{
    const struct px_tensor_spec spec = {
        .name = name, .shape = {PX_DIM_ANY, (int64_t)width}, .n_dims = width == 1 ? 1 : 2};
    put_tensor(w, type, &spec);
}

static void put_specs(struct px_json_writer *w, const char *key,
                      const struct px_tensor_specs *specs)
{
    static const char *const types[PX_TYPE_COUNT] = {
        [PX_TYPE_BOOL] = "DT_BOOL",     [PX_TYPE_UINT8] = "DT_UINT8",
        [PX_TYPE_UINT16] = "DT_UINT16", [PX_TYPE_UINT32] = "DT_UINT32",
        [PX_TYPE_UINT64] = "DT_UINT64", [PX_TYPE_INT8] = "DT_INT8",
        [PX_TYPE_INT16] = "DT_INT16",   [PX_TYPE_INT32] = "DT_INT32",
        [PX_TYPE_INT64] = "DT_INT64",   [PX_TYPE_FP16] = "DT_HALF",
        [PX_TYPE_BF16] = "DT_BFLOAT16", [PX_TYPE_FP32] = "DT_FLOAT",
        [PX_TYPE_FP64] = "DT_DOUBLE",   [PX_TYPE_BYTES] = "DT_STRING",
    };
    px_json_key(w, key);
    px_json_begin_object(w);
    for (size_t i = 0; i < specs->n; i++)
        put_tensor(w, types[specs->list[i].type], &specs->list[i]);
    px_json_end_object(w);
}

static void put_run_tensors(struct px_json_writer *w, const struct px_engine *engine)
{
    put_specs(w, "inputs", &engine->takes);
    put_specs(w, "outputs", &engine->gives);
}

static void put_rows_tensors(struct px_json_writer *w, const struct px_model *model)
{
    const struct px_signature *signature = model->signature;
    enum px_datatype type = model->engine->feature_type;
    px_json_key(w, "inputs");
    px_json_begin_object(w);
    for (size_t i = 0; i < signature->n_features; i++)
        put_rows_tensor(w, signature->features[i].name,
                        tensorflow_type(&signature->features[i], type), 1);
    px_json_end_object(w);
    px_json_key(w, "outputs");
    px_json_begin_object(w);
    put_rows_tensor(w, signature->output_name,
                    model->engine->score_type == PX_TYPE_FP32 ? "DT_FLOAT" : "DT_DOUBLE",
                    model->engine->n_outputs);
    px_json_end_object(w);
}

static void put_signature(struct px_json_writer *w, const struct px_model *model)
{
    px_json_key(w, "serving_default");
    px_json_begin_object(w);
    if (px_engine_has(model->engine, PX_ENGINE_TENSORS))
        put_run_tensors(w, model->engine);
    else
        put_rows_tensors(w, model);
    px_json_member_text(w, "method_name", "tensorflow/serving/predict");
    px_json_end_object(w);
}

static void put_metadata(struct px_json_writer *w, const struct px_model *model)
{
    px_json_begin_object(w);
    px_json_key(w, "model_spec");
    px_json_begin_object(w);
    px_json_member_str(w, "name", model->name);
    px_json_member_text(w, "signature_name", "");
    px_json_member_str(w, "version", model->version);
    px_json_end_object(w);
    px_json_key(w, "metadata");
    px_json_begin_object(w);
    px_json_key(w, "signature_def");
    px_json_begin_object(w);
    px_json_key(w, "signature_def");
    px_json_begin_object(w);
    put_signature(w, model);
    px_json_end_object(w);
    px_json_end_object(w);
    px_json_end_object(w);
    px_json_end_object(w);
}

void px_handle_tfs_metadata(struct px_rest_request *request)
{
    const struct px_model *model = px_rest_find_model(request);
    if (!model)
        return;
    struct px_json_writer w = px_json_writer(request->exchange->body);
    put_metadata(&w, model);
    px_reply_json(request, 200);
}
