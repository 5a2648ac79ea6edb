/* SPDX-License-Identifier: Apache-2.0 */
#include "application/batch/pipeline.h"
#include "harness.h"
#include "shared/alloc.h"

#include <pthread.h>
#include <stdatomic.h>

enum { N_WORKERS = 4, N_JOBS = 8, TOTAL = 2000 };

struct job {
    int number, square;
};

static struct {
    struct job jobs[N_JOBS];
    int workers[N_WORKERS];
    _Atomic int in_flight, used[N_WORKERS];
    int filled, emitted, total, later_every, fail_fill_at, fail_emit_at;
    int most_in_flight, waits;
    pthread_t caller;
    struct px_err err;
} t;

static enum px_code fill(void *context, void *job, bool idle, enum px_fill *ret, struct px_err *err)
{
    (void)context;
    CHECK(pthread_equal(pthread_self(), t.caller));
    if (t.later_every && !idle && t.filled % t.later_every == 0) {
        *ret = PX_FILL_LATER;
        return PX_OK;
    }
    t.waits += idle;
    if (idle)
        CHECK_INT(t.emitted, t.filled);
    if (t.fail_fill_at && t.filled == t.fail_fill_at)
        return px_err_set(err, PX_E_IO, "cannot fill");
    *ret = t.filled == t.total ? PX_FILL_END : PX_FILL_JOB;
    if (*ret == PX_FILL_END)
        return PX_OK;
    *(struct job *)job = (struct job){.number = t.filled++};
    int now = atomic_fetch_add(&t.in_flight, 1) + 1;
    if (now > t.most_in_flight)
        t.most_in_flight = now;
    return PX_OK;
}

static void work(void *context, void *worker, void *job)
{
    struct job *j = job;
    (void)context;
    atomic_fetch_add(&t.used[(int *)worker - t.workers], 1);
    for (volatile int i = 0; i < j->number % 7 * 300; i++)
        ;
    j->square = j->number * j->number;
}

static enum px_code emit(void *context, void *job, struct px_err *err)
{
    const struct job *j = job;
    (void)context;
    CHECK(pthread_equal(pthread_self(), t.caller));
    CHECK_INT(j->number, t.emitted);
    CHECK_INT(j->square, t.emitted * t.emitted);
    if (t.fail_emit_at && t.emitted == t.fail_emit_at)
        return px_err_set(err, PX_E_IO, "cannot emit");
    t.emitted++;
    atomic_fetch_sub(&t.in_flight, 1);
    return PX_OK;
}

static void start(int total)
{
    memset(&t, 0, sizeof t);
    t.total = total;
    t.caller = pthread_self();
}

static enum px_code run(size_t n_workers, size_t n_jobs)
{
    const struct px_pipeline_ops ops = {fill, work, emit, NULL};
    const struct px_pipeline_size size = {t.workers,      t.jobs,    sizeof *t.workers,
                                          sizeof *t.jobs, n_workers, n_jobs};
    return px_pipeline_run(&ops, &size, &t.err);
}

PX_TEST(order_is_kept_by_any_number_of_threads)
{
    for (size_t n = 1; n <= N_WORKERS; n++) {
        for (size_t n_jobs = 1; n_jobs <= N_JOBS; n_jobs += 3) {
            start(TOTAL);
            CHECK_OK(run(n, n_jobs));
            CHECK_INT(t.emitted, TOTAL);
            CHECK(t.most_in_flight <= (int)n_jobs);
        }
    }
}

PX_TEST(one_thread_is_the_callers)
{
    start(TOTAL);
    CHECK_OK(run(1, N_JOBS));
    CHECK_INT(t.used[0], TOTAL);
}

PX_TEST(an_empty_input_and_a_single_job)
{
    start(0);
    CHECK_OK(run(N_WORKERS, N_JOBS));
    start(1);
    CHECK_OK(run(N_WORKERS, N_JOBS));
    CHECK_INT(t.emitted, 1);
    CHECK_INT(t.used[0], 1); /* no thread is started for it */
}

PX_TEST(nothing_waits_for_input_while_a_job_is_in_flight)
{
    start(TOTAL);
    t.later_every = 3;
    CHECK_OK(run(N_WORKERS, N_JOBS));
    CHECK_INT(t.emitted, TOTAL);
    CHECK(t.waits >= TOTAL / 3);
}

PX_TEST(errors_end_it)
{
    start(TOTAL);
    t.fail_fill_at = 100;
    CHECK_INT(run(N_WORKERS, N_JOBS), PX_E_IO);
    CHECK_STR(px_str(t.err.message), "cannot fill");
    CHECK(t.emitted <= 100);
    start(TOTAL);
    t.fail_emit_at = 100;
    CHECK_INT(run(N_WORKERS, N_JOBS), PX_E_IO);
    CHECK_STR(px_str(t.err.message), "cannot emit");
    CHECK_INT(t.emitted, 100);
}

PX_TEST(short_memory_means_fewer_threads_or_an_error)
{
    for (uint64_t n = 1; n < 6; n++) {
        start(50);
        px_alloc_fail_at(n);
        enum px_code code = run(N_WORKERS, N_JOBS);
        px_alloc_fail_at(0);
        CHECK_INT(code, n <= 2 ? PX_E_NO_MEMORY : PX_OK);
        CHECK_INT(t.emitted, n <= 2 ? 0 : 50);
    }
}

PX_TEST(wide_jobs_are_few)
{
    CHECK_INT(px_pipeline_jobs(16, 0), 128);
    CHECK_INT(px_pipeline_jobs(16, 2048 * 8 * 10), 128);
    CHECK_INT(px_pipeline_jobs(16, 2048 * 8 * 100), 40);
    CHECK_INT(px_pipeline_jobs(16, 2048 * 8 * 1000),
              17); /* one for each thread, one being filled */
    CHECK_INT(px_pipeline_jobs(1, (size_t)1 << 40), 2);
}

PX_TEST_MAIN(T(order_is_kept_by_any_number_of_threads) T(one_thread_is_the_callers)
                 T(wide_jobs_are_few) T(an_empty_input_and_a_single_job)
                     T(nothing_waits_for_input_while_a_job_is_in_flight) T(errors_end_it)
                         T(short_memory_means_fewer_threads_or_an_error))
