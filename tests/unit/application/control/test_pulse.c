/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "manual_loops.h"

#include "application/control/loop_round.h"
#include "application/control/pulse.h"
#include "shared/thread.h"

static struct manual_loops loops;
static struct px_err err;

PX_TEST(a_loop_that_does_not_come_round_is_late)
{
    struct px_pulse *pulse = NULL;
    struct px_pulse_late late;
    manual_loops_init(&loops, 2);
    CHECK_OK(px_pulse_create(&loops.port, &pulse, &err));
    CHECK(px_pulse_look(pulse, &late)); /* the first beats are asked for */
    manual_loops_run(&loops, 0);
    CHECK(!px_pulse_look(pulse, &late));
    CHECK_INT(late.loop, 1);
    CHECK_INT(late.looks, 1);
    manual_loops_run(&loops, 0);
    CHECK(!px_pulse_look(pulse, &late));
    CHECK_INT(late.looks, 2);
    manual_loops_run(&loops, 0);
    manual_loops_run(&loops, 1);
    CHECK(px_pulse_look(pulse, &late));
    CHECK_INT(late.looks, 0);
    px_pulse_destroy(pulse);
}

PX_TEST(loops_that_have_ended_are_not_waited_for)
{
    struct px_pulse *pulse = NULL;
    struct px_pulse_late late;
    manual_loops_init(&loops, 1);
    loops.stopped[0] = true;
    CHECK_OK(px_pulse_create(&loops.port, &pulse, &err));
    for (int i = 0; i < 3; i++)
        CHECK(px_pulse_look(pulse, &late));
    px_pulse_destroy(pulse);
}

static void *serve(void *argument)
{
    unsigned loop = *(unsigned *)argument;
    manual_loops_wait(&loops, loop);
    manual_loops_run(&loops, loop);
    return NULL;
}

static void mark(void *context, unsigned loop)
{
    ((_Atomic bool *)context)[loop] = true;
}

PX_TEST(a_round_returns_when_every_loop_has_run)
{
    pthread_t threads[2];
    unsigned numbers[2] = {0, 1};
    _Atomic bool marks[3] = {false};
    struct px_loop_round *round = NULL;
    manual_loops_init(&loops, 3);
    loops.stopped[2] = true; /* has ended, and is left out */
    CHECK_OK(px_loop_round_create(&loops.port, &round, &err));
    for (int i = 0; i < 2; i++)
        CHECK_INT(px_thread_start("loop", serve, &numbers[i], &threads[i]), 0);
    px_loop_round_run(round, mark, marks);
    CHECK(marks[0] && marks[1] && !marks[2]);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    px_loop_round_destroy(round);
}

PX_TEST_MAIN(T(a_loop_that_does_not_come_round_is_late) T(loops_that_have_ended_are_not_waited_for)
                 T(a_round_returns_when_every_loop_has_run))
