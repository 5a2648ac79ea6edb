/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an engine is decides how its limit learns: one that an executor runs says when computing began, and how many compute at a
 * time, which is the least that a limit may be. Others are observed from outside, starting low (domain/overload/limiter.h).
 *
 * A place is given back by the thread on which the run ended, not by the loop that is told later: else a loop that is busy with
 * refusing would keep instances idle.
 */
#include "application/serving/limit.h"

#include "application/execution/executor.h"
#include "domain/overload/client_counts.h"
#include "shared/alloc.h"
#include "shared/clock.h"

#include <pthread.h>

enum {
    START = 16,
    START_LOW = 3,
    WINDOW_MS = 100,
    WINDOW_SAMPLES = 16,
    BATCH_TURNS = 2,
    INSTANCE_TIMES = 2,
    CLIENT_PLACES = 64, /* at first */
};

static const double buffer = 0.25;

struct px_limit {
    pthread_mutex_t mutex; /* of everything below */
    struct px_limiter limiter;
    struct px_client_counts clients;
    unsigned per_client; /* 0: no limit */
    bool has_executor, is_open;
};

const char *px_refusal_name(enum px_refusal refusal)
{
    static const char *const names[PX_REFUSALS] = {"none",     "limit", "sheddable", "client",
                                                   "hopeless", "queue", "deadline",  "memory"};
    return names[refusal];
}

static unsigned between(unsigned n, unsigned least, unsigned most)
{
    return n < least ? least : n > most ? most : n;
}

static struct px_limiter_policy make_policy(const struct px_model_limits *settings,
                                            const struct px_executor_report *report,
                                            bool has_executor)
{
    unsigned n_instances = report->counts.n_threads;
    unsigned min =
        settings->min ? settings->min : between(INSTANCE_TIMES * n_instances, 1, settings->max);
    return (struct px_limiter_policy){
        .adapts = settings->adapts,
        .min = min,
        .max = settings->max,
        .start = between(has_executor ? START : START_LOW, min, settings->max),
        .window_ns = WINDOW_MS * PX_NS_PER_MS,
        .window_samples = WINDOW_SAMPLES,
        .buffer = buffer,
        .turns = report->batches ? BATCH_TURNS : 1,
    };
}

static bool make_clients(struct px_limit *limit)
{
    struct px_client_counts *clients = &limit->clients;
    if (!limit->per_client)
        return true;
    clients->places = px_alloc(CLIENT_PLACES, sizeof *clients->places);
    clients->n_places = clients->places ? CLIENT_PLACES : 0;
    return clients->places != NULL;
}

enum px_code px_limit_create(const struct px_model_limits *settings, const struct px_engine *engine,
                             struct px_limit **ret, struct px_err *err)
{
    struct px_executor_report report;
    *ret = NULL;
    if (!settings->is_on)
        return PX_OK;
    struct px_limit *limit = px_alloc(1, sizeof *limit);
    if (!limit)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the limit of a model");
    limit->has_executor = px_executor_report(engine, &report);
    limit->per_client = settings->per_client;
    limit->is_open = settings->is_open;
    struct px_limiter_policy policy = make_policy(settings, &report, limit->has_executor);
    px_limiter_init(&limit->limiter, &policy, px_clock_monotonic_ns());
    if (!make_clients(limit)) {
        px_free(limit);
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the counts of %d clients",
                          CLIENT_PLACES);
    }
    pthread_mutex_init(&limit->mutex, NULL);
    *ret = limit;
    return PX_OK;
}

void px_limit_destroy(struct px_limit *limit)
{
    if (!limit)
        return;
    pthread_mutex_destroy(&limit->mutex);
    px_free(limit->clients.places);
    px_free(limit);
}

/* ---- entering; with the mutex ---- */

/*
 * Of engines without an executor, whose queue would know better. With nothing on its way a request is let in even so: an engine
 * that has become faster could not show it else.
 */
static bool is_hopeless(const struct px_limit *limit, const struct px_limit_request *request)
{
    const struct px_limiter *limiter = &limit->limiter;
    if (limit->has_executor || request->deadline_ns == 0 || limiter->in_flight == 0)
        return false;
    return request->now_ns + (uint64_t)limiter->base_ns >= request->deadline_ns;
}

/*
 * The table has as many places as clients have asked for at a time, twice over, not as many as the limit might admit: 65,536 of them would
 * be megabytes for each version. It grows a few times in a server's life. Without memory it is filled up to the last place.
 */
static bool has_place_for_client(struct px_limit *limit)
{
    struct px_client_counts *clients = &limit->clients;
    if (PX_LIKELY(2 * clients->n_clients < clients->n_places))
        return true;
    struct px_client_count *old = clients->places;
    struct px_client_count *places = px_alloc(2 * clients->n_places, sizeof *places);
    if (!places)
        return clients->n_clients + 1 < clients->n_places;
    px_client_counts_move(clients, places, 2 * clients->n_places);
    px_free(old);
    return true;
}

static enum px_refusal enter(struct px_limit *limit, const struct px_limit_request *request)
{
    const struct px_urgency *urgency = &request->urgency;
    if (is_hopeless(limit, request))
        return PX_REFUSAL_HOPELESS;
    if (limit->per_client && !has_place_for_client(limit))
        return PX_REFUSAL_MEMORY;
    if (limit->per_client &&
        !px_client_counts_add(&limit->clients, urgency->client, limit->per_client))
        return PX_REFUSAL_CLIENT;
    enum px_limiter_verdict verdict = px_limiter_enter(&limit->limiter, urgency->criticality);
    if (verdict == PX_LIMITER_ADMITTED)
        return PX_REFUSAL_NONE;
    if (limit->per_client)
        px_client_counts_drop(&limit->clients, urgency->client);
    return verdict == PX_LIMITER_SHEDDING ? PX_REFUSAL_SHEDDABLE : PX_REFUSAL_LIMIT;
}

static enum px_code say_why(enum px_refusal refusal, const struct px_limit_report *report,
                            struct px_err *err)
{
    if (refusal == PX_REFUSAL_CLIENT) {
        px_err_set(err, PX_E_LIMITED,
                   "this client has %u requests on their way to this model, as many as one may",
                   report->per_client);
        return px_err_hint(err, "send fewer at a time, or raise limits.per_client in model.yaml");
    }
    if (refusal == PX_REFUSAL_MEMORY)
        return px_err_set(err, PX_E_OVERLOADED, "no memory to count one more client");
    if (refusal == PX_REFUSAL_HOPELESS) {
        px_err_set(err, PX_E_OVERLOADED,
                   "the answer would be late: a request takes %.0f ms, and others are on their way",
                   report->base_ns * 1e-6);
        return px_err_hint(err, "give it more time, or try again after the time given");
    }
    if (refusal == PX_REFUSAL_SHEDDABLE)
        px_err_set(
            err, PX_E_OVERLOADED,
            "%u requests are on their way to this model, which takes %u: what is left is for "
            "those that are not sheddable",
            report->in_flight, report->limit);
    else if (report->in_flight < report->limit)
        px_err_set(
            err, PX_E_OVERLOADED,
            "%u requests are on their way to this model, which takes %u: what is left is for "
            "critical ones",
            report->in_flight, report->limit);
    else
        px_err_set(err, PX_E_OVERLOADED,
                   "%u requests are on their way to this model, which takes %u", report->in_flight,
                   report->limit);
    return px_err_hint(err, "try again after the time given; GET /api/v1/models shows the limit");
}

enum px_refusal px_limit_enter(struct px_limit *limit, const struct px_limit_request *request,
                               struct px_err *err)
{
    struct px_limit_report report;
    pthread_mutex_lock(&limit->mutex);
    enum px_refusal refusal = enter(limit, request);
    uint64_t retry_ns = refusal ? px_limiter_retry_ns(&limit->limiter) : 0;
    pthread_mutex_unlock(&limit->mutex);
    if (PX_LIKELY(refusal == PX_REFUSAL_NONE))
        return refusal;
    px_limit_report(limit, &report);
    (void)say_why(refusal, &report, err);
    (void)px_err_retry(err, retry_ns);
    return refusal;
}

/* ---- leaving ---- */

/* What failed at once says nothing of how long requests take; what was late says that they take at least so long. */
static bool make_sample(const struct px_limit *limit, const struct px_limit_end *end,
                        struct px_limiter_sample *ret)
{
    bool began = end->started_ns >= end->began_ns && end->started_ns <= end->ended_ns;
    *ret = (struct px_limiter_sample){.began_ns = end->began_ns, .ended_ns = end->ended_ns};
    if (end->code == PX_OK && began && limit->has_executor)
        ret->served_ns = end->ended_ns - end->started_ns;
    return end->code == PX_OK || end->code == PX_E_DEADLINE;
}

void px_limit_leave(struct px_limit *limit, const struct px_limit_end *end)
{
    struct px_limiter_sample sample;
    bool counts = make_sample(limit, end, &sample);
    pthread_mutex_lock(&limit->mutex);
    px_limiter_leave(&limit->limiter, counts ? &sample : NULL, end->ended_ns);
    if (limit->per_client)
        px_client_counts_drop(&limit->clients, end->client);
    pthread_mutex_unlock(&limit->mutex);
}

void px_limit_report(struct px_limit *limit, struct px_limit_report *ret)
{
    pthread_mutex_lock(&limit->mutex);
    const struct px_limiter *limiter = &limit->limiter;
    *ret = (struct px_limit_report){
        .adapts = limiter->policy.adapts,
        .is_open = limit->is_open,
        .min = limiter->policy.min,
        .max = limiter->policy.max,
        .limit = (unsigned)limiter->limit,
        .in_flight = limiter->in_flight,
        .per_client = limit->per_client,
        .gradient = limiter->gradient,
        .base_ns = limiter->base_ns,
        .sample_ns = limiter->sample_ns,
    };
    pthread_mutex_unlock(&limit->mutex);
}
