/* SPDX-License-Identifier: Apache-2.0 */
/* Ways a ticker could disturb loops that nobody listens on, or forget those that somebody does. */
#include "application/telemetry/ticker.h"

#include "harness.h"
#include "manual_loops.h"
#include "shared/alloc.h"
#include "shared/clock.h"

enum { N_LOOPS = 3 };

static struct manual_loops loops;
static struct px_ticker *ticker;
static unsigned n_ticks[N_LOOPS];

static void count(void *context, unsigned loop)
{
    CHECK(context == n_ticks);
    n_ticks[loop]++;
}

static void set_up(void)
{
    memset(n_ticks, 0, sizeof n_ticks);
    manual_loops_init(&loops, N_LOOPS);
    const struct px_ticker_settings settings = {
        .loops = &loops.port, .period_ns = PX_NS_PER_MS, .tick = count, .context = n_ticks};
    CHECK_OK(px_ticker_create(&settings, &ticker, NULL));
}

static void tick(unsigned loop)
{
    manual_loops_wait(&loops, loop);
    manual_loops_run(&loops, loop);
}

PX_TEST(only_loops_with_listeners_tick)
{
    set_up();
    px_ticker_listen(ticker, 1);
    for (unsigned i = 1; i <= 5; i++) {
        tick(1);
        CHECK_INT(n_ticks[1], i);
    }
    manual_loops_run(&loops, 0);
    manual_loops_run(&loops, 2);
    px_ticker_destroy(ticker);
    CHECK_INT(n_ticks[0] + n_ticks[2], 0);
}

PX_TEST(who_listens_later_is_heard_and_who_left_is_not_missed)
{
    set_up();
    px_ticker_listen(ticker, 0);
    px_ticker_listen(ticker, 0);
    tick(0);
    px_ticker_leave(ticker, 0);
    tick(0);
    px_ticker_leave(ticker, 0);
    px_ticker_listen(ticker, 2);
    tick(2);
    px_ticker_leave(ticker, 2);
    px_ticker_listen(ticker, 0);
    tick(0);
    px_ticker_destroy(ticker);
}

PX_TEST(a_loop_that_is_slow_has_one_tick_waiting)
{
    set_up();
    px_ticker_listen(ticker, 0);
    px_ticker_listen(ticker, 1);
    manual_loops_wait(&loops, 0);
    for (unsigned i = 0; i < 5; i++)
        tick(1);
    px_ticker_leave(ticker, 0);
    px_ticker_wake(ticker);
    manual_loops_run(&loops, 0);
    manual_loops_run(&loops, 0);
    CHECK_INT(n_ticks[0], 1);
    manual_loops_run(&loops, 2);
    CHECK_INT(n_ticks[2], 1); /* woken without a listener */
    px_ticker_destroy(ticker);
}

PX_TEST(loops_that_have_stopped_are_no_trouble)
{
    set_up();
    px_ticker_listen(ticker, 0);
    manual_loops_stop(&loops, 0);
    px_ticker_wake(ticker);
    px_ticker_destroy(ticker);
    px_ticker_destroy(NULL);
}

PX_TEST(without_memory_there_is_no_ticker)
{
    manual_loops_init(&loops, N_LOOPS);
    const struct px_ticker_settings settings = {
        .loops = &loops.port, .period_ns = PX_NS_PER_MS, .tick = count, .context = n_ticks};
    for (uint64_t n = 1; n <= 2; n++) {
        px_alloc_fail_at(n);
        CHECK_INT(px_ticker_create(&settings, &ticker, NULL), PX_E_NO_MEMORY);
        px_alloc_fail_at(0);
    }
}

// clang-format off
PX_TEST_MAIN(
    T(only_loops_with_listeners_tick)
    T(who_listens_later_is_heard_and_who_left_is_not_missed)
    T(a_loop_that_is_slow_has_one_tick_waiting)
    T(loops_that_have_stopped_are_no_trouble)
    T(without_memory_there_is_no_ticker)
)
