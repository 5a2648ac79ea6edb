/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cache: a call whose request is equal to one that was answered gets that answer, and one that is equal to a request that is being
 * computed waits for it (application/cache).
 *
 * A request is all that changes the answer: flags, names, datatypes, shapes, bytes, and the outputs that are asked for, in their order. The
 * version is the space that it is looked for in. Who asks, how urgently, until when and under which id does not matter, nor how the
 * answer is encoded.
 *
 *   hit    parked in the lane and completed by the wave of this wake-up, so that `done` is never called within the submit
 *   lead   goes on to be computed; px_call_end_lead hands its answer out, or says that there is none
 *   wait   tensors: in the loop's list of runs, until a task says what is to be done: take the answer, or compute after all
 *          rows: hangs at the leader's entry until the leader is scored, in the same wave
 *
 * Rows wait for a leader of their own loop only: a forest computes faster than another loop is woken.
 *
 * Answers of tensors are lent from the entry until they are encoded; scores are copied, since they are few.
 */
#include "application/serving/repository_impl.h"
#include "application/serving/serving_impl.h"

#include "shared/clock.h"

struct px_cached_call {
    struct px_cache_wait wait; /* first: what the cache knows */
    struct px_call *call;
    struct px_cache_entry *led; /* the call computes for others too */
    bool is_waiting;            /* of tensors: no task has said how it ends */
};

static struct px_call *call_of(struct px_cache_wait *wait)
{
    return ((struct px_cached_call *)wait)->call;
}

static bool is_of_rows(const struct px_call *call)
{
    return !call->run;
}

/* ---- the request ---- */

static size_t head_size(const struct px_run *run)
{
    size_t size = 3 * sizeof(uint64_t);
    for (size_t i = 0; i < run->n_inputs; i++)
        size += (4 + run->inputs[i].n_dims) * sizeof(uint64_t) + run->inputs[i].name.len;
    for (size_t i = 0; i < run->n_outputs; i++)
        size += sizeof(uint64_t) + run->outputs[i].name.len;
    return size;
}

static char *put_number(char *at, uint64_t number)
{
    memcpy(at, &number, sizeof number);
    return at + sizeof number;
}

static char *put_text(char *at, struct px_str text)
{
    at = put_number(at, text.len);
    if (text.len)
        memcpy(at, text.ptr, text.len);
    return at + text.len;
}

static char *put_input(char *at, const struct px_tensor *input)
{
    at = put_number(at, input->type);
    at = put_number(at, input->n_dims);
    for (size_t i = 0; i < input->n_dims; i++)
        at = put_number(at, input->shape[i]);
    at = put_number(at, input->bytes.len);
    return put_text(at, input->name);
}

/* A head that says how to read the rest, then the bytes of each input. False without memory. */
static bool describe_run(const struct px_call *call, struct px_cache_request *ret)
{
    const struct px_run *run = call->run;
    size_t size = head_size(run);
    char *head = px_arena_alloc(call->arena, size, 1);
    struct px_str *pieces = px_arena_alloc(call->arena, run->n_inputs + 1, sizeof *pieces);
    if (!head || !pieces)
        return false;
    char *at = put_number(head, call->score_flags);
    at = put_number(at, run->n_inputs);
    at = put_number(at, run->n_outputs);
    for (size_t i = 0; i < run->n_inputs; i++) {
        at = put_input(at, &run->inputs[i]);
        pieces[i + 1] = run->inputs[i].bytes;
    }
    for (size_t i = 0; i < run->n_outputs; i++)
        at = put_text(at, run->outputs[i].name);
    pieces[0] = px_str_n(head, size);
    *ret = (struct px_cache_request){pieces, run->n_inputs + 1};
    return true;
}

static bool describe_rows(const struct px_call *call, struct px_cache_request *ret)
{
    const struct px_matrix *rows = &call->rows;
    char *head = px_arena_alloc(call->arena, 2, sizeof(uint64_t));
    struct px_str *pieces = px_arena_alloc(call->arena, 2, sizeof *pieces);
    if (!head || !pieces)
        return false;
    char *at = put_number(head, call->score_flags);
    at = put_number(at, rows->n_rows);
    pieces[0] = px_str_n(head, (size_t)(at - head));
    pieces[1] = px_str_n(rows->data, rows->n_rows * rows->stride * px_datatype_size(rows->type));
    *ret = (struct px_cache_request){pieces, 2};
    return true;
}

/* ---- answers ---- */

void px_call_park_answered(struct px_serving *serving, struct px_call *call)
{
    struct px_lane *lane = &call->model->lanes[call->loop];
    call->has_answer = true;
    call->next = lane->answered;
    lane->answered = call;
    px_lane_is_busy(&serving->loops[call->loop], lane);
}

static void release_lent(struct px_run *run)
{
    px_cache_release(run->held);
}

static void lend_outputs(struct px_call *call, struct px_cache_entry *entry)
{
    const struct px_cache_answer *answer = px_cache_answer(entry);
    struct px_run *run = call->run;
    PX_ASSERT(run->n_outputs == answer->n_outputs); /* the request names them */
    for (size_t i = 0; i < run->n_outputs; i++)
        run->outputs[i] = answer->outputs[i];
    run->degraded = answer->degraded;
    run->release = release_lent;
    run->held = entry;
    run->code = PX_OK;
    run->started_ns = call->run_ended_ns = px_clock_monotonic_ns();
}

static void copy_scores(struct px_call *call, struct px_cache_entry *entry)
{
    struct px_str scores = px_cache_answer(entry)->outputs[0].bytes;
    if (!px_call_reserve_scores(call))
        call->code = px_arena_check(call->arena, "the answer", &call->err);
    else if (scores.len)
        memcpy(call->scores.data, scores.ptr, scores.len);
    px_cache_release(entry);
}

static void take_answer(struct px_call *call, struct px_cache_entry *entry)
{
    if (is_of_rows(call))
        copy_scores(call, entry);
    else
        lend_outputs(call, entry);
}

/* ---- those that lead ---- */

static void give_scores(const struct px_call *call, struct px_cache_entry *entry)
{
    const struct px_matrix *scores = &call->scores;
    size_t size = scores->n_rows * scores->stride * px_datatype_size(scores->type);
    const struct px_tensor output = {.type = scores->type,
                                     .shape = {scores->n_rows, scores->n_cols},
                                     .n_dims = 2,
                                     .bytes = px_str_n(scores->data, size)};
    const struct px_cache_answer answer = {.outputs = &output, .n_outputs = 1};
    px_cache_give(entry, &answer, px_clock_monotonic_ns());
}

void px_call_end_lead(struct px_call *call, enum px_code code)
{
    struct px_cache_entry *entry = call->cached ? call->cached->led : NULL;
    if (PX_LIKELY(!entry))
        return;
    call->cached->led = NULL;
    if (code != PX_OK) {
        px_cache_fail(entry, code == PX_E_CANCELLED || code == PX_E_DEADLINE);
    } else if (is_of_rows(call)) {
        give_scores(call, entry);
    } else {
        const struct px_cache_answer answer = {call->run->outputs, call->run->n_outputs,
                                               call->run->degraded};
        px_cache_give(entry, &answer, call->run_ended_ns);
    }
}

/* ---- those that waited ---- */

static bool is_to_be_computed(enum px_cache_verdict verdict)
{
    return verdict == PX_CACHE_LEAD || verdict == PX_CACHE_PASS;
}

/* It has to be computed after all, perhaps for others too. */
static void note_miss(struct px_cached_call *cached)
{
    struct px_call *call = cached->call;
    if (cached->wait.verdict == PX_CACHE_LEAD)
        cached->led = cached->wait.entry;
    call->cache = PX_CALL_CACHE_MISS;
    px_observe_cache_miss(call, px_clock_monotonic_ns());
}

/* Within the wave, when the leader has been scored or has failed. */
static void wake_rows(struct px_cache_wait *wait)
{
    struct px_cached_call *cached = (struct px_cached_call *)wait;
    struct px_call *call = cached->call;
    if (wait->verdict == PX_CACHE_HIT) {
        take_answer(call, wait->entry);
        px_call_park_answered(call->serving, call);
        return;
    }
    note_miss(cached);
    call->code = px_stage_batch(call->serving, call);
    if (call->code != PX_OK)
        px_call_park_answered(call->serving, call);
}

/* On any thread. */
static void wake_run(struct px_cache_wait *wait)
{
    px_call_post(call_of(wait));
}

/* It waited in vain, and goes on behind the cache. True: it is on its way, and completed when its run has ended. */
static bool compute_after_all(struct px_call *call)
{
    struct px_cached_call *cached = call->cached;
    uint64_t now_ns = px_clock_monotonic_ns();
    if (is_to_be_computed(cached->wait.verdict))
        note_miss(cached);
    else if (cached->wait.verdict == PX_CACHE_LATE && now_ns < call->deadline_ns)
        now_ns = call->deadline_ns; /* the timer that said so knows better */
    call->run_ended_ns = now_ns;
    return !px_call_has_ended(call, now_ns) &&
           px_call_take_stages(call->serving, call, PX_RUN_BREAKER) == PX_OK;
}

/* On the loop, after wake_run. */
static void go_on(struct px_loop_task *task)
{
    struct px_call *call = PX_CONTAINER_OF(task, struct px_call, task);
    struct px_cached_call *cached = call->cached;
    cached->is_waiting = false;
    px_cache_settle(&cached->wait);
    call->task.run = px_call_complete;
    if (cached->wait.verdict == PX_CACHE_HIT) {
        take_answer(call, cached->wait.entry);
    } else if (compute_after_all(call)) {
        return;
    } else {
        call->run->code = call->code;
        call->run->err = call->err;
    }
    px_call_complete(task);
}

bool px_call_stop_waiting(struct px_call *call)
{
    if (!call->cached || !call->cached->is_waiting)
        return false;
    px_cache_leave(&call->cached->wait);
    return true;
}

void px_call_forget_cache(struct px_call *call)
{
    struct px_cached_call *cached = call->cached;
    if (!cached)
        return;
    px_cache_settle(&cached->wait);
    if (cached->is_waiting && cached->wait.verdict == PX_CACHE_LEAD)
        cached->led = cached->wait.entry;
    else if (cached->is_waiting && cached->wait.verdict == PX_CACHE_HIT)
        px_cache_release(cached->wait.entry);
    cached->is_waiting = false;
    px_call_end_lead(call, PX_E_CANCELLED);
}

/* ---- the stage ---- */

static void wait_for_leader(struct px_serving *serving, struct px_cached_call *cached)
{
    struct px_call *call = cached->call;
    call->cache = PX_CALL_CACHE_JOINED;
    call->has_answer = true; /* or will have */
    if (is_of_rows(call))
        return;
    cached->is_waiting = true;
    px_call_enter_running(serving, call);
}

static void use_verdict(struct px_serving *serving, struct px_cached_call *cached,
                        enum px_cache_verdict verdict)
{
    struct px_call *call = cached->call;
    if (verdict == PX_CACHE_HIT) {
        call->cache = PX_CALL_CACHE_HIT;
        take_answer(call, cached->wait.entry);
        px_call_park_answered(serving, call);
    } else if (verdict == PX_CACHE_WAIT) {
        wait_for_leader(serving, cached);
    } else {
        note_miss(cached);
    }
}

/* Steps of sequences depend on those before them; and without loops nobody could be woken. */
static bool is_cacheable(struct px_serving *serving, const struct px_call *call)
{
    const struct px_run *run = call->run;
    return call->model->cache &&
           (!run ||
            (run->sequence.id == 0 && run->sequence.text_id.len == 0 && px_repository_of(serving)));
}

static bool describe(const struct px_call *call, struct px_cache_request *ret)
{
    return is_of_rows(call) ? describe_rows(call, ret) : describe_run(call, ret);
}

bool px_call_take_kept(struct px_serving *serving, struct px_call *call)
{
    struct px_cache_request request;
    if (!is_cacheable(serving, call) || !describe(call, &request))
        return false;
    struct px_cache_entry *kept = px_cache_look(call->model->cache, &request, 0);
    if (!kept)
        return false;
    call->code = PX_OK;
    call->cache = PX_CALL_CACHE_HIT;
    take_answer(call, kept);
    px_call_park_answered(serving, call);
    return true;
}

enum px_code px_stage_cache(struct px_serving *serving, struct px_call *call)
{
    struct px_cache_request request;
    if (PX_LIKELY(!is_cacheable(serving, call)))
        return PX_OK;
    bool has_rows = is_of_rows(call);
    struct px_cached_call *cached = px_arena_zalloc(call->arena, 1, sizeof *cached);
    if (!cached || !describe(call, &request))
        return px_arena_check(call->arena, "the request", &call->err);
    cached->call = call;
    cached->wait.group = has_rows ? call->loop + 1 : 0;
    cached->wait.deadline_ns = has_rows ? 0 : call->deadline_ns;
    cached->wait.wake = has_rows ? wake_rows : wake_run;
    call->cached = cached;
    call->serving = serving;
    call->task.run = go_on;
    enum px_cache_verdict verdict =
        px_cache_ask(call->model->cache, &request, &cached->wait, call->queued_ns);
    use_verdict(serving, cached, verdict);
    return PX_OK;
}
