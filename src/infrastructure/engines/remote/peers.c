/* SPDX-License-Identifier: Apache-2.0 */
/* The peers of a remote model: which is asked, what its breaker learns of it, and what people see. */
#include "infrastructure/engines/remote/engine.h"

#include "shared/alloc.h"
#include "shared/clock.h"
#include "shared/hash.h"
#include "shared/log.h"

enum px_code px_remote_peers_init(struct px_remote *self, struct px_err *err)
{
    const struct px_remote_settings *s = &self->settings;
    if (s->breaker.is_on) {
        self->breakers = px_alloc(s->n_urls, sizeof *self->breakers);
        if (!self->breakers)
            return px_err_set(err, PX_E_NO_MEMORY, "there is no memory for the breakers of peers");
        for (size_t i = 0; i < s->n_urls; i++) {
            px_breaker_init(&self->breakers[i], &s->breaker.policy);
            self->told_era[i] = self->breakers[i].era;
        }
    }
    px_balancer_init(&self->balancer, s->n_urls, s->balance, self->breakers);
    for (size_t i = 0; i < s->n_urls; i++)
        self->peers[i].url = &s->urls[i];
    return PX_OK;
}

/* ---- what the log says ---- */

/* On the thread, without the lock. `led`: the window that led to it, but for the last outcome. */
static void tell_change(struct px_remote *self, size_t index, struct px_breaker_counts led)
{
    const struct px_breaker *b = &self->breakers[index];
    struct px_str peer = self->settings.urls[index].text;
    const char *reason = px_breaker_reason_name(b->reason);
    if (b->era == self->told_era[index])
        return;
    self->told_era[index] = b->era;
    if (b->state == PX_BREAKER_OPEN)
        px_log(PX_LOG_WARN, "breaker.opened", PX_LOG_S("model", self->name), PX_LOG_S("peer", peer),
               PX_LOG_T("reason", reason), PX_LOG_U("failed", led.failed),
               PX_LOG_U("slow", led.slow), PX_LOG_U("of", led.n),
               PX_LOG_U("for_ms", b->open_for_ns / PX_NS_PER_MS));
    else
        px_log(PX_LOG_INFO, b->state == PX_BREAKER_CLOSED ? "breaker.closed" : "breaker.half_open",
               PX_LOG_S("model", self->name), PX_LOG_S("peer", peer), PX_LOG_T("reason", reason));
}

static void tell_changes(struct px_remote *self)
{
    for (size_t i = 0; self->breakers && i < self->settings.n_urls; i++)
        tell_change(self, i, (struct px_breaker_counts){0});
}

/* ---- choosing ---- */

bool px_remote_is_of_sequence(const struct px_run *run)
{
    return run->sequence.id != 0 || run->sequence.text_id.len > 0;
}

/* Steps of a sequence go to one server, which has its state. */
static size_t pick(struct px_remote *self, const struct px_remote_call *call, uint64_t now_ns)
{
    const struct px_sequence_step *step = &call->run->sequence;
    if (!px_remote_is_of_sequence(call->run))
        return px_balancer_pick(&self->balancer, call->tried, px_rng_u64(&self->rng), now_ns);
    uint64_t key =
        step->text_id.len ? px_hash_content(step->text_id.ptr, step->text_id.len) : step->id;
    return px_balancer_pick_sticky(&self->balancer, 0, key, now_ns);
}

size_t px_remote_peers_pick(struct px_remote *self, const struct px_remote_call *call,
                            uint64_t now_ns)
{
    pthread_mutex_lock(&self->lock);
    size_t index = pick(self, call, now_ns);
    pthread_mutex_unlock(&self->lock);
    tell_changes(self); /* of probes that did not come back */
    return index;
}

bool px_remote_peers_pass(struct px_remote *self, uint64_t now_ns)
{
    pthread_mutex_lock(&self->lock);
    bool passes = px_balancer_passes(&self->balancer, now_ns);
    pthread_mutex_unlock(&self->lock);
    return passes;
}

enum px_code px_remote_peers_refuse(struct px_remote *self, uint64_t now_ns, struct px_err *err)
{
    pthread_mutex_lock(&self->lock);
    uint64_t retry_ns = px_balancer_retry_ns(&self->balancer, now_ns);
    self->counts.refused++;
    pthread_mutex_unlock(&self->lock);
    px_err_set(err, PX_E_UNAVAILABLE,
               "every peer of '%.*s' has failed, and the breakers of all %zu are open: the first "
               "is asked again in %llu ms",
               PX_STR_ARG(self->settings.model), self->settings.n_urls,
               (unsigned long long)(retry_ns / PX_NS_PER_MS));
    px_err_hint(err, "GET /api/v1/models shows the breaker of each peer; engine.breaker in "
                     "model.yaml sets when they open");
    return px_err_retry(err, retry_ns);
}

/* ---- what the breakers learn ---- */

void px_remote_peers_begin(struct px_remote *self, struct px_remote_transfer *transfer,
                           uint64_t now_ns)
{
    pthread_mutex_lock(&self->lock);
    px_balancer_begin(&self->balancer, transfer->endpoint, now_ns, &transfer->ticket);
    pthread_mutex_unlock(&self->lock);
    if (self->breakers)
        tell_change(self, transfer->endpoint, (struct px_breaker_counts){0});
}

void px_remote_peers_end(struct px_remote *self, const struct px_remote_transfer *transfer,
                         enum px_breaker_outcome outcome, uint64_t now_ns)
{
    size_t index = transfer->endpoint;
    struct px_breaker_counts led = {0};
    if (self->breakers)
        led = self->breakers[index].now;
    pthread_mutex_lock(&self->lock);
    px_balancer_end(&self->balancer, index, &transfer->ticket, outcome, now_ns);
    pthread_mutex_unlock(&self->lock);
    if (self->breakers)
        tell_change(self, index, led);
}

/* ---- what people see ---- */

static void describe_breaker(const struct px_breaker *breaker, uint64_t now_ns,
                             struct px_json_writer *json)
{
    px_json_key(json, "breaker");
    px_json_begin_object(json);
    px_json_member_text(json, "state", px_breaker_state_name(breaker->state));
    px_json_member_text(json, "reason", px_breaker_reason_name(breaker->reason));
    px_json_member_u64(json, "retry_ms", px_breaker_retry_ns(breaker, now_ns) / PX_NS_PER_MS);
    px_json_member_u64(json, "in_window", breaker->now.n);
    px_json_member_u64(json, "failed", breaker->now.failed);
    px_json_member_u64(json, "slow", breaker->now.slow);
    px_json_member_u64(json, "opened", breaker->n_opened);
    px_json_member_u64(json, "probes", breaker->n_probes);
    px_json_end_object(json);
}

void px_remote_peers_describe(struct px_remote *self, struct px_json_writer *json)
{
    uint64_t now_ns = px_clock_monotonic_ns();
    px_json_key(json, "peers");
    px_json_begin_array(json);
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < self->balancer.n; i++) {
        const struct px_endpoint *e = &self->balancer.list[i];
        px_json_begin_object(json);
        px_json_member_str(json, "url", self->settings.urls[i].text);
        px_json_member_bool(json, "healthy", !e->unhealthy);
        if (self->breakers)
            describe_breaker(&self->breakers[i], now_ns, json);
        px_json_member_u64(json, "outstanding", e->outstanding);
        px_json_member_u64(json, "requests", e->n_requests);
        px_json_member_u64(json, "failures", e->n_failures);
        px_json_member_u64(json, "late", e->n_late);
        px_json_end_object(json);
    }
    pthread_mutex_unlock(&self->lock);
    px_json_end_array(json);
}

static void measure_breaker(const struct px_breaker *breaker, struct px_str url,
                            const struct px_engine_measures *to)
{
    to->put(to->context, PX_ENGINE_METRIC_REMOTE_BREAKER_STATE, url, (uint64_t)breaker->state);
    to->put(to->context, PX_ENGINE_METRIC_REMOTE_BREAKER_OPENED, url, breaker->n_opened);
    to->put(to->context, PX_ENGINE_METRIC_REMOTE_BREAKER_PROBES, url, breaker->n_probes);
}

void px_remote_peers_measure(struct px_remote *self, const struct px_engine_measures *to)
{
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < self->balancer.n; i++) {
        const struct px_endpoint *e = &self->balancer.list[i];
        struct px_str url = self->settings.urls[i].text;
        to->put(to->context, PX_ENGINE_METRIC_REMOTE_ATTEMPTS, url, e->n_requests);
        to->put(to->context, PX_ENGINE_METRIC_REMOTE_FAILURES, url, e->n_failures);
        to->put(to->context, PX_ENGINE_METRIC_REMOTE_LATE, url, e->n_late);
        to->put(to->context, PX_ENGINE_METRIC_REMOTE_HEALTHY, url, !e->unhealthy);
        to->put(to->context, PX_ENGINE_METRIC_REMOTE_OUTSTANDING, url, e->outstanding);
        if (self->breakers)
            measure_breaker(&self->breakers[i], url, to);
    }
    pthread_mutex_unlock(&self->lock);
}
