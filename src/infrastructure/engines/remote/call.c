/* SPDX-License-Identifier: Apache-2.0 */
/* From the inbox to the end of a run: attempts, retries, hedges, deadlines. All on the engine's thread. */
#include "infrastructure/engines/remote/engine.h"

#include "infrastructure/engines/remote/codec.h"
#include "infrastructure/engines/remote/discovery.h"
#include "shared/alloc.h"
#include "shared/clock.h"

/* A retry of the only server waits a little: what refused a moment ago refuses still. */
#define BACKOFF_NS (25 * PX_NS_PER_MS)

enum { REQUEST_SLACK_BYTES = 1 << 20, JSON_BYTES_PER_BYTE = 24 };

/* ---- lists ---- */

void px_remote_call_list_add(struct px_remote_calls *list, struct px_remote_call *call)
{
    call->next = NULL;
    call->prev = list->last;
    *(list->last ? &list->last->next : &list->first) = call;
    list->last = call;
}

static void list_remove(struct px_remote_calls *list, struct px_remote_call *call)
{
    *(call->prev ? &call->prev->next : &list->first) = call->next;
    *(call->next ? &call->next->prev : &list->last) = call->prev;
    call->prev = call->next = NULL;
}

/* ---- the end ---- */

static void end_transfer(struct px_remote *self, struct px_remote_transfer *transfer,
                         enum px_breaker_outcome outcome, uint64_t now_ns)
{
    struct px_remote_call *call = transfer->call;
    px_remote_peers_end(self, transfer, outcome, now_ns);
    if (call->transfers[0] == transfer)
        call->transfers[0] = call->transfers[1];
    call->transfers[1] = NULL;
    call->n_transfers--;
    px_remote_give_transfer(self, transfer);
}

/* Those on the way are broken off. Whether a peer that let the time pass, or was slower than another, has failed is its breaker's to say. */
static void break_off(struct px_remote *self, struct px_remote_call *call,
                      enum px_breaker_outcome outcome, uint64_t now_ns)
{
    while (call->n_transfers > 0) {
        struct px_remote_transfer *transfer = call->transfers[0];
        px_remote_transfer_break_off(transfer);
        px_remote_take_off(self, transfer);
        end_transfer(self, transfer, outcome, now_ns);
    }
}

static void count_end(struct px_remote *self, enum px_code code)
{
    pthread_mutex_lock(&self->lock);
    self->n_calls--;
    self->counts.answered += code == PX_OK;
    self->counts.cancelled += code == PX_E_CANCELLED;
    self->counts.late += code == PX_E_DEADLINE;
    self->counts.failed += code != PX_OK && code != PX_E_CANCELLED && code != PX_E_DEADLINE;
    pthread_mutex_unlock(&self->lock);
}

/* The call must be in no list any more. */
static void finish(struct px_remote *self, struct px_remote_call *call, enum px_code code)
{
    struct px_run *run = call->run;
    PX_ASSERT(call->n_transfers == 0);
    for (size_t i = 0; i < PX_REMOTE_BODIES; i++)
        px_buf_deinit(&call->requests[i].bytes);
    px_free(call);
    run->state = NULL;
    count_end(self, code);
    px_run_finish(run, code);
}

static void finish_flying(struct px_remote *self, struct px_remote_call *call, enum px_code code)
{
    list_remove(&self->flying, call);
    finish(self, call, code);
}

/* ---- attempts ---- */

static enum px_remote_body body_for(const struct px_remote_peer *peer)
{
    if (peer->url->grpc)
        return PX_REMOTE_BODY_GRPC;
    return peer->form == PX_REMOTE_FORM_BINARY ? PX_REMOTE_BODY_BINARY : PX_REMOTE_BODY_JSON;
}

static size_t request_max(const struct px_run *run, enum px_remote_body body)
{
    size_t bytes = REQUEST_SLACK_BYTES;
    for (size_t i = 0; i < run->n_inputs; i++)
        bytes += run->inputs[i].bytes.len + run->inputs[i].name.len;
    return body == PX_REMOTE_BODY_JSON ? bytes * JSON_BYTES_PER_BYTE : bytes;
}

static enum px_code encode(struct px_remote *self, struct px_remote_call *call,
                           enum px_remote_body body, uint64_t now_ns, struct px_err *err)
{
    struct px_remote_request *request = &call->requests[body];
    if (request->bytes.len > 0)
        return PX_OK;
    struct px_remote_ask ask = {
        .model = self->settings.model, .version = self->settings.version, .run = call->run};
    if (call->run->deadline_ns > now_ns) /* our own timeout is ours alone */
        ask.timeout_us = (call->deadline_ns - now_ns + PX_NS_PER_US - 1) / PX_NS_PER_US;
    request->bytes = px_buf(request_max(call->run, body));
    if (body == PX_REMOTE_BODY_GRPC)
        return px_remote_grpc_write(&ask, &request->bytes, err);
    return px_remote_http_write(&ask, body == PX_REMOTE_BODY_BINARY, &request->bytes,
                                &request->json_len, err);
}

/* Where a transfer goes. */
struct target {
    size_t endpoint;
    bool is_hedge;
    bool fresh; /* on a new connection */
};

static enum px_code send_to(struct px_remote *self, struct px_remote_call *call,
                            const struct target *target, struct px_remote_transfer *transfer,
                            uint64_t now_ns, struct px_err *err)
{
    struct px_remote_peer *peer = &self->peers[target->endpoint];
    enum px_remote_body body = body_for(peer);
    enum px_code code = encode(self, call, body, now_ns, err);
    if (code != PX_OK)
        return code;
    struct px_remote_exchange exchange = {
        .path =
            peer->url->grpc ? PX_REMOTE_GRPC_METHOD("ModelInfer") : px_buf_cstr(&self->infer_path),
        .body = px_buf_view(&call->requests[body].bytes),
        .fresh = target->fresh,
        .binary = body == PX_REMOTE_BODY_BINARY,
        .json_len = call->requests[body].json_len,
        .remaining_ns = call->deadline_ns - now_ns,
    };
    code = px_remote_transfer_prepare(transfer, peer, &exchange, err);
    return code == PX_OK ? px_remote_send(self, transfer, err) : code;
}

/* One more transfer. The call stays in its list; on failure the run has the reason. */
static enum px_code attempt(struct px_remote *self, struct px_remote_call *call,
                            const struct target *target, uint64_t now_ns)
{
    struct px_err err = {0};
    struct px_remote_transfer *transfer = px_remote_take_transfer(self);
    if (!transfer)
        return px_err_set(&call->run->err, PX_E_NO_MEMORY,
                          "there is no memory for a request to a peer");
    enum px_code code = send_to(self, call, target, transfer, now_ns, &err);
    if (code != PX_OK) {
        px_remote_give_transfer(self, transfer);
        call->run->err = err;
        return code;
    }
    transfer->call = call;
    transfer->endpoint = target->endpoint;
    transfer->is_hedge = target->is_hedge;
    transfer->started_ns = now_ns;
    call->transfers[call->n_transfers++] = transfer;
    call->tried |= UINT64_C(1) << target->endpoint;
    if (call->run->started_ns == 0)
        call->run->started_ns = now_ns;
    px_remote_peers_begin(self, transfer, now_ns);
    return PX_OK;
}

/* All breakers are open. Whoever has tried hears how that ended: the peers' own failure is more than that they are left alone. */
static void refuse(struct px_remote *self, struct px_remote_call *call, uint64_t now_ns)
{
    struct px_run *run = call->run;
    if (call->n_attempts == 0) {
        call->last = px_remote_peers_refuse(self, now_ns, &run->err);
        run->is_open = true;
    }
    finish_flying(self, call, call->last);
}

/* The first transfer of an attempt; begins the wait for the hedge. */
static void fly(struct px_remote *self, struct px_remote_call *call, uint64_t now_ns)
{
    struct target target = {.endpoint = px_remote_peers_pick(self, call, now_ns),
                            .fresh = call->fresh};
    if (target.endpoint == PX_ENDPOINT_NONE) {
        refuse(self, call, now_ns);
        return;
    }
    call->n_attempts++;
    enum px_code code = attempt(self, call, &target, now_ns);
    if (code != PX_OK) {
        finish_flying(self, call, code);
        return;
    }
    uint64_t delay_ns = px_hedging_delay_ns(&self->hedging);
    if (delay_ns && !call->hedged && !px_remote_is_of_sequence(call->run)) {
        call->hedge_at_ns = now_ns + delay_ns;
        px_remote_loop_due(self, call->hedge_at_ns);
    }
}

static bool has_room(const struct px_remote *self)
{
    return self->n_transfers < (size_t)self->settings.connections_max;
}

void px_remote_calls_pump(struct px_remote *self, uint64_t now_ns)
{
    while (self->waiting.first && (has_room(self) || !px_remote_peers_pass(self, now_ns))) {
        struct px_remote_call *call = self->waiting.first;
        list_remove(&self->waiting, call);
        px_remote_call_list_add(&self->flying, call);
        fly(self, call, now_ns);
    }
}

/* Is nobody waiting for the run, or is it too late? The run has the reason. */
static enum px_code check_wanted(const struct px_remote *self, const struct px_remote_call *call,
                                 uint64_t now_ns)
{
    struct px_run *run = call->run;
    if (atomic_load_explicit(&run->cancelled, memory_order_relaxed))
        return px_err_set(&run->err, PX_E_CANCELLED, "the request was cancelled");
    if (now_ns < call->deadline_ns)
        return PX_OK;
    double ms = (double)(now_ns - call->began_ns) / (double)PX_NS_PER_MS;
    if (call->n_transfers == 0)
        return px_err_set(&run->err, PX_E_DEADLINE,
                          "no peer of '%.*s' took the request within %.0f ms",
                          PX_STR_ARG(self->settings.model), ms);
    for (size_t i = 0; i < call->n_transfers; i++)
        px_remote_transfer_doubt(call->transfers[i], now_ns);
    return px_err_set(&run->err, PX_E_DEADLINE, "%.*s: no answer within %.0f ms",
                      PX_STR_ARG(call->transfers[0]->peer->url->text), ms);
}

void px_remote_call_begin(struct px_remote *self, struct px_remote_call *call, uint64_t now_ns)
{
    const struct px_run *run = call->run;
    call->began_ns = now_ns;
    call->deadline_ns = now_ns + (uint64_t)self->settings.timeout_ms * PX_NS_PER_MS;
    if (run->deadline_ns && run->deadline_ns < call->deadline_ns)
        call->deadline_ns = run->deadline_ns;
    px_retry_budget_request(&self->budget, now_ns);
    enum px_code code = check_wanted(self, call, now_ns);
    if (code != PX_OK) {
        finish(self, call, code);
        return;
    }
    px_remote_call_list_add(&self->waiting, call);
    px_remote_loop_due(self, call->deadline_ns);
}

/* ---- answers ---- */

/* What `release` frees: the reply that outputs point into. */
struct held_reply {
    struct px_buf body;
};

static void release_reply(struct px_run *run)
{
    struct held_reply *held = run->held;
    px_buf_deinit(&held->body);
    px_free(held);
}

static enum px_code read_reply(struct px_remote *self, struct px_remote_transfer *transfer,
                               struct px_run *run)
{
    struct px_err err = {0};
    struct px_remote_answer answer = {&self->base.gives, run->outputs, run->n_outputs, run->arena};
    struct px_str reply = px_remote_transfer_reply(transfer);
    for (size_t i = 0; i < run->n_outputs; i++)
        run->outputs[i] = (struct px_tensor){.name = run->outputs[i].name};
    enum px_code code =
        transfer->peer->url->grpc
            ? px_remote_grpc_read(reply, &answer, &err)
            : px_remote_http_read(reply, px_remote_transfer_json_len(transfer), &answer, &err);
    if (code == PX_OK)
        return PX_OK;
    /* What a peer answers is nothing that our caller could have sent otherwise. */
    enum px_code own = code == PX_E_NO_MEMORY ? code : PX_E_INTERNAL;
    return px_err_set(&run->err, own, "%.*s: the reply is not what the model promises: %s",
                      PX_STR_ARG(transfer->peer->url->text), err.message);
}

/* The run keeps the reply's memory, since outputs point into it. */
static enum px_code hold_reply(struct px_remote_transfer *transfer, struct px_run *run)
{
    struct held_reply *held = px_alloc(1, sizeof *held);
    if (!held)
        return px_err_set(&run->err, PX_E_NO_MEMORY, "there is no memory for the reply");
    held->body = transfer->body;
    transfer->body = px_buf(transfer->body.max);
    run->held = held;
    run->release = release_reply;
    return PX_OK;
}

static void answer(struct px_remote *self, struct px_remote_transfer *transfer, uint64_t now_ns)
{
    struct px_remote_call *call = transfer->call;
    struct px_run *run = call->run;
    bool won = transfer->is_hedge;
    uint64_t latency_ns = now_ns - transfer->started_ns;
    enum px_code code = read_reply(self, transfer, run);
    bool bad = code == PX_E_INTERNAL;
    if (code == PX_OK)
        code = hold_reply(transfer, run);
    end_transfer(self, transfer, bad ? PX_BREAKER_FAILED : PX_BREAKER_SUCCEEDED, now_ns);
    break_off(self, call, PX_BREAKER_LATE, now_ns);
    px_hedging_add(&self->hedging, latency_ns);
    pthread_mutex_lock(&self->lock);
    self->counts.hedges_won += won && code == PX_OK;
    self->hedge_delay_ns = px_hedging_delay_ns(&self->hedging);
    pthread_mutex_unlock(&self->lock);
    finish_flying(self, call, code);
}

/* ---- failures ---- */

static bool may_retry(struct px_remote *self, const struct px_remote_call *call, uint64_t now_ns)
{
    if (call->n_attempts > (unsigned)self->settings.retries_max ||
        px_remote_is_of_sequence(call->run) || !px_remote_peers_pass(self, now_ns))
        return false;
    bool allowed = px_retry_budget_take(&self->budget, now_ns);
    pthread_mutex_lock(&self->lock);
    self->counts.retries += allowed;
    self->counts.retries_refused += !allowed;
    pthread_mutex_unlock(&self->lock);
    return allowed;
}

static bool has_untried(const struct px_remote *self, const struct px_remote_call *call)
{
    return (size_t)__builtin_popcountll(call->tried) < self->settings.n_urls;
}

/* At once when there is another server, else after a while that doubles, give or take half of it. */
static void retry(struct px_remote *self, struct px_remote_call *call, uint64_t now_ns)
{
    uint64_t wait_ns = 0;
    if (!has_untried(self, call)) {
        wait_ns = BACKOFF_NS << (call->n_attempts - 1);
        wait_ns = wait_ns / 2 + px_rng_below(&self->rng, wait_ns);
    }
    call->hedge_at_ns = 0;
    if (wait_ns == 0) {
        list_remove(&self->flying, call);
        px_remote_call_list_add(&self->waiting, call);
        return;
    }
    call->retry_at_ns = now_ns + wait_ns;
    px_remote_loop_due(self, call->retry_at_ns);
}

/* The idle connection that was meant had been closed: once more, the same way. */
static void again(struct px_remote *self, struct px_remote_transfer *transfer, uint64_t now_ns)
{
    struct px_remote_call *call = transfer->call;
    struct target target = {transfer->endpoint, transfer->is_hedge, true};
    end_transfer(self, transfer, PX_BREAKER_UNKNOWN, now_ns);
    enum px_code code = attempt(self, call, &target, now_ns);
    if (code != PX_OK && call->n_transfers == 0)
        finish_flying(self, call, code);
}

/* A peer that says that it was too late has only been told our deadline, and memory that is short is our own. */
static enum px_breaker_outcome outcome_of(const struct px_remote_verdict *verdict)
{
    if (verdict->peer_failed)
        return PX_BREAKER_FAILED;
    return verdict->code == PX_E_NO_MEMORY ? PX_BREAKER_UNKNOWN : px_breaker_judge(verdict->code);
}

void px_remote_call_on_end(struct px_remote *self, struct px_remote_transfer *transfer,
                           CURLcode result, uint64_t now_ns)
{
    struct px_remote_call *call = transfer->call;
    struct px_err err = {0};
    struct px_remote_verdict verdict = px_remote_transfer_judge(transfer, result, &err);
    if (verdict.code == PX_OK) {
        answer(self, transfer, now_ns);
        return;
    }
    if (verdict.stale && now_ns < call->deadline_ns) {
        again(self, transfer, now_ns);
        return;
    }
    end_transfer(self, transfer, outcome_of(&verdict), now_ns);
    if (call->n_transfers > 0) /* the other one may still answer */
        return;
    call->run->err = err;
    call->last = verdict.code;
    if (verdict.may_retry && now_ns < call->deadline_ns && may_retry(self, call, now_ns)) {
        call->fresh = verdict.dropped;
        retry(self, call, now_ns);
        return;
    }
    finish_flying(self, call, verdict.code);
}

/* ---- time ---- */

static void hedge(struct px_remote *self, struct px_remote_call *call, uint64_t now_ns)
{
    call->hedge_at_ns = 0;
    if (call->n_transfers != 1 || !has_room(self) || !px_retry_budget_take(&self->budget, now_ns))
        return;
    struct target target = {.endpoint = px_remote_peers_pick(self, call, now_ns), .is_hedge = true};
    if (target.endpoint == PX_ENDPOINT_NONE)
        return;
    call->hedged = true;
    pthread_mutex_lock(&self->lock);
    self->counts.hedges++;
    pthread_mutex_unlock(&self->lock);
    struct px_err before = call->run->err;
    if (attempt(self, call, &target, now_ns) != PX_OK)
        call->run->err = before; /* the first one is still on its way */
}

/* Ends the call when nobody waits for it; else does what is due. */
static void sweep_flying(struct px_remote *self, struct px_remote_call *call, uint64_t now_ns)
{
    enum px_code code = check_wanted(self, call, now_ns);
    if (code != PX_OK) {
        bool late = code == PX_E_DEADLINE;
        break_off(self, call, late ? PX_BREAKER_LATE : PX_BREAKER_UNKNOWN, now_ns);
        finish_flying(self, call, code);
        return;
    }
    if (call->retry_at_ns && now_ns >= call->retry_at_ns) {
        call->retry_at_ns = 0;
        list_remove(&self->flying, call);
        px_remote_call_list_add(&self->waiting, call);
    } else if (call->hedge_at_ns && now_ns >= call->hedge_at_ns) {
        hedge(self, call, now_ns);
    }
    px_remote_loop_due(self, call->deadline_ns);
    px_remote_loop_due(self, call->retry_at_ns);
    px_remote_loop_due(self, call->hedge_at_ns);
}

void px_remote_calls_sweep(struct px_remote *self, bool cancelled, uint64_t now_ns)
{
    struct px_remote_call *next;
    if (!cancelled)
        self->due_ns = UINT64_MAX; /* is found anew, also by the sweep of the probes */
    for (struct px_remote_call *call = self->waiting.first; call; call = next) {
        next = call->next;
        enum px_code code = check_wanted(self, call, now_ns);
        px_remote_loop_due(self, call->deadline_ns);
        if (code == PX_OK)
            continue;
        list_remove(&self->waiting, call);
        finish(self, call, code);
    }
    for (struct px_remote_call *call = self->flying.first; call; call = next) {
        next = call->next;
        sweep_flying(self, call, now_ns);
    }
}
