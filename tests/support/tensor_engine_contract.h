/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every asynchronous engine of tensors has to do (ports/engine.h). An adapter gives an engine that adds two
 * FP32 tensors of shape [-1,2] element by element, under names of its own; a blocking one comes in an executor, as packages do it.
 *
 *     static const struct tensor_engine_case mine = {.name = "mine", .make = make, .x = "x", .y = "y", .sum = "sum"};
 *     tensor_engine_contract(&mine);
 */
#ifndef PX_TESTS_TENSOR_ENGINE_CONTRACT_H
#define PX_TESTS_TENSOR_ENGINE_CONTRACT_H

#include "harness.h"
#include "shared/clock.h"
#include "waited_run.h"

#include <pthread.h>

struct tensor_engine_case {
    const char *name;
    struct px_engine *(*make)(void);
    const char *x, *y, *sum; /* the names of its tensors */
    size_t width;            /* of a row; 0: 2 */
    size_t rows_max;         /* of a run; 0: CONTRACT_ROWS_MAX */
    bool may_lack_inputs;
    void (*ask)(struct px_run *run); /* what else its runs need; may be NULL */
};

enum { CONTRACT_ROWS_MAX = 64, CONTRACT_THREADS = 4, CONTRACT_ROUNDS = 50 };

static inline size_t contract_width(const struct tensor_engine_case *c)
{
    return c->width ? c->width : 2;
}

static inline size_t contract_rows(const struct tensor_engine_case *c, size_t n_rows)
{
    return c->rows_max && n_rows > c->rows_max ? c->rows_max : n_rows;
}

struct contract_run {
    struct waited_run wait;
    struct px_tensor inputs[2], output;
    float x[2 * CONTRACT_ROWS_MAX], y[2 * CONTRACT_ROWS_MAX];
};

static inline struct px_tensor contract_tensor(const struct tensor_engine_case *c, const char *name,
                                               const float *values, size_t n_rows)
{
    size_t width = contract_width(c);
    return (struct px_tensor){.name = px_str(name),
                              .type = PX_TYPE_FP32,
                              .shape = {n_rows, width},
                              .n_dims = 2,
                              .bytes =
                                  px_str_n((const char *)values, n_rows * width * sizeof *values)};
}

static inline void contract_prepare(const struct tensor_engine_case *c, struct contract_run *r,
                                    size_t n_rows, float seed)
{
    waited_run_init(&r->wait);
    for (size_t i = 0; i < contract_width(c) * n_rows; i++) {
        r->x[i] = seed + (float)i;
        r->y[i] = 0.5F * (float)i;
    }
    r->inputs[0] = contract_tensor(c, c->x, r->x, n_rows);
    r->inputs[1] = contract_tensor(c, c->y, r->y, n_rows);
    r->output = (struct px_tensor){.name = px_str(c->sum)};
    r->wait.run.inputs = r->inputs;
    r->wait.run.n_inputs = 2;
    r->wait.run.outputs = &r->output;
    r->wait.run.n_outputs = 1;
    if (c->ask)
        c->ask(&r->wait.run);
}

static inline void contract_check_sum(const struct tensor_engine_case *c,
                                      const struct contract_run *r, size_t n_rows)
{
    size_t width = contract_width(c);
    const struct px_tensor *sum = &r->output;
    CHECK_INT(sum->type, PX_TYPE_FP32);
    CHECK(sum->n_dims == 2 && sum->shape[0] == n_rows && sum->shape[1] == width);
    CHECK_OK(px_tensor_check_bytes(sum, NULL));
    for (size_t i = 0; i < width * n_rows; i++) {
        float value;
        memcpy(&value, sum->bytes.ptr + i * sizeof value, sizeof value);
        CHECK_DOUBLE(value, r->x[i] + r->y[i]);
    }
}

/* Runs once and checks the sums. Everything a run may need lives on the heap: threads have small stacks. */
static inline void contract_add(const struct tensor_engine_case *c, struct px_engine *engine,
                                size_t n_rows, float seed)
{
    struct contract_run *r = px_xalloc(1, sizeof *r);
    contract_prepare(c, r, n_rows, seed);
    CHECK_OK(px_engine_check_run(engine, &r->wait.run, NULL));
    px_engine_start(engine, &r->wait.run);
    CHECK_INT(waited_run_wait(&r->wait), PX_OK);
    CHECK(r->wait.run.started_ns > 0);
    contract_check_sum(c, r, n_rows);
    waited_run_deinit(&r->wait);
    px_free(r);
}

static inline void contract_describes_itself(const struct tensor_engine_case *c,
                                             struct px_engine *engine)
{
    CHECK_INT(engine->ops->abi, PX_ENGINE_ABI);
    CHECK(px_engine_name(engine)[0]);
    CHECK(px_engine_has(engine, PX_ENGINE_TENSORS) && px_engine_has(engine, PX_ENGINE_ASYNC));
    CHECK(engine->takes.n <= PX_ENGINE_TENSORS_MAX && engine->gives.n <= PX_ENGINE_TENSORS_MAX);
    CHECK(px_tensor_specs_find(&engine->takes, px_str(c->x)) != NULL);
    CHECK(px_tensor_specs_find(&engine->takes, px_str(c->y)) != NULL);
    CHECK(px_tensor_specs_find(&engine->gives, px_str(c->sum)) != NULL);
}

static inline void contract_rows_of_any_number(const struct tensor_engine_case *c,
                                               struct px_engine *engine)
{
    for (size_t n = 1; n <= contract_rows(c, CONTRACT_ROWS_MAX); n *= 2)
        contract_add(c, engine, n, (float)n);
}

static inline void contract_bad_inputs_are_found(const struct tensor_engine_case *c,
                                                 struct px_engine *engine)
{
    struct contract_run *r = px_xalloc(1, sizeof *r);
    struct px_err err;
    contract_prepare(c, r, 1, 0);
    r->inputs[0].type = PX_TYPE_INT64;
    CHECK_INT(px_engine_check_run(engine, &r->wait.run, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, c->x);
    r->inputs[0] = contract_tensor(c, c->x, r->x, 1);
    r->wait.run.n_inputs = 1;
    if (!c->may_lack_inputs) {
        CHECK_INT(px_engine_check_run(engine, &r->wait.run, &err), PX_E_INVALID);
        CHECK_CONTAINS(err.message, c->y);
    }
    r->wait.run.n_inputs = 2;
    r->output.name = px_str("no such output");
    CHECK_INT(px_engine_check_run(engine, &r->wait.run, &err), PX_E_INVALID);
    waited_run_deinit(&r->wait);
    px_free(r);
}

/* A run that is not wanted when it starts ends at once, without work, and says why. */
static inline void contract_unwanted_runs_end(const struct tensor_engine_case *c,
                                              struct px_engine *engine)
{
    struct contract_run *r = px_xalloc(1, sizeof *r);
    contract_prepare(c, r, 1, 0);
    r->wait.run.deadline_ns = px_clock_monotonic_ns() - 1;
    px_engine_start(engine, &r->wait.run);
    CHECK_INT(waited_run_wait(&r->wait), PX_E_DEADLINE);
    CHECK(r->wait.run.err.message[0] != '\0');
    waited_run_deinit(&r->wait);
    contract_prepare(c, r, 1, 0);
    px_engine_cancel(engine, &r->wait.run);
    px_engine_start(engine, &r->wait.run);
    CHECK_INT(waited_run_wait(&r->wait), PX_E_CANCELLED);
    waited_run_deinit(&r->wait);
    px_free(r);
}

/* A cancel at any moment: the run ends once, as done or as cancelled, and the engine goes on. */
static inline void contract_cancels_are_safe(const struct tensor_engine_case *c,
                                             struct px_engine *engine)
{
    struct contract_run *r = px_xalloc(1, sizeof *r);
    for (int i = 0; i < CONTRACT_ROUNDS; i++) {
        contract_prepare(c, r, 1, (float)i);
        px_engine_start(engine, &r->wait.run);
        px_engine_cancel(engine, &r->wait.run);
        enum px_code code = waited_run_wait(&r->wait);
        CHECK(code == PX_OK || code == PX_E_CANCELLED);
        CHECK_INT(atomic_load(&r->wait.n_done), 1);
        if (code == PX_OK)
            contract_check_sum(c, r, 1);
        waited_run_deinit(&r->wait);
    }
    px_free(r);
    contract_add(c, engine, contract_rows(c, 3), 7);
}

struct contract_caller {
    const struct tensor_engine_case *engine_case;
    struct px_engine *engine;
    struct contract_run runs[CONTRACT_ROUNDS];
};

/* Many runs at a time, from many threads; the checks, which may leave the test, come after. */
static inline void *contract_call(void *argument)
{
    struct contract_caller *caller = argument;
    for (int i = 0; i < CONTRACT_ROUNDS; i++) {
        contract_prepare(caller->engine_case, &caller->runs[i],
                         contract_rows(caller->engine_case, 1 + (size_t)i % 5), (float)i);
        px_engine_start(caller->engine, &caller->runs[i].wait.run);
    }
    for (int i = 0; i < CONTRACT_ROUNDS; i++)
        waited_run_wait(&caller->runs[i].wait);
    return NULL;
}

static inline void contract_threads_share_it(const struct tensor_engine_case *c,
                                             struct px_engine *engine)
{
    struct contract_caller *callers = px_xalloc(CONTRACT_THREADS, sizeof *callers);
    pthread_t threads[CONTRACT_THREADS];
    for (int i = 0; i < CONTRACT_THREADS; i++) {
        callers[i].engine_case = c;
        callers[i].engine = engine;
        CHECK_INT(pthread_create(&threads[i], NULL, contract_call, &callers[i]), 0);
    }
    for (int i = 0; i < CONTRACT_THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < CONTRACT_THREADS; i++) {
        for (int k = 0; k < CONTRACT_ROUNDS; k++) {
            struct contract_run *r = &callers[i].runs[k];
            CHECK_INT(r->wait.run.code, PX_OK);
            contract_check_sum(c, r, contract_rows(c, 1 + (size_t)k % 5));
            waited_run_deinit(&r->wait);
        }
    }
    px_free(callers);
}

static inline void tensor_engine_contract(const struct tensor_engine_case *c)
{
    static void (*const parts[])(const struct tensor_engine_case *, struct px_engine *) = {
        contract_describes_itself,  contract_rows_of_any_number, contract_bad_inputs_are_found,
        contract_unwanted_runs_end, contract_cancels_are_safe,   contract_threads_share_it,
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct px_engine *engine = c->make();
        parts[i](c, engine);
        px_engine_destroy(engine);
    }
}

#endif
