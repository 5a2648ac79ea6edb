/* SPDX-License-Identifier: Apache-2.0 */
/* Calls and the cache: rows within a wave, tensors across loops; what is a hit, who waits, and how each ends. */
#include "application/lifecycle/package.h"
#include "application/serving/repository.h"
#include "application/serving/serving_impl.h"
#include "application/serving/statistics.h"
#include "manual_loops.h"
#include "memory_engine.h"
#include "memory_provider.h"
#include "shared/clock.h"

#include "harness.h"

#include <unistd.h>

enum { CALLS = 8, ARENA_MAX = 1 << 16, FEATURES = 3 };

struct asked {
    struct px_call call;
    struct px_arena arena;
    struct px_tensor inputs[2], outputs[1];
    unsigned n_done;
    enum px_code code;
    enum px_call_cache cache;
    float answer;
};

static struct px_serving *serving;
static struct asked calls[CALLS];

static void keep_answer(struct px_call *call)
{
    struct asked *a = call->owner;
    a->n_done++;
    a->code = call->code;
    a->cache = call->cache;
    if (call->code == PX_OK)
        memcpy(&a->answer, call->run ? call->run->outputs[0].bytes.ptr : call->scores.data,
               sizeof a->answer);
    memset(call, 0x5a, sizeof *call); /* `done` may give the call's memory back */
}

static struct px_call *begin(size_t i, unsigned loop, struct px_str model)
{
    struct asked *a = &calls[i];
    px_arena_deinit(&a->arena);
    *a = (struct asked){.arena = px_arena(ARENA_MAX)};
    a->call = (struct px_call){.model_name = model,
                               .loop = loop,
                               .arena = &a->arena,
                               .done = keep_answer,
                               .received_ns = px_clock_monotonic_ns(),
                               .owner = a};
    CHECK_OK(px_call_open(serving, &a->call));
    return &a->call;
}

static void free_arenas(void)
{
    for (size_t i = 0; i < CALLS; i++)
        px_arena_deinit(&calls[i].arena);
}

static void check(size_t i, enum px_call_cache cache, float answer)
{
    CHECK_INT(calls[i].n_done, 1);
    CHECK_INT(calls[i].code, PX_OK);
    CHECK_INT(calls[i].cache, cache);
    CHECK_DOUBLE(calls[i].answer, answer);
}

/* ---- rows ---- */

static struct memory_engine *engine;
static struct px_model *sums;

static void set_up_rows(void)
{
    const struct px_serving_limits limits = {.request_rows_max = 20,
                                             .batch_rows_max = 8,
                                             .wave_bytes_max = 1 << 20,
                                             .cache_bytes_max = 1 << 20};
    const struct px_cache_space_settings settings = {0};
    CHECK_OK(px_serving_create(2, &limits, &serving, NULL));
    engine = memory_engine_create(FEATURES);
    sums = px_xalloc(1, sizeof *sums);
    sums->name = px_str("sum");
    sums->version = px_str("1");
    sums->state = PX_MODEL_READY;
    sums->score_max = 1;
    sums->engine = &engine->base;
    CHECK_OK(px_model_reserve(serving, sums, NULL));
    CHECK_OK(px_cache_open(serving->cache, &settings, &sums->cache, NULL));
    CHECK_OK(px_serving_publish(serving, &sums, 1, NULL));
}

static void tear_down_rows(void)
{
    px_serving_destroy(serving);
    free_arenas();
}

static struct px_call *begin_rows(size_t i, unsigned loop, float value)
{
    struct px_call *call = begin(i, loop, px_str("sum"));
    struct px_matrix *rows = px_call_rows(serving, call, 1);
    CHECK(rows != NULL);
    for (size_t col = 0; col < FEATURES; col++)
        px_matrix_set(rows, 0, col, (double)value);
    return call;
}

static void ask_rows(size_t i, unsigned loop, float value)
{
    CHECK_OK(px_call_submit(serving, begin_rows(i, loop, value)));
    CHECK_INT(calls[i].n_done, 0); /* never inside the submit */
}

PX_TEST(equal_rows_are_scored_once)
{
    set_up_rows();
    ask_rows(0, 0, 1);
    ask_rows(1, 0, 2);
    ask_rows(2, 0, 1); /* waits for the first, within the wave */
    px_serving_wave(serving, 0);
    check(0, PX_CALL_CACHE_MISS, 3);
    check(1, PX_CALL_CACHE_MISS, 6);
    check(2, PX_CALL_CACHE_JOINED, 3);
    CHECK_INT(engine->n_calls, 1);
    CHECK_INT(engine->call_rows[0], 2);
    ask_rows(3, 1, 1); /* another loop */
    px_serving_wave(serving, 1);
    check(3, PX_CALL_CACHE_HIT, 3);
    CHECK_INT(engine->n_calls, 1);
    const struct px_model_metrics *m = &sums->metrics[0];
    CHECK_INT(px_metric_get(&m->requests), 3);
    CHECK_INT(px_metric_get(&m->rows), 2);
    CHECK_INT(px_metric_get(&m->cache_misses), 2);
    CHECK_INT(px_metric_get(&m->cache_joined), 1);
    CHECK_INT(px_metric_get(&sums->metrics[1].cache_hits), 1);
    tear_down_rows();
}

PX_TEST(margins_and_scores_of_the_same_rows_differ)
{
    set_up_rows();
    ask_rows(0, 0, 1);
    px_serving_wave(serving, 0);
    struct px_call *call = begin_rows(1, 0, 1);
    call->score_flags = PX_SCORE_MARGIN;
    CHECK_OK(px_call_submit(serving, call));
    px_serving_wave(serving, 0);
    check(1, PX_CALL_CACHE_MISS, -3);
    tear_down_rows();
}

PX_TEST(rows_do_not_wait_for_another_loop)
{
    set_up_rows();
    ask_rows(0, 0, 1);
    ask_rows(1, 1, 1);
    px_serving_wave(serving, 1);
    check(1, PX_CALL_CACHE_MISS, 3);
    px_serving_wave(serving, 0);
    check(0, PX_CALL_CACHE_MISS, 3);
    tear_down_rows();
}

PX_TEST(rows_that_waited_are_scored_when_the_first_was_cancelled)
{
    set_up_rows();
    ask_rows(0, 0, 1);
    ask_rows(1, 0, 1);
    ask_rows(2, 0, 1);
    ask_rows(3, 0, 1);
    px_call_cancel(&calls[0].call);
    px_call_cancel(&calls[2].call);
    px_serving_wave(serving, 0);
    CHECK_INT(calls[0].code, PX_E_CANCELLED);
    check(1, PX_CALL_CACHE_MISS, 3);
    CHECK_INT(calls[2].code, PX_E_CANCELLED);
    check(3, PX_CALL_CACHE_JOINED, 3);
    CHECK_INT(engine->n_calls, 1);
    tear_down_rows();
}

PX_TEST(rows_that_failed_are_neither_kept_nor_handed_out)
{
    set_up_rows();
    engine->fail_at = 1;
    engine->fail_code = PX_E_INTERNAL;
    ask_rows(0, 0, 1);
    ask_rows(1, 0, 1);
    ask_rows(2, 0, 1);
    px_serving_wave(serving, 0);
    CHECK_INT(calls[0].code, PX_E_INTERNAL);
    check(1, PX_CALL_CACHE_MISS, 3);
    check(2, PX_CALL_CACHE_JOINED, 3);
    CHECK_INT(engine->n_calls, 2);
    tear_down_rows();
}

PX_TEST(a_hit_allocates_nothing)
{
    set_up_rows();
    ask_rows(0, 0, 1);
    px_serving_wave(serving, 0);
    for (size_t i = 1; i < 3; i++) {
        struct px_call *call = begin_rows(i, 0, 1); /* its arena grows here */
        uint64_t allocations = px_alloc_count();
        CHECK_OK(px_call_submit(serving, call));
        px_serving_wave(serving, 0);
        CHECK_INT(px_alloc_count(), allocations);
        check(i, PX_CALL_CACHE_HIT, 3);
    }
    tear_down_rows();
}

PX_TEST(without_memory_rows_are_answered_all_the_same)
{
    for (uint64_t n = 1; n < 8; n++) {
        set_up_rows();
        struct px_call *first = begin_rows(0, 0, 1), *second = begin_rows(1, 0, 1);
        px_alloc_fail_at(n);
        CHECK_OK(px_call_submit(serving, first));
        CHECK_OK(px_call_submit(serving, second));
        px_serving_wave(serving, 0);
        px_alloc_fail_at(0);
        for (size_t i = 0; i < 2; i++) {
            CHECK_INT(calls[i].code, PX_OK);
            CHECK_DOUBLE(calls[i].answer, 3);
        }
        tear_down_rows();
    }
}

/* ---- tensors ---- */

static char root[64];
static struct manual_loops loops;
static struct memory_tensor_engine *memory;
static const float values[] = {1, 2, 3, 4};

static void write_model(const char *yaml)
{
    char path[128];
    snprintf(path, sizeof path, "%s/m", root);
    CHECK_OK(px_file_mkdirs(path, NULL));
    snprintf(path, sizeof path, "%s/m/model.yaml", root);
    CHECK_OK(px_file_write(path, px_str(yaml), NULL));
}

static const char cached[] =
    "phoenix: 1\nengine: {name: memory, kind: add}\nwarm_up: 0\ncache: {ttl: 60s}\n";

static void set_up_with(const char *yaml)
{
    char path[128];
    const struct px_serving_limits limits = {.request_rows_max = 3,
                                             .batch_rows_max = 16,
                                             .wave_bytes_max = 1024,
                                             .cache_bytes_max = 1 << 20};
    snprintf(root, sizeof root, "/tmp/px-cache-XXXXXX");
    CHECK(mkdtemp(root) != NULL);
    write_model(yaml);
    CHECK_OK(px_serving_create(2, &limits, &serving, NULL));
    px_serving_set_engines(serving, memory_engines());
    snprintf(path, sizeof path, "%s/m", root);
    CHECK_OK(px_serving_add(serving, path, NULL));
    memory = memory_provider_last;
    manual_loops_init(&loops, 2);
    CHECK_OK(px_serving_manage(serving, &loops.port, true, NULL));
}

static void set_up(void)
{
    set_up_with(cached);
}

static void tear_down(void)
{
    char command[300];
    manual_loops_stop(&loops, 0);
    manual_loops_stop(&loops, 1);
    CHECK(px_serving_unmanage(serving));
    px_serving_destroy(serving);
    free_arenas();
    snprintf(command, sizeof command, "rm -r '%s'", root);
    CHECK_INT(system(command), 0);
}

static struct px_tensor tensor(const char *name, size_t first)
{
    return (struct px_tensor){.name = px_str(name),
                              .type = PX_TYPE_FP32,
                              .shape = {1, 2},
                              .n_dims = 2,
                              .bytes =
                                  px_str_n((const char *)(values + first), 2 * sizeof *values)};
}

static struct px_call *begin_run(size_t i, unsigned loop, size_t first)
{
    struct px_call *call = begin(i, loop, px_str("m"));
    struct asked *a = &calls[i];
    a->inputs[0] = tensor("x", first);
    a->inputs[1] = tensor("y", 0);
    a->outputs[0].name = px_str("sum");
    call->run->inputs = a->inputs;
    call->run->n_inputs = 2;
    call->run->outputs = a->outputs;
    call->run->n_outputs = 1;
    return call;
}

static void ask(size_t i, unsigned loop, size_t first)
{
    CHECK_OK(px_call_submit(serving, begin_run(i, loop, first)));
    CHECK_INT(calls[i].n_done, 0);
}

static void wait_done(size_t i, unsigned loop)
{
    while (calls[i].n_done == 0) {
        manual_loops_wait(&loops, loop);
        manual_loops_run(&loops, loop);
        px_serving_wave(serving, loop);
    }
    CHECK_INT(calls[i].n_done, 1);
}

static const struct px_model *served(void)
{
    return px_serving_find(serving, px_str("m"), px_str(""), NULL);
}

static size_t n_computed(void)
{
    return memory_tensor_engine_count(memory, &memory->n_entered);
}

PX_TEST(an_equal_run_is_answered_from_the_cache_in_the_wave)
{
    set_up();
    ask(0, 0, 0);
    wait_done(0, 0);
    check(0, PX_CALL_CACHE_MISS, 2);
    ask(1, 1, 0);
    px_serving_wave(serving, 1);
    check(1, PX_CALL_CACHE_HIT, 2);
    ask(2, 0, 1); /* other bytes */
    wait_done(2, 0);
    check(2, PX_CALL_CACHE_MISS, 3);
    CHECK_INT(n_computed(), 2);
    struct px_arena arena = px_arena(1 << 20);
    struct px_statistics statistics;
    CHECK_OK(
        px_serving_statistics(serving, &(struct px_model_choice){0}, &arena, &statistics, NULL));
    CHECK_INT(statistics.models[0].success.count, 3);
    CHECK_INT(statistics.models[0].compute_infer.count, 2);
    CHECK_INT(statistics.models[0].cache_hit.count, 1);
    CHECK_INT(statistics.models[0].cache_miss.count, 2);
    CHECK_INT(statistics.models[0].inference_count, 2);
    px_arena_deinit(&arena);
    tear_down();
}

PX_TEST(the_same_bytes_in_another_shape_are_another_request)
{
    set_up();
    ask(0, 0, 0);
    wait_done(0, 0);
    struct px_call *call = begin_run(1, 0, 0);
    static const float two_rows[] = {1, 2, 1, 2};
    for (size_t i = 0; i < 2; i++) {
        calls[1].inputs[i].shape[0] = 2;
        calls[1].inputs[i].bytes = px_str_n((const char *)two_rows, sizeof two_rows);
    }
    CHECK_OK(px_call_submit(serving, call));
    wait_done(1, 0);
    check(1, PX_CALL_CACHE_MISS, 2);
    call = begin_run(2, 0, 0); /* the inputs' names are changed for each other: x and y differ */
    calls[2].inputs[0] = tensor("y", 2);
    calls[2].inputs[1] = tensor("x", 0);
    CHECK_OK(px_call_submit(serving, call));
    wait_done(2, 0);
    check(2, PX_CALL_CACHE_MISS, 4);
    CHECK_INT(n_computed(), 3);
    tear_down();
}

PX_TEST(who_asks_and_how_urgently_does_not_matter)
{
    set_up();
    ask(0, 0, 0);
    wait_done(0, 0);
    struct px_call *call = begin_run(1, 0, 0);
    call->urgency = (struct px_urgency){.priority = 2, .client = 7};
    call->deadline_ns = px_clock_monotonic_ns() + PX_NS_PER_S * 100;
    CHECK_OK(px_call_submit(serving, call));
    px_serving_wave(serving, 0);
    check(1, PX_CALL_CACHE_HIT, 2);
    tear_down();
}

PX_TEST(runs_of_all_loops_wait_for_the_first)
{
    set_up();
    memory_tensor_engine_set_gate(memory, true);
    ask(0, 0, 0);
    memory_tensor_engine_wait(memory, 1);
    for (size_t i = 1; i < 5; i++)
        ask(i, i % 2, 0);
    memory_tensor_engine_set_gate(memory, false);
    for (size_t i = 0; i < 5; i++)
        wait_done(i, i % 2);
    check(0, PX_CALL_CACHE_MISS, 2);
    for (size_t i = 1; i < 5; i++)
        check(i, PX_CALL_CACHE_JOINED, 2);
    CHECK_INT(n_computed(), 1);
    tear_down();
}

PX_TEST(when_the_first_is_cancelled_another_computes)
{
    set_up();
    memory_tensor_engine_set_gate(memory, true);
    memory->obeys_cancel = true;
    ask(0, 0, 0);
    memory_tensor_engine_wait(memory, 1);
    ask(1, 1, 0);
    ask(2, 0, 0);
    px_call_cancel(&calls[0].call);
    wait_done(0, 0);
    CHECK_INT(calls[0].code, PX_E_CANCELLED);
    manual_loops_wait(&loops, 1);
    manual_loops_run(&loops, 1);
    memory_tensor_engine_wait(memory, 2);
    memory_tensor_engine_set_gate(memory, false);
    wait_done(1, 1);
    wait_done(2, 0);
    check(1, PX_CALL_CACHE_MISS, 2);
    check(2, PX_CALL_CACHE_JOINED, 2);
    tear_down();
}

PX_TEST(when_the_model_fails_the_others_compute_for_themselves)
{
    set_up();
    memory_tensor_engine_set_gate(memory, true);
    atomic_store(&memory->fail_with, PX_E_INTERNAL);
    ask(0, 0, 0);
    memory_tensor_engine_wait(memory, 1);
    ask(1, 0, 0);
    ask(2, 0, 0);
    memory_tensor_engine_set_gate(memory, false);
    for (size_t i = 0; i < 3; i++) {
        wait_done(i, 0);
        CHECK_INT(calls[i].code, PX_E_INTERNAL);
    }
    CHECK_INT(n_computed(), 3);
    atomic_store(&memory->fail_with, PX_OK);
    ask(3, 0, 0);
    wait_done(3, 0);
    check(3, PX_CALL_CACHE_MISS, 2);
    tear_down();
}

PX_TEST(those_who_wait_keep_their_own_deadlines_and_may_leave)
{
    set_up();
    memory_tensor_engine_set_gate(memory, true);
    ask(0, 0, 0);
    memory_tensor_engine_wait(memory, 1);
    struct px_call *call = begin_run(1, 0, 0);
    call->deadline_ns = px_clock_monotonic_ns() + 3 * PX_NS_PER_MS;
    CHECK_OK(px_call_submit(serving, call));
    ask(2, 0, 0);
    px_call_cancel(&calls[2].call);
    px_call_cancel(&calls[2].call); /* once more is fine */
    wait_done(2, 0);
    CHECK_INT(calls[2].code, PX_E_CANCELLED);
    wait_done(1, 0);
    CHECK_INT(calls[1].code, PX_E_DEADLINE);
    memory_tensor_engine_set_gate(memory, false);
    wait_done(0, 0);
    check(0, PX_CALL_CACHE_MISS, 2);
    CHECK_INT(n_computed(), 1);
    CHECK_INT(px_metric_get(&served()->metrics[0].cache_misses), 1); /* no one else's */
    CHECK_INT(px_metric_get(&served()->metrics[0].refused[PX_REFUSAL_DEADLINE]), 1);
    CHECK(calls[1].cache == PX_CALL_CACHE_JOINED && calls[2].cache == PX_CALL_CACHE_JOINED);
    tear_down();
}

PX_TEST(those_who_waited_in_vain_find_the_limit_before_the_engine)
{
    const struct px_limit_request other = {.urgency = {.criticality = PX_CRITICALITY_CRITICAL}};
    struct px_err err;
    set_up_with("phoenix: 1\nengine: {name: memory, kind: add}\nwarm_up: 0\ncache: true\n"
                "limits: {concurrency: 1}\n");
    memory_tensor_engine_set_gate(memory, true);
    atomic_store(&memory->fail_with, PX_E_INTERNAL);
    ask(0, 0, 0);
    memory_tensor_engine_wait(memory, 1);
    for (size_t i = 1; i < 4; i++)
        ask(i, 0, 0);
    memory_tensor_engine_set_gate(memory, false);
    manual_loops_wait(&loops, 0); /* the first has failed, and left its place to another one */
    CHECK_INT(px_limit_enter(served()->limit, &other, &err), PX_REFUSAL_NONE);
    for (size_t i = 0; i < 4; i++) {
        wait_done(i, 0);
        CHECK_INT(calls[i].code, i == 0 ? PX_E_INTERNAL : PX_E_OVERLOADED);
    }
    CHECK_INT(n_computed(), 1);
    CHECK_INT(px_metric_get(&served()->metrics[0].refused[PX_REFUSAL_LIMIT]), 3);
    CHECK_INT(px_metric_get(&served()->metrics[0].failures), 4);
    px_limit_leave(served()->limit, &(struct px_limit_end){.code = PX_E_INTERNAL});
    atomic_store(&memory->fail_with, PX_OK);
    ask(4, 0, 0);
    wait_done(4, 0);
    check(4, PX_CALL_CACHE_MISS, 2);
    tear_down();
}

PX_TEST(a_server_that_stops_ends_those_who_wait)
{
    set_up();
    memory_tensor_engine_set_gate(memory, true);
    memory->obeys_cancel = true;
    ask(0, 0, 0);
    memory_tensor_engine_wait(memory, 1);
    ask(1, 1, 0);
    struct px_call *call = begin_run(2, 0, 0);
    call->deadline_ns = px_clock_monotonic_ns() + PX_NS_PER_S * 1000;
    CHECK_OK(px_call_submit(serving, call));
    tear_down();
    for (size_t i = 0; i < 3; i++)
        CHECK_INT(calls[i].n_done, 0);
}

PX_TEST(a_kept_answer_stands_in_where_nothing_can_be_computed)
{
    set_up();
    struct px_call *call = begin_run(1, 0, 0);
    call->run->arena = call->arena;
    CHECK(!px_call_take_kept(serving, call));
    ask(0, 0, 0);
    wait_done(0, 0);
    call->queued_ns = call->received_ns;
    CHECK(px_call_take_kept(serving, call));
    px_serving_wave(serving, 0);
    check(1, PX_CALL_CACHE_HIT, 2);
    tear_down();
}

PX_TEST(a_version_that_comes_does_not_know_the_answers_of_the_one_that_went)
{
    set_up();
    ask(0, 0, 0);
    wait_done(0, 0);
    const struct px_model *old = px_serving_find(serving, px_str("m"), px_str(""), NULL);
    const struct px_cache_counts *counts = px_cache_counts(old->cache);
    CHECK_INT(atomic_load(&counts->entries), 1);
    struct px_cache_space *other;
    const struct px_cache_space_settings settings = {0};
    CHECK_OK(px_cache_open(serving->cache, &settings, &other, NULL));
    struct px_cache_space *first = old->cache;
    ((struct px_model *)(uintptr_t)old)->cache = other; /* as a swap would */
    px_cache_close(first);
    ask(1, 0, 0);
    wait_done(1, 0);
    check(1, PX_CALL_CACHE_MISS, 2);
    CHECK_INT(n_computed(), 2);
    tear_down();
}

PX_TEST(a_setting_that_is_wrong_says_what_is_expected)
{
    static const struct {
        const char *yaml, *says;
    } wrong[] = {{"cache: {ttl: 60}", "1ms to 366d, got '60'"}, {"cache: {ttl: 0s}", "1ms to 366d"},
                 {"cache: {ttl: 99999d}", "1ms to 366d"},       {"cache: {tll: 60s}", "tll"},
                 {"cache: yes please", "on, off or a mapping"}, {"cache: [a]", "cache"}};
    snprintf(root, sizeof root, "/tmp/px-cache-XXXXXX");
    CHECK(mkdtemp(root) != NULL);
    for (size_t i = 0; i < PX_ARRAY_LEN(wrong); i++) {
        char yaml[200], path[128];
        struct px_package *package;
        struct px_err err;
        const struct px_package_options options = {.engines = memory_engines()};
        snprintf(yaml, sizeof yaml, "phoenix: 1\nengine: {name: memory, kind: add}\n%s\n",
                 wrong[i].yaml);
        write_model(yaml);
        snprintf(path, sizeof path, "%s/m", root);
        CHECK(px_package_open(path, &options, &package, &err) != PX_OK);
        CHECK_CONTAINS(err.message, wrong[i].says);
    }
    char command[300];
    snprintf(command, sizeof command, "rm -r '%s'", root);
    CHECK_INT(system(command), 0);
}

PX_TEST_MAIN(
    T(a_kept_answer_stands_in_where_nothing_can_be_computed) T(equal_rows_are_scored_once) T(
        margins_and_scores_of_the_same_rows_differ) T(rows_do_not_wait_for_another_loop)
        T(rows_that_waited_are_scored_when_the_first_was_cancelled) T(
            rows_that_failed_are_neither_kept_nor_handed_out) T(a_hit_allocates_nothing)
            T(without_memory_rows_are_answered_all_the_same) T(
                an_equal_run_is_answered_from_the_cache_in_the_wave)
                T(the_same_bytes_in_another_shape_are_another_request) T(
                    who_asks_and_how_urgently_does_not_matter) T(runs_of_all_loops_wait_for_the_first)
                    T(when_the_first_is_cancelled_another_computes) T(
                        when_the_model_fails_the_others_compute_for_themselves)
                        T(those_who_wait_keep_their_own_deadlines_and_may_leave) T(
                            those_who_waited_in_vain_find_the_limit_before_the_engine)
                            T(a_server_that_stops_ends_those_who_wait) T(
                                a_version_that_comes_does_not_know_the_answers_of_the_one_that_went)
                                T(a_setting_that_is_wrong_says_what_is_expected))
