/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/rest/infer.h"

#include "interfaces/rest/reply.h"

static void done(struct px_call *call)
{
    struct px_infer *infer = call->owner;
    if (call->code != PX_OK)
        px_reply_error(infer->exchange, &call->err);
    else
        infer->encode(infer);
}

static void refuse_memory(struct px_http_exchange *exchange)
{
    struct px_err err;
    if (px_arena_check(exchange->arena, "the request", &err) != PX_OK)
        px_reply_error(exchange, &err);
}

struct px_infer *px_infer_open(struct px_rest_request *request,
                               void (*encode)(struct px_infer *infer))
{
    struct px_http_exchange *exchange = request->exchange;
    struct px_infer *infer = px_arena_zalloc(exchange->arena, 1, sizeof *infer);
    if (!infer) {
        refuse_memory(exchange);
        return NULL;
    }
    infer->rest = request->rest;
    infer->exchange = exchange;
    infer->encode = encode;
    exchange->state = infer;
    struct px_call *call = &infer->call;
    call->model_name = request->args[0];
    call->version = request->args[1];
    call->loop = exchange->loop;
    call->received_ns = exchange->request.received_ns;
    call->arena = exchange->arena;
    call->done = done;
    call->owner = infer;
    if (px_call_open(request->rest->serving, call) != PX_OK) {
        px_reply_error(exchange, &call->err);
        return NULL;
    }
    return infer;
}

void px_infer_fail(struct px_infer *infer)
{
    (void)px_call_fail(infer->rest->serving, &infer->call, &infer->call.err);
    px_reply_error(infer->exchange, &infer->call.err);
}

/* No rows, no scores: the answer has the right shape and the engine has nothing to do. */
static void answer_empty(struct px_infer *infer)
{
    const struct px_engine *engine = infer->call.model->engine;
    size_t n_cols =
        infer->call.score_flags & PX_SCORE_MARGIN ? engine->n_margins : engine->n_outputs;
    infer->call.scores =
        (struct px_matrix){.type = engine->score_type, .n_cols = n_cols, .stride = n_cols};
    infer->encode(infer);
}

void px_infer_submit(struct px_infer *infer)
{
    struct px_call *call = &infer->call;
    if (infer->n_outputs == 0)
        infer->outputs[infer->n_outputs++] = PX_OUTPUT_SCORES;
    if (infer->outputs[0] == PX_OUTPUT_MARGINS)
        call->score_flags = PX_SCORE_MARGIN;
    if (call->rows.n_rows == 0)
        answer_empty(infer);
    else if (px_call_submit(infer->rest->serving, call) != PX_OK)
        px_reply_error(infer->exchange, &call->err);
}

bool px_model_has_labels(const struct px_model *model)
{
    enum px_task task = model->signature->task;
    return task == PX_TASK_BINARY || task == PX_TASK_MULTICLASS;
}

bool px_model_has_margins(const struct px_model *model)
{
    return model->engine->ops->caps & PX_ENGINE_MARGIN;
}

static enum px_output output_of(const struct px_model *model, struct px_str name)
{
    if (px_str_eq(name, model->signature->output_name))
        return PX_OUTPUT_SCORES;
    if (px_str_is(name, "labels") && px_model_has_labels(model))
        return PX_OUTPUT_LABELS;
    if (px_str_is(name, "margins") && px_model_has_margins(model))
        return PX_OUTPUT_MARGINS;
    return PX_OUTPUT_NONE;
}

enum px_code px_infer_add_output(struct px_infer *infer, struct px_str name)
{
    const struct px_model *model = infer->call.model;
    struct px_err *err = &infer->call.err;
    enum px_output output = output_of(model, name);
    if (output == PX_OUTPUT_NONE)
        return px_err_set(err, PX_E_INVALID, "unknown output '%.*s'; model '%.*s' has '%.*s'%s%s",
                          PX_STR_ARG(name), PX_STR_ARG(model->name),
                          PX_STR_ARG(model->signature->output_name),
                          px_model_has_labels(model) ? ", 'labels'" : "",
                          px_model_has_margins(model) ? ", 'margins'" : "");
    for (size_t i = 0; i < infer->n_outputs; i++) {
        if (infer->outputs[i] == output)
            return px_err_set(err, PX_E_INVALID, "output '%.*s' is asked for twice",
                              PX_STR_ARG(name));
        if (output == PX_OUTPUT_MARGINS || infer->outputs[i] == PX_OUTPUT_MARGINS) {
            px_err_set(err, PX_E_INVALID, "output 'margins' cannot come with other outputs");
            return px_err_hint(err, "send one request for the margins and one for the rest");
        }
    }
    infer->outputs[infer->n_outputs++] = output;
    return PX_OK;
}

/*
 * Ties go to the first class, as numpy's argmax does. A binary score is a probability (cut at one half), or a
 * margin or a hard 0/1 (both cut at zero); a single score of several classes is the class itself.
 */
static size_t class_of(const struct px_model *model, const struct px_matrix *scores, size_t row)
{
    double first = px_matrix_get(scores, row, 0);
    size_t best = 0, n_classes = model->forest->n_classes;
    for (size_t col = 1; col < scores->n_cols; col++) {
        if (px_matrix_get(scores, row, col) > px_matrix_get(scores, row, best))
            best = col;
    }
    if (scores->n_cols > 1)
        return best;
    if (n_classes > 2)
        return first >= 0 && first < (double)n_classes ? (size_t)first : 0;
    return first > (model->forest->score_is_probability ? 0.5 : 0.0);
}

struct px_str px_infer_label(const struct px_infer *infer, size_t row, char *scratch)
{
    const struct px_model *model = infer->call.model;
    const struct px_signature *signature = model->signature;
    size_t class = class_of(model, &infer->call.scores, row);
    if (signature->labels && class < signature->n_labels)
        return signature->labels[class];
    int len = snprintf(scratch, PX_LABEL_TEXT_MAX, "%zu", class);
    return px_str_n(scratch, (size_t)len);
}

void px_put_score(struct px_json_writer *w, const struct px_matrix *scores, size_t row, size_t col)
{
    size_t at = row * scores->stride + col;
    if (scores->type == PX_TYPE_FP32)
        px_json_put_f32(w, ((const float *)scores->data)[at], true);
    else
        px_json_put_f64(w, ((const double *)scores->data)[at], true);
}

enum px_code px_check_encoding(struct px_http_exchange *exchange, enum px_code code,
                               struct px_err *err)
{
    struct px_str coding = px_str_trim(px_http_header(&exchange->request, "Content-Encoding"));
    if (coding.len == 0 || px_str_eq_nocase(coding, (struct px_str)PX_STR("identity")))
        return PX_OK;
    exchange->extra_headers = "Accept-Encoding: identity\r\n";
    px_err_set(err, code, "Content-Encoding '%.*s' is not supported", PX_STR_ARG(coding));
    return px_err_hint(err, "send the body uncompressed");
}
