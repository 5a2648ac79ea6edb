/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an answer from the cache costs, against computing it: cache_hit PLAIN CACHED ROWS GROUPS
 *
 *     lookup    px_cache_ask and px_cache_release alone, of one request among 1024 that are kept
 *     hit       a call from its submit to `done`, of a request that is kept
 *     miss      the same of a request that was never seen: computed, copied, kept
 *     compute   the same of the model without a cache
 *
 * PLAIN and CACHED are packages of the same model, without `cache` and with it, and ROWS is the rows of a request. Calls are made one after the
 * other on a loop of the timer's own. Each line: the way, p50, p99 and the least, in nanoseconds a call, over groups of 64 calls.
 */
#include "application/serving/repository.h"
#include "application/serving/serving_impl.h"
#include "infrastructure/engines/onnxruntime/onnxruntime.h"
#include "manual_loops.h"
#include "shared/alloc.h"
#include "shared/clock.h"
#include "shared/log.h"
#include "shared/rng.h"

#include <stdio.h>
#include <stdlib.h>

enum { GROUP = 64, KEPT = 1024, VALUES_MAX = 1 << 20, ARENA_MAX = 1 << 24, WARM_UP = 200 };

struct asked {
    struct px_call call;
    struct px_arena arena;
    struct px_tensor input;
    bool is_done;
};

static struct px_serving *serving;
static struct manual_loops loops;
static struct asked calls[GROUP];
static float values[VALUES_MAX];
static size_t n_values, n_rows;

static void must(enum px_code code, const struct px_err *err)
{
    if (code == PX_OK)
        return;
    fprintf(stderr, "cache_hit: %s\n", err->message);
    exit(1);
}

static void note_done(struct px_call *call)
{
    ((struct asked *)call->owner)->is_done = true;
    must(call->code, &call->err);
}

/* ---- calls ---- */

static void ask_rows(struct asked *a)
{
    a->call.arena = &a->arena;
    px_call_lend_rows(&a->call, values, n_rows);
}

static void ask_tensor(struct asked *a)
{
    const struct px_tensor_spec *spec = &a->call.model->engine->takes.list[0];
    a->input =
        (struct px_tensor){.name = spec->name,
                           .type = spec->type,
                           .n_dims = spec->n_dims,
                           .bytes = px_str_n((const char *)values, n_values * sizeof *values)};
    for (size_t i = 0; i < spec->n_dims; i++)
        a->input.shape[i] = spec->shape[i] < 0 ? n_rows : (uint64_t)spec->shape[i];
    a->call.run->inputs = &a->input;
    a->call.run->n_inputs = 1;
}

static void open_call(struct asked *a, const char *model)
{
    struct px_arena arena = a->arena;
    px_arena_reset(&arena);
    *a = (struct asked){.arena = arena};
    a->call = (struct px_call){.model_name = px_str(model),
                               .arena = &a->arena,
                               .received_ns = px_clock_monotonic_ns(),
                               .done = note_done,
                               .owner = a};
    must(px_call_open(serving, &a->call), &a->call.err);
    if (a->call.run)
        ask_tensor(a);
    else
        ask_rows(a);
}

static void answer(struct asked *a)
{
    must(px_call_submit(serving, &a->call), &a->call.err);
    px_serving_wave(serving, 0);
    while (!a->is_done) {
        manual_loops_wait(&loops, 0);
        manual_loops_run(&loops, 0);
        px_serving_wave(serving, 0);
    }
}

/* ---- the ways ---- */

static double ns_of_group(const char *model, bool is_new)
{
    static uint64_t n_new;
    double ns = 0;
    for (size_t i = 0; i < GROUP; i++)
        open_call(&calls[i], model);
    if (is_new) { /* other bytes for each: the clock is read for each too */
        for (size_t i = 0; i < GROUP; i++) {
            n_new++;
            memcpy(values, &n_new, 3); /* no NaN */
            uint64_t from_ns = px_clock_monotonic_ns();
            answer(&calls[i]);
            ns += (double)(px_clock_monotonic_ns() - from_ns);
        }
        return ns / GROUP;
    }
    uint64_t from_ns = px_clock_monotonic_ns();
    for (size_t i = 0; i < GROUP; i++)
        answer(&calls[i]);
    return (double)(px_clock_monotonic_ns() - from_ns) / GROUP;
}

static struct px_cache_space *space;

static void keep_many(void)
{
    const struct px_cache_space_settings settings = {0};
    struct px_err err;
    must(px_cache_open(serving->cache, &settings, &space, &err), &err);
    for (uint64_t i = 0; i < KEPT; i++) {
        struct px_cache_wait wait = {0};
        const struct px_tensor output = {.name = PX_STR("y"), .bytes = PX_STR("12345678")};
        const struct px_cache_answer kept = {.outputs = &output, .n_outputs = 1};
        memcpy(values, &i, 3);
        const struct px_str piece = px_str_n((const char *)values, n_values * sizeof *values);
        if (px_cache_ask(space, &(struct px_cache_request){&piece, 1}, &wait, 1) == PX_CACHE_LEAD)
            px_cache_give(wait.entry, &kept, 1);
    }
}

static double ns_of_lookups(const char *unused, bool is_new)
{
    const struct px_str piece = px_str_n((const char *)values, n_values * sizeof *values);
    (void)unused;
    (void)is_new;
    uint64_t from_ns = px_clock_monotonic_ns();
    for (size_t i = 0; i < GROUP; i++) {
        struct px_cache_wait wait = {0};
        PX_ASSERT(px_cache_ask(space, &(struct px_cache_request){&piece, 1}, &wait, 1) ==
                  PX_CACHE_HIT);
        px_cache_release(wait.entry);
    }
    return (double)(px_clock_monotonic_ns() - from_ns) / GROUP;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_way(const char *way, double (*ns_of)(const char *, bool), const char *model,
                      size_t n)
{
    double *ns = px_xalloc(n, sizeof *ns);
    for (size_t i = 0; i < WARM_UP; i++)
        (void)ns_of(model, way[0] == 'm');
    for (size_t i = 0; i < n; i++)
        ns[i] = ns_of(model, way[0] == 'm');
    qsort(ns, n, sizeof *ns, compare);
    printf("%s %.1f %.1f %.1f\n", way, ns[n / 2], ns[n * 99 / 100], ns[0]);
    px_free(ns);
}

static void add(const char *name, const char *path)
{
    char argument[4096];
    struct px_err err;
    snprintf(argument, sizeof argument, "%s=%s", name, path);
    must(px_serving_add(serving, argument, &err), &err);
    must(px_serving_find(serving, px_str(name), px_str(""), &err) ? PX_OK : err.code, &err);
}

static void set_up(char **paths)
{
    static const struct px_engine_provider *const providers[] = {&px_onnxruntime_provider};
    static const struct px_engines engines = {providers, 1};
    const struct px_serving_limits limits = {.request_rows_max = 1 << 16,
                                             .batch_rows_max = 4096,
                                             .wave_bytes_max = 1 << 28,
                                             .cache_bytes_max = 64 << 20};
    struct px_err err;
    px_log_configure(PX_LOG_ERROR, PX_LOG_LOGFMT);
    must(px_serving_create(1, &limits, &serving, &err), &err);
    px_serving_set_engines(serving, &engines);
    add("plain", paths[0]);
    add("cached", paths[1]);
    manual_loops_init(&loops, 1);
    must(px_serving_manage(serving, &loops.port, false, &err), &err);
}

/* Values of one request: the rows of a forest, or one input with rows where its length is not fixed. */
static void fill_values(void)
{
    struct px_rng rng = px_rng(1);
    const struct px_engine *engine =
        px_serving_find(serving, px_str("plain"), px_str(""), NULL)->engine;
    n_values = n_rows * engine->n_features;
    if (px_engine_has(engine, PX_ENGINE_TENSORS)) {
        n_values = 1;
        for (size_t i = 0; i < engine->takes.list[0].n_dims; i++) {
            int64_t dim = engine->takes.list[0].shape[i];
            n_values *= dim < 0 ? n_rows : (size_t)dim;
        }
    }
    PX_ASSERT(n_values <= VALUES_MAX);
    for (size_t i = 0; i < n_values; i++)
        values[i] = (float)px_rng_normal(&rng);
}

int main(int argc, char **argv)
{
    uint64_t n_groups = 0, rows = 0;
    if (argc != 5 || !px_str_to_u64(px_str(argv[3]), &rows) ||
        !px_str_to_u64(px_str(argv[4]), &n_groups) || rows == 0 || n_groups == 0) {
        fputs("usage: cache_hit PLAIN CACHED ROWS GROUPS\n", stderr);
        return 2;
    }
    n_rows = rows;
    set_up(argv + 1);
    for (size_t i = 0; i < GROUP; i++)
        calls[i].arena = px_arena(ARENA_MAX);
    fill_values();
    keep_many();
    print_way("lookup", ns_of_lookups, NULL, n_groups);
    print_way("hit", ns_of_group, "cached", n_groups);
    print_way("compute", ns_of_group, "plain", n_groups);
    print_way("miss", ns_of_group, "cached", n_groups / 4 + 1);
    px_cache_close(space);
    manual_loops_stop(&loops, 0);
    PX_ASSERT(px_serving_unmanage(serving));
    px_serving_destroy(serving);
    for (size_t i = 0; i < GROUP; i++)
        px_arena_deinit(&calls[i].arena);
    return 0;
}
