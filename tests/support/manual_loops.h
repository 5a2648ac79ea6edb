/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops port for tests: tasks wait until somebody runs them, so a test is its own event loop.
 *
 *     struct manual_loops loops;
 *     manual_loops_init(&loops, 2);
 *     ... &loops.port ...
 *     manual_loops_run(&loops, 0);     // the tasks of loop 0 that were there when it began
 *     manual_loops_wait(&loops, 0);    // until there is one
 *
 * Threads: any may post; each loop is run by one.
 */
#ifndef PX_TESTS_MANUAL_LOOPS_H
#define PX_TESTS_MANUAL_LOOPS_H

#include "application/ports/loops.h"

#include <pthread.h>
#include <stddef.h>

enum { MANUAL_LOOPS_MAX = 8 };

struct manual_loops {
    struct px_loops port;
    pthread_mutex_t mutex;
    pthread_cond_t posted;
    struct px_loop_task *first[MANUAL_LOOPS_MAX], *last[MANUAL_LOOPS_MAX];
    bool stopped[MANUAL_LOOPS_MAX];
};

static inline bool manual_loops_post(void *context, unsigned loop, struct px_loop_task *task)
{
    struct manual_loops *loops = context;
    pthread_mutex_lock(&loops->mutex);
    bool runs = !loops->stopped[loop];
    task->next = NULL;
    if (runs && loops->last[loop])
        loops->last[loop]->next = task;
    else if (runs)
        loops->first[loop] = task;
    if (runs)
        loops->last[loop] = task;
    pthread_cond_broadcast(&loops->posted);
    pthread_mutex_unlock(&loops->mutex);
    return runs;
}

static inline void manual_loops_init(struct manual_loops *loops, unsigned n_loops)
{
    *loops = (struct manual_loops){
        .port = {.context = loops, .n_loops = n_loops, .post = manual_loops_post}};
    pthread_mutex_init(&loops->mutex, NULL);
    pthread_cond_init(&loops->posted, NULL);
}

static inline void manual_loops_run(struct manual_loops *loops, unsigned loop)
{
    pthread_mutex_lock(&loops->mutex);
    struct px_loop_task *task = loops->first[loop];
    loops->first[loop] = loops->last[loop] = NULL;
    pthread_mutex_unlock(&loops->mutex);
    while (task) {
        struct px_loop_task *next = task->next; /* it may be posted again */
        task->run(task);
        task = next;
    }
}

static inline void manual_loops_wait(struct manual_loops *loops, unsigned loop)
{
    pthread_mutex_lock(&loops->mutex);
    while (!loops->first[loop])
        pthread_cond_wait(&loops->posted, &loops->mutex);
    pthread_mutex_unlock(&loops->mutex);
}

/* Runs what is there and takes no more. */
static inline void manual_loops_stop(struct manual_loops *loops, unsigned loop)
{
    pthread_mutex_lock(&loops->mutex);
    loops->stopped[loop] = true;
    pthread_mutex_unlock(&loops->mutex);
    manual_loops_run(loops, loop);
}

#endif
