/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that go down a ladder: who answers, what the breaker learns, and that each call ends once whatever fails. */
#include "application/serving/repository.h"
#include "application/serving/serving_impl.h"
#include "application/serving/statistics.h"
#include "manual_loops.h"
#include "memory_provider.h"

#include "harness.h"

#include <unistd.h>

enum { CALLS = 64, ARENA_MAX = 1 << 16 };

struct asked {
    struct px_call call;
    struct px_arena arena;
    struct px_tensor inputs[2], outputs[1];
    _Atomic unsigned n_done;
    enum px_code code;
    enum px_rung_kind fallback;
    enum px_fallback_reason reason;
    struct px_err err;
    float sum;
};

static char root[64];
static struct px_serving *serving;
static struct manual_loops loops;
static struct asked calls[CALLS];
static struct memory_tensor_engine *big,
    *small; /* the engines of two models, in the order in which they were added */

/* Values and the rows of a request; the sum is twice the first value. */
static const float rows[] = {1, 2, 3, 4};

static struct memory_tensor_engine *add_model(const char *name, const char *more)
{
    char path[128], yaml[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    CHECK_OK(px_file_mkdirs(path, NULL));
    snprintf(path, sizeof path, "%s/%s/model.yaml", root, name);
    snprintf(yaml, sizeof yaml, "phoenix: 1\nwarm_up: 0\n%s\n", more);
    CHECK_OK(px_file_write(path, px_str(yaml), NULL));
    snprintf(path, sizeof path, "%s/%s", root, name);
    CHECK_OK(px_serving_add(serving, path, NULL));
    return memory_provider_last;
}

#define AT_ONCE "engine: {name: memory, kind: add, asynchronous: true}\n"
#define QUEUED  "engine: {name: memory, kind: add}\nqueue_max: 1000\n"

/* "big" with that model.yaml, and "small" with an engine of the same kind. */
static void set_up(const char *engine, const char *more)
{
    const struct px_serving_limits limits = {
        .request_rows_max = 3, .batch_rows_max = 16, .wave_bytes_max = 1 << 16};
    char yaml[400];
    snprintf(root, sizeof root, "/tmp/px-ladder-XXXXXX");
    CHECK(mkdtemp(root) != NULL);
    CHECK_OK(px_serving_create(2, &limits, &serving, NULL));
    px_serving_set_engines(serving, memory_engines());
    snprintf(yaml, sizeof yaml, "%s%s", engine, more);
    big = add_model("big", yaml);
    small = add_model("small", engine);
    manual_loops_init(&loops, 2);
    CHECK_OK(px_serving_manage(serving, &loops.port, true, NULL));
}

static void tear_down(void)
{
    char command[100];
    manual_loops_stop(&loops, 0);
    manual_loops_stop(&loops, 1);
    CHECK(px_serving_unmanage(serving)); /* nothing is on its way: every lane is empty */
    px_serving_destroy(serving);
    for (size_t i = 0; i < CALLS; i++)
        px_arena_deinit(&calls[i].arena);
    snprintf(command, sizeof command, "rm -r '%s'", root);
    CHECK_INT(system(command), 0);
}

static void keep_answer(struct px_call *call)
{
    struct asked *a = call->owner;
    a->code = call->code;
    a->err = call->err;
    a->fallback = call->fallback;
    a->reason = call->fallback_reason;
    if (call->code == PX_OK)
        memcpy(&a->sum, call->run->outputs[0].bytes.ptr, sizeof a->sum);
    memset(call, 0x5a, sizeof *call); /* `done` may give the call's memory back */
    atomic_fetch_add(&a->n_done, 1);
}

static struct px_tensor tensor(const char *name)
{
    return (struct px_tensor){.name = px_str(name),
                              .type = PX_TYPE_FP32,
                              .shape = {2, 2},
                              .n_dims = 2,
                              .bytes = px_str_n((const char *)rows, sizeof rows)};
}

static struct px_call *open_call(size_t i, unsigned loop)
{
    struct asked *a = &calls[i];
    px_arena_deinit(&a->arena);
    *a = (struct asked){.arena = px_arena(ARENA_MAX),
                        .inputs = {tensor("x"), tensor("y")},
                        .outputs = {{.name = PX_STR("sum")}}};
    a->call = (struct px_call){.model_name = PX_STR("big"),
                               .loop = loop,
                               .arena = &a->arena,
                               .done = keep_answer,
                               .received_ns = px_clock_monotonic_ns(),
                               .owner = a};
    CHECK_OK(px_call_open(serving, &a->call));
    a->call.run->inputs = a->inputs;
    a->call.run->n_inputs = 2;
    a->call.run->outputs = a->outputs;
    a->call.run->n_outputs = 1;
    return &a->call;
}

static void finish(size_t i, unsigned loop)
{
    while (calls[i].n_done == 0) {
        px_serving_wave(serving, loop);
        if (calls[i].n_done == 0)
            manual_loops_wait(&loops, loop);
        manual_loops_run(&loops, loop);
    }
    CHECK_INT(calls[i].n_done, 1);
}

/* A whole call on loop 0. */
static const struct asked *ask(void)
{
    struct px_call *call = open_call(0, 0);
    if (px_call_submit(serving, call) == PX_OK) {
        finish(0, 0);
    } else {
        calls[0].code = call->code;
        calls[0].err = call->err;
    }
    return &calls[0];
}

static void check(const struct asked *a, float sum, enum px_rung_kind kind,
                  enum px_fallback_reason reason)
{
    CHECK_INT(a->code, PX_OK);
    CHECK_DOUBLE(a->sum, sum);
    CHECK_INT(a->fallback, kind);
    CHECK(kind == 0 || a->reason == reason);
}

static struct px_rescue *rescue(void)
{
    return px_serving_find(serving, px_str("big"), px_str(""), NULL)->rescue;
}

static void fail_with(struct memory_tensor_engine *engine, enum px_code code)
{
    atomic_store(&engine->fail_with, (int)code);
}

PX_TEST(rungs_answer_in_order_for_the_first_reason)
{
    set_up(AT_ONCE, "fallback: [{model: small}, {default: {sum: 9}}]\n");
    check(ask(), 2, 0, 0);
    fail_with(big, PX_E_INTERNAL);
    check(ask(), 2, PX_RUNG_MODEL, PX_FALLBACK_FAILURE);
    fail_with(small, PX_E_OVERLOADED);
    check(ask(), 9, PX_RUNG_DEFAULT, PX_FALLBACK_FAILURE);
    CHECK_INT(px_rescue_counted(rescue(), 0, PX_FALLBACK_FAILURE), 1); /* then it failed too */
    CHECK_INT(px_rescue_counted(rescue(), 1, PX_FALLBACK_FAILURE), 1);
    fail_with(big, PX_OK);
    check(ask(), 2, 0, 0);
    tear_down();
}

PX_TEST(when_no_rung_answers_the_first_error_is_told)
{
    set_up(AT_ONCE,
           "fallback: [{model: nobody}, {model: small}, {default: {sum: 9}, on: [overload]}]\n");
    fail_with(big, PX_E_CORRUPT);
    fail_with(small, PX_E_INTERNAL);
    const struct asked *a = ask();
    CHECK_INT(a->code, PX_E_CORRUPT);
    CHECK_CONTAINS(a->err.message, "told to fail");
    CHECK_INT(a->fallback, 0);
    tear_down();
}

PX_TEST(what_is_the_caller_s_fault_has_no_fallback)
{
    static const enum px_code codes[] = {PX_E_INVALID, PX_E_CANCELLED, PX_E_UNSUPPORTED};
    set_up(AT_ONCE, "fallback: [{default: {sum: 9}, on: [failure, open, overload, deadline]}]\n");
    for (size_t i = 0; i < PX_ARRAY_LEN(codes); i++) {
        fail_with(big, codes[i]);
        CHECK_INT(ask()->code, codes[i]);
    }
    fail_with(big, PX_E_INTERNAL);
    struct px_call *call = open_call(1, 0);
    call->deadline_ns = px_clock_monotonic_ns() - 1;
    CHECK_INT(px_call_submit(serving, call), PX_E_DEADLINE); /* nobody waits any more */
    tear_down();
}

PX_TEST(an_open_breaker_is_a_reason_of_its_own)
{
    set_up(AT_ONCE, "breaker: {window: 10, failures: 2, open: 1h, open_max: 1h}\n"
                    "fallback: [{model: small, on: [open]}]\n");
    fail_with(big, PX_E_INTERNAL);
    CHECK_INT(ask()->code, PX_E_INTERNAL);
    CHECK_INT(ask()->code, PX_E_INTERNAL);
    struct px_rescue_report report;
    px_rescue_report(rescue(), &report);
    CHECK_INT(report.state, PX_BREAKER_OPEN);
    CHECK(report.tripped.failed == 2 && report.tripped.n == 2);
    check(ask(), 2, PX_RUNG_MODEL, PX_FALLBACK_OPEN);
    fail_with(small, PX_E_INTERNAL);
    const struct asked *a = ask();
    CHECK_INT(a->code, PX_E_UNAVAILABLE);
    CHECK_CONTAINS(a->err.message, "breaker");
    CHECK(a->err.retry_ns > 0);
    tear_down();
}

PX_TEST(an_engine_that_is_shut_falls_back_as_open_and_teaches_the_breaker_nothing)
{
    set_up(AT_ONCE, "breaker: {window: 10, failures: 2, open: 1h, open_max: 1h}\n"
                    "fallback: [{model: small, on: [open]}]\n");
    atomic_store(&big->shut, true);
    for (int i = 0; i < 20; i++)
        check(ask(), 2, PX_RUNG_MODEL, PX_FALLBACK_OPEN);
    struct px_rescue_report report;
    px_rescue_report(rescue(), &report);
    CHECK_INT(report.state, PX_BREAKER_CLOSED);
    CHECK_INT(report.window.n, 0);
    atomic_store(&big->shut, false);
    check(ask(), 2, 0, 0); /* and the mark of the former run is gone */
    tear_down();
}

PX_TEST(a_full_limit_falls_back_by_choice)
{
    set_up(QUEUED, "limits: {concurrency: 1}\nfallback: [{default: {sum: 9}, on: [overload]}]\n");
    memory_tensor_engine_set_gate(big, true);
    CHECK_OK(px_call_submit(serving, open_call(1, 0)));
    memory_tensor_engine_wait(big, 1);
    check(ask(), 9, PX_RUNG_DEFAULT, PX_FALLBACK_OVERLOAD);
    memory_tensor_engine_set_gate(big, false);
    finish(1, 0);
    check(&calls[1], 2, 0, 0);
    tear_down();
}

PX_TEST(a_call_that_is_cancelled_on_its_way_down_stops_there)
{
    set_up(QUEUED, "fallback: [{model: small}, {default: {sum: 9}}]\n");
    fail_with(big, PX_E_INTERNAL);
    memory_tensor_engine_set_gate(small, true);
    CHECK_OK(px_call_submit(serving, open_call(1, 0)));
    manual_loops_wait(&loops, 0);
    manual_loops_run(&loops, 0);
    memory_tensor_engine_wait(small, 1);
    px_call_cancel(&calls[1].call);
    finish(1, 0);
    CHECK_INT(calls[1].code, PX_E_CANCELLED);
    memory_tensor_engine_set_gate(small, false);
    tear_down();
}

PX_TEST(without_memory_a_call_ends_once_with_an_answer_or_a_reason)
{
    unsigned n_answers = 0, n_errors = 0;
    for (uint64_t n = 1; n < 10; n++) {
        set_up(AT_ONCE, "breaker: {window: 10, failures: 5}\n"
                        "fallback: [{model: small}, {default: {sum: 9}}]\n");
        fail_with(big, PX_E_INTERNAL);
        fail_with(small, PX_E_INTERNAL);
        struct px_call *call = open_call(0, 0);
        (void)px_arena_alloc(call->arena, call->arena->end - call->arena->at, 1); /* it must grow */
        px_alloc_fail_at(n);
        enum px_code code = px_call_submit(serving, call);
        if (code == PX_OK)
            finish(0, 0);
        px_alloc_fail_at(0);
        code = code == PX_OK ? calls[0].code : code;
        CHECK(code == PX_OK || code == PX_E_INTERNAL || code == PX_E_NO_MEMORY);
        CHECK(code != PX_OK || (calls[0].sum == 9 && calls[0].fallback == PX_RUNG_DEFAULT));
        n_answers += code == PX_OK;
        n_errors += code != PX_OK;
        tear_down();
    }
    CHECK(n_answers > 0 && n_errors > 0);
}

/* ---- two loops and the threads of the engines ---- */

static void *ask_many(void *context)
{
    unsigned loop = *(const unsigned *)context;
    for (size_t i = loop; i < CALLS; i += 2) {
        if (px_call_submit(serving, open_call(i, loop)) != PX_OK)
            atomic_store(&calls[i].n_done, 1);
        else
            finish(i, loop);
        fail_with(i % 8 < 4 ? big : small, i % 3 ? PX_E_INTERNAL : PX_OK);
    }
    return NULL;
}

PX_TEST(loops_share_breakers_and_ladders)
{
    static const unsigned numbers[] = {0, 1};
    pthread_t threads[2];
    set_up(QUEUED, "breaker: {window: 10, failures: 3, open: 1ms, open_max: 2ms, probes: 2}\n"
                   "fallback: [{model: small}, {default: {sum: 9}}]\n");
    for (size_t i = 0; i < 2; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, ask_many, (void *)(uintptr_t)&numbers[i]), 0);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < CALLS; i++) {
        CHECK_INT(calls[i].n_done, 1);
        CHECK_INT(calls[i].code, PX_OK);
        CHECK(calls[i].sum == 2 || (calls[i].sum == 9 && calls[i].fallback == PX_RUNG_DEFAULT));
    }
    tear_down();
}

PX_TEST_MAIN(
    T(rungs_answer_in_order_for_the_first_reason) T(when_no_rung_answers_the_first_error_is_told)
        T(what_is_the_caller_s_fault_has_no_fallback) T(an_open_breaker_is_a_reason_of_its_own)
            T(an_engine_that_is_shut_falls_back_as_open_and_teaches_the_breaker_nothing)
                T(a_full_limit_falls_back_by_choice)
                    T(a_call_that_is_cancelled_on_its_way_down_stops_there)
                        T(without_memory_a_call_ends_once_with_an_answer_or_a_reason)
                            T(loops_share_breakers_and_ladders))
