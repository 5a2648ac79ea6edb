/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include "interfaces/cli/bench/bench.h"
#include "shared/clock.h"

#include <string.h>

static struct px_load_result result;

/* A ramp whose step at 100 requests/s passed, and whose step at 200 was behind. */
static struct px_bench_load make_bench(void)
{
    struct px_bench_load b = {.is_ramp = true, .rows = 1, .search.goodput_min = 0.99};
    b.job.limit_ns = 50 * PX_NS_PER_MS;
    b.job.n_connections = b.job.n_threads = 1;
    static struct px_str body = PX_STR("{}");
    b.bodies.bodies = &body;
    b.bodies.n = 1;
    b.ramp = (struct px_ramp){.best = 0, .failed = 1, .n_steps = 2, .best_result = &result};
    b.ramp.steps[0] = (struct px_load_summary){.rate = 100,
                                               .offered = 100,
                                               .achieved = 99.75,
                                               .goodput = 99.75,
                                               .n_offered = 200,
                                               .verdict = PX_LOAD_PASS};
    b.ramp.steps[1] = (struct px_load_summary){.rate = 200,
                                               .offered = 200,
                                               .achieved = 190,
                                               .goodput = 190,
                                               .n_offered = 400,
                                               .verdict = PX_LOAD_BEHIND};
    return b;
}

static const char *print(const struct px_bench_load *b)
{
    static char text[16384];
    memset(text, 0, sizeof text);
    FILE *out = fmemopen(text, sizeof text - 1, "w");
    CHECK(out);
    px_bench_load_print_text(out, b);
    fclose(out);
    return text;
}

PX_TEST(the_saturation_point_is_a_rate_that_was_asked_for)
{
    struct px_bench_load b = make_bench();
    CHECK_CONTAINS(print(&b), "saturation  100 requests/s; at 200/s 190/s were answered within");
}

PX_TEST(replies_that_stay_behind_are_not_called_late)
{
    struct px_bench_load b = make_bench();
    b.ramp.steps[1].goodput = 199; /* enough, and yet fewer replies than requests: a queue grows */
    CHECK_CONTAINS(print(&b), "190 replies/s came to 200 requests/s, so that a queue grows");
}

PX_TEST_MAIN(T(the_saturation_point_is_a_rate_that_was_asked_for)
                 T(replies_that_stay_behind_are_not_called_late))
