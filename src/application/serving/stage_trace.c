/* SPDX-License-Identifier: Apache-2.0 */
/* Trace: what happened when to a sampled call. One that is not sampled costs one load of a switch and one branch. */
#include "application/serving/serving_impl.h"

#include "shared/clock.h"

void px_trace_open_call(struct px_serving *serving, struct px_call *call)
{
    call->traced = px_trace_sample(serving->trace, call->model->name);
    if (call->traced)
        call->opened_ns = px_clock_monotonic_ns();
}

static void put_tensors(struct px_trace_record *record, const struct px_call *call)
{
    const struct px_trace_tensor input = {PX_STR("input"), &call->rows};
    const struct px_trace_tensor output = {call->model->signature
                                               ? call->model->signature->output_name
                                               : (struct px_str)PX_STR("predictions"),
                                           &call->scores};
    px_trace_put_tensor(&record->input, &input);
    if (call->code == PX_OK)
        px_trace_put_tensor(&record->output, &output);
}

struct px_trace_record *px_trace_begin_call(struct px_serving *serving, const struct px_call *call,
                                            const struct px_batch_times *times)
{
    struct px_trace_record *record =
        px_trace_begin(serving->trace, call->loop, call->model->name, call->model->version);
    if (!record)
        return NULL;
    record->at_ns[PX_TRACE_RECEIVED] = call->received_ns;
    record->at_ns[PX_TRACE_STARTED] = call->opened_ns;
    record->at_ns[PX_TRACE_QUEUED] = call->queued_ns;
    record->at_ns[PX_TRACE_COMPUTE_STARTED] = times->started_ns;
    record->at_ns[PX_TRACE_INPUT_ENDED] = times->engine_ns;
    record->at_ns[PX_TRACE_OUTPUT_STARTED] = times->scored_ns;
    record->at_ns[PX_TRACE_COMPUTE_ENDED] = times->ended_ns;
    if (call->traced & PX_TRACE_TENSORS)
        put_tensors(record, call);
    return record;
}

void px_trace_prepare_run(struct px_call *call)
{
    struct px_run_trace *trace = px_arena_zalloc(call->arena, 1, sizeof *trace);
    struct px_run_step *steps = px_arena_zalloc(call->arena, PX_TRACE_STEPS_MAX, sizeof *steps);
    if (!trace || !steps)
        return; /* the run itself will say that memory is short */
    *trace = (struct px_run_trace){.steps = steps, .n_steps_max = PX_TRACE_STEPS_MAX};
    call->run->trace = trace;
}

static void put_steps(struct px_trace_record *record, const struct px_run_trace *trace)
{
    for (size_t i = 0; trace && i < trace->n_steps; i++) {
        const struct px_run_step *step = &trace->steps[i];
        struct px_trace_step *put = px_trace_put_step(record, step->name, step->note);
        if (!put)
            return;
        put->start_ns = step->start_ns;
        put->end_ns = step->end_ns;
    }
}

/* Who answered instead: a step without length, at the end. */
static void put_fallback(struct px_trace_record *record, const struct px_call *call, uint64_t at_ns)
{
    struct px_trace_step *step;
    if (!call->fallback)
        return;
    step = px_trace_put_step(record, px_str(px_rung_kind_name(call->fallback)),
                             px_str(px_fallback_reason_name(call->fallback_reason)));
    if (step)
        step->start_ns = step->end_ns = at_ns;
}

static void put_run_tensors(struct px_trace_record *record, const struct px_call *call)
{
    const struct px_run *run = call->run;
    if (run->n_inputs > 0)
        px_trace_put_values(&record->input, &run->inputs[0]);
    if (call->code == PX_OK && run->n_outputs > 0)
        px_trace_put_values(&record->output, &run->outputs[0]);
}

struct px_trace_record *px_trace_begin_run(struct px_serving *serving, const struct px_call *call)
{
    struct px_trace_record *record =
        px_trace_begin(serving->trace, call->loop, call->model->name, call->model->version);
    if (!record)
        return NULL;
    record->at_ns[PX_TRACE_RECEIVED] = call->received_ns;
    record->at_ns[PX_TRACE_STARTED] = call->opened_ns;
    record->at_ns[PX_TRACE_QUEUED] = call->queued_ns;
    record->at_ns[PX_TRACE_COMPUTE_STARTED] = call->run->started_ns;
    record->at_ns[PX_TRACE_COMPUTE_ENDED] = call->run_ended_ns;
    put_steps(record, call->run->trace);
    put_fallback(record, call, call->run_ended_ns);
    if (call->traced & PX_TRACE_TENSORS)
        put_run_tensors(record, call);
    return record;
}

void px_trace_end_call(struct px_serving *serving, unsigned loop, struct px_trace_record *record)
{
    record->at_ns[PX_TRACE_ENDED] = px_clock_monotonic_ns();
    px_trace_commit(serving->trace, loop);
}
