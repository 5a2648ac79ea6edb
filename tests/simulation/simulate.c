/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plays scenarios: simulate [--scenarios N] [--seconds S] [--first SEED] [--overloads N] [--seed SEED [--overload]]
 *
 * --seed plays one, and prints every step. Exit status 1 at the first scenario in which something went wrong, with how to play it again.
 */
#include "simulation.h"

#include "shared/alloc.h"
#include "shared/clock.h"
#include "shared/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * What is done in time under overload, against what the instances can do when there are no deadlines: the mean of all scenarios. Some, in
 * which deadlines are hardly longer than a batch takes while it is ten times as slow, lose more, and a few of them much.
 */
static const double goodput_min = 0.95;

struct options {
    uint64_t n_scenarios, n_overloads, first, seed;
    double seconds;
    bool one, overload;
};

static bool parse_seconds(const char *text, double *ret)
{
    char *end;
    *ret = strtod(text, &end);
    return end > text && !*end && *ret >= 0;
}

static bool parse_option(const char *name, const char *value, struct options *ret)
{
    if (strcmp(name, "--scenarios") == 0)
        return px_str_to_u64(px_str(value), &ret->n_scenarios);
    if (strcmp(name, "--seconds") == 0)
        return parse_seconds(value, &ret->seconds);
    if (strcmp(name, "--first") == 0)
        return px_str_to_u64(px_str(value), &ret->first);
    if (strcmp(name, "--overloads") == 0)
        return px_str_to_u64(px_str(value), &ret->n_overloads);
    ret->one = strcmp(name, "--seed") == 0;
    return ret->one && px_str_to_u64(px_str(value), &ret->seed);
}

static bool parse(int argc, char **argv, struct options *ret)
{
    *ret = (struct options){.n_scenarios = 4000, .n_overloads = 8, .first = 1};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--overload") == 0)
            ret->overload = true;
        else if (i + 1 == argc || !parse_option(argv[i], argv[i + 1], ret))
            return false;
        else
            i++;
    }
    return true;
}

static bool play(struct world *world, const struct scenario *scenario)
{
    world_run(world, scenario);
    if (!world->problem[0])
        return true;
    printf("seed %" PRIu64 ": %s\nplay it again: simulate --seed %" PRIu64 "%s\n", scenario->seed,
           world->problem, scenario->seed, scenario->kind == OVERLOAD ? " --overload" : "");
    return false;
}

/* The share of what can be done that is done in time; below 0: something went wrong. */
static double goodput(struct world *world, uint64_t seed)
{
    struct scenario scenario = scenario_make_kind(seed, OVERLOAD);
    if (!play(world, &scenario))
        return -1;
    double in_time = (double)world->tally.rows_in_time;
    scenario.has_deadline = 0;
    bool traces = world->traces;
    world->traces = false;
    bool good = play(world, &scenario);
    world->traces = traces;
    uint64_t most = world->tally.rows_in_time;
    return good ? in_time / (double)most : -1;
}

struct overloads {
    uint64_t n, worst_seed;
    double sum, worst;
};

static bool play_overload(struct world *world, uint64_t seed, struct overloads *overloads)
{
    double share = goodput(world, seed);
    if (overloads->n++ == 0 || share < overloads->worst) {
        overloads->worst = share;
        overloads->worst_seed = seed;
    }
    overloads->sum += share;
    return share >= 0;
}

static void describe(const struct scenario *s)
{
    const struct px_batch_policy *policy = &s->policy;
    double batch_ns = s->fixed_ns + s->one_ns * (double)policy->rows_max;
    printf(
        "%u instances, batches of %zu rows in %.3f ms (%.3f + %.3f n, noise %.2f), %zu requests of "
        "1 to %zu rows every %.3f ms, deadlines up to %.3f ms\n",
        s->n_instances, policy->rows_max, batch_ns / 1e6, s->fixed_ns / 1e6, s->one_ns / 1e6,
        s->noise, s->n_requests, s->rows_most, s->gap_ns / 1e6,
        s->has_deadline > 0 ? (double)s->deadline_ns / 1e6 : 0);
    printf("queue of %zu items in %u levels, delay %.3f ms%s%s%s\n", policy->items_max,
           policy->n_levels, (double)policy->delay_ns / 1e6, policy->tunes_delay ? ", tuned" : "",
           policy->splits ? ", splits" : "", policy->turns_around ? ", turns around" : "");
    if (s->slow_until_ns)
        printf("ten times as slow until %.3f ms\n", (double)s->slow_until_ns / 1e6);
}

static int play_one(struct world *world, const struct options *options)
{
    struct overloads overloads = {0};
    world->traces = true;
    struct scenario scenario = options->overload ? scenario_make_kind(options->seed, OVERLOAD)
                                                 : scenario_make(options->seed);
    describe(&scenario);
    if (options->overload) {
        bool good = play_overload(world, options->seed, &overloads);
        printf("%.1f %% of the peak\n", 100 * overloads.sum);
        return good ? 0 : 1;
    }
    return play(world, &scenario) ? 0 : 1;
}

struct totals {
    uint64_t n_scenarios, n_requests;
    struct tally tally;
};

static void add(struct totals *totals, const struct world *world)
{
    totals->n_scenarios++;
    totals->n_requests += world->n_arrived;
    for (size_t i = 0; i <= FAILED; i++)
        totals->tally.n[i] += world->tally.n[i];
    for (size_t i = 0; i <= PX_BATCH_HOPELESS; i++)
        totals->tally.refusals[i] += world->tally.refusals[i];
    for (size_t i = 0; i <= PX_BATCH_ALONE; i++)
        totals->tally.reasons[i] += world->tally.reasons[i];
    for (size_t i = 0; mechanisms[i]; i++)
        totals->tally.ended_by[i] += world->tally.ended_by[i];
    for (size_t i = 0; i <= PX_BREAKER_SILENCE; i++)
        totals->tally.trips[i] += world->tally.trips[i];
    totals->tally.n_closed_again += world->tally.n_closed_again;
    totals->tally.n_windows += world->tally.n_windows;
    totals->tally.n_raised += world->tally.n_raised;
    totals->tally.n_lowered += world->tally.n_lowered;
    totals->tally.n_evicted += world->tally.n_evicted;
}

/* What stands beside the queue. */
static bool report_mechanisms(const struct tally *tally)
{
    bool all = tally->n_closed_again && tally->n_raised && tally->n_lowered && tally->n_evicted;
    printf("\nended by:");
    for (size_t i = 0; mechanisms[i]; i++) {
        printf(" %zu %s", tally->ended_by[i], mechanisms[i]->name);
        all = all && tally->ended_by[i];
    }
    printf("\nbreakers opened for:");
    for (size_t i = PX_BREAKER_FAILURES; i <= PX_BREAKER_SILENCE; i++) {
        printf(" %zu %s", tally->trips[i], px_breaker_reason_name((enum px_breaker_reason)i));
        all = all && tally->trips[i];
    }
    printf(", and closed %zu times\nlimits went up in %zu of %zu windows and down in %zu; %zu "
           "answers made room",
           tally->n_closed_again, tally->n_raised, tally->n_windows, tally->n_lowered,
           tally->n_evicted);
    return all;
}

/* A simulation in which something never happened has not tested it. */
static bool report(const struct totals *totals)
{
    static const char *const outcomes[] = {"",     "answered", "late",  "cancelled",
                                           "shed", "refused",  "failed"};
    bool all = true;
    printf("%" PRIu64 " scenarios, %" PRIu64 " requests:", totals->n_scenarios, totals->n_requests);
    for (size_t i = ANSWERED; i <= FAILED; i++) {
        printf(" %zu %s", totals->tally.n[i], outcomes[i]);
        all = all && totals->tally.n[i];
    }
    printf("\nrefusals:");
    for (size_t i = PX_BATCH_QUEUE_FULL; i <= PX_BATCH_HOPELESS; i++) {
        printf(" %zu %s", totals->tally.refusals[i],
               px_batch_refusal_name((enum px_batch_refusal)i));
        all = all && totals->tally.refusals[i];
    }
    printf("\nbatches:");
    for (size_t i = PX_BATCH_IDLE; i <= PX_BATCH_ALONE; i++) {
        printf(" %zu %s", totals->tally.reasons[i], px_batch_reason_name((enum px_batch_reason)i));
        all = all && totals->tally.reasons[i];
    }
    all = report_mechanisms(&totals->tally) && all;
    printf("\n%s", all ? "" : "something of these never happened\n");
    return all;
}

static bool report_overloads(const struct overloads *overloads)
{
    if (overloads->n == 0)
        return true;
    double mean = overloads->sum / (double)overloads->n;
    printf("%" PRIu64
           " overloads: %.1f %% of the peak done in time, %.1f %% in the worst (seed %" PRIu64
           ")\n",
           overloads->n, 100 * mean, 100 * overloads->worst, overloads->worst_seed);
    return mean >= goodput_min;
}

static int play_all(struct world *world, const struct options *options)
{
    struct totals totals = {0};
    struct overloads overloads = {0};
    uint64_t began_ns = px_clock_monotonic_ns();
    uint64_t until_ns = began_ns + (uint64_t)(options->seconds * 1e9);
    uint64_t n_overloads_max =
        options->n_overloads < options->n_scenarios ? options->n_overloads : options->n_scenarios;
    uint64_t per_overload = n_overloads_max ? options->n_scenarios / n_overloads_max : UINT64_MAX;
    for (uint64_t i = 0;
         options->seconds > 0 ? px_clock_monotonic_ns() < until_ns : i < options->n_scenarios;
         i++) {
        struct scenario scenario = scenario_make(options->first + i);
        if (!play(world, &scenario))
            return 1;
        add(&totals, world);
        if (i % per_overload != per_overload - 1)
            continue;
        if (!play_overload(world, options->first + i, &overloads))
            return 1;
    }
    double took_s = (double)(px_clock_monotonic_ns() - began_ns) / 1e9;
    bool all = report(&totals);
    bool good = report_overloads(&overloads);
    printf("%.2f s\n", took_s);
    return all && good ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct options options;
    if (!parse(argc, argv, &options)) {
        fprintf(stderr, "usage: simulate [--scenarios N] [--seconds S] [--first SEED] "
                        "[--overloads N] [--seed SEED [--overload]]\n");
        return 2;
    }
    struct world *world = px_xalloc(1, sizeof *world);
    int status = options.one ? play_one(world, &options) : play_all(world, &options);
    px_free(world);
    return status;
}
