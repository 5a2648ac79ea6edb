/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include "application/pressure/pressure.h"

static enum px_pressure_level after(enum px_pressure_level before, uint64_t used)
{
    return px_pressure_level_of(before, used, 100);
}

PX_TEST(levels_begin_at_80_and_95_per_cent)
{
    CHECK_INT(after(PX_PRESSURE_IS_LOW, 79), PX_PRESSURE_IS_LOW);
    CHECK_INT(after(PX_PRESSURE_IS_LOW, 80), PX_PRESSURE_IS_HIGH);
    CHECK_INT(after(PX_PRESSURE_IS_LOW, 94), PX_PRESSURE_IS_HIGH);
    CHECK_INT(after(PX_PRESSURE_IS_LOW, 95), PX_PRESSURE_IS_CRITICAL);
    CHECK_INT(after(PX_PRESSURE_IS_LOW, 200), PX_PRESSURE_IS_CRITICAL);
}

PX_TEST(a_value_that_trembles_stays_where_it_is)
{
    CHECK_INT(after(PX_PRESSURE_IS_HIGH, 79), PX_PRESSURE_IS_HIGH);
    CHECK_INT(after(PX_PRESSURE_IS_HIGH, 75), PX_PRESSURE_IS_HIGH);
    CHECK_INT(after(PX_PRESSURE_IS_HIGH, 74), PX_PRESSURE_IS_LOW);
    CHECK_INT(after(PX_PRESSURE_IS_CRITICAL, 91), PX_PRESSURE_IS_CRITICAL);
    CHECK_INT(after(PX_PRESSURE_IS_CRITICAL, 89), PX_PRESSURE_IS_HIGH);
    CHECK_INT(after(PX_PRESSURE_IS_CRITICAL, 10), PX_PRESSURE_IS_LOW);
}

PX_TEST(without_a_limit_nothing_is_high)
{
    CHECK_INT(px_pressure_level_of(PX_PRESSURE_IS_LOW, UINT64_MAX, 0), PX_PRESSURE_IS_LOW);
}

PX_TEST(loads_are_refused_while_memory_is_critical_and_only_then)
{
    struct px_err err;
    struct px_pressure pressure = {0};
    struct px_pressure_reading reading = {94, 100, "cgroup memory.max", "more"};
    px_pressure_update(&pressure, PX_PRESSURE_MEMORY, &reading);
    CHECK_OK(px_pressure_check_memory(&pressure, "loading", &err));
    reading.used = 96;
    px_pressure_update(&pressure, PX_PRESSURE_MEMORY, &reading);
    CHECK_INT(px_pressure_check_memory(&pressure, "loading", &err), PX_E_OVERLOADED);
    CHECK_CONTAINS(err.message, "loading is refused: 96 of 100 bytes");
    CHECK_CONTAINS(err.message, "cgroup memory.max");
    reading.used = 50;
    px_pressure_update(&pressure, PX_PRESSURE_MEMORY, &reading);
    CHECK_OK(px_pressure_check_memory(&pressure, "loading", &err));
    reading.used = 99; /* descriptors are another matter */
    px_pressure_update(&pressure, PX_PRESSURE_FILES, &reading);
    CHECK_OK(px_pressure_check_memory(&pressure, "loading", &err));
    CHECK_OK(px_pressure_check_memory(NULL, "loading", &err));
    CHECK_INT(px_pressure_used(&pressure, PX_PRESSURE_FILES), 99);
    CHECK_INT(px_pressure_max(&pressure, PX_PRESSURE_MEMORY), 100);
}

PX_TEST_MAIN(T(levels_begin_at_80_and_95_per_cent) T(a_value_that_trembles_stays_where_it_is)
                 T(without_a_limit_nothing_is_high)
                     T(loads_are_refused_while_memory_is_critical_and_only_then))
