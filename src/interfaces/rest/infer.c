/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/rest/infer.h"

#include "domain/inference/decision.h"
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

void px_infer_submit(struct px_infer *infer)
{
    struct px_call *call = &infer->call;
    if (infer->n_outputs == 0)
        infer->outputs[infer->n_outputs++] = PX_OUTPUT_SCORES;
    if (infer->outputs[0] == PX_OUTPUT_MARGINS)
        call->score_flags = PX_SCORE_MARGIN;
    if (px_call_submit(infer->rest->serving, call) != PX_OK)
        px_reply_error(infer->exchange, &call->err);
}

enum px_code px_infer_encode_text(struct px_infer *infer, const struct px_feature *feature,
                                  struct px_str text, double *ret)
{
    enum px_code code = px_feature_encode_text(feature, text, ret, &infer->call.err);
    if (code == PX_OK && px_feature_is_unseen_text(feature, text, *ret))
        infer->call.n_unseen++;
    return code;
}

enum px_code px_infer_encode_number(struct px_infer *infer, const struct px_feature *feature,
                                    double number, double *ret)
{
    enum px_code code = px_feature_encode_number(feature, number, ret, &infer->call.err);
    if (code == PX_OK && px_feature_is_unseen_number(feature, number, *ret))
        infer->call.n_unseen++;
    return code;
}

bool px_model_has_labels(const struct px_model *model)
{
    enum px_task task = model->signature->task;
    return task == PX_TASK_BINARY || task == PX_TASK_MULTICLASS;
}

bool px_model_has_margins(const struct px_model *model)
{
    return px_engine_has(model->engine, PX_ENGINE_MARGIN);
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

struct px_str px_infer_label(const struct px_infer *infer, size_t row, char *scratch)
{
    const struct px_model *model = infer->call.model;
    const struct px_decision decision = {.n_classes = model->forest->n_classes,
                                         .threshold = model->forest->decision_threshold};
    size_t number = px_decide_class(&decision, &infer->call.scores, row);
    if (number < model->signature->n_labels)
        return model->signature->labels[number];
    int len = snprintf(scratch, PX_LABEL_TEXT_MAX, "%zu", number);
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
