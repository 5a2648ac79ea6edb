/* SPDX-License-Identifier: Apache-2.0 */
#include "application/bench/ramp.h"

#include "shared/alloc.h"
#include "shared/clock.h"

#include <math.h>
#include <string.h>

#define LAG_SHARE     0.25 /* of the latency limit: a larger lag is the client's fault */
#define BUSY_SHARE    0.95
#define NARROW        0.8   /* goodput from here on, of what was offered, is a narrow failure */
#define FIRST_FACTOR  0.25  /* downwards, while nothing has passed */
#define LEAST_COUNT   100.0 /* requests of a step: fewer say nothing about a 99th percentile */
#define REPLIES_SLACK 2.0
#define BEYOND_REACH  1.1 /* no rate this much above what was achieved is worth a step */

const char *px_load_verdict_name(enum px_load_verdict verdict)
{
    switch (verdict) {
    case PX_LOAD_PASS:
        return "pass";
    case PX_LOAD_SLOW:
        return "slow";
    case PX_LOAD_BEHIND:
        return "behind";
    case PX_LOAD_FAILING:
        return "failing";
    case PX_LOAD_CLIENT_LIMITED:
        break;
    }
    return "client_limited";
}

static double quantile(const struct px_latencies *latencies, double q)
{
    return (double)px_latencies_quantile(latencies, q);
}

static enum px_load_verdict judge(const struct px_load_job *job, const struct px_load_summary *s,
                                  double goodput_min)
{
    double limit_ns = (double)job->limit_ns;
    double replies = s->achieved / s->offered * (double)s->n_offered;
    /* Fewer replies than requests in the window: a queue grows, although it may not be long yet. */
    bool grows = replies + REPLIES_SLACK < goodput_min * (double)s->n_offered;
    bool behind = grows || s->goodput < goodput_min * s->offered;
    bool slow = s->p99_ns > limit_ns;
    if (!behind && !slow)
        return PX_LOAD_PASS;
    /* Errors that came back quickly are the server's, however late the client was. */
    uint64_t fast = s->n_errors - s->outcomes[PX_LOAD_UNSENT] - s->outcomes[PX_LOAD_TIMEOUT];
    if (behind && (double)fast > 0.5 * (1 - s->goodput / s->offered) * (double)s->n_offered)
        return PX_LOAD_FAILING;
    if (s->lag_p99_ns > LAG_SHARE * limit_ns || s->busy_share + s->starved_share > BUSY_SHARE)
        return PX_LOAD_CLIENT_LIMITED;
    return behind ? PX_LOAD_BEHIND : PX_LOAD_SLOW;
}

void px_load_summarise(const struct px_load_job *job, const struct px_load_result *result,
                       double goodput_min, struct px_load_summary *ret)
{
    const struct px_load_tally *t = &result->tally;
    double seconds = (double)result->duration_ns / (double)PX_NS_PER_S;
    *ret = (struct px_load_summary){
        .rate = job->rate,
        .offered = (double)t->offered / seconds,
        .achieved = (double)t->replies / seconds,
        .goodput = (double)t->good / seconds,
        .p50_ns = quantile(&t->latency, 0.5),
        .p90_ns = quantile(&t->latency, 0.9),
        .p99_ns = quantile(&t->latency, 0.99),
        .p999_ns = quantile(&t->latency, 0.999),
        .p9999_ns = quantile(&t->latency, 0.9999),
        .max_ns = (double)t->latency.max,
        .mean_ns = px_latencies_mean(&t->latency),
        .service_p99_ns = quantile(&t->service, 0.99),
        .lag_p50_ns = quantile(&t->lag, 0.5),
        .lag_p99_ns = quantile(&t->lag, 0.99),
        .lag_max_ns = (double)t->lag.max,
        .busy_share = result->busy_share,
        .starved_share = result->starved_share,
        .waited_share = t->offered ? (double)t->waited / (double)t->offered : 0,
        .n_offered = t->offered,
        .n_errors = t->offered - t->outcomes[PX_LOAD_OK],
    };
    memcpy(ret->outcomes, t->outcomes, sizeof ret->outcomes);
    ret->verdict = judge(job, ret, goodput_min);
}

struct search {
    struct px_load *load;
    struct px_load_job job;
    const struct px_ramp_options *options;
    px_ramp_step_fn *step;
    struct px_ramp *ramp;
    struct px_load_result *result; /* of the last run */
    struct px_load_result *spare;  /* of the run that was repeated */
};

static void swap_results(struct px_load_result **a, struct px_load_result **b)
{
    struct px_load_result *other = *a;
    *a = *b;
    *b = other;
}

/* Enters the step that has run into the ramp's findings. */
static void note_step(struct px_ramp *ramp, long step)
{
    const struct px_load_summary *now = &ramp->steps[step];
    ramp->peak = now->achieved > ramp->peak ? now->achieved : ramp->peak;
    if (now->verdict == PX_LOAD_PASS) {
        if (ramp->best < 0 || now->rate > ramp->steps[ramp->best].rate)
            ramp->best = step;
    } else if (ramp->failed < 0 || now->rate < ramp->steps[ramp->failed].rate) {
        ramp->failed = step;
    }
}

static enum px_code run_once(struct search *s, double rate, struct px_load_summary *ret,
                             struct px_err *err)
{
    s->job.rate = rate;
    if (s->step && !s->step(s->job.progress_context, s->ramp, rate))
        return px_err_set(err, PX_E_CANCELLED, "interrupted");
    enum px_code code = px_load_run(s->load, &s->job, s->result, err);
    if (code == PX_OK)
        px_load_summarise(&s->job, s->result, s->options->goodput_min, ret);
    return code;
}

static bool is_narrow(const struct px_load_summary *s)
{
    return s->verdict != PX_LOAD_PASS && s->verdict != PX_LOAD_FAILING &&
           s->goodput >= NARROW * s->offered;
}

/* One step of the ramp, run again when it fails narrowly. */
static enum px_code run_step(struct search *s, double rate, struct px_err *err)
{
    struct px_ramp *ramp = s->ramp;
    struct px_load_summary again, *step = &ramp->steps[ramp->n_steps];
    PX_ASSERT(ramp->n_steps < PX_RAMP_STEPS_MAX);
    enum px_code code = run_once(s, rate, step, err);
    if (code == PX_OK && is_narrow(step)) {
        swap_results(&s->result, &s->spare);
        code = run_once(s, rate, &again, err);
        if (code == PX_OK && (again.verdict == PX_LOAD_PASS || again.goodput > step->goodput))
            *step = again;
        else
            swap_results(&s->result, &s->spare);
    }
    if (code != PX_OK)
        return code;
    note_step(ramp, (long)ramp->n_steps++);
    if (ramp->best == (long)ramp->n_steps - 1 || ramp->best < 0)
        swap_results(&s->result, &ramp->best_result);
    return PX_OK;
}

/* The next rate to try, or 0 when the search has ended. */
static double next_rate(const struct search *s, unsigned *refined)
{
    const struct px_ramp *ramp = s->ramp;
    const struct px_ramp_options *o = s->options;
    if (ramp->n_steps == 0)
        return o->rate_min < o->rate_max ? o->rate_min : o->rate_max;
    double low = ramp->best >= 0 ? ramp->steps[ramp->best].rate : 0;
    if (ramp->failed < 0)
        return low < o->rate_max ? fmin(2 * low, o->rate_max) : 0;
    double high = ramp->steps[ramp->failed].rate;
    double least = LEAST_COUNT * (double)PX_NS_PER_S / (double)s->job.duration_ns;
    if (ramp->best < 0)
        return high > least && ramp->n_steps < PX_RAMP_STEPS_MAX / 2
                   ? fmax(high * FIRST_FACTOR, least)
                   : 0;
    if ((*refined)++ >= o->refinements || ramp->n_steps == PX_RAMP_STEPS_MAX)
        return 0;
    double reach = ramp->peak * BEYOND_REACH;
    high = reach > low && reach < high ? reach : high;
    return sqrt(low * high);
}

static enum px_code start(struct search *s, struct px_ramp *ret, struct px_err *err)
{
    *ret = (struct px_ramp){.best = -1, .failed = -1};
    ret->best_result = px_alloc(1, sizeof *ret->best_result);
    s->result = px_alloc(1, sizeof *s->result);
    s->spare = px_alloc(1, sizeof *s->spare);
    if (ret->best_result && s->result && s->spare)
        return PX_OK;
    return px_err_set(err, PX_E_NO_MEMORY, "no memory for the results of a run");
}

enum px_code px_ramp_run(struct px_load *load, const struct px_load_job *job,
                         const struct px_ramp_options *options, px_ramp_step_fn *step,
                         struct px_ramp *ret, struct px_err *err)
{
    PX_ASSERT(options->rate_min > 0 && options->rate_max > 0);
    struct search s = {load, *job, options, step, ret, NULL, NULL};
    unsigned refined = 0;
    enum px_code code = start(&s, ret, err);
    for (double rate; code == PX_OK && (rate = next_rate(&s, &refined)) > 0;)
        code = run_step(&s, rate, err);
    px_free(s.result);
    px_free(s.spare);
    return code;
}

enum px_code px_ramp_once(struct px_load *load, const struct px_load_job *job, double goodput_min,
                          struct px_ramp *ret, struct px_err *err)
{
    const struct px_ramp_options options = {job->rate, job->rate, goodput_min, 0};
    struct search s = {load, *job, &options, NULL, ret, NULL, NULL};
    enum px_code code = start(&s, ret, err);
    if (code == PX_OK)
        code = run_once(&s, job->rate, &ret->steps[0], err);
    if (code == PX_OK) {
        ret->n_steps = 1;
        note_step(ret, 0);
        swap_results(&s.result, &ret->best_result);
    }
    px_free(s.result);
    px_free(s.spare);
    return code;
}

void px_ramp_deinit(struct px_ramp *ramp)
{
    px_free(ramp->best_result);
    *ramp = (struct px_ramp){0};
}
