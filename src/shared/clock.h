/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks. Domain code never reads one: time is an argument there. Units are in the names. */
#ifndef PX_SHARED_CLOCK_H
#define PX_SHARED_CLOCK_H

#include "shared/buf.h"

#include <time.h>

#define PX_NS_PER_US 1000ull
#define PX_NS_PER_MS 1000000ull
#define PX_NS_PER_S  1000000000ull

uint64_t px_clock_monotonic_ns(void); /* for durations and deadlines */
uint64_t px_clock_wall_ns(void);      /* since 1970-01-01 UTC */
/* For calls that take a time, or a moment of CLOCK_MONOTONIC, in this form. */
struct timespec px_clock_timespec(uint64_t ns);
/* Processor time of the calling thread: for timing computations, blind to what others run meanwhile. */
uint64_t px_clock_thread_ns(void);

/* Appends RFC 3339 with milliseconds in UTC, as 2026-01-31T12:00:00.123Z. */
void px_clock_format(struct px_buf *buf, uint64_t wall_ns);

#endif
