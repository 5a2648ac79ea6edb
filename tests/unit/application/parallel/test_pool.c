/* SPDX-License-Identifier: Apache-2.0 */
#include "application/parallel/pool.h"
#include "harness.h"
#include "shared/alloc.h"
#include "shared/cores.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHUNKS = 500, THREADS = 4 };

struct tally {
    unsigned times[CHUNKS];                 /* written by who does the chunk: a race is a finding */
    _Atomic unsigned inside[THREADS];       /* per participant: never more than one at a time */
    _Atomic unsigned n_twice, n_by_helpers; /* failures; chunks that the caller did not do */
};

static void count(void *context, size_t chunk, unsigned who)
{
    struct tally *tally = context;
    if (atomic_fetch_add(&tally->inside[who], 1) != 0)
        atomic_fetch_add(&tally->n_twice, 1);
    tally->times[chunk]++;
    if (who)
        atomic_fetch_add(&tally->n_by_helpers, 1);
    atomic_fetch_sub(&tally->inside[who], 1);
}

static struct px_pool *make_pool(unsigned n_threads)
{
    struct px_pool *pool = NULL;
    CHECK_OK(px_pool_create(n_threads, &pool, NULL));
    return pool;
}

static void check_each_once(struct px_pool *pool, size_t n_chunks)
{
    struct tally tally = {0};
    px_pool_run(pool, &(struct px_pool_job){count, &tally, n_chunks});
    for (size_t i = 0; i < CHUNKS; i++)
        CHECK_INT(tally.times[i], i < n_chunks);
    CHECK_INT(tally.n_twice, 0);
}

PX_TEST(every_chunk_is_done_once)
{
    struct px_pool *pool = make_pool(THREADS);
    for (unsigned round = 0; round < 200; round++)
        check_each_once(pool, round * 7 % (CHUNKS + 1));
    px_pool_destroy(pool);
}

PX_TEST(no_pool_and_a_pool_of_one_do_it_alone)
{
    struct px_pool *pool = make_pool(1);
    CHECK_INT(px_pool_threads(pool), 1);
    CHECK_INT(px_pool_threads(NULL), 1);
    check_each_once(pool, CHUNKS);
    check_each_once(NULL, CHUNKS);
    px_pool_destroy(pool);
    px_pool_destroy(NULL);
}

PX_TEST(zero_threads_means_one_per_core)
{
    struct px_pool *pool = make_pool(0);
    CHECK_INT(px_pool_threads(pool), px_cores(PX_POOL_THREADS_MAX));
    px_pool_destroy(pool);
}

PX_TEST(too_many_threads_are_refused)
{
    struct px_pool *pool = NULL;
    struct px_err err;
    CHECK_INT(px_pool_create(PX_POOL_THREADS_MAX + 1, &pool, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "at most 256 threads, got 257");
}

/* ---- a job that is held up ---- */

struct meeting {
    sem_t entered, go_on;
    _Atomic unsigned done[2];
};

/* The two chunks wait until the test lets them go. */
static void meet(void *context, size_t chunk, unsigned who)
{
    struct meeting *meeting = context;
    (void)who;
    sem_post(&meeting->entered);
    while (sem_wait(&meeting->go_on) != 0)
        ;
    atomic_fetch_add(&meeting->done[chunk], 1);
}

struct run_meeting {
    struct px_pool *pool;
    struct meeting meeting;
};

static void *run_meeting(void *argument)
{
    struct run_meeting *run = argument;
    px_pool_run(run->pool, &(struct px_pool_job){meet, &run->meeting, 2});
    return NULL;
}

PX_TEST(a_caller_that_finds_the_pool_busy_does_all_itself)
{
    struct run_meeting run = {.pool = make_pool(THREADS)};
    pthread_t other;
    sem_init(&run.meeting.entered, 0, 0);
    sem_init(&run.meeting.go_on, 0, 0);
    CHECK_INT(pthread_create(&other, NULL, run_meeting, &run), 0);
    for (int i = 0; i < 2; i++) /* both chunks are in progress: a helper has one of them */
        sem_wait(&run.meeting.entered);
    struct tally tally = {0};
    px_pool_run(run.pool, &(struct px_pool_job){count, &tally, CHUNKS}); /* does not wait */
    CHECK_INT(tally.n_by_helpers, 0);
    for (size_t i = 0; i < CHUNKS; i++)
        CHECK_INT(tally.times[i], 1);
    CHECK_INT(run.meeting.done[0] + run.meeting.done[1], 0);
    for (int i = 0; i < 2; i++)
        sem_post(&run.meeting.go_on);
    pthread_join(other, NULL);
    CHECK_INT(run.meeting.done[0], 1);
    CHECK_INT(run.meeting.done[1], 1);
    check_each_once(run.pool, CHUNKS); /* and the pool is free again */
    px_pool_destroy(run.pool);
}

PX_TEST(helpers_do_help)
{
    /* Two chunks that both wait for the other can end only when two threads work. */
    struct run_meeting run = {.pool = make_pool(2)};
    pthread_t caller;
    sem_init(&run.meeting.entered, 0, 0);
    sem_init(&run.meeting.go_on, 0, 0);
    CHECK_INT(pthread_create(&caller, NULL, run_meeting, &run), 0);
    for (int i = 0; i < 2; i++)
        sem_wait(&run.meeting.entered);
    for (int i = 0; i < 2; i++)
        sem_post(&run.meeting.go_on);
    pthread_join(caller, NULL);
    px_pool_destroy(run.pool);
}

/* ---- callers at once ---- */

static void *call_often(void *argument)
{
    struct px_pool *pool = argument;
    for (int round = 0; round < 300; round++) {
        struct tally tally = {0};
        px_pool_run(pool, &(struct px_pool_job){count, &tally, 40});
        for (size_t i = 0; i < 40; i++) {
            if (tally.times[i] != 1 || tally.n_twice)
                return argument;
        }
    }
    return NULL;
}

PX_TEST(callers_at_once_each_get_their_own_job_done)
{
    struct px_pool *pool = make_pool(3);
    pthread_t callers[4];
    for (size_t i = 0; i < 4; i++)
        CHECK_INT(pthread_create(&callers[i], NULL, call_often, pool), 0);
    for (size_t i = 0; i < 4; i++) {
        void *failed = NULL;
        pthread_join(callers[i], &failed);
        CHECK(!failed);
    }
    px_pool_destroy(pool);
}

struct nested {
    struct px_pool *pool;
    struct tally tallies[8];
};

static void run_inner(void *context, size_t chunk, unsigned who)
{
    struct nested *nested = context;
    (void)who;
    px_pool_run(nested->pool, &(struct px_pool_job){count, &nested->tallies[chunk], CHUNKS});
}

PX_TEST(a_job_within_a_job_does_not_hang)
{
    static struct nested nested;
    nested.pool = make_pool(3);
    px_pool_run(nested.pool, &(struct px_pool_job){run_inner, &nested, 8});
    for (size_t i = 0; i < 8; i++)
        CHECK_INT(nested.tallies[i].times[CHUNKS - 1], 1);
    px_pool_destroy(nested.pool);
}

/* ---- beginnings and ends ---- */

PX_TEST(pools_come_and_go)
{
    for (unsigned i = 0; i < 50; i++) {
        struct px_pool *pool = make_pool(1 + i % THREADS);
        if (i % 2)
            check_each_once(pool, 20);
        px_pool_destroy(pool);
    }
}

PX_TEST(running_allocates_nothing)
{
    struct px_pool *pool = make_pool(THREADS);
    uint64_t before = px_alloc_count();
    for (unsigned i = 0; i < 20; i++)
        check_each_once(pool, CHUNKS);
    CHECK_INT(px_alloc_count(), before);
    px_pool_destroy(pool);
}

PX_TEST(no_memory_is_an_error_and_not_a_crash)
{
    enum px_code code = PX_E_NO_MEMORY;
    for (uint64_t n = 1; code != PX_OK; n++) {
        struct px_pool *pool = NULL;
        px_alloc_fail_at(n);
        code = px_pool_create(2, &pool, NULL);
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
        px_pool_destroy(pool);
        CHECK(n < 10);
    }
}

#if defined(__SANITIZE_THREAD__)
#define FORKS 0 /* the thread sanitizer does not follow a fork of a program with threads */
#else
#define FORKS 1
#endif

PX_TEST(a_forked_child_without_helpers_works_alone_and_ends)
{
    struct px_pool *pool = make_pool(THREADS);
    check_each_once(pool, CHUNKS);
    pid_t child = FORKS ? fork() : 0;
    if (FORKS && child == 0) {
        struct tally tally = {0};
        px_pool_run(pool, &(struct px_pool_job){count, &tally, CHUNKS});
        bool good = tally.times[0] == 1 && tally.times[CHUNKS - 1] == 1 && !tally.n_by_helpers;
        px_pool_destroy(pool);
        _exit(good ? 0 : 1);
    }
    int status = 0;
    if (FORKS)
        CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    px_pool_destroy(pool);
}

PX_TEST_MAIN(T(every_chunk_is_done_once) T(no_pool_and_a_pool_of_one_do_it_alone)
                 T(zero_threads_means_one_per_core) T(too_many_threads_are_refused)
                     T(a_caller_that_finds_the_pool_busy_does_all_itself) T(helpers_do_help)
                         T(callers_at_once_each_get_their_own_job_done)
                             T(a_job_within_a_job_does_not_hang) T(pools_come_and_go)
                                 T(running_allocates_nothing)
                                     T(no_memory_is_an_error_and_not_a_crash)
                                         T(a_forked_child_without_helpers_works_alone_and_ends))
