/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/engines/remote/remote.h"

#include "infrastructure/engines/remote/codec.h"
#include "infrastructure/engines/remote/discovery.h"
#include "infrastructure/engines/remote/engine.h"
#include "shared/alloc.h"
#include "shared/clock.h"
#include "shared/unconst.h"

enum { PATH_MAX_BYTES = 1 << 13 };

static struct px_remote *of(struct px_engine *engine)
{
    return PX_CONTAINER_OF(engine, struct px_remote, base);
}

/* ---- the slots ---- */

/* Puts the call into the inbox; false when there are too many. */
static bool accept_call(struct px_remote *self, struct px_remote_call *call, bool *ret_wake)
{
    pthread_mutex_lock(&self->lock);
    bool room = self->n_calls < (size_t)self->settings.requests_max;
    if (room) {
        *ret_wake = self->inbox.first == NULL;
        px_remote_call_list_add(&self->inbox, call);
        self->n_calls++;
        self->counts.requests++;
    }
    pthread_mutex_unlock(&self->lock);
    return room;
}

static void start_run(struct px_engine *engine, struct px_run *run)
{
    struct px_remote *self = of(engine);
    struct px_remote_call *call = px_alloc(1, sizeof *call);
    bool wake = false;
    if (!call) {
        px_run_finish(run, px_err_set(&run->err, PX_E_NO_MEMORY, "there is no memory for the run"));
        return;
    }
    call->run = run;
    if (!accept_call(self, call, &wake)) {
        px_free(call);
        enum px_code code = px_err_set(
            &run->err, PX_E_OVERLOADED, "%.0f requests are on their way to the peers of '%.*s'",
            self->settings.requests_max, PX_STR_ARG(self->settings.model));
        px_err_hint(&run->err, "engine.requests_max of model.yaml allows more");
        px_run_finish(run, code);
        return;
    }
    if (wake)
        px_remote_loop_wake(self);
}

/* The run may end at this moment, so that nothing is kept of it: the thread looks for calls whose run is cancelled. */
static void cancel_run(struct px_engine *engine, struct px_run *run)
{
    struct px_remote *self = of(engine);
    (void)run;
    pthread_mutex_lock(&self->lock);
    self->look_for_cancelled = true;
    pthread_mutex_unlock(&self->lock);
    px_remote_loop_wake(self);
}

/* ---- what people see ---- */

static void describe_counts(const struct px_remote_counts *counts, struct px_json_writer *json)
{
    px_json_member_u64(json, "requests", counts->requests);
    px_json_member_u64(json, "answered", counts->answered);
    px_json_member_u64(json, "failed", counts->failed);
    px_json_member_u64(json, "late", counts->late);
    px_json_member_u64(json, "cancelled", counts->cancelled);
    px_json_member_u64(json, "refused", counts->refused);
    px_json_member_u64(json, "retries", counts->retries);
    px_json_member_u64(json, "retries_refused", counts->retries_refused);
    px_json_member_u64(json, "hedges", counts->hedges);
    px_json_member_u64(json, "hedges_won", counts->hedges_won);
    px_json_member_u64(json, "health_checks", counts->probes);
    px_json_member_u64(json, "health_checks_failed", counts->probes_failed);
}

static void describe_engine(const struct px_engine *engine, struct px_json_writer *json)
{
    struct px_remote *self =
        PX_CONTAINER_OF((struct px_engine *)px_unconst(engine), struct px_remote, base);
    pthread_mutex_lock(&self->lock);
    struct px_remote_counts counts = self->counts;
    uint64_t delay_ns = self->hedge_delay_ns;
    size_t n_calls = self->n_calls;
    pthread_mutex_unlock(&self->lock);
    px_json_member_str(json, "model", self->settings.model);
    if (self->settings.version.len)
        px_json_member_str(json, "version", self->settings.version);
    px_json_member_text(json, "balance",
                        self->balancer.balance == PX_BALANCE_POWER_OF_TWO ? "power_of_two"
                                                                          : "least_outstanding");
    px_json_member_u64(json, "in_flight", n_calls);
    describe_counts(&counts, json);
    if (delay_ns)
        px_json_member_f64(json, "hedge_after_ms", (double)delay_ns / (double)PX_NS_PER_MS);
    px_remote_peers_describe(self, json);
}

static void measure_engine(struct px_engine *engine, const struct px_engine_measures *to)
{
    struct px_remote *self = of(engine);
    pthread_mutex_lock(&self->lock);
    struct px_remote_counts counts = self->counts;
    pthread_mutex_unlock(&self->lock);
    struct px_str none = {0};
    to->put(to->context, PX_ENGINE_METRIC_REMOTE_RETRIES, none, counts.retries);
    to->put(to->context, PX_ENGINE_METRIC_REMOTE_RETRIES_REFUSED, none, counts.retries_refused);
    to->put(to->context, PX_ENGINE_METRIC_REMOTE_HEDGES, none, counts.hedges);
    to->put(to->context, PX_ENGINE_METRIC_REMOTE_HEDGES_WON, none, counts.hedges_won);
    to->put(to->context, PX_ENGINE_METRIC_REMOTE_REFUSED, none, counts.refused);
    px_remote_peers_measure(self, to);
}

/* While none is healthy they are asked all the same, as the best that can be done; that is no model that is ready. */
static bool is_able(struct px_engine *engine, struct px_err *err)
{
    struct px_remote *self = of(engine);
    uint64_t now_ns = px_clock_monotonic_ns();
    bool able = false;
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < self->balancer.n && !able; i++)
        able = px_balancer_is_available(&self->balancer, i, now_ns);
    pthread_mutex_unlock(&self->lock);
    if (!able)
        px_err_set(err, PX_E_UNAVAILABLE, "no peer of '%.*s' is available",
                   PX_STR_ARG(self->settings.model));
    return able;
}

/* ---- life ---- */

static void destroy_engine(struct px_engine *engine)
{
    struct px_remote *self = of(engine);
    px_remote_loop_stop(self);
    px_buf_deinit(&self->infer_path);
    px_buf_deinit(&self->ready_path);
    px_buf_deinit(&self->ready_body);
    px_free(self->breakers);
    pthread_mutex_destroy(&self->lock);
    px_free(self);
}

static const struct px_engine_ops ops = {
    .abi = PX_ENGINE_ABI,
    .caps = PX_ENGINE_TENSORS | PX_ENGINE_ASYNC,
    .name = "remote",
    .start = start_run,
    .cancel = cancel_run,
    .describe = describe_engine,
    .measure = measure_engine,
    .is_able = is_able,
    .destroy = destroy_engine,
};

static enum px_code check_library(const struct px_remote *self, struct px_err *err)
{
    for (size_t i = 0; i < self->settings.n_urls; i++) {
        const struct px_remote_url *url = &self->settings.urls[i];
        if (url->grpc && !self->curl->http2)
            return px_err_set(err, PX_E_UNAVAILABLE, "%.*s: libcurl %s was built without HTTP/2",
                              PX_STR_ARG(url->text), self->curl->version);
        if (url->tls && !self->curl->tls)
            return px_err_set(err, PX_E_UNAVAILABLE, "%.*s: libcurl %s was built without TLS",
                              PX_STR_ARG(url->text), self->curl->version);
    }
    return PX_OK;
}

static enum px_code make_texts(struct px_remote *self, struct px_err *err)
{
    const struct px_remote_settings *s = &self->settings;
    self->infer_path = px_buf(PATH_MAX_BYTES);
    self->ready_path = px_buf(PATH_MAX_BYTES);
    self->ready_body = px_buf(PATH_MAX_BYTES);
    px_remote_http_path(s->model, s->version, "/infer", &self->infer_path);
    if (s->health_path)
        px_buf_text(&self->ready_path, s->health_path);
    else
        px_remote_http_path(s->model, s->version, "/ready", &self->ready_path);
    px_remote_grpc_write_model(s->model, s->version, &self->ready_body);
    enum px_code code = px_buf_check(&self->infer_path, "the path of a model", err);
    if (code == PX_OK)
        code = px_buf_check(&self->ready_path, "the path of a model", err);
    return code == PX_OK ? px_buf_check(&self->ready_body, "the name of a model", err) : code;
}

/* What model.yaml declares comes first; every declared tensor must be one that the peers have, when they say what they have. */
static enum px_code choose_specs(const struct px_tensor_specs *declared,
                                 const struct px_tensor_specs *found, const char *what,
                                 struct px_tensor_specs *ret, struct px_err *err)
{
    for (size_t i = 0; i < declared->n && found->n > 0; i++) {
        const struct px_tensor_spec *spec = &declared->list[i];
        const struct px_tensor_spec *theirs = px_tensor_specs_find(found, spec->name);
        if (theirs && theirs->type == spec->type)
            continue;
        px_err_set(err, PX_E_INVALID, "the %s '%.*s' of %s is declared, the peers have %s", what,
                   PX_STR_ARG(spec->name), px_datatype_name(spec->type),
                   theirs ? px_datatype_name(theirs->type) : "no such tensor");
        if (!theirs)
            px_err_hint(err, "their first one is '%.*s'", PX_STR_ARG(found->list[0].name));
        return PX_E_INVALID;
    }
    *ret = declared->n ? *declared : *found;
    if (ret->n > 0)
        return PX_OK;
    px_err_set(err, PX_E_INVALID, "the peers do not say which %ss the model has", what);
    return px_err_hint(
        err, "declare them in model.yaml: %ss: [{name: x, type: FP32, shape: [-1, 4]}]", what);
}

static enum px_code discover(struct px_remote *self, const struct px_engine_request *request,
                             uint64_t *ret_answered, struct px_err *err)
{
    struct px_remote_metadata metadata;
    struct px_remote_discovery discovery = {self->curl, &self->settings, self->peers,
                                            request->arena};
    bool declared = request->inputs.n > 0 && request->outputs.n > 0;
    enum px_code code = px_remote_discover(&discovery, &metadata, ret_answered, err);
    if (code != PX_OK && !(code == PX_E_UNAVAILABLE && declared))
        return code;
    code = choose_specs(&request->inputs, &metadata.inputs, "input", &self->base.takes, err);
    return code == PX_OK ? choose_specs(&request->outputs, &metadata.outputs, "output",
                                        &self->base.gives, err)
                         : code;
}

static void init_rules(struct px_remote *self, uint64_t now_ns)
{
    const struct px_remote_settings *s = &self->settings;
    self->budget = px_retry_budget(s->budget_percent, s->budget_minimum_per_s, now_ns);
    px_hedging_init(&self->hedging, (uint64_t)s->hedge_after_ms * PX_NS_PER_MS,
                    s->hedge_percentile);
    self->hedge_delay_ns = px_hedging_delay_ns(&self->hedging);
    self->rng = px_rng(now_ns ^ (uint64_t)(uintptr_t)self);
}

static enum px_code build(struct px_remote *self, const struct px_engine_request *request,
                          struct px_err *err)
{
    uint64_t answered = 0;
    enum px_code code = px_remote_settings_read(request->settings, request->folder, request->arena,
                                                &self->settings, err);
    if (code == PX_OK)
        code = px_curl_open(&self->curl, err);
    if (code == PX_OK)
        code = check_library(self, err);
    if (code == PX_OK)
        code = make_texts(self, err);
    if (code == PX_OK)
        code = px_remote_peers_init(self, err);
    if (code != PX_OK)
        return code;
    self->name = px_arena_str(request->arena, request->model_name);
    init_rules(self, px_clock_monotonic_ns());
    code = discover(self, request, &answered, err);
    if (code != PX_OK)
        return code;
    px_remote_probes_init(self, answered, px_clock_monotonic_ns());
    return px_remote_loop_start(self, err);
}

static enum px_code open_model(const struct px_engine_request *request, struct px_engine **ret,
                               struct px_err *err)
{
    struct px_remote *self = px_alloc(1, sizeof *self);
    if (!self)
        return px_err_set(err, PX_E_NO_MEMORY, "there is no memory for a remote model");
    self->base.ops = &ops;
    self->wake_fd = self->epoll_fd = -1;
    pthread_mutex_init(&self->lock, NULL);
    enum px_code code = build(self, request, err);
    if (code != PX_OK) {
        destroy_engine(&self->base);
        return code;
    }
    *ret = &self->base;
    return PX_OK;
}

static void describe_provider(struct px_engine_state *ret)
{
    const struct px_curl *curl;
    struct px_err err = {0};
    *ret = (struct px_engine_state){0};
    if (px_curl_open(&curl, &err) != PX_OK) {
        px_err_text(&err, ret->details, sizeof ret->details);
        return;
    }
    ret->available = true;
    snprintf(ret->version, sizeof ret->version, "%s", curl->version);
    snprintf(ret->place, sizeof ret->place, "%s", curl->place);
    snprintf(ret->details, sizeof ret->details, "http%s%s", curl->tls ? ", https" : "",
             !curl->http2 ? ""
             : curl->tls  ? ", grpc, grpcs"
                          : ", grpc");
}

const struct px_engine_provider px_remote_provider = {
    .name = "remote",
    .summary = "models on other Open Inference servers, over HTTP and gRPC",
    .needs_trust = true,
    .open = open_model,
    .describe = describe_provider,
};
