/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Design note.
 *
 * Posters push onto a stack; the loop swaps the whole stack for an empty one and reverses it, so there is no
 * pop and no ABA problem, and tasks of one poster run in their order. Only the poster that finds the list empty
 * wakes the loop: whoever comes later is taken together with it. A task may be posted again as soon as it runs, so
 * its link is read before.
 */
#include "infrastructure/net/loop/tasks.h"

#include <stddef.h>

/* Stands for "closed" where the newest task would be; never run. */
static struct px_loop_task closed;

enum px_task_posting px_task_list_post(struct px_task_list *list, struct px_loop_task *task)
{
    struct px_loop_task *newest = atomic_load_explicit(&list->newest, memory_order_relaxed);
    do {
        if (newest == &closed)
            return PX_TASK_REFUSED;
        task->next = newest;
        /* Release: the loop that takes the task sees what the poster has written before. */
    } while (!atomic_compare_exchange_weak_explicit(&list->newest, &newest, task,
                                                    memory_order_release, memory_order_relaxed));
    return newest ? PX_TASK_POSTED : PX_TASK_POSTED_FIRST;
}

static struct px_loop_task *reverse(struct px_loop_task *newest)
{
    struct px_loop_task *oldest = NULL;
    while (newest) {
        struct px_loop_task *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static void run_all(struct px_loop_task *newest)
{
    for (struct px_loop_task *task = reverse(newest), *next; task; task = next) {
        next = task->next;
        task->run(task);
    }
}

bool px_task_list_run(struct px_task_list *list)
{
    struct px_loop_task *newest = atomic_load_explicit(&list->newest, memory_order_relaxed);
    if (!newest || newest == &closed)
        return false;
    newest = atomic_exchange_explicit(&list->newest, NULL, memory_order_acquire);
    run_all(newest);
    return true;
}

void px_task_list_close(struct px_task_list *list)
{
    struct px_loop_task *newest =
        atomic_exchange_explicit(&list->newest, &closed, memory_order_acquire);
    if (newest != &closed)
        run_all(newest);
}
