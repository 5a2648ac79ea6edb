/* SPDX-License-Identifier: Apache-2.0 */
#include "application/control/control.h"

#include "shared/alloc.h"
#include "shared/thread.h"

#include <pthread.h>
#include <stdatomic.h>

struct px_control {
    pthread_t thread;
    bool started;
    size_t jobs_max;
    _Atomic bool stopping; /* written under the mutex, so that the condition cannot be missed */

    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t given;
    struct px_control_job *first, *last;
    size_t n_jobs; /* that wait */
};

static struct px_control_job *take(struct px_control *control)
{
    struct px_control_job *job = control->first;
    if (!job)
        return NULL;
    control->first = job->next;
    if (!control->first)
        control->last = NULL;
    control->n_jobs--;
    return job;
}

static bool is_stopping(const struct px_control *control)
{
    return atomic_load_explicit(&control->stopping, memory_order_relaxed);
}

static void *work(void *argument)
{
    struct px_control *control = argument;
    pthread_mutex_lock(&control->mutex);
    while (!is_stopping(control)) {
        struct px_control_job *job = take(control);
        if (!job) {
            pthread_cond_wait(&control->given, &control->mutex);
            continue;
        }
        pthread_mutex_unlock(&control->mutex);
        job->run(job); /* may give the job's memory back */
        pthread_mutex_lock(&control->mutex);
    }
    pthread_mutex_unlock(&control->mutex);
    return NULL;
}

static int start(struct px_control *control, const char *name)
{
    int rc = px_thread_start(name, work, control, &control->thread);
    control->started = rc == 0;
    return rc;
}

enum px_code px_control_create(const char *name, size_t jobs_max, struct px_control **ret,
                               struct px_err *err)
{
    struct px_control *control = px_alloc(1, sizeof *control);
    if (!control)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the control thread %s", name);
    control->jobs_max = jobs_max;
    pthread_mutex_init(&control->mutex, NULL);
    pthread_cond_init(&control->given, NULL);
    int rc = start(control, name);
    if (rc != 0) {
        px_control_destroy(control);
        return px_err_set(err, PX_E_IO, "start the control thread %s: %s", name, strerror(rc));
    }
    *ret = control;
    return PX_OK;
}

static enum px_code give_locked(struct px_control *control, struct px_control_job *job,
                                struct px_err *err)
{
    if (is_stopping(control))
        return px_err_set(err, PX_E_UNAVAILABLE, "the server is stopping");
    if (control->n_jobs == control->jobs_max)
        return px_err_set(err, PX_E_OVERLOADED, "%zu jobs already wait, at most %zu may",
                          control->n_jobs, control->jobs_max);
    job->next = NULL;
    if (control->last)
        control->last->next = job;
    else
        control->first = job;
    control->last = job;
    control->n_jobs++;
    pthread_cond_signal(&control->given);
    return PX_OK;
}

enum px_code px_control_give(struct px_control *control, struct px_control_job *job,
                             struct px_err *err)
{
    pthread_mutex_lock(&control->mutex);
    enum px_code code = give_locked(control, job, err);
    pthread_mutex_unlock(&control->mutex);
    return code;
}

void px_control_stop(struct px_control *control)
{
    pthread_mutex_lock(&control->mutex);
    atomic_store_explicit(&control->stopping, true, memory_order_relaxed);
    pthread_cond_signal(&control->given);
    pthread_mutex_unlock(&control->mutex);
    if (control->started)
        pthread_join(control->thread, NULL);
    control->started = false;
    for (struct px_control_job *job; (job = take(control));)
        job->drop(job); /* nobody else touches the queue any more */
}

void px_control_destroy(struct px_control *control)
{
    if (!control)
        return;
    px_control_stop(control);
    pthread_cond_destroy(&control->given);
    pthread_mutex_destroy(&control->mutex);
    px_free(control);
}
