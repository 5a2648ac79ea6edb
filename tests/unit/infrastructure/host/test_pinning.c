/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include "infrastructure/host/pinning.h"

#include <sched.h>

static struct px_pinning pinning;
static struct px_err err;

static enum px_code init(const char *pin)
{
    return px_pinning_init(&pinning, px_str(pin), px_str("off"), &err);
}

/* The first core that this process may run on. */
static unsigned first_core(void)
{
    cpu_set_t set;
    unsigned core = 0;
    sched_getaffinity(0, sizeof set, &set);
    while (!CPU_ISSET(core, &set))
        core++;
    return core;
}

PX_TEST(off_binds_nothing)
{
    CHECK_OK(init("off"));
    CHECK_INT(pinning.n_cores, 0);
    CHECK_OK(px_pinning_apply(&pinning, 7, &err));
}

PX_TEST(cores_are_those_that_the_process_may_use)
{
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    CHECK_OK(init("cores"));
    CHECK_INT(pinning.n_cores, CPU_COUNT(&set));
    CHECK_INT(pinning.cores[0], first_core());
}

PX_TEST(a_list_binds_the_calling_thread)
{
    char list[16];
    cpu_set_t set;
    snprintf(list, sizeof list, "%u", first_core());
    CHECK_OK(init(list));
    CHECK_OK(px_pinning_apply(&pinning, 3, &err));
    CHECK_INT(sched_getaffinity(0, sizeof set, &set), 0);
    CHECK_INT(CPU_COUNT(&set), 1);
    CHECK(CPU_ISSET(first_core(), &set));
}

PX_TEST(a_list_that_is_none_says_what_was_expected)
{
    static const char *const wrong[] = {"all", "1-", "-1", "3-1", "1,,2", "0 1", "", "0x1"};
    for (size_t i = 0; i < PX_ARRAY_LEN(wrong); i++)
        CHECK_INT(init(wrong[i]), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "0x1");
    CHECK_INT(init("1000"), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "may not run on core 1000");
    CHECK_INT(init("0-99999999999"), PX_E_INVALID);
}

PX_TEST_MAIN(T(off_binds_nothing) T(cores_are_those_that_the_process_may_use)
                 T(a_list_that_is_none_says_what_was_expected) T(a_list_binds_the_calling_thread))
