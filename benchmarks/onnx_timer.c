/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times one tiny ONNX model four ways, one call after the other, and prints nanoseconds: onnx_timer MODEL N [COLUMNS]
 *
 *     bare       ONNX Runtime's Run on values made once: what no server can be below
 *     values     the same, with the input's value made, and the output's released, for each call
 *     engine     px_engine_run: checks, values, output into the run's memory, release
 *     executor   px_engine_start on an executor of one thread, until `done`: the way of a served request
 *
 * Each line: the way, p50, p99. The model has one input of FP32 [-1,COLUMNS] "x" (3 unless given) and one output "y".
 */
#include "application/execution/executor.h"
#include "infrastructure/engines/onnxruntime/onnxruntime.h"
#include "infrastructure/engines/onnxruntime/session.h"
#include "shared/alloc.h"
#include "shared/clock.h"

#include <semaphore.h>

enum { COLUMNS_MAX = 1024 };

static float row[COLUMNS_MAX] = {1, 2, 3};
static size_t n_columns = 3;

struct timer {
    struct px_ort_session *session;
    struct px_engine *engine, *executor;
    struct px_tensor input, output;
    struct px_run run;
    struct px_arena arena;
    void *value; /* of the input, made once */
    sem_t done;
};

static void must(enum px_code code, const struct px_err *err)
{
    if (code == PX_OK)
        return;
    fprintf(stderr, "onnx_timer: %s\n", err->message);
    exit(1);
}

static void *make_value(struct timer *t)
{
    const struct px_ort *ort = t->session->ort;
    const int64_t shape[] = {1, (int64_t)n_columns};
    void *value = NULL;
    px_ort_ignore(ort, ort->borrow_tensor(ort->cpu_memory, row, n_columns * sizeof *row, shape, 2,
                                          px_ort_type(PX_TYPE_FP32), &value));
    return value;
}

static void run_raw(struct timer *t, void *value)
{
    const struct px_ort *ort = t->session->ort;
    static const char *const in[] = {"x"}, *const out[] = {"y"};
    const void *inputs[] = {value};
    void *output = NULL;
    px_ort_ignore(ort, ort->run(t->session->session, NULL, in, inputs, 1, out, 1, &output));
    PX_ASSERT(output);
    ort->release_value(output);
}

static void run_bare(struct timer *t)
{
    run_raw(t, t->value);
}

static void run_values(struct timer *t)
{
    void *value = make_value(t);
    run_raw(t, value);
    t->session->ort->release_value(value);
}

static void prepare(struct timer *t)
{
    px_arena_reset(&t->arena);
    t->output = (struct px_tensor){.name = px_str("y")};
}

static void run_engine(struct timer *t)
{
    struct px_err err;
    prepare(t);
    must(px_engine_check_run(t->engine, &t->run, &err), &err);
    must(px_engine_run(t->engine, &t->run, &err), &err);
    px_run_release(&t->run);
}

static void run_done(struct px_run *run)
{
    sem_post(&((struct timer *)run->owner)->done);
}

static void run_executor(struct timer *t)
{
    struct px_err err;
    prepare(t);
    must(px_engine_check_run(t->executor, &t->run, &err), &err);
    px_engine_start(t->executor, &t->run);
    while (sem_wait(&t->done) != 0) {
    }
    must(t->run.code, &t->run.err);
    px_run_release(&t->run);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void measure(struct timer *t, const char *name, void (*run)(struct timer *t), size_t n)
{
    uint64_t *times = px_xalloc(n, sizeof *times);
    for (size_t i = 0; i < n / 10 + 1; i++)
        run(t);
    for (size_t i = 0; i < n; i++) {
        uint64_t begin = px_clock_monotonic_ns();
        run(t);
        times[i] = px_clock_monotonic_ns() - begin;
    }
    qsort(times, n, sizeof *times, compare);
    printf("%s %llu %llu\n", name, (unsigned long long)times[n / 2],
           (unsigned long long)times[n * 99 / 100]);
    px_free(times);
}

int main(int argc, char **argv)
{
    struct px_arena arena = px_arena(1 << 20);
    struct px_err err = {0};
    struct timer t = {.arena = px_arena(1 << 20)};
    struct px_engine *behind = NULL;
    if (argc != 3 && argc != 4)
        return 2;
    n_columns = argc == 4 ? strtoul(argv[3], NULL, 10) : n_columns;
    if (!n_columns || n_columns > COLUMNS_MAX)
        return 2;
    const struct px_engine_request request = {
        .model_name = px_str("timed"), .path = px_str(argv[1]), .arena = &arena};
    must(px_onnxruntime_provider.open(&request, &t.engine, &err), &err);
    must(px_onnxruntime_provider.open(&request, &behind, &err), &err);
    must(px_executor_engine_create(behind, &(struct px_executor_options){0}, &t.executor, &err),
         &err);
    t.session = (struct px_ort_session *)t.engine;
    t.input = (struct px_tensor){.name = px_str("x"),
                                 .type = PX_TYPE_FP32,
                                 .shape = {1, n_columns},
                                 .n_dims = 2,
                                 .bytes = px_str_n((const char *)row, n_columns * sizeof *row)};
    t.run = (struct px_run){.inputs = &t.input,
                            .n_inputs = 1,
                            .outputs = &t.output,
                            .n_outputs = 1,
                            .arena = &t.arena,
                            .done = run_done,
                            .owner = &t};
    t.value = make_value(&t);
    sem_init(&t.done, 0, 0);
    size_t n = strtoul(argv[2], NULL, 10);
    measure(&t, "bare", run_bare, n);
    measure(&t, "values", run_values, n);
    measure(&t, "engine", run_engine, n);
    measure(&t, "executor", run_executor, n);
    return 0;
}
