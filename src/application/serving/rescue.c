/* SPDX-License-Identifier: Apache-2.0 */
#include "application/serving/rescue.h"

#include "shared/alloc.h"
#include "shared/clock.h"
#include "shared/log.h"

#include <pthread.h>

struct px_rescue {
    struct px_rescue_settings settings;
    bool has_breaker;
    pthread_mutex_t mutex; /* of the breaker */
    struct px_breaker breaker;
    _Atomic uint64_t taken[PX_RUNGS_MAX][PX_FALLBACK_REASONS];
    _Atomic bool was_told[PX_RUNGS_MAX]; /* why the rung could not be used */
};

enum px_code px_rescue_create(const struct px_rescue_settings *settings, struct px_rescue **ret,
                              struct px_err *err)
{
    const struct px_package *package = settings->package;
    bool has_breaker = package->engine && package->breaker.is_on;
    if (!has_breaker && package->fallback.n_rungs == 0)
        return PX_OK;
    struct px_rescue *rescue = px_alloc(1, sizeof *rescue);
    if (!rescue)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the breaker of a model");
    rescue->settings = *settings;
    rescue->has_breaker = has_breaker;
    if (has_breaker)
        px_breaker_init(&rescue->breaker, &package->breaker.policy);
    pthread_mutex_init(&rescue->mutex, NULL);
    *ret = rescue;
    return PX_OK;
}

void px_rescue_destroy(struct px_rescue *rescue)
{
    if (!rescue)
        return;
    if (rescue->settings.owned)
        px_package_close(rescue->settings.package);
    pthread_mutex_destroy(&rescue->mutex);
    px_free(rescue);
}

/* ---- the breaker ---- */

bool px_rescue_has_breaker(const struct px_rescue *rescue)
{
    return rescue->has_breaker;
}

/* After the mutex, with what was seen under it. */
static void log_change(const struct px_rescue *rescue, const struct px_rescue_report *now)
{
    const struct px_rescue_settings *s = &rescue->settings;
    if (now->state == PX_BREAKER_OPEN)
        px_log(PX_LOG_WARN, "breaker.opened", PX_LOG_S("model", s->name),
               PX_LOG_S("version", s->version),
               PX_LOG_T("reason", px_breaker_reason_name(now->reason)),
               PX_LOG_U("failed", now->tripped.failed), PX_LOG_U("slow", now->tripped.slow),
               PX_LOG_U("of", now->tripped.n), PX_LOG_U("for_ms", now->retry_ns / PX_NS_PER_MS));
    else
        px_log(PX_LOG_INFO,
               now->state == PX_BREAKER_CLOSED ? "breaker.closed" : "breaker.half_open",
               PX_LOG_S("model", s->name), PX_LOG_S("version", s->version),
               PX_LOG_T("reason", px_breaker_reason_name(now->reason)));
}

static void report(const struct px_rescue *rescue, uint64_t now_ns, struct px_rescue_report *ret)
{
    const struct px_breaker *b = &rescue->breaker;
    *ret = (struct px_rescue_report){
        .state = b->state,
        .reason = b->reason,
        .retry_ns = px_breaker_retry_ns(b, now_ns),
        .window = b->now,
        .tripped = b->tripped,
        .n_opened = b->n_opened,
        .n_refused = b->n_refused,
        .n_probes = b->n_probes,
        .policy = b->policy,
    };
}

void px_rescue_report(struct px_rescue *rescue, struct px_rescue_report *ret)
{
    uint64_t now_ns = px_clock_monotonic_ns();
    pthread_mutex_lock(&rescue->mutex);
    report(rescue, now_ns, ret);
    pthread_mutex_unlock(&rescue->mutex);
}

static enum px_code refuse(const struct px_rescue *rescue, const struct px_rescue_report *now,
                           struct px_err *err)
{
    static const char *const whys[] = {
        [PX_BREAKER_NEVER] = "failed",
        [PX_BREAKER_FAILURES] = "failed too often",
        [PX_BREAKER_SLOWNESS] = "was too slow",
        [PX_BREAKER_PROBE] = "failed or was slow when it was tried again",
        [PX_BREAKER_SILENCE] = "did not answer when it was tried again",
    };
    const struct px_rescue_settings *s = &rescue->settings;
    uint64_t ms = now->retry_ns / PX_NS_PER_MS;
    px_err_set(err, PX_E_UNAVAILABLE,
               "the breaker of model '%.*s' version %.*s is %s (%s): it %s, and is asked again "
               "in %llu ms",
               PX_STR_ARG(s->name), PX_STR_ARG(s->version),
               now->state == PX_BREAKER_OPEN ? "open" : "half open",
               px_breaker_reason_name(now->reason), whys[now->reason], (unsigned long long)ms);
    if (px_rescue_ladder(rescue)->n_rungs > 0)
        px_err_hint(err, "no rung of its 'fallback' had an answer; GET /api/v1/models shows which "
                         "are usable");
    else
        px_err_hint(err, "GET /api/v1/models shows the breaker; 'fallback' in model.yaml can say "
                         "who answers meanwhile");
    return px_err_retry(err, now->retry_ns);
}

enum px_code px_rescue_enter(struct px_rescue *rescue, uint64_t now_ns,
                             struct px_breaker_ticket *ret, struct px_err *err)
{
    struct px_rescue_report now;
    pthread_mutex_lock(&rescue->mutex);
    uint64_t before = rescue->breaker.era;
    enum px_breaker_verdict verdict = px_breaker_enter(&rescue->breaker, now_ns, ret);
    report(rescue, now_ns, &now);
    bool changed = rescue->breaker.era != before;
    pthread_mutex_unlock(&rescue->mutex);
    if (changed)
        log_change(rescue, &now);
    return verdict == PX_BREAKER_REFUSED ? refuse(rescue, &now, err) : PX_OK;
}

void px_rescue_leave(struct px_rescue *rescue, struct px_breaker_ticket *ticket, enum px_code code,
                     uint64_t started_ns)
{
    enum px_breaker_outcome outcome = px_breaker_judge(code);
    uint64_t now_ns = px_clock_monotonic_ns();
    struct px_rescue_report now;
    if (outcome == PX_BREAKER_LATE && started_ns == 0)
        outcome = PX_BREAKER_UNKNOWN; /* it waited, and nobody tried */
    if (started_ns > ticket->began_ns)
        ticket->began_ns = started_ns;
    pthread_mutex_lock(&rescue->mutex);
    uint64_t era = rescue->breaker.era;
    px_breaker_leave(&rescue->breaker, ticket, outcome, now_ns);
    bool changed = rescue->breaker.era != era;
    report(rescue, now_ns, &now);
    pthread_mutex_unlock(&rescue->mutex);
    ticket->era = 0;
    if (changed)
        log_change(rescue, &now);
}

/* ---- the ladder ---- */

const struct px_model_fallback *px_rescue_ladder(const struct px_rescue *rescue)
{
    return &rescue->settings.package->fallback;
}

void px_rescue_count(struct px_rescue *rescue, size_t rung, enum px_fallback_reason reason)
{
    uint64_t before =
        atomic_fetch_add_explicit(&rescue->taken[rung][reason], 1, memory_order_relaxed);
    const struct px_rung *taken = &px_rescue_ladder(rescue)->rungs[rung];
    if (before == 0)
        px_log(PX_LOG_WARN, "fallback.taken", PX_LOG_S("model", rescue->settings.name),
               PX_LOG_S("version", rescue->settings.version),
               PX_LOG_T("rung", px_rung_kind_name(taken->kind)),
               PX_LOG_T("reason", px_fallback_reason_name(reason)));
}

uint64_t px_rescue_counted(const struct px_rescue *rescue, size_t rung,
                           enum px_fallback_reason reason)
{
    return atomic_load_explicit(&rescue->taken[rung][reason], memory_order_relaxed);
}

void px_rescue_skip(struct px_rescue *rescue, size_t rung, const struct px_err *why)
{
    const struct px_rung *skipped = &px_rescue_ladder(rescue)->rungs[rung];
    if (atomic_exchange_explicit(&rescue->was_told[rung], true, memory_order_relaxed))
        return;
    px_log(PX_LOG_WARN, "fallback.skipped", PX_LOG_S("model", rescue->settings.name),
           PX_LOG_S("version", rescue->settings.version),
           PX_LOG_T("rung", px_rung_kind_name(skipped->kind)), PX_LOG_T("reason", why->message),
           PX_LOG_T("hint", why->hint));
}
