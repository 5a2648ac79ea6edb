/* SPDX-License-Identifier: Apache-2.0 */
/* The control thread: jobs run once and in order, a full queue is an answer, a stop drops what waits. */
#include "application/control/control.h"

#include "harness.h"

#include <semaphore.h>

enum { JOBS = 6 };

struct job {
    struct px_control_job base; /* first */
    int number;
    sem_t *gate; /* NULL, or what it waits for */
};

static int order[JOBS], n_run, n_dropped;
static sem_t ran;

static void run(struct px_control_job *base)
{
    struct job *job = (struct job *)base;
    if (job->gate)
        sem_wait(job->gate);
    order[n_run++] = job->number;
    sem_post(&ran);
}

static void drop(struct px_control_job *base)
{
    (void)base;
    n_dropped++;
}

static void init_jobs(struct job *jobs)
{
    n_run = n_dropped = 0;
    sem_init(&ran, 0, 0);
    for (int i = 0; i < JOBS; i++)
        jobs[i] = (struct job){.base = {.run = run, .drop = drop}, .number = i};
}

PX_TEST(jobs_run_in_the_order_in_which_they_were_given)
{
    struct job jobs[JOBS];
    struct px_control *control;
    init_jobs(jobs);
    CHECK_OK(px_control_create("test", JOBS, &control, NULL));
    for (int i = 0; i < JOBS; i++)
        CHECK_OK(px_control_give(control, &jobs[i].base, NULL));
    for (int i = 0; i < JOBS; i++)
        sem_wait(&ran);
    px_control_destroy(control);
    for (int i = 0; i < JOBS; i++)
        CHECK_INT(order[i], i);
    CHECK_INT(n_dropped, 0);
}

PX_TEST(a_full_queue_refuses_and_a_stop_drops_what_waits)
{
    struct job jobs[JOBS];
    struct px_control *control;
    struct px_err err;
    sem_t gate;
    init_jobs(jobs);
    sem_init(&gate, 0, 0);
    jobs[0].gate = &gate;
    jobs[1].gate = &gate;
    CHECK_OK(px_control_create("test", 2, &control, NULL));
    CHECK_OK(px_control_give(control, &jobs[0].base, NULL));
    sem_post(&gate); /* the first is certainly taken once it has run */
    sem_wait(&ran);
    CHECK_OK(px_control_give(control, &jobs[1].base, NULL));
    enum px_code code = PX_OK;
    int given = 0;
    for (int i = 2; i < JOBS && code == PX_OK; i++) {
        code = px_control_give(control, &jobs[i].base, &err);
        given += code == PX_OK;
    }
    CHECK_INT(code, PX_E_OVERLOADED);
    CHECK(given == 1 || given == 2); /* the thread may or may not have taken job 1 */
    sem_post(&gate);
    px_control_destroy(control);
    CHECK_INT(n_run + n_dropped, given + 2);
}

PX_TEST(a_stopped_control_takes_no_more)
{
    struct job jobs[JOBS];
    struct px_control *control;
    struct px_err err;
    init_jobs(jobs);
    CHECK_OK(px_control_create("test", 2, &control, NULL));
    px_control_stop(control);
    CHECK_INT(px_control_give(control, &jobs[0].base, &err), PX_E_UNAVAILABLE);
    px_control_destroy(control);
}

PX_TEST_MAIN(T(jobs_run_in_the_order_in_which_they_were_given)
                 T(a_full_queue_refuses_and_a_stop_drops_what_waits)
                     T(a_stopped_control_takes_no_more))
