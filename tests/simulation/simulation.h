/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model under load in virtual time: requests arrive, wait in the batch queue, are computed by instances that take time, fail or hang, and are
 * given up. Everything follows from one seed, so that whatever goes wrong can be played again.
 *
 *     struct scenario scenario = scenario_make(seed);
 *     world_run(world, &scenario);
 *     if (world->problem[0]) printf("seed %" PRIu64 ": %s", seed, world->problem);
 *
 * The world does what the executor does, with the same calls in the same order, but for threads and clocks. Beside the queue it keeps its own
 * account of every request, and after every step checks.c compares the two.
 *
 * A mechanism beside the queue (a limiter, a breaker, a cache) is a file, and a row of the table in mechanisms.c: it is asked when a request arrives, and
 * told how each ends.
 */
#ifndef PX_SIMULATION_H
#define PX_SIMULATION_H

#include "domain/batching/batch_queue.h"
#include "domain/overload/breaker.h"
#include "shared/rng.h"

#include <inttypes.h>

enum {
    REQUESTS_MAX = 16000,
    INSTANCES_MAX = 4,
    PARTS_MAX = 256,
    EVENTS_MAX = 4 * REQUESTS_MAX,
    CLIENTS_MAX = 6,
    MECHANISMS_MAX = 8,
};

#define MS UINT64_C(1000000)

enum scenario_kind {
    ANYTHING, /* all settings at random: nothing may break */
    SHARES,   /* every client always has items: each gets its share */
    OVERLOAD, /* far more than can be done: what is done must be worth it */
    KINDS,
};

struct scenario {
    uint64_t seed;
    enum scenario_kind kind;
    struct px_batch_policy policy;
    unsigned n_instances;
    size_t n_parts_max;
    /* what computing takes */
    double fixed_ns, one_ns, noise; /* noise: deviation of a factor around 1 */
    double fails, hangs;            /* share of the computations */
    uint64_t slow_until_ns;         /* until then computing takes ten times as long */
    /* what arrives */
    size_t n_requests;
    double gap_ns;    /* mean */
    double burst;     /* chance that the next comes at once */
    size_t rows_most; /* of a request */
    unsigned n_shapes, n_clients;
    double has_deadline, is_cancelled; /* shares */
    uint64_t deadline_ns;              /* longest; at least half of it */
    uint64_t jitter_ns;                /* timers are late by up to this */
    uint64_t drains_ns;                /* the model leaves at that time; 0: it does not */
};

enum outcome {
    NOT_ANSWERED = 0,
    ANSWERED,
    TOO_LATE, /* in the queue, or while being computed */
    CANCELLED,
    SHED,
    REFUSED,
    FAILED, /* by the engine */
};

struct request {
    struct px_batch_item item;
    uint64_t sent_ns, cancelled_ns;
    uint64_t late_ns; /* by the world's own account */
    enum outcome outcome;
    uint64_t answered_ns;
    size_t rows_given; /* to instances so far */
    size_t n_flying;   /* batches that it is in */
    bool waits, demoted;
    size_t rank; /* in the order of arrival */
};

struct instance {
    bool busy, fails;
    uint64_t began_ns;
    struct px_batch batch;
    struct px_batch_part parts[PARTS_MAX];
};

/* At the same time they happen in this order. A deadline is over a nanosecond after it. */
enum event_kind { DEADLINE, COMPUTED, ARRIVAL, CANCEL };

struct event {
    uint64_t at_ns;
    enum event_kind kind;
    size_t index; /* of a request or an instance */
};

struct tally {
    size_t n[FAILED + 1];
    size_t refusals[PX_BATCH_HOPELESS + 1];
    size_t reasons[PX_BATCH_ALONE + 1];
    size_t ended_by[MECHANISMS_MAX]; /* requests that came no further than to that mechanism */
    /* what mechanisms did */
    size_t trips[PX_BREAKER_SILENCE + 1]; /* by enum px_breaker_reason */
    size_t n_closed_again, n_windows, n_raised, n_lowered, n_evicted;
    size_t
        rows_in_time; /* of requests that were answered while the load lasted, but for its first quarter */
};

struct world {
    struct scenario scenario;
    struct px_rng rng;
    struct px_rng luck; /* of computations: the n-th batch has the same in every run of a seed */
    struct px_batch_queue queue;
    struct px_cost_line cost;
    size_t n_arrived;
    size_t n_events;
    uint64_t now_ns, ask_again_ns, timer_ns;
    uint64_t measure_from_ns, measure_to_ns;
    /* the world's account of the queue */
    size_t n_waiting, n_checks;
    double served[CLIENTS_MAX]; /* rows by weight */
    struct tally tally;
    char problem[256]; /* the first; empty: none */
    bool traces;
    /* large, and written before they are read */
    struct instance instances[INSTANCES_MAX];
    struct request requests[REQUESTS_MAX];
    struct event events[EVENTS_MAX]; /* a heap */
    size_t waiting[REQUESTS_MAX];    /* requests, in the order of arrival */
};

/* Anything random that the limits allow, from the seed alone. */
struct scenario scenario_make(uint64_t seed);
struct scenario scenario_make_kind(uint64_t seed, enum scenario_kind kind);

/* Plays it to the end. `world` is large, and needs no preparation but `traces`. */
void world_run(struct world *world, const struct scenario *scenario);

/* Ends the request, which must not have ended. */
void world_answer(struct world *world, struct request *request, enum outcome outcome);
struct request *world_request(struct px_batch_item *item);

/* ---- checks.c: each notes the first problem in world->problem ---- */

void check_that(struct world *world, bool good, const char *what, const struct request *request);
/* Between the steps: counts, bounds, deadlines. */
void check_queue(struct world *world);
void check_refusal(struct world *world, const struct request *request,
                   enum px_batch_refusal refusal);
void check_shed(struct world *world, const struct request *shed, const struct request *for_whom);
void check_late(struct world *world, const struct request *request);
/* The batch has been formed; the world's account is still that of before. */
void check_batch(struct world *world, const struct px_batch *batch);
/* An instance is idle, and nothing was formed. */
void check_waiting_is_right(struct world *world);
void check_shares(struct world *world);
void check_end(struct world *world);

/* ---- mechanisms.c ---- */

struct mechanism {
    const char *name;
    void (*begin)(struct world *world);
    /* False: it has answered the request itself. */
    bool (*arrives)(struct world *world, struct request *request);
    void (*ends)(struct world *world, const struct request *request);
    void (*check)(struct world *world);
};

/* Ends with NULL. */
extern const struct mechanism *const mechanisms[];

#endif
