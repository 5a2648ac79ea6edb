/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/cores.h"

#include "shared/compiler.h"

#include <sched.h>
#include <unistd.h>

enum {
    SETS = 16 /* the system refuses a mask with fewer bits than it has cores; one set has 1,024 */
};

unsigned px_cores(unsigned max)
{
    cpu_set_t sets[SETS] = {0};
    long n;
    PX_ASSERT(max > 0);
    if (sched_getaffinity(0, sizeof sets, sets) == 0)
        n = CPU_COUNT_S(sizeof sets, sets);
    else
        n = sysconf(_SC_NPROCESSORS_ONLN);
    if (n < 1)
        return 1;
    return (unsigned long)n < max ? (unsigned)n : max;
}
