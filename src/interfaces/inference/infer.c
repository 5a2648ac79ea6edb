/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/inference/infer.h"

#include "domain/inference/decision.h"
#include "interfaces/inference/deadline.h"
#include "shared/clock.h"

#include <stdio.h>

/*
 * The dialect ends the request, and may give its memory back with that; so the regions that it holds are noted before
 * and let go after. `encode` may find that it must fail instead: `ending` keeps that from letting go twice.
 */
static void end(struct px_infer *infer, void (*finish)(struct px_infer *infer))
{
    PX_UNINITIALIZED struct px_shared_region *held[PX_INFER_OUTPUTS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < infer->n_outputs; i++) {
        if (infer->outputs[i].shared.region)
            held[n++] = infer->outputs[i].shared.region;
    }
    infer->ending = true;
    finish(infer);
    for (size_t i = 0; i < n; i++)
        px_shared_region_release(held[i]);
}

static void done(struct px_call *call)
{
    struct px_infer *infer = call->owner;
    end(infer, call->code == PX_OK ? infer->encode : infer->fail);
}

/* A model of tensors may have more outputs than there is room for in the object. */
static enum px_code make_room_for_outputs(struct px_infer *infer)
{
    struct px_call *call = &infer->call;
    infer->outputs =
        px_arena_zalloc(call->arena, call->model->engine->gives.n + 1, sizeof *infer->outputs);
    enum px_code code = px_arena_check(call->arena, "the request", &call->err);
    if (code != PX_OK)
        px_infer_fail(infer);
    return code;
}

static void loaded(struct px_call *call)
{
    struct px_infer *infer = call->owner;
    if (call->code == PX_OK)
        infer->again(infer);
    else
        px_infer_fail(infer); /* nobody waits any more */
}

static void await_model(struct px_infer *infer)
{
    enum px_code code = PX_E_UNAVAILABLE;
    if (infer->again)
        code = px_call_await_model(infer->serving, &infer->call, loaded);
    if (code != PX_OK)
        px_infer_fail(infer);
    else if (infer->defer)
        infer->defer(infer);
}

enum px_code px_infer_open(struct px_infer *infer, const struct px_infer_request *request)
{
    *infer = (struct px_infer){
        .call = {.model_name = request->model_name,
                 .version = request->version,
                 .loop = request->loop,
                 .received_ns = request->received_ns,
                 .deadline_ns = request->deadline_ns,
                 .urgency = request->urgency,
                 .arena = request->arena,
                 .done = done,
                 .owner = infer},
        .serving = request->serving,
        .shared_memory = request->shared_memory,
        .owner = request->owner,
        .encode = request->encode,
        .fail = request->fail,
        .defer = request->defer,
        .again = request->again,
        .id = request->id,
        .outputs = infer->rows_outputs,
    };
    enum px_code code = px_call_open(request->serving, &infer->call);
    if (PX_UNLIKELY(infer->call.is_absent))
        await_model(infer);
    else if (code != PX_OK)
        infer->fail(infer);
    else if (PX_UNLIKELY(px_infer_has_run(infer)))
        code = make_room_for_outputs(infer);
    return code;
}

void px_infer_fail(struct px_infer *infer)
{
    (void)px_call_fail(infer->serving, &infer->call, &infer->call.err);
    if (infer->ending)
        infer->fail(infer);
    else
        end(infer, infer->fail);
}

/* The run asks for all that the model gives, and so does the reply. */
static enum px_code ask_all_outputs(struct px_infer *infer)
{
    struct px_call *call = &infer->call;
    enum px_code code = px_run_ask_all(call->run, call->model->engine, &call->err);
    if (code != PX_OK)
        return code;
    infer->n_outputs = call->run->n_outputs;
    for (size_t i = 0; i < infer->n_outputs; i++)
        infer->outputs[i] =
            (struct px_infer_output){.kind = PX_OUTPUT_TENSOR, .name = call->run->outputs[i].name};
    return PX_OK;
}

/* Names the run's outputs in the order of the reply. */
static enum px_code name_run_outputs(struct px_infer *infer)
{
    struct px_call *call = &infer->call;
    call->run->arena = call->arena;
    if (infer->n_outputs == 0)
        return ask_all_outputs(infer);
    call->run->n_outputs = infer->n_outputs;
    call->run->outputs =
        px_arena_zalloc(call->arena, infer->n_outputs + 1, sizeof *call->run->outputs);
    for (size_t i = 0; call->run->outputs && i < infer->n_outputs; i++)
        call->run->outputs[i].name = infer->outputs[i].name;
    return px_arena_check(call->arena, "the answer", &call->err);
}

static void submit_run(struct px_infer *infer)
{
    if (name_run_outputs(infer) != PX_OK)
        px_infer_fail(infer);
    else if (px_call_submit(infer->serving, &infer->call) != PX_OK)
        end(infer, infer->fail);
    else if (infer->defer)
        infer->defer(infer);
}

void px_infer_submit(struct px_infer *infer)
{
    struct px_call *call = &infer->call;
    if (PX_UNLIKELY(px_infer_has_run(infer))) {
        submit_run(infer);
        return;
    }
    if (infer->n_outputs == 0)
        infer->outputs[infer->n_outputs++].kind = PX_OUTPUT_SCORES;
    if (infer->outputs[0].kind == PX_OUTPUT_MARGINS)
        call->score_flags = PX_SCORE_MARGIN;
    if (px_call_submit(infer->serving, call) != PX_OK)
        end(infer, infer->fail);
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

void px_infer_limit_time(struct px_infer *infer, uint64_t timeout_us)
{
    struct px_call *call = &infer->call;
    if (timeout_us == 0)
        return;
    uint64_t timeout_ns = px_duration_ns(timeout_us, PX_NS_PER_US);
    call->deadline_ns =
        px_deadline_earlier(call->deadline_ns, px_deadline_after(call->received_ns, timeout_ns));
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

static enum px_code add_run_output(struct px_infer *infer, struct px_str name)
{
    const struct px_tensor_specs *gives = &infer->call.model->engine->gives;
    struct px_err *err = &infer->call.err;
    if (!px_tensor_specs_find(gives, name)) {
        long nearest = px_str_nearest_of(name, &gives->list[0].name, sizeof *gives->list, gives->n);
        px_err_set(err, PX_E_INVALID, "unknown output '%.*s'", PX_STR_ARG(name));
        return px_err_hint(err, "the model gives %zu outputs, '%.*s' among them", gives->n,
                           PX_STR_ARG(gives->list[nearest >= 0 ? nearest : 0].name));
    }
    for (size_t i = 0; i < infer->n_outputs; i++) {
        if (px_str_eq(infer->outputs[i].name, name))
            return px_err_set(err, PX_E_INVALID, "output '%.*s' is asked for twice",
                              PX_STR_ARG(name));
    }
    infer->outputs[infer->n_outputs++] =
        (struct px_infer_output){.kind = PX_OUTPUT_TENSOR, .name = name};
    return PX_OK;
}

enum px_code px_infer_add_output(struct px_infer *infer, struct px_str name)
{
    const struct px_model *model = infer->call.model;
    struct px_err *err = &infer->call.err;
    if (px_infer_has_run(infer))
        return add_run_output(infer, name);
    enum px_output output = output_of(model, name);
    if (output == PX_OUTPUT_NONE)
        return px_err_set(err, PX_E_INVALID, "unknown output '%.*s'; model '%.*s' has '%.*s'%s%s",
                          PX_STR_ARG(name), PX_STR_ARG(model->name),
                          PX_STR_ARG(model->signature->output_name),
                          px_model_has_labels(model) ? ", 'labels'" : "",
                          px_model_has_margins(model) ? ", 'margins'" : "");
    for (size_t i = 0; i < infer->n_outputs; i++) {
        if (infer->outputs[i].kind == output)
            return px_err_set(err, PX_E_INVALID, "output '%.*s' is asked for twice",
                              PX_STR_ARG(name));
        if (output == PX_OUTPUT_MARGINS || infer->outputs[i].kind == PX_OUTPUT_MARGINS) {
            px_err_set(err, PX_E_INVALID, "output 'margins' cannot come with other outputs");
            return px_err_hint(err, "send one request for the margins and one for the rest");
        }
    }
    infer->outputs[infer->n_outputs++] = (struct px_infer_output){.kind = output};
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
