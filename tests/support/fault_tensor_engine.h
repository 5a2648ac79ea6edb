/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine port's `fault` decorator for tensors: a blocking engine over another blocking one that follows a script.
 *
 *     fault->script = (const struct fault_step[]){{0}, {.code = PX_E_IO}, {.delay_ns = 5000000}};
 *     fault->n_steps = 3;                          // the run after the last step begins anew
 *
 * A step fails, or waits (until the run is cancelled) and then lets the inner engine compute. The decorator owns the inner engine.
 */
#ifndef PX_TESTS_FAULT_TENSOR_ENGINE_H
#define PX_TESTS_FAULT_TENSOR_ENGINE_H

#include "application/ports/engine.h"
#include "shared/alloc.h"
#include "shared/clock.h"

#include <time.h>

struct fault_step {
    enum px_code code; /* PX_OK: none */
    uint64_t delay_ns;
};

struct fault_tensor_engine {
    struct px_engine base; /* first: the port's view of this object */
    struct px_engine_ops ops;
    struct px_engine *inner;
    const struct fault_step *script;
    size_t n_steps;
    _Atomic size_t n_runs;
};

static inline enum px_code fault_tensor_run(struct px_engine *engine, struct px_run *run,
                                            struct px_err *err)
{
    struct fault_tensor_engine *self = (struct fault_tensor_engine *)engine;
    size_t n = atomic_fetch_add(&self->n_runs, 1);
    struct fault_step step =
        self->n_steps ? self->script[n % self->n_steps] : (struct fault_step){0};
    uint64_t end_ns = px_clock_monotonic_ns() + step.delay_ns;
    while (step.delay_ns && px_clock_monotonic_ns() < end_ns) {
        if (atomic_load(&run->cancelled))
            return px_err_set(err, PX_E_CANCELLED, "the engine was told to stop");
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
    if (step.code != PX_OK)
        return px_err_set(err, step.code, "the engine was told to fail");
    return px_engine_run(self->inner, run, err);
}

static inline void fault_tensor_cancel(struct px_engine *engine, struct px_run *run)
{
    px_engine_cancel(((struct fault_tensor_engine *)engine)->inner, run);
}

static inline void fault_tensor_destroy(struct px_engine *engine)
{
    struct fault_tensor_engine *self = (struct fault_tensor_engine *)engine;
    px_engine_destroy(self->inner);
    px_free(self);
}

static inline struct fault_tensor_engine *fault_tensor_engine_create(struct px_engine *inner)
{
    struct fault_tensor_engine *self = px_xalloc(1, sizeof *self);
    self->base = *inner;
    self->ops = *inner->ops;
    self->ops.name = "fault";
    self->ops.run = fault_tensor_run;
    self->ops.cancel = fault_tensor_cancel;
    self->ops.destroy = fault_tensor_destroy;
    self->base.ops = &self->ops;
    self->inner = inner;
    return self;
}

#endif
