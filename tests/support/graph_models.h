/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asynchronous models for tests of the graph engine: each gives predictions [-1] = factor * (the sum of a row of x [-1,2]).
 *
 * A model finishes its runs within start (NOW), on a thread of its own (THREAD), or when the test says so (HELD). It can be told to
 * fail, and not to obey a cancel.
 */
#ifndef PX_TESTS_GRAPH_MODELS_H
#define PX_TESTS_GRAPH_MODELS_H

#include "application/graph/graph_engine.h"
#include "shared/alloc.h"
#include "shared/clock.h"

#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

enum graph_model_mode { GRAPH_NOW = 0, GRAPH_THREAD, GRAPH_HELD };

struct graph_model {
    const char *path;
    float factor;
    enum graph_model_mode mode;
    bool ignores_cancel, whole, gives_matrix;
    unsigned sleep_us; /* of THREAD */
    _Atomic int fail_with;
    float
        fails_on; /* not 0: a run with a row whose first column is this fails, as for an invalid input */

    /* private */
    struct px_engine base;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct px_run *held;
    size_t n_runs, n_rows, n_cancels, n_opened, n_open, n_released;
    uint64_t deadline_ns;
    size_t arena_max; /* of the last run */
};

enum { GRAPH_MODELS_MAX = 16 };
struct graph_model_set {
    struct graph_model models[GRAPH_MODELS_MAX];
    size_t n;
};

static inline void graph_model_released(struct px_run *run)
{
    struct graph_model *model = run->held;
    pthread_mutex_lock(&model->mutex);
    model->n_released++;
    pthread_mutex_unlock(&model->mutex);
}

static inline enum px_code graph_model_compute(struct graph_model *model, struct px_run *run)
{
    const struct px_tensor *x = &run->inputs[0];
    size_t n_rows = x->shape[0];
    float *sums = px_arena_alloc(run->arena, n_rows + 1, sizeof *sums);
    int fail_with = atomic_load(&model->fail_with);
    run->release = graph_model_released;
    run->held = model;
    if (fail_with)
        return px_err_set(&run->err, (enum px_code)fail_with, "model '%s' was told to fail",
                          model->path);
    if (!sums)
        return px_arena_check(run->arena, "sums", &run->err);
    for (size_t i = 0; i < n_rows; i++) {
        float row[2];
        memcpy(row, x->bytes.ptr + i * sizeof row, sizeof row);
        if (model->fails_on != 0 && row[0] == model->fails_on)
            return px_err_set(&run->err, PX_E_INVALID, "model '%s' does not like row %zu",
                              model->path, i);
        sums[i] = model->factor * (row[0] + row[1]);
    }
    for (size_t i = 0; i < run->n_outputs; i++) {
        struct px_str name = run->outputs[i].name;
        run->outputs[i] = (struct px_tensor){.name = name,
                                             .type = PX_TYPE_FP32,
                                             .shape = {n_rows, 1},
                                             .n_dims = model->gives_matrix ? 2 : 1,
                                             .bytes = px_str_n((char *)sums, n_rows * 4)};
    }
    return PX_OK;
}

static inline struct graph_model *graph_model_of(struct px_engine *engine)
{
    return PX_CONTAINER_OF(engine, struct graph_model, base);
}

static inline void *graph_model_thread(void *argument)
{
    struct px_run *run = argument;
    struct graph_model *model = run->state;
    if (model->sleep_us)
        usleep(model->sleep_us);
    px_run_finish(run, graph_model_compute(model, run));
    return NULL;
}

static inline void graph_model_start(struct px_engine *engine, struct px_run *run)
{
    struct graph_model *model = graph_model_of(engine);
    pthread_t thread;
    run->state = model;
    pthread_mutex_lock(&model->mutex);
    model->n_runs++;
    model->n_rows += run->inputs[0].shape[0];
    model->deadline_ns = run->deadline_ns;
    model->arena_max = run->arena->max;
    bool holds = model->mode == GRAPH_HELD;
    if (holds) {
        run->next = model->held;
        model->held = run;
    }
    pthread_cond_broadcast(&model->changed);
    pthread_mutex_unlock(&model->mutex);
    if (model->mode == GRAPH_NOW)
        px_run_finish(run, graph_model_compute(model, run));
    else if (!holds && pthread_create(&thread, NULL, graph_model_thread, run) == 0)
        pthread_detach(thread);
}

/* Waits until a run is held, takes it and finishes it. */
static inline void graph_model_let_go(struct graph_model *model)
{
    pthread_mutex_lock(&model->mutex);
    while (!model->held)
        pthread_cond_wait(&model->changed, &model->mutex);
    struct px_run *run = model->held;
    model->held = run->next;
    pthread_mutex_unlock(&model->mutex);
    px_run_finish(run, graph_model_compute(model, run));
}

static inline void graph_model_wait(struct graph_model *model, size_t n_runs)
{
    pthread_mutex_lock(&model->mutex);
    while (model->n_runs < n_runs)
        pthread_cond_wait(&model->changed, &model->mutex);
    pthread_mutex_unlock(&model->mutex);
}

static inline void graph_model_cancel(struct px_engine *engine, struct px_run *run)
{
    struct graph_model *model = graph_model_of(engine);
    bool found = false;
    pthread_mutex_lock(&model->mutex);
    model->n_cancels++;
    for (struct px_run **at = &model->held; *at && !model->ignores_cancel; at = &(*at)->next) {
        if (*at == run) {
            *at = run->next;
            found = true;
            break;
        }
    }
    pthread_mutex_unlock(&model->mutex);
    if (found)
        px_run_finish(run, px_err_set(&run->err, PX_E_CANCELLED, "called back"));
}

static inline void graph_model_destroy(struct px_engine *engine)
{
    graph_model_of(engine)->n_open--;
}

static inline enum px_code graph_model_open(void *context, struct px_str path,
                                            struct px_graph_model *ret, struct px_err *err)
{
    static const struct px_tensor_spec
        takes[] = {{.name = PX_STR("x"), .type = PX_TYPE_FP32, .shape = {-1, 2}, .n_dims = 2}},
        gives[] =
            {{.name = PX_STR("predictions"), .type = PX_TYPE_FP32, .shape = {-1}, .n_dims = 1}},
        matrix[] = {
            {.name = PX_STR("predictions"), .type = PX_TYPE_FP32, .shape = {-1, 1}, .n_dims = 2}};
#define GRAPH_MODEL_OPS(more)                                                                      \
    {                                                                                              \
        .abi = PX_ENGINE_ABI, .caps = PX_ENGINE_TENSORS | PX_ENGINE_ASYNC | (more),                \
        .name = "test", .start = graph_model_start, .cancel = graph_model_cancel,                  \
        .destroy = graph_model_destroy                                                             \
    }
    static const struct px_engine_ops rows = GRAPH_MODEL_OPS(PX_ENGINE_BATCHES),
                                      whole = GRAPH_MODEL_OPS(0);
    struct graph_model_set *set = context;
    for (size_t i = 0; i < set->n; i++) {
        struct graph_model *model = &set->models[i];
        if (!px_str_is(path, model->path))
            continue;
        model->base = (struct px_engine){.ops = model->whole ? &whole : &rows,
                                         .takes = {takes, 1},
                                         .gives = {model->gives_matrix ? matrix : gives, 1}};
        model->n_opened++;
        model->n_open++;
        ret->engine = &model->base;
        return PX_OK;
    }
    return px_err_set(err, PX_E_NOT_FOUND, "there is no model '%.*s'", PX_STR_ARG(path));
}

static inline void graph_model_close(void *context, struct px_graph_model *model)
{
    (void)context;
    px_engine_destroy(model->engine);
}

static inline struct graph_model *graph_model_add(struct graph_model_set *set, const char *path,
                                                  float factor, enum graph_model_mode mode)
{
    struct graph_model *model = &set->models[set->n++];
    memset(model, 0, sizeof *model);
    model->path = path;
    model->factor = factor;
    model->mode = mode;
    pthread_mutex_init(&model->mutex, NULL);
    pthread_cond_init(&model->changed, NULL);
    return model;
}

#endif
