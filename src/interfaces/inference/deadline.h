/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deadlines from what clients say, for every dialect. A client may name any number, so nothing here wraps: a time that does
 * not fit is the end of time, which never comes. A deadline of 0 is none.
 */
#ifndef PX_INTERFACES_INFERENCE_DEADLINE_H
#define PX_INTERFACES_INFERENCE_DEADLINE_H

#include <stdint.h>

/* The longest time that a request may name. gRPC's libraries name what is left of a deadline of theirs, so a longer one counts as this. */
#define PX_TIMEOUT_NS_MAX (UINT64_C(24) * 3600 * 1000000000)

/* `count` units in nanoseconds. */
static inline uint64_t px_duration_ns(uint64_t count, uint64_t unit_ns)
{
    uint64_t ns;
    return __builtin_mul_overflow(count, unit_ns, &ns) ? UINT64_MAX : ns;
}

static inline uint64_t px_deadline_after(uint64_t start_ns, uint64_t timeout_ns)
{
    uint64_t deadline_ns;
    return __builtin_add_overflow(start_ns, timeout_ns, &deadline_ns) ? UINT64_MAX : deadline_ns;
}

static inline uint64_t px_deadline_earlier(uint64_t a_ns, uint64_t b_ns)
{
    if (a_ns == 0 || b_ns == 0)
        return a_ns + b_ns;
    return a_ns < b_ns ? a_ns : b_ns;
}

#endif
