/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include "shared/cores.h"

#include <limits.h>
#include <sched.h>

PX_TEST(there_is_at_least_one_and_no_more_than_asked_for)
{
    CHECK(px_cores(UINT_MAX) >= 1);
    CHECK_INT(px_cores(1), 1);
}

PX_TEST(cores_that_the_process_may_not_use_do_not_count)
{
    cpu_set_t all, one;
    CHECK_INT(sched_getaffinity(0, sizeof all, &all), 0);
    size_t first = 0;
    while (!CPU_ISSET(first, &all))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    CHECK_INT(sched_setaffinity(0, sizeof one, &one), 0);
    CHECK_INT(px_cores(1024), 1);
    CHECK_INT(sched_setaffinity(0, sizeof all, &all), 0);
    CHECK_INT(px_cores(UINT_MAX), CPU_COUNT(&all));
}

PX_TEST_MAIN(T(there_is_at_least_one_and_no_more_than_asked_for)
                 T(cores_that_the_process_may_not_use_do_not_count))
