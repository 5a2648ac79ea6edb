/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the processor can do, asked at run time. Files named *_avx2.c and *_avx512.c are compiled for the
 * instructions listed here (CMakeLists.txt); nothing in them may run before its question was answered yes.
 */
#ifndef PX_SHARED_PROCESSOR_H
#define PX_SHARED_PROCESSOR_H

#include <stdbool.h>

static inline bool px_processor_has_avx2(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
           __builtin_cpu_supports("popcnt");
#else
    return false;
#endif
}

/* Byte permutes and the bit matrix product make the difference: Ice Lake, Zen 4 and later. */
static inline bool px_processor_has_avx512(void)
{
#if defined(__x86_64__)
    return px_processor_has_avx2() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
           __builtin_cpu_supports("gfni");
#else
    return false;
#endif
}

#endif
