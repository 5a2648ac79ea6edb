/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search for the saturation point: open-loop runs at rising rates until the server no longer keeps up.
 *
 * A step passes when goodput (2xx replies within the latency limit) is at least `goodput_min` of the
 * offered rate, so are the replies that came within the window (else a queue grows), and the 99th
 * percentile is within the limit. The rate doubles while steps pass; then the gap between the best that
 * passed and the least that failed is halved (by the geometric mean) `refinements` times. A step that fails
 * narrowly is run once more before it is believed, because one hiccup of the machine is not saturation.
 *
 * The saturation point is the highest rate that passed. When the first failing step was lost by the client
 * itself (its lag is large, or its thread has no time left), the verdict says so: then the server may do
 * better.
 */
#ifndef PX_APPLICATION_BENCH_RAMP_H
#define PX_APPLICATION_BENCH_RAMP_H

#include "application/ports/load.h"

enum { PX_RAMP_STEPS_MAX = 64 };

/* Why a step does not count as kept up with. */
enum px_load_verdict {
    PX_LOAD_PASS = 0,
    PX_LOAD_SLOW,           /* p99 over the limit */
    PX_LOAD_BEHIND,         /* goodput short of the offered rate */
    PX_LOAD_FAILING,        /* goodput short because of failed requests more than of late ones */
    PX_LOAD_CLIENT_LIMITED, /* one of these, and the client was late itself */
};

const char *px_load_verdict_name(enum px_load_verdict verdict); /* "pass", "slow" ... */

struct px_load_summary {
    double rate;                       /* asked for */
    double offered, achieved, goodput; /* per second of the measured window */
    double p50_ns, p90_ns, p99_ns, p999_ns, p9999_ns, max_ns, mean_ns;
    double service_p99_ns; /* what a closed-loop client would have reported */
    double lag_p50_ns, lag_p99_ns, lag_max_ns;
    double busy_share, starved_share; /* of the busiest client thread, as in px_load_result */
    double waited_share;              /* of the requests, that found every connection busy */
    uint64_t n_offered, n_errors;     /* errors: everything but 2xx */
    uint64_t outcomes[PX_LOAD_OUTCOMES];
    enum px_load_verdict verdict;
};

/* `limit_ns` and `goodput_min` (0..1) as in the ramp. */
void px_load_summarise(const struct px_load_job *job, const struct px_load_result *result,
                       double goodput_min, struct px_load_summary *ret);

struct px_ramp_options {
    double rate_min, rate_max; /* where it starts and ends */
    double goodput_min;
    unsigned refinements;
};

struct px_ramp {
    struct px_load_summary steps[PX_RAMP_STEPS_MAX]; /* in the order in which they ran */
    size_t n_steps;
    long best;                          /* the step of the saturation point, or -1: none passed */
    long failed;                        /* the step of the least rate that failed, or -1: none */
    double peak;                        /* the highest achieved rate of all */
    struct px_load_result *best_result; /* of `best`, or of the last step when none passed; heap */
};

/* Told before each step; false cancels. NULL = nobody watches. */
typedef bool px_ramp_step_fn(void *context, const struct px_ramp *ramp, double next_rate);

/*
 * Runs the ramp; `job` gives everything but the rate. PX_E_CANCELLED and the errors of px_load_run; `ret`
 * holds the steps that were run also then. The caller deinits it.
 */
PX_MUST_USE enum px_code px_ramp_run(struct px_load *load, const struct px_load_job *job,
                                     const struct px_ramp_options *options, px_ramp_step_fn *step,
                                     struct px_ramp *ret, struct px_err *err);

/* One run at `job->rate` as a ramp of one step. */
PX_MUST_USE enum px_code px_ramp_once(struct px_load *load, const struct px_load_job *job,
                                      double goodput_min, struct px_ramp *ret, struct px_err *err);

void px_ramp_deinit(struct px_ramp *ramp);

#endif
