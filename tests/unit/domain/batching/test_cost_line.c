/* SPDX-License-Identifier: Apache-2.0 */
/* The cost line: what it learns, forgets, and does not believe. */
#include "domain/batching/cost_line.h"

#include "harness.h"

static void learn(struct px_cost_line *line, size_t n, double fixed_ns, double one_ns)
{
    for (size_t i = 0; i < n; i++) {
        double size = (double)(1 + i % 8);
        px_cost_line_learn(line, size, fixed_ns + one_ns * size);
    }
}

static void check_near(double got, double expected)
{
    CHECK(got > expected * 0.98 && got < expected * 1.02);
}

PX_TEST(nothing_is_predicted_before_anything_was_seen)
{
    struct px_cost_line line = {0};
    CHECK_DOUBLE(px_cost_line_predict(&line, 4), 0);
    CHECK(!px_cost_line_knows(&line, 1));
}

PX_TEST(the_fixed_cost_and_the_cost_of_one_are_told_apart)
{
    struct px_cost_line line = {0};
    learn(&line, 40, 1000, 50);
    check_near(line.fixed_ns, 1000);
    check_near(line.one_ns, 50);
    check_near(px_cost_line_predict(&line, 100), 6000);
}

PX_TEST(one_size_alone_is_taken_to_be_proportional)
{
    struct px_cost_line line = {0};
    for (size_t i = 0; i < 20; i++)
        px_cost_line_learn(&line, 10, 500);
    check_near(px_cost_line_predict(&line, 10), 500);
    check_near(px_cost_line_predict(&line, 20), 1000);
}

PX_TEST(a_size_far_above_what_was_seen_is_not_known)
{
    struct px_cost_line line = {0};
    learn(&line, 40, 1000, 50);
    CHECK(px_cost_line_knows(&line, 8) && px_cost_line_knows(&line, 15));
    CHECK(!px_cost_line_knows(&line, 17));
}

PX_TEST(one_slow_computation_bends_the_line_little_and_a_lasting_change_moves_it)
{
    struct px_cost_line line = {0};
    learn(&line, 400, 1000, 50);
    px_cost_line_learn(&line, 4, 1e9);
    CHECK(px_cost_line_predict(&line, 4) < 1300);
    learn(&line, 1000, 10000, 500);
    check_near(px_cost_line_predict(&line, 4), 12000);
}

PX_TEST(parts_are_never_negative)
{
    struct px_cost_line line = {0};
    for (size_t i = 0; i < 40; i++) { /* grows faster than a line */
        double size = (double)(1 + i % 8);
        px_cost_line_learn(&line, size, size * size * 100);
    }
    CHECK(line.fixed_ns >= 0 && line.one_ns > 0);
    for (size_t i = 0; i < 400; i++) /* gets cheaper with size */
        px_cost_line_learn(&line, (double)(1 + i % 8), 1000 - 100.0 * (double)(i % 8));
    CHECK(line.fixed_ns > 0);
    CHECK_DOUBLE(line.one_ns, 0);
}

PX_TEST(a_line_from_a_slow_time_is_believed_for_long)
{
    struct px_cost_line line = {0};
    learn(&line, 400, 50000, 2500);
    learn(&line, 60, 1000, 50);
    CHECK(px_cost_line_predict(&line, 4) < 3 * 1200);
}

PX_TEST_MAIN(
    T(a_line_from_a_slow_time_is_believed_for_long) T(nothing_is_predicted_before_anything_was_seen)
        T(the_fixed_cost_and_the_cost_of_one_are_told_apart)
            T(one_size_alone_is_taken_to_be_proportional)
                T(a_size_far_above_what_was_seen_is_not_known)
                    T(one_slow_computation_bends_the_line_little_and_a_lasting_change_moves_it)
                        T(parts_are_never_negative))
