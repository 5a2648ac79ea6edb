/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/clock.h"

static uint64_t read_clock(clockid_t id)
{
    struct timespec now;
    int rc = clock_gettime(id, &now);
    PX_ASSERT(rc == 0);
    return (uint64_t)now.tv_sec * PX_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t px_clock_monotonic_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t px_clock_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

uint64_t px_clock_thread_ns(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

struct timespec px_clock_timespec(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / PX_NS_PER_S),
                             .tv_nsec = (long)(ns % PX_NS_PER_S)};
}

void px_clock_format(struct px_buf *buf, uint64_t wall_ns)
{
    time_t seconds = (time_t)(wall_ns / PX_NS_PER_S);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    px_buf_printf(buf, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900, utc.tm_mon + 1,
                  utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                  (int)(wall_ns / PX_NS_PER_MS % 1000));
}
