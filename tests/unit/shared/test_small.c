/* SPDX-License-Identifier: Apache-2.0 */
/* The one-page parts: cursor, clock, random numbers. */
#include "harness.h"
#include "shared/clock.h"
#include "shared/cursor.h"
#include "shared/rng.h"
#include "shared/thread.h"

#include <signal.h>

PX_TEST(cursors_own_the_bounds)
{
    static const unsigned char bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    struct px_cursor c = px_cursor(bytes, sizeof bytes);
    CHECK_INT(px_cursor_u8(&c), 1);
    CHECK_INT(px_cursor_be(&c, 2), 0x0203);
    CHECK_INT(px_cursor_le(&c, 4), 0x07060504);
    CHECK_INT(px_cursor_left(&c), 4);
    CHECK(px_cursor_take(&c, 4) == bytes + 7);
    CHECK(!c.failed);
    CHECK(px_cursor_take(&c, 0) == bytes + 11);
    CHECK_INT(px_cursor_u8(&c), 0);
    CHECK(c.failed);
    CHECK_INT(px_cursor_be(&c, 8), 0);
    CHECK_INT(px_cursor_le(&c, 8), 0);
    CHECK(!px_cursor_take(&c, 0)); /* sticky */
    struct px_cursor none = px_cursor(NULL, 0);
    CHECK_INT(px_cursor_left(&none), 0);
    CHECK_INT(px_cursor_u8(&none), 0);
}

PX_TEST(a_read_past_the_end_takes_nothing)
{
    static const unsigned char bytes[] = {1, 2, 3};
    struct px_cursor c = px_cursor(bytes, 3);
    CHECK(!px_cursor_take(&c, SIZE_MAX));
    CHECK(c.failed && c.at == bytes);
}

static void *count_blocked(void *argument)
{
    int *n_blocked = argument;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    for (int signal = 1; signal < SIGRTMIN; signal++)
        *n_blocked += sigismember(&mask, signal) == 1;
    return NULL;
}

PX_TEST(a_thread_leaves_signals_to_the_others)
{
    sigset_t before, after;
    pthread_t thread;
    int n_blocked = 0;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    CHECK_INT(px_thread_start("px-test", count_blocked, &n_blocked, &thread), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    CHECK(sigismember(&after, SIGTERM) == sigismember(&before, SIGTERM));
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK(n_blocked > 20);
}

PX_TEST(clocks)
{
    uint64_t a = px_clock_monotonic_ns(), b = px_clock_monotonic_ns();
    CHECK(b >= a);
    CHECK(px_clock_wall_ns() > 1700000000ull * PX_NS_PER_S);
    struct px_buf buf = px_buf(100);
    px_clock_format(&buf, 0);
    px_buf_byte(&buf, ' ');
    px_clock_format(&buf, 951827696ull * PX_NS_PER_S + 7 * PX_NS_PER_MS + 999999);
    px_buf_byte(&buf, ' ');
    px_clock_format(&buf, UINT64_MAX);
    CHECK_STR(px_buf_view(&buf),
              "1970-01-01T00:00:00.000Z 2000-02-29T12:34:56.007Z 2554-07-21T23:34:33.709Z");
    px_buf_deinit(&buf);
}

PX_TEST(the_stream_of_a_seed_never_changes)
{
    struct px_rng rng = px_rng(42);
    CHECK(px_rng_u64(&rng) == 0x15780B2E0C2EC716u);
    CHECK(px_rng_u64(&rng) == 0x6104D9866D113A7Eu);
    struct px_rng again = px_rng(42), other = px_rng(43);
    CHECK(px_rng_u64(&again) == 0x15780B2E0C2EC716u);
    CHECK(px_rng_u64(&other) != 0x15780B2E0C2EC716u);
}

PX_TEST(numbers_below_a_bound_are_uniform)
{
    struct px_rng rng = px_rng(1);
    int counts[7] = {0};
    for (int i = 0; i < 70000; i++) {
        uint64_t x = px_rng_below(&rng, 7);
        CHECK(x < 7);
        counts[x]++;
    }
    for (int i = 0; i < 7; i++)
        CHECK_NEAR(counts[i], 10000, 500); /* five standard deviations */
    CHECK_INT(px_rng_below(&rng, 1), 0);
    (void)px_rng_below(&rng, UINT64_MAX);
}

PX_TEST(unit_and_normal_numbers)
{
    struct px_rng rng = px_rng(2);
    double sum = 0, squares = 0, unit_sum = 0;
    enum { N = 100000 };
    for (int i = 0; i < N; i++) {
        double u = px_rng_unit(&rng), x = px_rng_normal(&rng);
        CHECK(u >= 0 && u < 1);
        CHECK(isfinite(x));
        unit_sum += u;
        sum += x;
        squares += x * x;
    }
    CHECK_NEAR(unit_sum / N, 0.5, 0.005);
    CHECK_NEAR(sum / N, 0, 0.02);
    CHECK_NEAR(squares / N, 1, 0.03);
}

PX_TEST_MAIN(T(cursors_own_the_bounds) T(a_read_past_the_end_takes_nothing)
                 T(a_thread_leaves_signals_to_the_others) T(clocks)
                     T(the_stream_of_a_seed_never_changes) T(numbers_below_a_bound_are_uniform)
                         T(unit_and_normal_numbers))
