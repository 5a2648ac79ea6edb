/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine port's `memory` adapter for tensors, blocking or asynchronous, with a `fault` script.
 *
 *   add   takes x and y, FP32 [-1,2], and an optional z of the same kind; gives sum = x + y + z, which is their shape
 *   echo  takes text, BYTES [-1]; gives text as it came
 *
 * The script: `fail_with` makes every run fail, `gate` holds runs until memory_tensor_engine_open, or until they are cancelled when
 * `obeys_cancel` says so; `silent` engines fail without an error message, `shut` ones as those that have breakers of their own, without
 * trying; `busy` ones are not idle.
 */
#ifndef PX_TESTS_MEMORY_TENSOR_ENGINE_H
#define PX_TESTS_MEMORY_TENSOR_ENGINE_H

#include "application/ports/engine.h"
#include "shared/alloc.h"
#include "shared/clock.h"

#include <pthread.h>

enum memory_tensor_kind { MEMORY_TENSOR_ADD = 1, MEMORY_TENSOR_ECHO };

struct memory_tensor_engine {
    struct px_engine base; /* first: the port's view of this object */
    enum memory_tensor_kind kind;
    _Atomic int fail_with; /* px_code */
    bool silent, obeys_cancel;
    _Atomic bool shut;
    _Atomic bool busy;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool gate;
    pthread_t thread; /* of the latest run */
    size_t n_entered, n_runs, n_cancels, n_released;
};

static inline struct memory_tensor_engine *memory_tensor_engine_of(struct px_engine *engine)
{
    return (struct memory_tensor_engine *)engine;
}

static inline void memory_tensor_engine_set_gate(struct memory_tensor_engine *self, bool closed)
{
    pthread_mutex_lock(&self->mutex);
    self->gate = closed;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->mutex);
}

/* Waits until that many runs have been in the engine. */
static inline void memory_tensor_engine_wait(struct memory_tensor_engine *self, size_t n_entered)
{
    pthread_mutex_lock(&self->mutex);
    while (self->n_entered < n_entered)
        pthread_cond_wait(&self->changed, &self->mutex);
    pthread_mutex_unlock(&self->mutex);
}

static inline size_t memory_tensor_engine_count(struct memory_tensor_engine *self,
                                                const size_t *counter)
{
    pthread_mutex_lock(&self->mutex);
    size_t n = *counter;
    pthread_mutex_unlock(&self->mutex);
    return n;
}

static inline void memory_tensor_release(struct px_run *run)
{
    struct memory_tensor_engine *self = run->held;
    pthread_mutex_lock(&self->mutex);
    self->n_released++;
    pthread_mutex_unlock(&self->mutex);
}

static inline const struct px_tensor *memory_tensor_input(const struct px_run *run,
                                                          const char *name)
{
    for (size_t i = 0; i < run->n_inputs; i++) {
        if (px_str_is(run->inputs[i].name, name))
            return &run->inputs[i];
    }
    return NULL;
}

static inline enum px_code memory_tensor_add(struct px_run *run, struct px_tensor *out,
                                             struct px_err *err)
{
    const struct px_tensor *x = memory_tensor_input(run, "x"), *y = memory_tensor_input(run, "y"),
                           *z = memory_tensor_input(run, "z");
    if (!x || !y)
        return px_err_set(err, PX_E_INTERNAL, "the inputs were not checked");
    size_t n = x->bytes.len / sizeof(float);
    float *sums = px_arena_alloc(run->arena, n + 1, sizeof *sums);
    if (!sums)
        return px_arena_check(run->arena, "the sums", err);
    if (y->bytes.len != x->bytes.len || (z && z->bytes.len != x->bytes.len))
        return px_err_set(err, PX_E_INVALID, "the inputs have different lengths");
    for (size_t i = 0; i < n; i++) {
        float a, b, c = 0;
        memcpy(&a, x->bytes.ptr + i * sizeof a, sizeof a);
        memcpy(&b, y->bytes.ptr + i * sizeof b, sizeof b);
        if (z)
            memcpy(&c, z->bytes.ptr + i * sizeof c, sizeof c);
        sums[i] = a + b + c;
    }
    out->type = PX_TYPE_FP32;
    out->n_dims = 2;
    out->shape[0] = n / 2;
    out->shape[1] = 2;
    out->bytes = px_str_n((const char *)sums, n * sizeof *sums);
    return PX_OK;
}

/* Whether the run may go on. */
static inline bool memory_tensor_pass(struct memory_tensor_engine *self, const struct px_run *run)
{
    pthread_mutex_lock(&self->mutex);
    self->n_entered++;
    self->thread = pthread_self();
    pthread_cond_broadcast(&self->changed);
    bool cancelled = false;
    for (;;) {
        cancelled = self->obeys_cancel && atomic_load(&run->cancelled);
        if (!self->gate || cancelled)
            break;
        pthread_cond_wait(&self->changed, &self->mutex);
    }
    self->n_runs++;
    pthread_mutex_unlock(&self->mutex);
    return !cancelled;
}

static inline enum px_code memory_tensor_run(struct px_engine *engine, struct px_run *run,
                                             struct px_err *err)
{
    struct memory_tensor_engine *self = memory_tensor_engine_of(engine);
    int fail_with = atomic_load(&self->fail_with);
    run->release = memory_tensor_release;
    run->held = self;
    if (!memory_tensor_pass(self, run))
        return px_err_set(err, PX_E_CANCELLED, "the engine was told to stop");
    if (fail_with && self->silent)
        return (enum px_code)fail_with;
    if (fail_with)
        return px_err_set(err, (enum px_code)fail_with, "the engine was told to fail");
    enum px_code code = PX_OK;
    for (size_t i = 0; i < run->n_outputs && code == PX_OK; i++) {
        struct px_str name = run->outputs[i].name;
        if (self->kind == MEMORY_TENSOR_ADD) {
            code = memory_tensor_add(run, &run->outputs[i], err);
        } else {
            run->outputs[i] = run->inputs[0];
            run->outputs[i].name = name;
        }
    }
    return code;
}

/* The asynchronous form computes at once: the run is done before the start returns. */
static inline void memory_tensor_start(struct px_engine *engine, struct px_run *run)
{
    if (atomic_load(&memory_tensor_engine_of(engine)->shut)) {
        run->is_open = true;
        px_run_finish(run, px_err_set(&run->err, PX_E_UNAVAILABLE, "the engine is shut"));
        return;
    }
    run->started_ns = px_clock_monotonic_ns();
    px_run_finish(run, memory_tensor_run(engine, run, &run->err));
}

static inline void memory_tensor_cancel(struct px_engine *engine, struct px_run *run)
{
    struct memory_tensor_engine *self = memory_tensor_engine_of(engine);
    (void)run;
    pthread_mutex_lock(&self->mutex);
    self->n_cancels++;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->mutex);
}

static inline bool memory_tensor_is_idle(struct px_engine *engine)
{
    return !atomic_load(&memory_tensor_engine_of(engine)->busy);
}

static _Atomic int memory_tensor_n_destroyed; /* so far */

static inline void memory_tensor_destroy(struct px_engine *engine)
{
    atomic_fetch_add(&memory_tensor_n_destroyed, 1);
    struct memory_tensor_engine *self = memory_tensor_engine_of(engine);
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->mutex);
    px_free(self);
}

static inline struct memory_tensor_engine *memory_tensor_engine_try(enum memory_tensor_kind kind,
                                                                    bool blocking)
{
    enum { CAPS = PX_ENGINE_TENSORS | PX_ENGINE_BATCHES };
    static const struct px_engine_ops blocking_ops = {
        .abi = PX_ENGINE_ABI,
        .caps = CAPS,
        .name = "memory",
        .run = memory_tensor_run,
        .cancel = memory_tensor_cancel,
        .is_idle = memory_tensor_is_idle,
        .destroy = memory_tensor_destroy,
    };
    static const struct px_engine_ops async_ops = {
        .abi = PX_ENGINE_ABI,
        .caps = CAPS | PX_ENGINE_ASYNC,
        .name = "memory",
        .start = memory_tensor_start,
        .cancel = memory_tensor_cancel,
        .is_idle = memory_tensor_is_idle,
        .destroy = memory_tensor_destroy,
    };
    static const struct px_tensor_spec
        add_takes[] = {{.name = PX_STR("x"), .type = PX_TYPE_FP32, .shape = {-1, 2}, .n_dims = 2},
                       {.name = PX_STR("y"), .type = PX_TYPE_FP32, .shape = {-1, 2}, .n_dims = 2},
                       {.name = PX_STR("z"),
                        .type = PX_TYPE_FP32,
                        .shape = {-1, 2},
                        .n_dims = 2,
                        .optional = true}},
        add_gives[] =
            {{.name = PX_STR("sum"), .type = PX_TYPE_FP32, .shape = {-1, 2}, .n_dims = 2}},
        echo[] = {{.name = PX_STR("text"), .type = PX_TYPE_BYTES, .shape = {-1}, .n_dims = 1}};
    struct memory_tensor_engine *self = px_alloc(1, sizeof *self);
    bool adds = kind == MEMORY_TENSOR_ADD;
    if (!self)
        return NULL;
    self->kind = kind;
    self->obeys_cancel = true;
    self->base = (struct px_engine){
        .ops = blocking ? &blocking_ops : &async_ops,
        .takes = adds ? (struct px_tensor_specs){add_takes, 3} : (struct px_tensor_specs){echo, 1},
        .gives = adds ? (struct px_tensor_specs){add_gives, 1} : (struct px_tensor_specs){echo, 1},
    };
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->changed, NULL);
    return self;
}

static inline struct memory_tensor_engine *memory_tensor_engine_create(enum memory_tensor_kind kind,
                                                                       bool blocking)
{
    struct memory_tensor_engine *self = memory_tensor_engine_try(kind, blocking);
    PX_ASSERT(self);
    return self;
}

#endif
