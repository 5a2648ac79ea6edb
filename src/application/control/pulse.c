/* SPDX-License-Identifier: Apache-2.0 */
#include "application/control/pulse.h"

#include "shared/alloc.h"

#include <stdatomic.h>
#include <stddef.h>

struct beat {
    struct px_loop_task task;
    _Atomic bool
        is_asked;    /* set by who looks, cleared by the loop; the task is the list's in between */
    unsigned missed; /* looks in a row */
};

struct px_pulse {
    const struct px_loops *loops;
    struct beat *beats; /* [n_loops] */
};

static void answer(struct px_loop_task *task)
{
    struct beat *beat = PX_CONTAINER_OF(task, struct beat, task);
    /* Pairs with the acquire in px_pulse_look: the task may be posted again. */
    atomic_store_explicit(&beat->is_asked, false, memory_order_release);
}

enum px_code px_pulse_create(const struct px_loops *loops, struct px_pulse **ret,
                             struct px_err *err)
{
    struct px_pulse *pulse = px_alloc(1, sizeof *pulse);
    if (pulse)
        pulse->beats = px_alloc(loops->n_loops, sizeof *pulse->beats);
    if (!pulse || !pulse->beats) {
        px_free(pulse);
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the pulse of %u loops",
                          loops->n_loops);
    }
    pulse->loops = loops;
    for (unsigned i = 0; i < loops->n_loops; i++)
        pulse->beats[i].task.run = answer;
    *ret = pulse;
    return PX_OK;
}

void px_pulse_destroy(struct px_pulse *pulse)
{
    if (!pulse)
        return;
    px_free(pulse->beats);
    px_free(pulse);
}

static void ask(struct px_pulse *pulse, unsigned loop)
{
    struct beat *beat = &pulse->beats[loop];
    beat->missed = 0;
    atomic_store_explicit(&beat->is_asked, true, memory_order_relaxed);
    if (!px_loops_post(pulse->loops, loop, &beat->task))
        atomic_store_explicit(&beat->is_asked, false, memory_order_relaxed);
}

bool px_pulse_look(struct px_pulse *pulse, struct px_pulse_late *late)
{
    *late = (struct px_pulse_late){0};
    for (unsigned i = 0; i < pulse->loops->n_loops; i++) {
        struct beat *beat = &pulse->beats[i];
        if (!atomic_load_explicit(&beat->is_asked, memory_order_acquire)) {
            ask(pulse, i);
            continue;
        }
        beat->missed++;
        if (!late->looks)
            *late = (struct px_pulse_late){i, beat->missed};
    }
    return late->looks == 0;
}
